"""
One runtime update: find out what runs, plan, carry out, take note; and what is tried again.

A reload is verified by an update to what runs: it reads back what has changed, and finds nothing else to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext

from attrs import evolve
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from marathonlb.config.text.model import Config
from marathonlb.errors import MarathonLBError
from marathonlb.haproxy.background import BackgroundWork
from marathonlb.haproxy.config_store import ConfigStore
from marathonlb.haproxy.dynamic.servers import Steps
from marathonlb.haproxy.dynamic.update import ServerName, Trouble, UpdatePlan, UpdateResult
from marathonlb.haproxy.dynamic.updater import RuntimeUpdater
from marathonlb.haproxy.interfaces import IReloader
from marathonlb.haproxy.outcome import StageTimes
from marathonlb.haproxy.reload_reason import Reasons, sentence
from marathonlb.haproxy.running_config import RunningConfig

NAMED = 6
"""Maximum number of backends and maps named in a log line."""


class UpdateSequence:
    """Does what the runtime API can do of the way to a configuration."""

    _log = Logger()

    def __init__(
        self,
        running: RunningConfig,
        store: ConfigStore,
        reloader: IReloader,
        updater: RuntimeUpdater,
        background: BackgroundWork,
        clock: IReactorTime,
    ) -> None:
        self._running = running
        self._store = store
        self._reloader = reloader
        self._updater = updater
        self._background = background
        self._clock = clock

    async def update_at_runtime(
        self, wanted: Config, as_of: float | None, times: StageTimes
    ) -> tuple[UpdatePlan, UpdateResult]:
        """
        Update HAProxy at runtime. Each kind of trouble is worth one more plan.

        :param as_of: see `IApplier.apply`.
        :return: the last plan, and its result with all steps that were made.
        :raises PublishFailed: the files could not be read or, without the service, written.
        """
        steps = Steps()
        met: dict[Trouble, Reasons] = {}
        while True:
            plan = await self.plan_now(wanted, as_of)
            self._running.begun(plan)
            with times.measure("steps") if plan else nullcontext():
                result = await self._updater.carry_out(self._running.worker.pid, plan)
            left = self._running.stepped(plan, result)
            steps += result.steps
            if result.trouble is None and not plan.looks:
                break
            if result.trouble is not None:
                if result.trouble in met:
                    break
                met[result.trouble] = left
                self._log.info(
                    "The runtime update was interrupted: {reason}. HAProxy is read back and updated again",
                    reason=result.reasons[0],
                )
        reasons = left if result.trouble is None else met[result.trouble]
        if not reasons:
            self._store.archive_next(plan.archive_reasons)
        if self._running.to_write is not None:
            await self._background.file_is_behind()
        return plan, evolve(result, steps=steps, reasons=reasons)

    async def verify(self, as_of: float | None) -> None:
        """
        Read back what a reload has changed, and correct it where the worker holds something else.

        :param as_of: see `IApplier.apply`.
        """
        config = self._running.config
        if config is None or not self._running.worker.has_to_be_read:
            return
        try:
            _, result = await self.update_at_runtime(
                config, as_of, StageTimes(self._clock, lambda stage: None)
            )
            left = sentence(result.reasons)
        except MarathonLBError as error:
            left = str(error)
        if left:
            self._log.error(
                "After the reload HAProxy does not hold what its file says: {reason}. The next change tries again",
                reason=left,
            )

    async def drain(self, servers: Iterable[ServerName], now: float) -> None:
        """
        Drain servers at once; see `IApplier.drain`.

        :param now: the time of the call, in seconds on the clock.
        """
        targets, worker = self._running.drain(servers, now), self._running.worker
        config = self._running.config
        if not targets or config is None:
            return
        if not await self._updater.drain(worker.pid, config, targets):
            worker.doubt(backend for backend, _ in targets)

    async def plan_now(self, wanted: Config, as_of: float | None) -> UpdatePlan:
        """Find out what runs where that is not known, and plan. Raises `PublishFailed`."""
        is_serving = await self._reloader.serving()
        if self._running.text is None:
            files = self._store.read()
            self._running.adopted(files, confirmed=files is not None and self._store.trusts(files))
        if is_serving and self._running.is_adopted:
            await self._observe_worker()
        while True:
            plan = self._running.plan_for(wanted, is_serving=is_serving, as_of=as_of)
            may_ask = is_serving and not self._running.is_adopted
            if not (plan.reasons and may_ask and await self._observe_worker()):
                return plan

    async def _observe_worker(self) -> bool:
        """Ask the worker what it holds, where that is not known; return whether it answered."""
        config = self._running.to_observe
        if config is None:
            return False
        observation = await self._updater.observe(config, self._running.worker.capabilities)
        if observation is None:
            return False
        differing = self._running.observed(observation)
        if differing:
            self._log.info(
                "HAProxy holds something else than its file in {count} places ({names}); it is corrected",
                count=len(differing),
                names=", ".join(differing[:NAMED]),
            )
        return True
