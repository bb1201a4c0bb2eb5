"""
The paths that scripts and tools know: ``/_haproxy_*`` and ``/_mlb_signal/*``, to the letter.
"""

from __future__ import annotations

from collections.abc import Callable

from marathonlb.causes import Cause, CauseKind
from marathonlb.marathon.events.hints import Hint
from marathonlb.web.context import Sight
from marathonlb.web.page import TEXT, Answer, Asked, Page, Refusal, text
from marathonlb.web.redaction import shown


class ConfigPage(Page):
    """The configuration that HAProxy runs."""

    summary = "The configuration that HAProxy runs; passwords are hidden from clients outside --admin-allow"
    content_type = TEXT
    statuses = ((503, "there is none yet"),)

    def __init__(self, sight: Sight) -> None:
        self._sight = sight

    async def answer(self, asked: Asked) -> Answer:
        """Its text."""
        return text(shown(self._sight.published(), admin=asked.admin).text)


class MapPage(Page):
    """
    A map file.

    :param name: the file's.
    """

    content_type = TEXT
    statuses = ((404, "there are no map files (--no-haproxy-map)"), (503, "there is no configuration yet"))

    def __init__(self, sight: Sight, name: str) -> None:
        self._sight = sight
        self._name = name
        self.summary = f"The map file {name}"

    async def answer(self, asked: Asked) -> Answer:
        """Its text."""
        found = self._sight.published().maps.get(self._name)
        if found is None:
            raise Refusal(404, f"there is no {self._name}; --haproxy-map makes it")
        return text(found)


class PidsPage(Page):
    """HAProxy's workers."""

    summary = "The process ids of HAProxy's workers, those that drain included"
    content_type = TEXT
    statuses = ((503, "HAProxy does not run, or cannot be asked"),)

    def __init__(self, sight: Sight) -> None:
        self._sight = sight

    async def answer(self, asked: Asked) -> Answer:
        """Space separated. Raises `HAProxyUnavailable`."""
        return text(" ".join(map(str, await self._sight.applier.pids())))


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

    def __init__(self, sight: Sight, signal: str, summary: str, act: Callable[[Cause], object]) -> None:
        self._sight = sight
        self._signal = signal
        self._act = act
        self.summary = summary

    async def answer(self, asked: Asked) -> Answer:
        """The signal's name, once it is under way."""
        self._sight.recorder.asked(self._signal, asked.client)
        self._act(Cause(CauseKind.SIGNAL, self._signal))
        return text(self._signal)


def hup(sight: Sight) -> SignalPage:
    """Look at everything now."""
    return SignalPage(
        sight,
        "SIGHUP",
        "Compare everything with Marathon now",
        lambda cause: sight.reconciler.poke(Hint.of(None, cause)),
    )


def usr1(sight: Sight) -> SignalPage:
    """Let HAProxy read its configuration again."""
    return SignalPage(
        sight,
        "SIGUSR1",
        "Reload HAProxy with the present configuration",
        lambda cause: sight.reconciler.reload(cause),
    )
