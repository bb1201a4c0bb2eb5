"""``--explain``: which rule catches a URL, an app id or a port, by the daemon's word or else by Marathon's."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
from twisted.logger import Logger

from marathonlb.errors import DaemonRefused, DaemonUnreachable, UsageError
from marathonlb.figures import visible
from marathonlb.routing.explain.answer import explain
from marathonlb.routing.explain.model import Explanation, render
from marathonlb.routing.explain.question import EXPECTED, question_of
from marathonlb.script.parts import Watch, parts_of
from marathonlb.script.terminal import Terminal
from marathonlb.settings import Settings
from marathonlb.web.client import ControllerClient

_log = Logger()


async def show_explanation(settings: Settings, reactor: Any, terminal: Terminal, watch: Watch) -> int:
    """
    Say which rule catches it, or why nothing does.

    :return: the exit status.
    :raises UsageError: it is neither a URL nor an app id nor a port.
    :raises MarathonLBError: neither a daemon nor a Marathon answers.
    """
    what = settings.explain or ""
    try:
        question = question_of(what)
    except ValueError:
        raise UsageError(option="--explain", value=what, expected=EXPECTED) from None
    said = await _by_daemon(settings, reactor, what)
    if said is None:
        async with parts_of(settings, reactor, watch) as parts:
            wanted = await parts.reconciler.look()
            state = parts.planner.state(wanted, parts.gatherer.cluster.apps, parts.hosts.address)
            said = explain(question, state)
    terminal.out.write(visible(render(said)))
    return 0


async def _by_daemon(settings: Settings, reactor: Any, what: str) -> Explanation | None:
    """Its answer, which knows what HAProxy has refused; None where none can give one, which is said."""
    try:
        reply = await ControllerClient.of(settings, reactor).ask(f"/api/explain?q={quote(what, safe='')}")
        return msgspec.convert(reply.data(), Explanation)
    except (DaemonUnreachable, DaemonRefused, msgspec.MsgspecError) as error:
        _log.warn(
            "{error}. Marathon is asked in its place: what HAProxy has refused is not known here",
            error=str(error),
        )
        return None
