"""
Search the cause of a failure that names no line.

``haproxy -c`` may hang, be killed or fail without a message; a start or a reload may fail and name no line. Then every
service with a text that HAProxy has not read is held at the text that it has read, and all other services are served as
usual. `marathonlb.routing.quarantine.suspects` admits the held ones in batches, one with each convergence. So a search
delays other changes by one check, and cleared services are served at once.

The control: before the first batch, and before any service is convicted, HAProxy has to accept the rest without them,
under the same time limit. If it does not, memory, a disk, the operator's templates or the machine are at fault, and no
service is.
"""

from __future__ import annotations

from attrs import evolve
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from marathonlb.config.text.model import Config
from marathonlb.controller.planned_config import PlannedConfig
from marathonlb.controller.planner import Planner
from marathonlb.errors import CheckFailed, HAProxyUnavailable, InvalidConfiguration, ReloadFailed
from marathonlb.haproxy.diagnostics.blame import about_limits
from marathonlb.haproxy.interfaces import IApplier
from marathonlb.haproxy.reload_reason import UNEXPLAINED_FAILURE

Failure = InvalidConfiguration | CheckFailed | ReloadFailed
"""Failures of a configuration that a service may have caused."""

NONE_TO_BLAME = (
    "; without the changed services it fails, too, so none of them is to blame: check memory, disk and limits"
)


class Search:
    """
    Finds the services that make HAProxy fail.

    :ivar only_checks: True if batches are only checked and not applied: this controller has applied nothing yet, and
        HAProxy runs more services than a batch has.
    """

    _log = Logger()

    def __init__(self, planner: Planner, applier: IApplier, clock: IReactorTime) -> None:
        self.only_checks = False
        self._planner = planner
        self._applier = applier
        self._clock = clock
        self._how = ""
        self._alibi = False
        self._running = False

    @property
    def under_way(self) -> bool:
        """Return whether the search continues with the next convergence."""
        return self._planner.suspects.searching

    def advance(self) -> None:
        """Admit the next batch, or the suspects whose time has come."""
        now = self._clock.seconds()
        suspects = self._planner.suspects
        if suspects.searching and not suspects.trial and suspects.give_up(self._how, now):
            self._log.warn(
                "The search for the cause of a failure ended without finding it: {how}", how=self._how
            )
            self._planner.forget()
        if suspects.searching:
            self._join()
        if suspects.next(now):
            self._planner.forget()
        self.only_checks = self.only_checks and suspects.searching

    def _join(self) -> None:
        """Suspect the services that have changed since the search began."""
        planner = self._planner
        held = {verdict.refused.key for verdict in planner.quarantine.verdicts()}
        new = planner.readings.new(planner.offers.services(), held) if planner.readings.any else []
        if new:
            planner.suspects.join(new, planner.readings.good, self._how)
            planner.forget()

    def cleared(self) -> None:
        """Record that HAProxy accepts the batch on trial."""
        if self._planner.suspects.trial:
            self._planner.suspects.cleared()
            self._planner.forget()

    async def exclude(self, error: Failure, planned: PlannedConfig, as_of: float) -> bool:
        """
        Exclude the services that HAProxy refuses, or hold those that it may fail with.

        :param as_of: see `IApplier.apply`.
        :return: False if no service is to blame.
        """
        self._alibi = False
        self._running = await self._applier.serving()
        if not isinstance(error, CheckFailed) and not about_limits(error.complaints):
            await self._planner.look_at(error)
            if self._blame(error, planned):
                return True
        if planned.held is not None or not await self._planner.is_of_changes(planned, self.passes):
            return False
        suspects = self._planner.suspects
        self._how = _how(error)
        fresh = not suspects.trial
        if fresh and not await self._begin(error, planned):
            return await self._templates(error, planned)
        alone = () if fresh else suspects.failed()
        self._planner.forget()
        if (fresh or alone) and not await self._control(error, as_of):
            self._alibi = True
            suspects.abandon()
            self._planner.forget()
            return await self._templates(error, planned)
        if alone:
            suspects.convict(alone, self._how, self._clock.seconds())
            self._planner.forget()
        return True

    def explained(self, error: Failure) -> Failure:
        """Return the error; if the control failed, it says that no service is to blame."""
        if not self._alibi or isinstance(error, InvalidConfiguration):
            return error
        return evolve(error, reason=f"{error.reason}{NONE_TO_BLAME}")

    def _blame(self, error: Failure, planned: PlannedConfig) -> bool:
        return not isinstance(error, CheckFailed) and self._planner.blame(
            error, planned, self._clock, running=self._running
        )

    async def _begin(self, error: Failure, planned: PlannedConfig) -> bool:
        """Hold all suspects; return whether there are any."""
        planner = self._planner
        suspects = planner.readings.unread(planned.services, planner.quarantine.admitted)
        if not planner.readings.any and await self._runs():
            served = self._applier.served()
            if isinstance(error, ReloadFailed):  # a batch would be all that is served while it is tried
                suspects = [service for service in suspects if service.backend not in served]
            else:
                self.only_checks = bool(served)
        if suspects:
            planner.suspects.begin(suspects, planner.readings.good, self._how, self._clock.seconds())
            planner.forget()
            self._log.warn(
                "{how}, and no line is named: {services} changed services of {apps} apps wait while the cause is "
                "searched",
                how=self._how,
                services=len(suspects),
                apps=len({service.app_id for service in suspects}),
            )
        return bool(suspects)

    async def _runs(self) -> bool:
        """Return whether HAProxy runs; one that does not answer counts as running."""
        try:
            return bool(await self._applier.pids())
        except HAProxyUnavailable:
            return True

    async def _control(self, error: Failure, as_of: float) -> bool:
        """Return whether HAProxy accepts the rest without the suspects; after a failed reload that takes a reload."""
        rest = self._planner.plan(self._clock.seconds())
        try:
            if isinstance(error, ReloadFailed):
                self._applier.distrust(UNEXPLAINED_FAILURE)
                await self._applier.apply(rest.config, as_of=as_of, once=True)
                self._planner.accepted(rest)
            else:
                await self._applier.check(rest.config, control=True)
        except (InvalidConfiguration, HAProxyUnavailable, ReloadFailed):
            return False
        return True

    async def _templates(self, error: Failure, planned: PlannedConfig) -> bool:
        """Exclude the template of the operator that is to blame, if HAProxy gave a message; return whether one is."""
        if not isinstance(error, InvalidConfiguration):
            return self._blame(error, planned)
        return await self._planner.search_templates(error, planned, self.passes)

    async def passes(self, config: Config) -> bool:
        """Return whether HAProxy accepts a configuration."""
        try:
            await self._applier.check(config)
        except (InvalidConfiguration, CheckFailed):
            return False
        return True


def _how(error: Failure) -> str:
    """Return what happened as a phrase for an app's owner."""
    if isinstance(error, CheckFailed):
        return error.how
    return error.words if isinstance(error, InvalidConfiguration) else f"{error}"
