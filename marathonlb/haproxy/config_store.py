"""The texts on disk, and the note of which of them HAProxy confirmed, in an order that survives a crash."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred, DeferredLock, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from marathonlb.config.text.model import Config
from marathonlb.errors import PublishFailed
from marathonlb.haproxy.files.disk import explain_error
from marathonlb.haproxy.files.publish import Files, Published, Staged
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.rollback.archive import Archive

InThread = Callable[[Callable[[], None]], Deferred[None]]
"""Runs something beside the reactor."""


class Store:
    """
    What lies on disk.

    :param in_thread: for what takes long while steps go on.
    :ivar lock: held by whoever is about to change or to check files.
    """

    _log = Logger()

    def __init__(
        self,
        files: Files,
        state: StateDirectory,
        archive: Archive,
        clock: IReactorTime,
        in_thread: InThread | None = None,
    ) -> None:
        self.lock = DeferredLock()
        self._files = files
        self._state = state
        self._archive = archive
        self._clock = clock
        self._in_thread = in_thread or maybeDeferred
        self._to_keep: tuple[str, float, str] | None = None

    @property
    def directory(self) -> str:
        """Where haproxy.cfg and its maps lie."""
        return self._files.directory

    def recover(self) -> None:
        """Put right what a crash left. Raises `PublishFailed`."""
        self._files.recover()

    def read(self, maps: Mapping[str, object] | None = None) -> Published | None:
        """See `Files.read`."""
        return self._files.read(maps)

    def texts(self, config: Config) -> Published:
        """See `Files.texts`."""
        return self._files.texts(config)

    def stage(self, config: Config) -> Staged:
        """See `Files.stage`."""
        return self._files.stage(config)

    def unstage(self) -> None:
        """See `Files.unstage`."""
        self._files.unstage()

    def trusts(self, published: Published) -> bool:
        """Whether HAProxy confirmed these texts."""
        return self._state.trusts(published.digest())

    def confirmed_on_disk(self) -> Published | None:
        """What lies on disk, where HAProxy confirmed it."""
        try:
            disk = self._files.read()
        except PublishFailed:
            return None
        return disk if disk is not None and self.trusts(disk) else None

    def publish(self, published: Published) -> None:
        """Put texts into place that HAProxy has not confirmed yet. Raises `PublishFailed`."""
        try:
            self._state.forget_confirmed()
        except OSError as error:
            self._log.warn("the marker of the last confirmation stays: {reason}", reason=explain_error(error))
        self._files.publish(published)

    def put_back(self, before: Published) -> bool:
        """
        Put back the files that HAProxy runs; whether that went well.

        A HAProxy that ends is started from what lies on disk, and that must not be what it just refused.
        """
        try:
            self._files.publish(before)
            self._state.confirm(before.digest())
        except (OSError, PublishFailed) as error:
            self._log.error(
                "HAProxy refuses the new configuration, and the one before could not be put back: {reason}. "
                "HAProxy serves on, but do not restart it before this is mended",
                reason=explain_error(error),
            )
            return False
        return True

    def confirm(self, published: Published, reason: str) -> None:
        """Note that HAProxy runs these texts, and keep them."""
        try:
            self._state.confirm(published.digest())
        except OSError as error:
            self._log.warn(
                "what HAProxy runs could not be noted: {reason}. The next controller will reload once",
                reason=explain_error(error),
            )
        self._archive_it(published, reason)
        self._state.remove_dead_sockets(published.text)

    def keep(self, reason: str) -> None:
        """Let what is confirmed or followed next be archived, since it changes more than tasks."""
        self._to_keep = reason, self._clock.seconds(), self._archive.cause

    def _archive_it(self, published: Published, why: str = "") -> None:
        """
        Keep a configuration where it was said to be worth it, or it is the first.

        :param why: of the reload; what changed, where it was none.
        """
        kept, self._to_keep = self._to_keep, None
        if kept is None and why and not self._archive.list():
            kept = why, self._clock.seconds(), self._archive.cause
        if kept is not None:
            reason, seconds, cause = kept
            self._archive.add(published, reason=why or reason, seconds=seconds, cause=cause)

    def follow(self, config: Config) -> Deferred[None]:
        """
        Write what HAProxy runs already.

        Until the file has changed both texts are noted as confirmed: HAProxy runs either, but for steps, and what steps
        change can be read back. Fails with `PublishFailed` or `OSError`.
        """
        return self._in_thread(lambda: self._follow(config))

    def _follow(self, config: Config) -> None:
        published = self._files.texts(config)
        digest = published.digest()
        may_lie_there = (self._state.confirmed() or "").split()
        self._state.confirm(*may_lie_there[:1], *may_lie_there[1:][-10:], digest)
        self._files.publish(published)
        self._state.confirm(digest)
        self._archive_it(published)

    def keep_health(self, text: str | None = None) -> None:
        """See `StateDirectory.keep_health`; a failure is said and costs what is known of the servers' health."""
        try:
            self._state.write_server_state(text)
        except OSError as error:
            self._log.warn(
                "the health of servers could not be noted: {reason}. Those that are down get traffic after the reload "
                "until their checks fail",
                reason=explain_error(error),
            )
