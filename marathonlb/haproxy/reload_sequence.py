"""
One reload: stage, check, publish, reload, confirm; and what is put back where HAProxy refuses.

The marker of the last confirmation is removed before the files change and written when HAProxy has confirmed the new
ones. So after a crash at any instant the next controller knows whether the files are what runs, and reloads only where
they are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from twisted.internet.interfaces import IReactorTime

from marathonlb.config.text.model import Config
from marathonlb.errors import ReloadFailed
from marathonlb.haproxy.config_store import ConfigStore
from marathonlb.haproxy.dynamic.server_state import state_file
from marathonlb.haproxy.dynamic.update import UpdatePlan
from marathonlb.haproxy.dynamic.updater import RuntimeUpdater
from marathonlb.haproxy.files.publish import Published
from marathonlb.haproxy.interfaces import IChecker, IReloader
from marathonlb.haproxy.outcome import Reloaded, StageTimes, Written
from marathonlb.haproxy.reload_reason import Reasons
from marathonlb.haproxy.running_config import AfterReload, RunningConfig
from marathonlb.timers import pause

NEW_WORKER_TIMEOUT = 5.0
"""Seconds to wait for the new worker of a HAProxy that is not managed: its reload may be under way yet."""

NEW_WORKER_INTERVAL = 0.05
"""Seconds between two looks for it."""


class ReloadSequence:
    """Makes HAProxy read a configuration."""

    def __init__(
        self,
        running: RunningConfig,
        store: ConfigStore,
        checker: IChecker,
        reloader: IReloader,
        updater: RuntimeUpdater,
        clock: IReactorTime,
    ) -> None:
        self._running = running
        self._store = store
        self._checker = checker
        self._reloader = reloader
        self._updater = updater
        self._clock = clock

    async def check(self, config: Config, *, control: bool) -> str:
        """See `IApplier.check`."""
        async with self._store.lock:
            staged = self._store.stage(config)
            try:
                return await self._checker.check(staged.path, config, control=control)
            finally:
                self._store.unstage()

    async def reload_to(
        self, plan: UpdatePlan, reasons: Reasons, times: StageTimes, *, as_of: float | None, once: bool
    ) -> Reloaded | Written:
        """
        Make HAProxy run the configuration of a plan by a reload.

        :raises MarathonLBError: see `IApplier.apply`; where HAProxy refused it, the files before are put back.
        """
        async with self._store.lock:
            published, warnings, worker, before = await self._publish(plan.config, times)
            try:
                with times.measure("reload"), self._putting_back(before):
                    result = await self._reloader.reload(plan.config, once=once)
                self._store.confirm(published, reasons, plan.archive_reasons)
                after = self._running.reloaded(plan, as_of)
                if result.running:
                    await self._meet_worker(after, worker)
            finally:
                self._store.keep_health()
        if result.running:
            return Reloaded(reasons=reasons, seconds=times.seconds, output=warnings)
        output = "\n".join(filter(None, (warnings, result.output.strip())))
        return Written(reasons=reasons, seconds=times.seconds, output=output)

    async def _publish(
        self, config: Config, times: StageTimes
    ) -> tuple[Published, str, int | None, Published | None]:
        """
        Check a configuration and put it into place.

        :return: its texts, HAProxy's warnings, the worker before, and the texts to put back if HAProxy refuses these.
        """
        before = self._confirmed_texts()
        staged = self._store.stage(config)
        try:
            with times.measure("check"):
                running = None if before is None else before.text
                warnings = await self._checker.check(staged.path, config, running=running)
            with times.measure("publish"):
                worker, state = await self._updater.server_state(self._running.text or Config())
                self._running.publishing()
                self._store.publish(staged.published, state_file(state, config))
        finally:
            self._store.unstage()
        return staged.published, warnings, worker, before

    def _confirmed_texts(self) -> Published | None:
        """Return the texts that HAProxy confirmed; None where they are not known."""
        config = self._running.config
        if config is None:
            return self._store.confirmed_on_disk()
        return self._store.texts(config) if self._running.confirmed else None

    @contextmanager
    def _putting_back(self, before: Published | None) -> Iterator[None]:
        """Put back the texts before where HAProxy surely refuses the new ones."""
        try:
            yield
        except ReloadFailed as error:
            if error.refused and before is not None and self._store.put_back(before):
                self._running.put_back()
            raise

    async def _meet_worker(self, after: AfterReload, before: int | None) -> None:
        """
        Find the worker that has read the configuration, and drain again what was drained early.

        :param before: the worker before.
        """
        capabilities = self._running.worker.capabilities
        deadline = self._clock.seconds() + NEW_WORKER_TIMEOUT
        while True:
            identity = await self._updater.identify(after.config, capabilities)
            if identity is not None and identity.pid != before:
                break
            if before is None or self._clock.seconds() >= deadline:
                return
            await pause(self._clock, NEW_WORKER_INTERVAL)
        servers = self._running.met(identity, after)
        if servers and not await self._updater.drain(identity.pid, after.config, servers):
            self._running.worker.doubt(backend for backend, _ in servers)
