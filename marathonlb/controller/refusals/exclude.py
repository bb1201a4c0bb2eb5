"""
The offenders of what HAProxy refuses, put out of the way: services, the operator's templates, certificates.

`marathonlb.haproxy.diagnostics.blame` says whom HAProxy's words name; here that is carried out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

from marathonlb.config.render import Rendered, Renderer
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
"""Whether HAProxy accepts a configuration."""


class Culprits:
    """
    Carries out what HAProxy's complaints come to.

    :param texts: the operator's templates.
    :param certificates: knows which files can be served; None takes them all for good.
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
        self._blamed = 0.0, False

    def blame(
        self, error: InvalidConfiguration | ReloadFailed, rendered: Rendered, now: float, *, running: bool
    ) -> bool:
        """
        Put whom the complaints name out of the way.

        :param now: in seconds.
        :param running: whether HAProxy runs.
        :return: whether another configuration follows.
        """
        self._blamed = now, running
        if names_clash(error.complaints) and self._renderer.tell_apart():
            return True
        if self._blame_somebody(error, rendered, now, running=running):
            return True
        return about_defaults(error.complaints) and self._renderer.write_defaults(False)

    def _blame_somebody(
        self, error: InvalidConfiguration | ReloadFailed, rendered: Rendered, now: float, *, running: bool
    ) -> bool:
        found, complaints = self._texts.amend(error.complaints, rendered.config)
        others: list[Complaint] = []
        for complaint in complaints:
            if self._is_certificates(complaint):
                found = True
            else:
                others.append(complaint)
        starting = isinstance(error, ReloadFailed)
        who = blamed(
            others,
            rendered.config,
            trusted=self._trusted(starting=starting),
            doubted=self._doubted,
            unchanged=() if starting else self._unchanged(rendered.services),
        )
        for name, words in who.templates.items():
            not_before = now + RETRY_BIND if starting else 0.0
            if self._texts.refuse(
                name,
                f"HAProxy says: {words}",
                now,
                running=running,
                used=rendered.templates,
                not_before=not_before,
                haproxy=words,
            ):
                found = True
                self._quarantine.release(self._doubted.pop(name, ()))
        self._doubted |= who.doubted
        by_key = {service.key: service for service in rendered.services}
        for key in who.services.keys() & by_key.keys():
            label, words = who.services[key]
            retry_at = None
            if starting or label.removeprefix("HAPROXY_") in self._renderer.templates.changed:
                retry_at = now + PORT_RETRY.delay(1 + self._quarantine.failures(key))
            self._condemn(by_key[key], label_of(label, by_key[key], words), words, retry_at)
            found = True
        return found

    def _unchanged(self, services: Sequence[Service]) -> Collection[Key]:
        """The services that are, tasks aside, as HAProxy accepted them last."""
        good = {service.key: service for service in self.accepted or ()}
        return {s.key for s in services if s.key in good and bare(good[s.key]) == bare(s)}

    async def is_of_changes(self, services: Sequence[Service], passes: Passes) -> bool:
        """
        Whether services that have changed may be why HAProxy refuses this, and not a template with which it runs on.

        :param passes: whether HAProxy accepts a configuration.
        """
        if not self._texts.overrides.held:
            return True
        unchanged = self._unchanged(services)
        rest = [service for service in services if service.key in unchanged]
        if len(rest) in (0, len(services)) or not await passes(self._renderer.render(rest).config):
            return False
        self._texts.overrides.acquit()
        return True

    def _trusted(self, *, starting: bool) -> Collection[str]:
        """The operator's templates that HAProxy has accepted; at a start it has read all that is there."""
        return BY_NAME if starting else self._texts.overrides.proven

    def _is_certificates(self, complaint: Complaint) -> bool:
        """Whether a file is to blame, which is left out from now on."""
        certificates, owner = self._certificates, complaint.owner
        if certificates is None or not isinstance(owner, Owner):
            return False
        return certificates.refuse(complaint.message, owner.app_id)

    async def search_templates(self, error: InvalidConfiguration, rendered: Rendered, passes: Passes) -> bool:
        """Find the one template without which HAProxy accepts the rest, HAPROXY_HEAD first."""
        doubtful = operators(rendered.config) - frozenset(self._trusted(starting=False))
        for name in sorted(doubtful, key=lambda each: (each != "HEAD", each)):
            templates = self._texts.overrides.without(name)
            if templates is None:
                continue
            trial = self._renderer.copy()
            trial.use(templates)
            if await passes(trial.render(rendered.services).config):
                now, running = self._blamed
                return self._texts.refuse(
                    name,
                    f"HAProxy says: {error.words}",
                    now,
                    running=running,
                    used=rendered.templates,
                    haproxy=error.words,
                )
        return False

    def _condemn(self, service: Service, label: str, words: str, retry_at: float | None) -> None:
        accepted = next((s for s in self.accepted or () if s.key == service.key), None)
        self._quarantine.add(service, accepted, label, words, retry_at)
