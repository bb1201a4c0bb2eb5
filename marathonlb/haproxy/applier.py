"""
Carrying out what is wanted: by steps where they lead there, else stage, check, publish, reload, confirm.

`Applier.running` is what HAProxy confirmed, and changes at no other moment. A marker in the state directory names the
texts that were confirmed; it is removed before the files change for a reload and written when HAProxy has confirmed the
new ones. So after a crash at any instant the next controller knows whether what lies on disk is what runs, and reloads
only where it is not. Behind steps the file follows; what HAProxy runs is then the file and what can be read back of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from attrs import evolve
from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from marathonlb.config.text.diff import differences, phrase, split
from marathonlb.config.text.model import Config
from marathonlb.errors import MarathonLBError, ReloadFailed
from marathonlb.haproxy.background import Chores
from marathonlb.haproxy.config_store import InThread, Store
from marathonlb.haproxy.diagnostics.hints import in_one_line
from marathonlb.haproxy.dynamic.plan import UpdateResult
from marathonlb.haproxy.dynamic.server_state import state_file
from marathonlb.haproxy.dynamic.updater import OtherWorkerError, Steering
from marathonlb.haproxy.dynamic.worker_state import Target
from marathonlb.haproxy.files.publish import Files, Published
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.interfaces import IApplier, IChecker, IReloader, ReloadResult
from marathonlb.haproxy.outcome import (
    Outcome,
    Postponed,
    Reloaded,
    Stepped,
    Unchanged,
    Written,
    action_word,
    explanation,
)
from marathonlb.haproxy.process.port_check import Probe, taken
from marathonlb.haproxy.reload_reason import (
    FIRST_START,
    UNKNOWN_STATE,
    WORKER_RESTARTED,
    ReasonKind,
    Reasons,
    ReloadReason,
    from_differences,
    sentence,
)
from marathonlb.haproxy.rollback.archive import Archive
from marathonlb.haproxy.rollback.restored import only_tasks_differ
from marathonlb.haproxy.running_config import Bearings, Way


@implementer(IApplier)
class Applier:
    """
    Makes HAProxy run what is wanted, one configuration at a time.

    :param probe: says whether a port could be bound; None where HAProxy may run elsewhere or as another user.
    :param service: what has to be started and stopped with the controller: the supervisor of a HAProxy of our own.
    :param steering: leads HAProxy by steps; None where every difference takes a reload.
    :param in_thread: for writing the file behind steps.
    :ivar watch: is told of each stage that begins, as `Outcome.seconds` names them.
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
        steering: Steering | None = None,
        in_thread: InThread | None = None,
    ) -> None:
        self.service: IService = service or Service()
        self.watch: Callable[[str], object] = lambda stage: None
        self._store = Store(files, state, archive, clock, in_thread)
        self._bearings = Bearings(self._store, reloader, steering)
        self._chores = Chores(self._write_behind, self._dig, clock)
        self._checker = checker
        self._reloader = reloader
        self._clock = clock
        self._probe = probe
        self._steering = steering
        self._distrusted: Reasons = ()
        self._news = ""
        self._lock = DeferredLock()
        self._again: Deferred[Any] | None = None
        if steering is not None:
            both = MultiService()
            for each in (self.service, self._chores):
                each.setServiceParent(both)  # type: ignore[no-untyped-call]
            self.service = both

    @property
    def running(self) -> Config | None:
        """See `IApplier.running`."""
        return self._bearings.running

    def recover(self) -> Deferred[None]:
        """See `IApplier.recover`."""
        return self._lock.run(self._recover)

    def _recover(self) -> None:
        self._store.recover()
        if self._steering is not None:
            self._store.keep_health()

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

    def drain(self, servers: Iterable[Target]) -> Deferred[None]:
        """See `IApplier.drain`."""
        targets, now = tuple(servers), self._clock.seconds()
        return self._lock.run(lambda: Deferred.fromCoroutine(self._drain(targets, now)))

    def flush(self) -> Deferred[None]:
        """See `IApplier.flush`."""
        return self._chores.flush()

    def check(self, config: Config, *, control: bool = False) -> Deferred[str]:
        """See `IApplier.check`."""
        return self._lock.run(lambda: Deferred.fromCoroutine(self._check(config, control)))

    async def _check(self, config: Config, control: bool) -> str:
        async with self._store.lock:
            staged = self._store.stage(config)
            try:
                return await self._checker.check(staged.path, config, control=control)
            finally:
                self._store.unstage()

    def distrust(self, reason: ReloadReason) -> None:
        """See `IApplier.distrust`."""
        self._distrusted = (reason,)

    def served(self) -> frozenset[str]:
        """See `IApplier.served`."""
        backends = (section for section in self._runs() if section.kind == "backend")
        return frozenset(section.name for section in backends if "\n  server " in section.text)

    def sections(self) -> frozenset[tuple[str, str]]:
        """See `IApplier.sections`."""
        return frozenset((section.kind, section.name) for section in self._runs())

    def _runs(self) -> Config:
        """What HAProxy runs, or after a start what the file on disk says."""
        if self.running is not None:
            return self.running
        disk = self._store.read({})
        return split(disk.text, {}) if disk is not None else Config()

    def texts(self) -> Published | None:
        """
        The texts of what HAProxy runs, or after a start those of the files on disk; None without any.

        Raises `PublishFailed` where these cannot be read.
        """
        return self._store.read() if self.running is None else self._store.texts(self.running)

    def foresee(self, wanted: Config) -> Reasons:
        """
        Return why HAProxy would have to be reloaded to run this; none where steps lead there, or nothing differs.

        Nothing is done, and HAProxy is not asked: what it refuses is known only afterwards.
        """
        if self.running is None:
            return (UNKNOWN_STATE,)
        return self._takes_a_reload(Way(self.running, wanted, differences(self.running, wanted)))

    def predict(self, wanted: Config) -> Deferred[Reasons]:
        """
        The same for a controller that has only begun: what runs is found out, nothing is done.

        Fails with `MarathonLBError` where it cannot be found out.
        """
        return self._lock.run(lambda: Deferred.fromCoroutine(self._predict(wanted)))

    async def _predict(self, wanted: Config) -> Reasons:
        way = await self._bearings.way(wanted)
        reasons = way.reasons or self._takes_a_reload(way)
        return tuple(reason for reason in reasons if reason.kind is not ReasonKind.ADOPTED)

    def _takes_a_reload(self, way: Way) -> Reasons:
        """Return why it does; none where steps lead there."""
        steering = self._steering
        if not way.found or steering is None or steering.worker is None:
            return from_differences(way.found)
        limits = steering.abilities.limits
        return steering.ledger.sketch(way.found, way.running, way.wanted, limits, None).reasons

    @property
    def confirmed(self) -> bool:
        """Whether HAProxy has confirmed what is believed to run."""
        return self.running is not None and self._bearings.confirmed

    def pids(self) -> Deferred[tuple[int, ...]]:
        """See `IApplier.pids`."""
        return self._reloader.pids()

    def serving(self) -> Deferred[bool]:
        """See `IApplier.serving`."""
        return self._reloader.serving()

    async def _apply(
        self, wanted: Config, may_reload: bool, may_gather: bool, as_of: float | None, once: bool = False
    ) -> Outcome:
        seconds: dict[str, float] = {}
        distrusted = self._distrusted
        stepped, reasons = await self._by_steps(wanted, seconds, as_of, distrusted)
        changes = stepped.steps.changes()
        if not reasons:
            return Stepped(changes=changes, seconds=seconds) if changes else Unchanged(seconds=seconds)
        if not may_reload or (may_gather and stepped.may_wait):
            return Postponed(reasons=reasons, changes=changes, seconds=seconds)
        self._distrusted = ()
        try:
            outcome = await self._by_reload(wanted, reasons, seconds, as_of, once)
        except BaseException:
            self._distrusted = self._distrusted or distrusted
            raise
        return evolve(outcome, changes=changes)

    # by steps

    async def _by_steps(
        self, wanted: Config, seconds: dict[str, float], as_of: float | None, distrusted: Reasons
    ) -> tuple[UpdateResult, Reasons]:
        """Do what steps can do; with it the reasons of a reload that does the rest, or none."""
        steering = self._steering
        for _ in range(2):
            way = await self._bearings.way(wanted)
            self._news = _news(way)
            if way.reasons or distrusted:
                return UpdateResult(), way.reasons or distrusted
            if steering is None or not (way.found or steering.ledger.pending):
                await self._arrive(way, UpdateResult(), wanted)
                return UpdateResult(), ()
            try:
                with self._timed(seconds, "steps"):
                    stepped = await steering.step(
                        way.found, way.running, way.wanted, as_of, whole=way.adopted
                    )
            except OtherWorkerError:
                self._log.warn(
                    "HAProxy's worker is another one: what runs is its file, and is looked at anew"
                )
                self._bearings.lose()
                continue
            await self._arrive(way, stepped, wanted)
            return stepped, way.because(stepped.reasons)
        return UpdateResult(), (WORKER_RESTARTED,)

    async def _arrive(self, way: Way, stepped: UpdateResult, wanted: Config) -> None:
        """Take note of what runs now, and let the file follow."""
        if self._news and not stepped.reasons:
            self._store.keep(self._news)
        if self._bearings.arrive(way, stepped, wanted):
            await self._chores.behind()

    async def _drain(self, targets: tuple[Target, ...], now: float) -> None:
        if self._steering is not None and self.running is not None and self._steering.worker is not None:
            await self._steering.drain(self.running, targets, now)

    def _dig(self) -> Deferred[None]:
        steering = self._steering
        if steering is None or not steering.ledger.has_dead:
            return succeed(None)
        return self._lock.run(lambda: Deferred.fromCoroutine(self._dig_now(steering)))

    async def _dig_now(self, steering: Steering) -> None:
        if self.running is not None and steering.worker is not None:
            await steering.dig(self.running)

    def _write_behind(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._follow())

    async def _follow(self) -> None:
        """Write what runs. A worker that was started anew before that has read an older file: it is led on at once."""
        async with self._store.lock:
            running = self.running
            if running is None or not self._bearings.confirmed:
                return
            await self._store.follow(running)
        steering = self._steering
        if not self._chores.running or steering is None or steering.worker is None:
            return
        same = await steering.same_worker(running)
        if same is None:
            self._chores.later()
        elif not same and self._again is None:
            self._again = self._lock.run(lambda: Deferred.fromCoroutine(self._lead_on(running)))
            self._again.addErrback(self._not_led_on)
            self._again.addBoth(self._led_on)

    async def _lead_on(self, running: Config) -> None:
        """The worker has read an older file than it should run."""
        running = self.running or running
        self._bearings.lose()
        outcome = await self._apply(running, True, False, None)
        self._log.warn(
            "HAProxy's worker was started anew from an older file, and was led on: {action} ({reason})",
            action=action_word(outcome),
            reason=explanation(outcome) or "it held everything",
        )

    def _not_led_on(self, failure: Any) -> None:
        failure.trap(MarathonLBError)
        self._log.error(
            "HAProxy was started anew and could not be led on: {error}. The next change tries again",
            error=failure.getErrorMessage(),
        )

    def _led_on(self, _: object) -> None:
        self._again = None

    # by reload

    async def _by_reload(
        self, wanted: Config, reasons: Reasons, seconds: dict[str, float], as_of: float | None, once: bool
    ) -> Reloaded | Written:
        async with self._store.lock:
            staged = self._store.stage(wanted)
            try:
                with self._timed(seconds, "check"):
                    warnings = await self._checker.check(staged.path, wanted)
                before = self._good()
                self._require_ports(before, wanted)
                self._chores.drop()
                with self._timed(seconds, "publish"):
                    worker = await self._keep_health(wanted)
                    self._bearings.confirmed = False
                    self._store.publish(staged.published)
            finally:
                self._store.unstage()
            try:
                with self._timed(seconds, "reload"):
                    reloaded = await self._reload(wanted, before, once)
                if self._news:
                    self._store.keep(self._news)
                self._store.confirm(staged.published, sentence(reasons))
                await self._bearings.met(wanted, reloaded, worker, as_of, self._clock)
            finally:
                if self._steering is not None:
                    self._store.keep_health()
        # what a master says of a reload that went well is no news; what nobody was told is
        if reloaded.running:
            return Reloaded(reasons=reasons, seconds=seconds, output=warnings)
        output = "\n".join(filter(None, (warnings, reloaded.output.strip())))
        return Written(reasons=reasons, seconds=seconds, output=output)

    async def _keep_health(self, wanted: Config) -> int | None:
        """Let the next worker know which servers are down; the process id of the one that knows it now."""
        if self._steering is None:
            return None
        worker, state = await self._steering.state(self._bearings.known or wanted)
        self._store.keep_health(state_file(state, wanted))
        return worker

    def _good(self) -> Published | None:
        """The texts that HAProxy confirmed, where they are known: what is put back when it refuses the new ones."""
        if self.running is not None:
            return self._store.texts(self.running) if self._bearings.confirmed else None
        return self._store.confirmed_on_disk()

    def _require_ports(self, before: Published | None, wanted: Config) -> None:
        """Raise `ReloadFailed` where a new port is held by another process: HAProxy would stop serving to find out."""
        if self._probe is None or before is None:
            return
        found = taken(before.text, wanted, self._store.directory, self._probe)
        if found:
            raise ReloadFailed(reason=in_one_line(found), complaints=found, refused=True)

    async def _reload(self, wanted: Config, before: Published | None, once: bool) -> ReloadResult:
        try:
            return await self._reloader.reload(wanted, once=once)
        except ReloadFailed as error:
            if error.refused and before is not None and self._store.put_back(before):
                self._bearings.confirmed = self.running is not None
            raise

    @contextmanager
    def _timed(self, seconds: dict[str, float], stage: str) -> Iterator[None]:
        self.watch(stage)
        began = self._clock.seconds()
        yield
        seconds[stage] = round(self._clock.seconds() - began, 6)


def _news(way: Way) -> str:
    """What makes this configuration worth keeping, in one phrase; empty where nothing but tasks has changed."""
    if FIRST_START not in way.reasons and all(map(only_tasks_differ, way.found)):
        return ""
    return phrase(way.found) or sentence(way.reasons)
