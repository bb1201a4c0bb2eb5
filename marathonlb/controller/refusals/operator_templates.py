"""
The operator's templates as HAProxy takes them: rendered, refused, written in another way, tried again.

What becomes of each text is decided in `marathonlb.config.templates.overrides`; here the renderer is made to follow.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from attrs import evolve

from marathonlb.config.render import Rendered, Renderer
from marathonlb.config.templates.loader import Templates
from marathonlb.config.templates.overrides import Overrides
from marathonlb.config.templates.removed_lines import amendment
from marathonlb.config.templates.template import Template
from marathonlb.config.text.model import Config, Owner
from marathonlb.errors import Complaint, InvalidConfiguration, MarathonLBError, TemplateError, TemplateRefused
from marathonlb.haproxy.diagnostics.blame import operators, written_by_operator
from marathonlb.problem_kinds.operators import TEMPLATE_WAITS
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.model import Service

WAITS = "waits until a template of the operator's is good: HAProxy runs on with what it has until then"


class Kept(Protocol):
    """What keeps the operator's texts that HAProxy accepted, for the controllers after this one."""

    def read(self) -> Mapping[str, Template]:
        """Those that a controller before has kept, by name."""

    def write(self, templates: Mapping[str, Template]) -> None:
        """Keep these. Never fails."""


class OperatorTexts:
    """
    Has the renderer use what serves of each template.

    :param kept: keeps the texts that HAProxy accepted; None keeps none.
    :ivar overrides: which texts serve.
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
        The configuration for these services, with what stands in the place of a template that cannot be rendered.

        :param now: in seconds.
        :param running: whether HAProxy runs what was accepted before.
        :raises TemplateError: nothing can stand in its place, or the operator wants all or nothing.
        """
        while True:
            try:
                rendered = self._renderer.render(services)
            except TemplateError as error:
                if self._renderer.settings.skip_config_cleanup or not self.refuse(
                    error.template, error.reason, now, running=running
                ):
                    raise
                continue
            wrong = [name for name in rendered.wrong if self.overrides.replaceable(name)]
            for name in wrong:
                self.refuse(name, rendered.wrong[name], now, running=True)
            if not wrong:
                return rendered

    def refuse(
        self,
        name: str,
        reason: str,
        now: float,
        *,
        running: bool,
        used: Templates | None = None,
        not_before: float = 0.0,
        haproxy: str = "",
    ) -> bool:
        """
        Have another text serve in the place of one that cannot be used; see `Overrides.refuse`.

        :return: False where HAProxy runs on as it is.
        """
        found = self.overrides.refuse(
            name, reason, now, running=running, used=used, not_before=not_before, haproxy=haproxy
        )
        if found:
            self._follow()
        return found

    def amend(self, complaints: Iterable[Complaint], config: Config) -> tuple[bool, list[Complaint]]:
        """Write lines that guard nothing in another way; with it the complaints about others."""
        found, others = False, []
        for complaint in complaints:
            line = written_by_operator(complaint, config)
            made = amendment(line, complaint.message) if line is not None else None
            if made is None or not isinstance(complaint.owner, Owner):
                others.append(complaint)
                continue
            self.overrides.amend(complaint.owner.template, [made])
            found = True
        if found:
            self._follow()
        return found, others

    def accepted(self, rendered: Rendered) -> None:
        """Take note that HAProxy runs this."""
        used = rendered.templates
        if used is not None and self.overrides.accepted(operators(rendered.config), used) and self._kept:
            self._kept.write(self.overrides.good)

    def try_all_again(self) -> None:
        """Let every template that was refused be tried at once."""
        self.overrides.hasten()
        self._follow()

    async def reconsider(
        self, services: Sequence[Service], now: float, passes: Callable[[Config], Awaitable[bool]]
    ) -> bool:
        """Try each refused text again in whose place another one serves; whether one is good now."""
        found = False
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
                found = True
                self._follow()
        return found

    def explained(self, error: MarathonLBError) -> MarathonLBError:
        """The error, with the templates because of which HAProxy runs on as it is."""
        held = self.overrides.held
        if not held or not isinstance(error, InvalidConfiguration):
            return error
        told = tuple(map(str, held))
        return TemplateRefused(complaints=error.complaints, output=error.output, templates=told)

    def _follow(self) -> None:
        self._renderer.use(self.overrides.templates())


def as_it_runs(
    services: Iterable[Service], sections: frozenset[tuple[str, str]]
) -> tuple[list[Service], list[Problem]]:
    """
    The services with as much of them as HAProxy runs: steps may have made a backend, and not its port.

    :param sections: what HAProxy runs, each as its keyword and its name.
    :return: with them a problem for each of the others.
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
