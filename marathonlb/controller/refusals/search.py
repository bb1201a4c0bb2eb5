"""
A failure without a line is searched for its cause: who is held, what is tried next, and when nobody is to blame.

``haproxy -c`` may hang, be killed or end without a word; a start or a reload may fail and name no line. Then every
service with a text that HAProxy has not read is held at the text that it has read, and everything else goes on.
`marathonlb.routing.quarantine.suspects` admits them batch by batch, one with each convergence: so a search delays
others by one check, and what it clears is served at once.

The control: before the first batch, and before anybody is convicted, HAProxy has to take the rest alone, under the same
limit of time. Where it does not, memory, a disk, the operator's templates or the machine are at fault, and no service.
"""

from __future__ import annotations

from attrs import evolve
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from marathonlb.config.text.model import Config
from marathonlb.controller.planner import PlannedConfig, Planner
from marathonlb.errors import CheckFailed, HAProxyUnavailable, InvalidConfiguration, ReloadFailed
from marathonlb.haproxy.diagnostics.blame import about_limits
from marathonlb.haproxy.interfaces import IApplier
from marathonlb.haproxy.reload_reason import UNEXPLAINED_FAILURE

Failure = InvalidConfiguration | CheckFailed | ReloadFailed
"""What HAProxy makes of a configuration that some service may have spoiled."""

NOBODY = "; without the changed services it fails, too, so none of them is to blame: look at memory, disk and limits"


class Search:
    """
    Finds who makes HAProxy fail.

    :ivar only_checks: whether batches are only checked: nothing that the controller knows runs yet, and what HAProxy
        runs has more services than a batch.
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
        """Whether it is to go on with the next convergence."""
        return self._planner.suspects.searching

    def advance(self) -> None:
        """Admit the next batch, or those whose time has come."""
        now = self._clock.seconds()
        suspects = self._planner.suspects
        if suspects.searching and not suspects.trial and suspects.give_up(self._how, now):
            self._log.warn("The search for the cause has ended without finding it: {how}", how=self._how)
            self._planner.forget()
        if suspects.searching:
            self._join()
        if suspects.next(now):
            self._planner.forget()
        self.only_checks = self.only_checks and suspects.searching

    def _join(self) -> None:
        """Suspect what has changed since the search began."""
        planner = self._planner
        held = {verdict.refused.key for verdict in planner.quarantine.verdicts()}
        new = planner.readings.new(planner.offers.services(), held) if planner.readings.any else []
        if new:
            planner.suspects.join(new, planner.readings.good, self._how)
            planner.forget()

    def cleared(self) -> None:
        """Take note that HAProxy takes what is on trial."""
        if self._planner.suspects.trial:
            self._planner.suspects.cleared()
            self._planner.forget()

    async def leave_out(self, error: Failure, planned: PlannedConfig, as_of: float) -> bool:
        """
        Leave out what HAProxy refuses, or hold what it may fail with.

        :param as_of: see `IApplier.apply`.
        :return: False where no service is to blame.
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

    def nobodys(self, error: Failure) -> Failure:
        """The error, with the words that no service is to blame where that was seen."""
        if not self._alibi or isinstance(error, InvalidConfiguration):
            return error
        return evolve(error, reason=f"{error.reason}{NOBODY}")

    def _blame(self, error: Failure, planned: PlannedConfig) -> bool:
        return not isinstance(error, CheckFailed) and self._planner.blame(
            error, planned, self._clock, running=self._running
        )

    async def _begin(self, error: Failure, planned: PlannedConfig) -> bool:
        """Hold all that is suspected; whether there is anybody."""
        planner = self._planner
        who = planner.readings.unread(planned.services, planner.quarantine.admitted)
        if not planner.readings.any and await self._runs():
            served = self._applier.served()
            if isinstance(error, ReloadFailed):  # a batch would be all that is served while it is tried
                who = [service for service in who if service.backend not in served]
            else:
                self.only_checks = bool(served)
        if who:
            planner.suspects.begin(who, planner.readings.good, self._how, self._clock.seconds())
            planner.forget()
            self._log.warn(
                "{how}, and nothing says why: {services} changed services of {apps} apps wait while the cause is "
                "searched",
                how=self._how,
                services=len(who),
                apps=len({service.app_id for service in who}),
            )
        return bool(who)

    async def _runs(self) -> bool:
        """Whether a HAProxy serves."""
        try:
            return bool(await self._applier.pids())
        except HAProxyUnavailable:
            return True

    async def _control(self, error: Failure, as_of: float) -> bool:
        """Whether HAProxy takes the rest alone; a reload is tried by a reload."""
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
        """Whether a template of the operator's is to blame, where HAProxy has said something."""
        if not isinstance(error, InvalidConfiguration):
            return self._blame(error, planned)
        return await self._planner.search_templates(error, planned, self.passes)

    async def passes(self, config: Config) -> bool:
        """Whether HAProxy accepts a configuration."""
        try:
            await self._applier.check(config)
        except (InvalidConfiguration, CheckFailed):
            return False
        return True


def _how(error: Failure) -> str:
    """What happened, in words for an app's owner."""
    if isinstance(error, CheckFailed):
        return error.how
    return error.words if isinstance(error, InvalidConfiguration) else f"{error}"
