"""
The first section of haproxy.cfg, from HAPROXY_HEAD. Pure, but for the directories of its sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os.path import basename
from typing import Any

from attrs import evolve

from marathonlb.config.templates import closed, legacy
from marathonlb.config.templates.chunks import render_chunk
from marathonlb.config.templates.template import Template
from marathonlb.config.templates.variables import shared_variables
from marathonlb.config.text.model import DIRECTORY, Chunk, Owner, Section
from marathonlb.errors import TemplateError
from marathonlb.problem_kinds.operators import TEMPLATE_REWRITTEN
from marathonlb.routing.problems import Problem
from marathonlb.settings import Settings


def head(
    template: Template,
    default: Template,
    settings: Settings,
    shared: Mapping[str, Any],
    is_directory: Callable[[str], bool],
) -> tuple[Section, Sequence[Problem]]:
    """
    Return the first section of haproxy.cfg, and warnings about it for the operator.

    :param default: the template that ships.
    :param shared: the variables of templates that belong to no service.
    :param is_directory: returns whether a path is a directory.
    :raises TemplateError: the template is wrong.
    """
    if template.closed:
        return _closed(template, default, settings, shared), ()
    own = render_chunk(template, Owner(None, None, "HEAD", template.source), shared)
    if template.is_default:
        return Section("head", "", (own,)), ()
    modern = legacy.head(
        own.text,
        managed=settings.manage_haproxy,
        socket=f"{settings.state_dir}/web.sock",
        config=f"{DIRECTORY}/{basename(settings.haproxy_config)}",
        account=settings.account,
        stats=f"{settings.state_dir}/haproxy.sock",
        is_directory=is_directory,
    )
    pieces = legacy.checks(Chunk(modern.text, own.owner))
    warnings = [*modern.warnings, *([legacy.OLD_CHECK] if len(pieces) > 1 else [])]
    problems = [
        Problem("", None, "HAPROXY_HEAD", template.source, words, fatal=False, kind=TEMPLATE_REWRITTEN)
        for words in warnings
    ]
    return _section(Chunk(modern.before, Owner()), *pieces), problems


def _closed(template: Template, default: Template, settings: Settings, shared: Mapping[str, Any]) -> Section:
    """Return a minimal head with the operator's restrictions; see `marathonlb.config.templates.closed`."""
    text = default.render(shared_variables(closed.minimal(settings)))
    try:
        overridden = evolve(template, closed="").render(shared)
    except TemplateError:
        overridden = template.text
    before, opening, after = text.partition("\ndefaults ")
    owner = Owner(None, None, "HEAD", template.source)
    return _section(
        Chunk(f"{before}\n", Owner()),
        Chunk(closed.restrictions(overridden, account=settings.account is None), owner),
        Chunk(f"{opening}{after}", Owner()),
    )


def _section(*chunks: Chunk) -> Section:
    return Section("head", "", tuple(chunk for chunk in chunks if chunk.text))
