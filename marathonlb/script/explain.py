"""``--explain``: the rule that matches a URL, an app id or a port, from the daemon's state or else from Marathon's."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
from twisted.logger import Logger

from marathonlb.base.figures import visible
from marathonlb.errors import DaemonRefused, DaemonUnreachable, UsageError
from marathonlb.routing.explain.answer import explain
from marathonlb.routing.explain.model import Explanation, render
from marathonlb.routing.explain.question import EXPECTED, question_of
from marathonlb.script.parts import parts_of
from marathonlb.script.progress import Watch
from marathonlb.script.terminal import Terminal
from marathonlb.settings import Settings
from marathonlb.web.client import ControllerClient

_log = Logger()


async def show_explanation(settings: Settings, reactor: Any, terminal: Terminal, watch: Watch) -> int:
    """
    Print the rule that matches, or the reason why none does.

    :return: the exit status.
    :raises UsageError: the question is neither a URL nor an app id nor a port.
    :raises MarathonLBError: neither a daemon nor a Marathon answers.
    """
    text = settings.explain or ""
    try:
        question = question_of(text)
    except ValueError:
        raise UsageError(option="--explain", value=text, expected=EXPECTED) from None
    explanation = await _by_daemon(settings, reactor, text)
    if explanation is None:
        async with parts_of(settings, reactor, watch) as parts:
            wanted = await parts.reconciler.look()
            state = parts.planner.state(wanted, parts.gatherer.cluster.apps, parts.hosts.address)
            explanation = explain(question, state)
    terminal.out.write(visible(render(explanation)))
    return 0


async def _by_daemon(settings: Settings, reactor: Any, question: str) -> Explanation | None:
    """Return the daemon's explanation, which knows what HAProxy has refused; None, with a warning, if there is none."""
    try:
        reply = await ControllerClient.of(settings, reactor).ask(f"/api/explain?q={quote(question, safe='')}")
        return msgspec.convert(reply.data(), Explanation)
    except (DaemonUnreachable, DaemonRefused, msgspec.MsgspecError) as error:
        _log.warn(
            "{error}. Asking Marathon instead; what HAProxy has refused is not known",
            error=str(error),
        )
        return None
