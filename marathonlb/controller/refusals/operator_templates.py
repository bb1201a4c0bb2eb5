"""
Use the operator's templates as far as HAProxy accepts them: render, refuse, amend and retry them.

`marathonlb.config.templates.overrides` decides about each text; this module has the renderer follow.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from attrs import evolve

from marathonlb.config.render import Renderer
from marathonlb.config.rendered import Rendered
from marathonlb.config.templates.overrides import Overrides, TemplateFailure
from marathonlb.config.templates.removed_lines import amendment
from marathonlb.config.templates.template import Template
from marathonlb.config.text.model import Config, Owner
from marathonlb.errors import Complaint, InvalidConfiguration, MarathonLBError, TemplateError, TemplateRefused
from marathonlb.haproxy.diagnostics.blame import operators, written_by_operator
from marathonlb.problem_kinds.operators import TEMPLATE_WAITS
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.model import Service

WAITS = (
    "waits until a refused template of the operator is corrected: HAProxy keeps serving unchanged until then"
)


class Kept(Protocol):
    """Keeps the operator's texts that HAProxy accepted, for later controllers."""

    def read(self) -> Mapping[str, Template]:
        """Return the kept templates by name."""

    def write(self, templates: Mapping[str, Template]) -> None:
        """Keep these templates. Never fails."""


class OperatorTexts:
    """
    Gives the renderer the text of each template that is in use.

    :param kept: keeps the texts that HAProxy accepted; None keeps none.
    :ivar overrides: decides which texts are used.
    """

    def __init__(self, renderer: Renderer, kept: Kept | None = None) -> None:
        self.overrides = Overrides(
            renderer.templates,
            kept.read() if kept is not None else {},
            fallback=renderer.settings.template_fallback,
        )
        self._renderer = renderer
        self._kept = kept

    def render(self, services: Sequence[Service], now: float, *, running: bool) -> Rendered:
        """
        Render the configuration for these services, with other texts for templates that cannot be rendered.

        :param now: seconds on the clock.
        :param running: True if HAProxy runs what was accepted before.
        :raises TemplateError: there is no other text, or the operator wants all services or none.
        """
        while True:
            try:
                rendered = self._renderer.render(services)
            except TemplateError as error:
                failure = TemplateFailure(name=error.template, reason=error.reason, running=running)
                if self._renderer.settings.skip_config_cleanup or not self.refuse(failure, now):
                    raise
                continue
            wrong = [name for name in rendered.wrong if self.overrides.replaceable(name)]
            for name in wrong:
                self.refuse(TemplateFailure(name=name, reason=rendered.wrong[name], running=True), now)
            if not wrong:
                return rendered

    def refuse(self, failure: TemplateFailure, now: float) -> bool:
        """
        Use another text instead of one that cannot be used; see `Overrides.refuse`.

        :return: False if HAProxy keeps serving unchanged.
        """
        replaced = self.overrides.refuse(failure, now)
        if replaced:
            self._follow()
        return replaced

    def amend(self, complaints: Iterable[Complaint], config: Config) -> tuple[bool, list[Complaint]]:
        """Amend lines that protect nothing; return whether there were any, and the complaints about other lines."""
        amended, others = False, []
        for complaint in complaints:
            line = written_by_operator(complaint, config)
            made = amendment(line, complaint.message) if line is not None else None
            if made is None or not isinstance(complaint.owner, Owner):
                others.append(complaint)
                continue
            self.overrides.amend(complaint.owner.template, [made])
            amended = True
        if amended:
            self._follow()
        return amended, others

    def accepted(self, rendered: Rendered) -> None:
        """Record that HAProxy runs this configuration."""
        used = rendered.templates
        if used is not None and self.overrides.accepted(operators(rendered.config), used) and self._kept:
            self._kept.write(self.overrides.good)

    def try_all_again(self) -> None:
        """Try every refused template at once."""
        self.overrides.retry_soon()
        self._follow()

    async def reconsider(
        self, services: Sequence[Service], now: float, passes: Callable[[Config], Awaitable[bool]]
    ) -> bool:
        """Try the refused texts again whose time has come; return whether HAProxy accepts one of them now."""
        accepted = False
        for name in self.overrides.due(now):
            trial = self._renderer.copy()
            trial.use(self.overrides.templates(trying=name))
            try:
                rendered = trial.render(services)
                good = name not in rendered.wrong and await passes(rendered.config)
            except TemplateError:
                good = False
            self.overrides.tried(name, now, good=good)
            if good:
                accepted = True
                self._follow()
        return accepted

    def explained(self, error: MarathonLBError) -> MarathonLBError:
        """Return the error, with the templates because of which HAProxy keeps serving unchanged."""
        held = self.overrides.held
        if not held or not isinstance(error, InvalidConfiguration):
            return error
        templates = tuple(map(str, held))
        return TemplateRefused(complaints=error.complaints, output=error.output, templates=templates)

    def _follow(self) -> None:
        self._renderer.use(self.overrides.templates())


def as_it_runs(
    services: Iterable[Service], sections: frozenset[tuple[str, str]]
) -> tuple[list[Service], list[Problem]]:
    """
    Return the services as far as HAProxy runs them, and a problem for each of the others.

    A backend may run without its port: the runtime API adds backends, and no frontends.

    :param sections: the sections that HAProxy runs, each as its keyword and its name.
    """
    kept: list[Service] = []
    waiting: list[Problem] = []
    for service in services:
        fronts = {("frontend", service.frontend), ("frontend", service.backend)}
        if ("backend", service.backend) not in sections:
            waiting.append(Problem(service.app_id, service.port_index, "", "", WAITS, kind=TEMPLATE_WAITS))
        elif service.binds_port and fronts & sections:
            kept.append(service)
        else:
            kept.append(evolve(service, binds_port=False))
    return kept, waiting
