"""
The paths that scripts and tools know: ``/_haproxy_*`` and ``/_mlb_signal/*``, to the letter.
"""

from __future__ import annotations

from collections.abc import Callable

from marathonlb.causes import Cause, CauseKind
from marathonlb.marathon.events.hints import Hint
from marathonlb.web.context import WebContext
from marathonlb.web.page import TEXT, Answer, Asked, Page, Refusal, text
from marathonlb.web.redaction import shown


class ConfigPage(Page):
    """The configuration that HAProxy runs."""

    summary = "The configuration that HAProxy runs; passwords are hidden from clients outside --admin-allow"
    content_type = TEXT
    statuses = ((503, "there is none yet"),)

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, asked: Asked) -> Answer:
        """Its text."""
        return text(shown(self._context.published(), admin=asked.admin).text)


class MapPage(Page):
    """
    A map file.

    :param name: the file's.
    """

    content_type = TEXT
    statuses = ((404, "there are no map files (--no-haproxy-map)"), (503, "there is no configuration yet"))

    def __init__(self, context: WebContext, name: str) -> None:
        self._context = context
        self._name = name
        self.summary = f"The map file {name}"

    async def answer(self, asked: Asked) -> Answer:
        """Its text."""
        found = self._context.published().maps.get(self._name)
        if found is None:
            raise Refusal(404, f"there is no {self._name}; --haproxy-map makes it")
        return text(found)


class PidsPage(Page):
    """HAProxy's workers."""

    summary = "The process ids of HAProxy's workers, those that drain included"
    content_type = TEXT
    statuses = ((503, "HAProxy does not run, or cannot be asked"),)

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, asked: Asked) -> Answer:
        """Space separated. Raises `HAProxyUnavailable`."""
        return text(" ".join(map(str, await self._context.applier.pids())))


class SignalPage(Page):
    """
    What a signal does, for those who cannot send one.

    :param signal: what is answered: ``SIGHUP`` or ``SIGUSR1``.
    :param act: does it; is given the cause.
    """

    also = "POST"
    changes = True
    content_type = TEXT
    statuses = (
        (403, "the client is outside --admin-allow, or a page of another site asks"),
        (413, "what is posted is too big"),
    )

    def __init__(
        self, context: WebContext, signal: str, summary: str, act: Callable[[Cause], object]
    ) -> None:
        self._context = context
        self._signal = signal
        self._act = act
        self.summary = summary

    async def answer(self, asked: Asked) -> Answer:
        """The signal's name, once it is under way."""
        self._context.recorder.asked(self._signal, asked.client)
        self._act(Cause(CauseKind.SIGNAL, self._signal))
        return text(self._signal)


def hup(context: WebContext) -> SignalPage:
    """Look at everything now."""
    return SignalPage(
        context,
        "SIGHUP",
        "Compare everything with Marathon now",
        lambda cause: context.reconciler.poke(Hint.of(None, cause)),
    )


def usr1(context: WebContext) -> SignalPage:
    """Let HAProxy read its configuration again."""
    return SignalPage(
        context,
        "SIGUSR1",
        "Reload HAProxy with the present configuration",
        lambda cause: context.reconciler.reload(cause),
    )
