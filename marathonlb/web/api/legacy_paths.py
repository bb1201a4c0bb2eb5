"""
The paths of earlier versions, which scripts and tools use: ``/_haproxy_*`` and ``/_mlb_signal/*``.
"""

from __future__ import annotations

from collections.abc import Callable

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.marathon.events.hints import Hint
from marathonlb.web.context import WebContext
from marathonlb.web.page import TEXT, Answer, ClientRequest, Page, Refusal, text
from marathonlb.web.redaction import shown


class ConfigPage(Page):
    """The running configuration as text."""

    summary = "The running configuration; passwords are hidden from clients that are not in --admin-allow"
    content_type = TEXT
    statuses = ((503, "there is no configuration yet"),)

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, request: ClientRequest) -> Answer:
        """Return the text."""
        return text(shown(self._context.published(), admin=request.admin).text)


class MapPage(Page):
    """
    A map file as text.

    :param name: of the file.
    """

    content_type = TEXT
    statuses = ((404, "there are no map files (--no-haproxy-map)"), (503, "there is no configuration yet"))

    def __init__(self, context: WebContext, name: str) -> None:
        self._context = context
        self._name = name
        self.summary = f"The map file {name}"

    async def answer(self, request: ClientRequest) -> Answer:
        """Return the text."""
        content = self._context.published().maps.get(self._name)
        if content is None:
            raise Refusal(404, f"there is no {self._name}; --haproxy-map makes it")
        return text(content)


class PidsPage(Page):
    """The pids of HAProxy's workers."""

    summary = "The process ids of HAProxy's workers, draining ones included"
    content_type = TEXT
    statuses = ((503, "HAProxy does not run, or does not answer"),)

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, request: ClientRequest) -> Answer:
        """Return them, separated by spaces. Raises `HAProxyUnavailable`."""
        return text(" ".join(map(str, await self._context.applier.pids())))


class SignalPage(Page):
    """
    A signal over HTTP.

    :param signal: the answer: ``SIGHUP`` or ``SIGUSR1``.
    :param act: does what the signal does; is called with the cause.
    """

    also = "POST"
    changes = True
    content_type = TEXT
    statuses = (
        (403, "the client is not in --admin-allow, or a page of another site asks"),
        (413, "the body is too big"),
    )

    def __init__(
        self, context: WebContext, signal: str, summary: str, act: Callable[[Cause], object]
    ) -> None:
        self._context = context
        self._signal = signal
        self._act = act
        self.summary = summary

    async def answer(self, request: ClientRequest) -> Answer:
        """Do what the signal does, and return its name."""
        self._context.recorder.asked(self._signal, request.client)
        self._act(Cause(CauseKind.SIGNAL, self._signal))
        return text(self._signal)


def hup(context: WebContext) -> SignalPage:
    """Return the page that starts a full comparison with Marathon."""
    return SignalPage(
        context,
        "SIGHUP",
        "Compare everything with Marathon now",
        lambda cause: context.reconciler.poke(Hint.of(None, cause)),
    )


def usr1(context: WebContext) -> SignalPage:
    """Return the page that reloads HAProxy."""
    return SignalPage(
        context,
        "SIGUSR1",
        "Reload HAProxy with the present configuration",
        lambda cause: context.reconciler.reload(cause),
    )
