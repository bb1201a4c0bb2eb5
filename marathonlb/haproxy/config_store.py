"""The files of the configuration, and the marker of what HAProxy confirmed, in an order that survives a crash."""

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
from marathonlb.haproxy.reload_reason import Reasons, sentence
from marathonlb.haproxy.rollback.archive import Archive

InThread = Callable[[Callable[[], None]], Deferred[None]]
"""Runs a function beside the reactor."""


class ConfigStore:
    """
    The files of the configuration with their marker and their archive.

    :param in_thread: for writes that take long while updates go on.
    :ivar lock: held while files are changed or checked.
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
        self._to_archive: tuple[Reasons, float, str] | None = None

    @property
    def directory(self) -> str:
        """The directory of haproxy.cfg and its map files."""
        return self._files.directory

    def recover(self) -> None:
        """Complete or undo what a crash interrupted. Raises `PublishFailed`."""
        self._files.recover()
        self.keep_health()

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
        """Return whether HAProxy confirmed these texts."""
        return self._state.trusts(published.digest())

    def confirmed_on_disk(self) -> Published | None:
        """Return the texts on disk where HAProxy confirmed them; else None."""
        try:
            disk = self._files.read()
        except PublishFailed:
            return None
        return disk if disk is not None and self.trusts(disk) else None

    def publish(self, published: Published, health: str) -> None:
        """
        Put texts into place that HAProxy has not confirmed yet.

        :param health: see `keep_health`.
        :raises PublishFailed: the texts that HAProxy runs are still in place.
        """
        self.keep_health(health)
        try:
            self._state.forget_confirmed()
        except OSError as error:
            self._log.warn("the marker of the last confirmation stays: {reason}", reason=explain_error(error))
        self._files.publish(published)

    def put_back(self, before: Published) -> bool:
        """
        Put back the files that HAProxy runs; return whether that succeeded.

        A HAProxy that ends is started again from the files, and these must not be the ones that it has just refused.
        """
        try:
            self._files.publish(before)
            self._state.confirm(before.digest())
        except (OSError, PublishFailed) as error:
            self._log.error(
                "HAProxy refuses the new configuration, and the files before could not be put back: {reason}. "
                "HAProxy serves on; do not restart it before this is fixed",
                reason=explain_error(error),
            )
            return False
        return True

    def confirm(self, published: Published, reasons: Reasons, archive_reasons: Reasons) -> None:
        """
        Note that HAProxy runs these texts, and archive them where they differ in more than tasks, or are the first.

        :param reasons: of the reload.
        :param archive_reasons: see `archive_next`.
        """
        try:
            self._state.confirm(published.digest())
        except OSError as error:
            self._log.warn(
                "what HAProxy runs could not be noted: {reason}. The next controller will reload once",
                reason=explain_error(error),
            )
        self.archive_next(archive_reasons)
        if self._to_archive is None and not self._archive.list():
            self.archive_next(reasons)
        self._archive_texts(published, reasons)
        self._state.remove_dead_sockets(published.text)

    def archive_next(self, reasons: Reasons) -> None:
        """Let the texts that are confirmed or written next be archived for these reasons; without any, nothing is."""
        if reasons:
            self._to_archive = reasons, self._clock.seconds(), self._archive.cause

    def _archive_texts(self, published: Published, reload_reasons: Reasons = ()) -> None:
        to_archive, self._to_archive = self._to_archive, None
        if to_archive is not None:
            reasons, seconds, cause = to_archive
            reason = sentence(reload_reasons or reasons)
            self._archive.add(published, reason=reason, seconds=seconds, cause=cause)

    def follow(self, config: Config) -> Deferred[None]:
        """
        Write what HAProxy runs already.

        Until the files have changed both texts are noted as confirmed: HAProxy runs either, apart from runtime changes,
        which can be read back. Fails with `PublishFailed` or `OSError`.
        """
        return self._in_thread(lambda: self._follow(config))

    def _follow(self, config: Config) -> None:
        published = self._files.texts(config)
        digest = published.digest()
        may_lie_there = (self._state.confirmed() or "").split()
        self._state.confirm(*may_lie_there[:1], *may_lie_there[1:][-10:], digest)
        self._files.publish(published)
        self._state.confirm(digest)
        self._archive_texts(published)

    def keep_health(self, text: str | None = None) -> None:
        """See `StateDirectory.keep_health`; a failure is logged, and loses what is known of the servers' health."""
        try:
            self._state.write_server_state(text)
        except OSError as error:
            self._log.warn(
                "the health of servers could not be noted: {reason}. Those that are down get traffic after the reload "
                "until their checks fail",
                reason=explain_error(error),
            )
