"""A single run: make the configuration and apply it, or print it (``--dry``)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

from twisted.logger import Logger

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.exclusive import holding_locks
from marathonlb.haproxy.reload_reason import from_cause
from marathonlb.parts import Parts
from marathonlb.routing.problems import Problem
from marathonlb.script.parts import parts_of
from marathonlb.script.progress import Watch
from marathonlb.script.terminal import Terminal
from marathonlb.settings import Settings

DONE, LEFT_OUT = 0, 3
"""Exit statuses; the second one only with ``--strict-exit``."""

_log = Logger()


async def converge(settings: Settings, reactor: Any, terminal: Terminal, watch: Watch) -> int:
    """
    Make the configuration once.

    :return: the exit status.
    :raises MarathonLBError: Marathon, the validation or the reload failed.
    """
    with nullcontext() if settings.dry else holding_locks(settings, reactor):
        async with parts_of(settings, reactor, watch) as parts:
            problems = await (_dry(parts, terminal) if settings.dry else _apply(parts))
    left_out = settings.strict_exit and any(problem.fatal for problem in problems)
    return LEFT_OUT if left_out else DONE


async def _dry(parts: Parts, terminal: Terminal) -> Iterable[Problem]:
    wanted = await parts.reconciler.look()
    directory = os.path.dirname(os.path.abspath(parts.settings.haproxy_config))
    terminal.show_file(wanted.config.text(directory))
    for problem in wanted.problems:
        _log.warn("{problem}", problem=str(problem))
    return wanted.problems


async def _apply(parts: Parts) -> Iterable[Problem]:
    await parts.applier.recover()
    for path in (await parts.loaded.out_of_date())[:1]:
        parts.applier.distrust(from_cause(Cause(CauseKind.CERTIFICATE, path)))
    await parts.reconciler.once()
    return parts.reconciler.problems
