"""From a rendered template to lines of haproxy.cfg that know their owner. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marathonlb.config.templates import hashes
from marathonlb.config.templates.structure import checked_text
from marathonlb.config.templates.template import Template
from marathonlb.config.text.model import Chunk, Owner
from marathonlb.errors import TemplateError


def render_chunk(template: Template, owner: Owner, variables: Mapping[str, Any]) -> Chunk:
    """
    Return a template's text as whole lines with their owner.

    :raises TemplateError: the text cannot be rendered, or may not stand there.
    """
    text = checked_text(template, template.render(variables))
    if template.label:
        for reason in hashes.faults(text, variables["settings"].max_password_cost):
            raise TemplateError(source=template.source, reason=reason, template=template.name)
    return Chunk(whole_lines(text), owner)


def whole_lines(text: str) -> str:
    """Return the text with the newline at its end that many overrides lack."""
    return text if not text or text.endswith("\n") else text + "\n"
