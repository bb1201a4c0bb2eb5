"""
One runtime update: find out what runs, plan, carry out, take note; and what is tried again.
"""

from __future__ import annotations

from attrs import evolve
from twisted.logger import Logger

from marathonlb.config.text.model import Config
from marathonlb.haproxy.background import BackgroundWork
from marathonlb.haproxy.config_store import ConfigStore
from marathonlb.haproxy.dynamic.servers import Steps
from marathonlb.haproxy.dynamic.update import Trouble, UpdatePlan, UpdateResult
from marathonlb.haproxy.dynamic.updater import RuntimeUpdater
from marathonlb.haproxy.interfaces import IReloader
from marathonlb.haproxy.reload_reason import Reasons
from marathonlb.haproxy.running_config import RunningConfig
from marathonlb.haproxy.stage_times import StageTimes

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
    ) -> None:
        self._running = running
        self._store = store
        self._reloader = reloader
        self._updater = updater
        self._background = background

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
            result = await self._carry_out(plan, times)
            steps += result.steps
            if result.trouble is None and plan.looks:
                continue
            if result.trouble is None or result.trouble in met:
                break
            met[result.trouble] = result.reasons
        if result.trouble is not None:
            result = evolve(result, reasons=met[result.trouble])
        elif not plan.reasons:
            result = evolve(result, reasons=plan.comparison.explained(result.reasons))
        if not result.reasons:
            self._store.archive_next(plan.archive_reason)
        if self._running.to_write is not None:
            await self._background.file_is_behind()
        return plan, evolve(result, steps=steps)

    async def plan_now(self, wanted: Config, as_of: float | None) -> UpdatePlan:
        """Find out what runs where that is not known, and plan. Raises `PublishFailed`."""
        is_serving = await self._reloader.serving()
        self._read_files()
        if is_serving:
            await self._observe_worker()
        return self._running.plan_for(wanted, is_serving=is_serving, as_of=as_of)

    def _read_files(self) -> None:
        if self._running.text is None:
            files = self._store.read()
            self._running.adopted(files, confirmed=files is not None and self._store.trusts(files))

    async def _observe_worker(self) -> None:
        running = self._running
        if running.text is None or not running.is_trusted or running.worker.pid is not None:
            return
        observation = await self._updater.observe(running.text, running.worker.capabilities)
        if observation is None:
            return
        differing = running.observed(observation)
        if differing:
            self._log.info(
                "HAProxy holds something else than its file in {count} places ({names}); it is corrected",
                count=len(differing),
                names=", ".join(differing[:NAMED]),
            )

    async def _carry_out(self, plan: UpdatePlan, times: StageTimes) -> UpdateResult:
        if plan:
            self._running.begun(plan)
            with times.stage("steps"):
                result = await self._updater.carry_out(self._running.worker.pid, plan)
        else:
            result = plan.without_steps()
        self._running.stepped(plan, result)
        if result.trouble is Trouble.OTHER_WORKER:
            self._log.warn("HAProxy's worker restarted; it is asked what it holds, and updated from there")
        return result
