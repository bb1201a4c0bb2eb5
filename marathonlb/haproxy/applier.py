"""
The applier: makes HAProxy run a configuration, and chooses how.

Nothing is done where nothing differs. What the runtime API can do is done through it; what is left takes a reload, now
or when one is allowed. `RunningConfig` knows what runs, `UpdateSequence` and `ReloadSequence` carry the choice out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import evolve
from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from marathonlb.config.text.diff import split
from marathonlb.config.text.model import Config
from marathonlb.errors import MarathonLBError
from marathonlb.haproxy.background import BackgroundWork
from marathonlb.haproxy.config_store import ConfigStore
from marathonlb.haproxy.dynamic.update import ServerName
from marathonlb.haproxy.dynamic.updater import RuntimeUpdater
from marathonlb.haproxy.files.publish import Published
from marathonlb.haproxy.interfaces import IApplier, IChecker, IReloader
from marathonlb.haproxy.outcome import (
    Outcome,
    Postponed,
    StageTimes,
    Stepped,
    Unchanged,
    action_word,
    explanation,
)
from marathonlb.haproxy.reload_reason import ReasonKind, Reasons, ReloadReason
from marathonlb.haproxy.reload_sequence import ReloadSequence
from marathonlb.haproxy.running_config import RunningConfig
from marathonlb.haproxy.update_sequence import UpdateSequence


@implementer(IApplier)
class Applier:
    """
    Makes HAProxy run what is wanted, one configuration at a time.

    :param service: has to be started and stopped with the controller: the supervisor of a managed HAProxy.
    :ivar watch: called with the name of each stage that begins, as `Outcome.seconds` names them.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        store: ConfigStore,
        checker: IChecker,
        reloader: IReloader,
        updater: RuntimeUpdater,
        clock: IReactorTime,
        service: IService | None = None,
    ) -> None:
        self.watch: Callable[[str], object] = lambda stage: None
        self._running = RunningConfig(store.directory)
        self._store = store
        self._reloader = reloader
        self._clock = clock
        self._lock = DeferredLock()
        background = BackgroundWork(self._running, store, updater, clock, self._lock, self._worker_restarted)
        self._background = background
        self._updates = UpdateSequence(self._running, store, reloader, updater, background, clock)
        self._reloads = ReloadSequence(self._running, store, checker, reloader, updater, clock)
        self.service: IService = MultiService()
        for part in (service or Service(), background):
            part.setServiceParent(self.service)  # type: ignore[no-untyped-call]

    # what is done

    def recover(self) -> Deferred[None]:
        """See `IApplier.recover`."""
        return self._lock.run(self._store.recover)

    def apply(
        self,
        wanted: Config,
        *,
        may_reload: bool = True,
        may_gather: bool = False,
        as_of: float | None = None,
        once: bool = False,
    ) -> Deferred[Outcome]:
        """See `IApplier.apply`. A second call waits for the first. Cancelling gives up between two stages."""
        return self._lock.run(
            lambda: Deferred.fromCoroutine(self._apply(wanted, may_reload, may_gather, as_of, once))
        )

    async def _apply(
        self, wanted: Config, may_reload: bool, may_gather: bool, as_of: float | None, once: bool
    ) -> Outcome:
        times = StageTimes(self._clock, self.watch)
        plan, result = await self._updates.update_at_runtime(wanted, as_of, times)
        changes = result.steps.changes()
        if not result.reasons:
            return (
                Stepped(changes=changes, seconds=times.seconds)
                if changes
                else Unchanged(seconds=times.seconds)
            )
        if not may_reload or (may_gather and result.may_wait):
            return Postponed(reasons=result.reasons, changes=changes, seconds=times.seconds)
        outcome = await self._reloads.reload_to(plan, result.reasons, times, as_of=as_of, once=once)
        await self._updates.verify(as_of)
        return evolve(outcome, changes=changes)

    def drain(self, servers: Iterable[ServerName]) -> Deferred[None]:
        """See `IApplier.drain`."""
        targets, now = tuple(servers), self._clock.seconds()
        return self._lock.run(lambda: Deferred.fromCoroutine(self._updates.drain(targets, now)))

    def flush(self) -> Deferred[None]:
        """See `IApplier.flush`."""
        return self._background.flush()

    def check(self, config: Config, *, control: bool = False) -> Deferred[str]:
        """See `IApplier.check`."""
        return self._lock.run(lambda: Deferred.fromCoroutine(self._reloads.check(config, control=control)))

    def distrust(self, reason: ReloadReason) -> None:
        """See `IApplier.distrust`."""
        self._running.request_reload(reason)

    def _worker_restarted(self) -> None:
        """Update a worker that has read an older file than it should run."""
        updating = self._lock.run(lambda: Deferred.fromCoroutine(self._catch_up()))
        updating.addErrback(self._not_caught_up)

    async def _catch_up(self) -> None:
        config = self._running.config
        if config is None:
            return
        self._running.lost()
        outcome = await self._apply(config, True, False, None, False)
        self._log.warn(
            "HAProxy's worker restarted from an older file, and was updated: {action} ({reason})",
            action=action_word(outcome),
            reason=explanation(outcome) or "it held everything",
        )

    def _not_caught_up(self, failure: Failure) -> None:
        failure.trap(MarathonLBError)
        self._log.error(
            "HAProxy restarted; replaying runtime changes failed: {error}. Retrying on the next change",
            error=failure.getErrorMessage(),
        )

    # what is known

    @property
    def running(self) -> Config | None:
        """See `IApplier.running`."""
        return self._running.config

    @property
    def confirmed(self) -> bool:
        """True if HAProxy has confirmed what is believed to run."""
        return self._running.config is not None and self._running.confirmed

    def served(self) -> frozenset[str]:
        """See `IApplier.served`."""
        backends = (section for section in self._known() if section.kind == "backend")
        return frozenset(section.name for section in backends if "\n  server " in section.text)

    def sections(self) -> frozenset[tuple[str, str]]:
        """See `IApplier.sections`."""
        return frozenset((section.kind, section.name) for section in self._known())

    def _known(self) -> Config:
        """Return what HAProxy runs, or after a start what the file on disk says."""
        if self.running is not None:
            return self.running
        disk = self._store.read({})
        return split(disk.text, {}) if disk is not None else Config()

    def texts(self) -> Published | None:
        """
        Return the texts of what HAProxy runs, or after a start those of the files on disk; None without any.

        Raises `PublishFailed` where these cannot be read.
        """
        return self._store.read() if self.running is None else self._store.texts(self.running)

    def foresee(self, wanted: Config) -> Reasons:
        """
        Return why HAProxy would have to be reloaded to run this; none where the runtime API is enough.

        Nothing is done, and HAProxy is not asked: what it refuses is known only afterwards.
        """
        return self._running.foresee(wanted)

    def predict(self, wanted: Config) -> Deferred[Reasons]:
        """
        Return the same for a controller that has only begun: what runs is found out, nothing is done.

        Fails with `MarathonLBError` where it cannot be found out.
        """
        return self._lock.run(lambda: Deferred.fromCoroutine(self._predict(wanted)))

    async def _predict(self, wanted: Config) -> Reasons:
        plan = await self._updates.plan_now(wanted, None)
        return tuple(reason for reason in plan.reasons if reason.kind is not ReasonKind.ADOPTED)

    def pids(self) -> Deferred[tuple[int, ...]]:
        """See `IApplier.pids`."""
        return self._reloader.pids()

    def serving(self) -> Deferred[bool]:
        """See `IApplier.serving`."""
        return self._reloader.serving()
