"""Template texts as checked chunks of haproxy.cfg. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marathonlb.config.templates import hashes
from marathonlb.config.templates.structure import checked_text
from marathonlb.config.templates.template import Template
from marathonlb.config.text.model import Chunk, Owner, label_in
from marathonlb.errors import TemplateError
from marathonlb.problem_kinds.apps import LABEL_TEMPLATE
from marathonlb.problem_kinds.operators import TEMPLATE_CLOSED, TEMPLATE_SERVICE
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.model import Service


def render_chunk(template: Template, owner: Owner, variables: Mapping[str, Any]) -> Chunk:
    """
    Render a template as a chunk of whole lines.

    :param variables: the variables of the template; with a label's template ``settings`` is among them.
    :raises TemplateError: the template cannot be rendered, or its text may not be used.
    """
    text = checked_text(template, template.render(variables))
    if template.label:
        for reason in hashes.faults(text, variables["settings"].max_password_cost):
            raise TemplateError(source=template.source, reason=reason, template=template.name)
    return Chunk(whole_lines(text), owner)


def whole_lines(text: str) -> str:
    """Return a text with a newline at its end, which many overrides lack; an empty text stays empty."""
    return text if not text or text.endswith("\n") else text + "\n"


def template_problem(service: Service, error: TemplateError) -> Problem:
    """Return the problem of a service with a template that cannot be rendered: its own label's, or the operator's."""
    label = label_in(error.source)
    if not label:
        label = f"HAPROXY_{error.template}"
        kind = TEMPLATE_CLOSED if error.closed else TEMPLATE_SERVICE
        return Problem(service.app_id, service.port_index, label, "", error.reason, kind=kind)
    text = service.overrides.get(label.split("_", 2)[2], "")
    return Problem(service.app_id, service.port_index, label, text, error.reason, kind=LABEL_TEMPLATE)
