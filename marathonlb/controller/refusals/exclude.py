"""
Exclude what HAProxy's complaints name: services, templates of the operator, certificates.

`marathonlb.haproxy.diagnostics.blame` finds the owners of the lines; this module quarantines or replaces them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from marathonlb.config.render import Renderer
from marathonlb.config.rendered import Rendered
from marathonlb.config.templates.overrides import TemplateFailure
from marathonlb.config.templates.table import BY_NAME
from marathonlb.config.text.model import Config, Owner
from marathonlb.controller.certificates.admission import CertificateAdmission
from marathonlb.controller.refusals.label import label_of
from marathonlb.controller.refusals.operator_templates import OperatorTexts
from marathonlb.errors import Complaint, InvalidConfiguration, ReloadFailed
from marathonlb.haproxy.diagnostics.blame import about_defaults, blamed, names_clash, operators
from marathonlb.routing.quarantine.refused import Key, Quarantine, bare
from marathonlb.routing.services.model import Service
from marathonlb.timers import Backoff

RETRY_BIND = 30.0
"""Seconds until a port that another process held is tried again; doubled at each failure, up to sixteenfold."""

PORT_RETRY = Backoff(initial=RETRY_BIND, longest=16 * RETRY_BIND, jitter=lambda: 1.0)
"""Delays between the attempts to bind such a port."""

Passes = Callable[[Config], Awaitable[bool]]
"""Returns whether HAProxy accepts a configuration."""


class Exclusion:
    """
    Excludes what HAProxy complains about from the next configuration.

    :param texts: the operator's templates.
    :param certificates: knows which files can be served; None serves all files.
    :ivar accepted: the services that HAProxy accepted last; None before the first time.
    """

    def __init__(
        self,
        renderer: Renderer,
        texts: OperatorTexts,
        quarantine: Quarantine,
        certificates: CertificateAdmission | None,
    ) -> None:
        self.accepted: Sequence[Service] | None = None
        self._renderer = renderer
        self._texts = texts
        self._quarantine = quarantine
        self._certificates = certificates
        self._doubted: dict[str, frozenset[Key]] = {}
        self._last = 0.0, False

    def exclude(
        self, error: InvalidConfiguration | ReloadFailed, rendered: Rendered, now: float, *, running: bool
    ) -> bool:
        """
        Exclude what the complaints name.

        :param now: seconds on the clock.
        :param running: True if HAProxy runs.
        :return: True if another configuration follows.
        """
        self._last = now, running
        if names_clash(error.complaints) and self._renderer.tell_apart():
            return True
        if self._exclude_owners(error, rendered, now, running=running):
            return True
        return about_defaults(error.complaints) and self._renderer.write_defaults(False)

    def _exclude_owners(
        self, error: InvalidConfiguration | ReloadFailed, rendered: Rendered, now: float, *, running: bool
    ) -> bool:
        amended, complaints = self._texts.amend(error.complaints, rendered.config)
        others = [complaint for complaint in complaints if not self._exclude_certificate(complaint)]
        starting = isinstance(error, ReloadFailed)
        owners = blamed(
            others,
            rendered.config,
            trusted=self._trusted(starting=starting),
            doubted=self._doubted,
            unchanged=() if starting else self._unchanged(rendered.services),
        )
        not_before = now + RETRY_BIND if starting else 0.0
        failures = [
            _failure(name, message, rendered, running=running, not_before=not_before)
            for name, message in owners.templates.items()
        ]
        refused = [self._refuse(failure, now) for failure in failures]
        self._doubted |= owners.doubted
        quarantined = self._quarantine_services(owners.services, rendered, now, starting=starting)
        return amended or len(others) < len(complaints) or any(refused) or quarantined

    def _refuse(self, failure: TemplateFailure, now: float) -> bool:
        """Use another text for a template; return False if HAProxy keeps serving unchanged."""
        if not self._texts.refuse(failure, now):
            return False
        self._quarantine.release(self._doubted.pop(failure.name, ()))
        return True

    def _quarantine_services(
        self, labels: Mapping[Key, tuple[str, str]], rendered: Rendered, now: float, *, starting: bool
    ) -> bool:
        """
        Put services into quarantine; return whether there were any.

        :param labels: of each service the label and the message.
        """
        services = {service.key: service for service in rendered.services if service.key in labels}
        accepted = {service.key: service for service in self.accepted or ()}
        for key, service in services.items():
            label, message = labels[key]
            retry_at = None
            if starting or label.removeprefix("HAPROXY_") in self._renderer.templates.changed:
                retry_at = now + PORT_RETRY.delay(1 + self._quarantine.failures(key))
            name = label_of(label, service, message)
            self._quarantine.add(service, accepted.get(key), name, message, retry_at)
        return bool(services)

    def _unchanged(self, services: Sequence[Service]) -> Collection[Key]:
        """Return the services that are, tasks aside, as HAProxy accepted them last."""
        good = {service.key: service for service in self.accepted or ()}
        return {s.key for s in services if s.key in good and bare(good[s.key]) == bare(s)}

    async def is_of_changes(self, services: Sequence[Service], passes: Passes) -> bool:
        """
        Return whether changed services may be why HAProxy refuses a configuration, and not a refused template.

        :param passes: returns whether HAProxy accepts a configuration.
        """
        if not self._texts.overrides.held:
            return True
        unchanged = self._unchanged(services)
        rest = [service for service in services if service.key in unchanged]
        if len(rest) in (0, len(services)) or not await passes(self._renderer.render(rest).config):
            return False
        self._texts.overrides.clear_held()
        return True

    def _trusted(self, *, starting: bool) -> Collection[str]:
        """Return the operator's templates that HAProxy has accepted; at a start, it has accepted all of them."""
        return BY_NAME if starting else self._texts.overrides.proven

    def _exclude_certificate(self, complaint: Complaint) -> bool:
        """Exclude the certificate file that a complaint names; return whether it names one."""
        certificates, owner = self._certificates, complaint.owner
        if certificates is None or not isinstance(owner, Owner):
            return False
        return certificates.refuse(complaint.message, owner.app_id)

    async def search_templates(self, error: InvalidConfiguration, rendered: Rendered, passes: Passes) -> bool:
        """Find the one template without which HAProxy accepts the rest, HAPROXY_HEAD first."""
        doubtful = operators(rendered.config) - frozenset(self._trusted(starting=False))
        for name in sorted(doubtful, key=lambda name: (name != "HEAD", name)):
            templates = self._texts.overrides.without(name)
            if templates is None:
                continue
            trial = self._renderer.copy()
            trial.use(templates)
            if await passes(trial.render(rendered.services).config):
                now, running = self._last
                return self._texts.refuse(_failure(name, error.words, rendered, running=running), now)
        return False


def _failure(
    name: str, message: str, rendered: Rendered, *, running: bool, not_before: float = 0.0
) -> TemplateFailure:
    """Return the failure of a template in a configuration that HAProxy refuses."""
    return TemplateFailure(
        name=name,
        reason=f"HAProxy says: {message}",
        running=running,
        used=rendered.templates,
        not_before=not_before,
        haproxy=message,
    )
