"""
Carrying a plan out: stage, check, publish, reload, confirm.

`Applier.running` is what HAProxy confirmed, and changes at no other moment. A marker in the state directory names the
texts that were confirmed; it is removed before the files change and written when HAProxy has confirmed the new ones. So
after a crash at any instant the next controller knows whether what lies on disk is what runs, and reloads only where it
is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from marathonlb.config.text import Config
from marathonlb.errors import PublishFailed, ReloadFailed
from marathonlb.haproxy.archive import Archive
from marathonlb.haproxy.files import Files, Published, Staged
from marathonlb.haproxy.interfaces import IApplier, IChecker, IReloader, Outcome, Reloaded
from marathonlb.haproxy.plan import differences, phrase, split
from marathonlb.haproxy.ports import Probe, taken
from marathonlb.haproxy.state import StateDirectory

__all__ = ["Applier", "Outcome"]

UNCONFIRMED = "the last reload was not confirmed"
NOT_RUNNING = "HAProxy does not run"
FIRST = "there was no configuration"


@implementer(IApplier)
class Applier:
    """
    Makes HAProxy run what is wanted, one configuration at a time.

    :param probe: says whether a port could be bound; None where HAProxy may run elsewhere or as another user.
    :param service: what has to be started and stopped with the controller: the supervisor of a HAProxy of our own.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        files: Files,
        state: StateDirectory,
        checker: IChecker,
        reloader: IReloader,
        clock: IReactorTime,
        archive: Archive,
        probe: Probe | None = None,
        service: IService | None = None,
    ) -> None:
        self.running: Config | None = None
        self.service: IService = service or Service()
        self._files = files
        self._state = state
        self._checker = checker
        self._reloader = reloader
        self._clock = clock
        self._archive = archive
        self._probe = probe
        self._confirmed = False
        self._distrusted = ""
        self._lock = DeferredLock()

    def recover(self) -> Deferred[None]:
        """See `IApplier.recover`."""
        return self._lock.run(self._recover)

    def _recover(self) -> None:
        self._files.recover()

    def apply(self, wanted: Config) -> Deferred[Outcome]:
        """See `IApplier.apply`. A second call waits for the first. Cancelling gives up between two stages."""
        return self._lock.run(lambda: Deferred.fromCoroutine(self._apply(wanted)))

    def check(self, config: Config) -> Deferred[str]:
        """See `IApplier.check`."""
        return self._lock.run(lambda: Deferred.fromCoroutine(self._check(config)))

    async def _check(self, config: Config) -> str:
        staged = self._files.stage(config)
        try:
            return await self._checker.check(staged.path, config)
        finally:
            self._files.unstage()

    def distrust(self, why: str) -> None:
        """See `IApplier.distrust`."""
        self._distrusted = why

    def served(self) -> frozenset[str]:
        """See `IApplier.served`."""
        running = self.running
        if running is None:
            disk = self._files.read({})
            running = split(disk.text, {}) if disk is not None else Config()
        return frozenset(section.name for section in running if section.kind == "backend")

    def texts(self) -> Published | None:
        """
        The texts of what HAProxy runs, or after a start those of the files on disk; None without any.

        Raises `PublishFailed` where these cannot be read.
        """
        return self._files.read() if self.running is None else self._files.texts(self.running)

    @property
    def confirmed(self) -> bool:
        """Whether HAProxy has confirmed what is believed to run."""
        return self.running is not None and self._confirmed

    def pids(self) -> Deferred[tuple[int, ...]]:
        """See `IApplier.pids`."""
        return self._reloader.pids()

    async def _apply(self, wanted: Config) -> Outcome:
        distrusted, self._distrusted = self._distrusted, ""
        try:
            return await self._carry_out(wanted, distrusted)
        except BaseException:
            self._distrusted = self._distrusted or distrusted
            raise

    async def _carry_out(self, wanted: Config, distrusted: str) -> Outcome:
        reason = await self._reason(wanted) or distrusted
        if not reason:
            return Outcome(action="nothing")
        seconds: dict[str, float] = {}
        staged = self._files.stage(wanted)
        try:
            with self._timed(seconds, "check"):
                warnings = await self._checker.check(staged.path, wanted)
            before = self._good()
            self._require_ports(before, wanted)
            with self._timed(seconds, "publish"):
                self._publish(staged.published)
        finally:
            self._files.unstage()
        with self._timed(seconds, "reload"):
            reloaded = await self._reload(wanted, before)
        self._confirm(wanted, staged, reason)
        # what a master says of a reload that went well is no news; what nobody was told is
        output = "\n".join(
            filter(None, (warnings, "" if reloaded.action == "reload" else reloaded.output.strip()))
        )
        return Outcome(action=reloaded.action, reason=reason, seconds=seconds, output=output)

    async def _reason(self, wanted: Config) -> str | None:
        """Why HAProxy has to read its file anew, in one phrase; None where it runs what is wanted."""
        serving = await self._reloader.serving()
        if self.running is not None:
            found = differences(self.running, wanted)
            doubt = None if self._confirmed else UNCONFIRMED
            return phrase(found) or doubt or (None if serving else NOT_RUNNING)
        disk, texts = self._files.read(wanted.maps), self._files.texts(wanted)
        if disk is None:
            return FIRST
        if disk.digest() != texts.digest():
            found = differences(split(disk.text, disk.maps), split(texts.text, texts.maps))
            return f"adopted with differences: {phrase(found) or 'white space'}"
        if self._state.confirmed() != texts.digest():
            return UNCONFIRMED
        if serving:
            self.running, self._confirmed = wanted, True
            return None
        return NOT_RUNNING

    def _good(self) -> Published | None:
        """The texts that HAProxy confirmed, where they are known: what is put back when it refuses the new ones."""
        if self.running is not None:
            return self._files.texts(self.running) if self._confirmed else None
        try:
            disk = self._files.read()
        except PublishFailed:
            return None
        return disk if disk is not None and self._state.confirmed() == disk.digest() else None

    def _require_ports(self, before: Published | None, wanted: Config) -> None:
        """Raise `ReloadFailed` where a new port is held by another process: HAProxy would stop serving to find out."""
        if self._probe is None or before is None:
            return
        found = taken(before.text, wanted, self._files.directory, self._probe)
        if found:
            said = "; ".join(f"line {complaint.line}: {complaint.message}" for complaint in found[:3])
            raise ReloadFailed(reason=said, complaints=found, refused=True)

    def _publish(self, published: Published) -> None:
        self._confirmed = False
        try:
            self._state.doubt()
        except OSError as error:
            self._log.warn(
                "{error}: the marker of the last confirmation stays; check the state directory", error=error
            )
        self._files.publish(published)

    async def _reload(self, wanted: Config, before: Published | None) -> Reloaded:
        try:
            return await self._reloader.reload(wanted)
        except ReloadFailed as error:
            if error.refused and before is not None:
                self._put_back(before)
            raise

    def _put_back(self, before: Published) -> None:
        """
        Put back the files that HAProxy runs.

        A HAProxy that ends is started from what lies on disk, and that must not be what it just refused.
        """
        try:
            self._files.publish(before)
            self._state.confirm(before.digest())
        except (OSError, PublishFailed) as error:
            self._log.error(
                "HAProxy refuses the new configuration, and the one before could not be put back: {error}. "
                "HAProxy serves on, but do not restart it before this is mended",
                error=error,
            )
            return
        self._confirmed = self.running is not None

    def _confirm(self, wanted: Config, staged: Staged, reason: str) -> None:
        try:
            self._state.confirm(staged.published.digest())
        except OSError as error:
            self._log.warn(
                "what HAProxy runs could not be noted: {error}; the next controller will reload once",
                error=error,
            )
        self.running, self._confirmed = wanted, True
        self._archive.add(staged.published, reason=reason, seconds=self._clock.seconds())

    @contextmanager
    def _timed(self, seconds: dict[str, float], stage: str) -> Iterator[None]:
        began = self._clock.seconds()
        yield
        seconds[stage] = round(self._clock.seconds() - began, 6)
