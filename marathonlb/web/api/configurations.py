"""The configurations that HAProxy ran, and the difference between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import msgspec

from marathonlb.config.text.unified_diff import ConfigDifference, difference
from marathonlb.haproxy.files.publish import Published
from marathonlb.haproxy.rollback.archive import Archived
from marathonlb.haproxy.rollback.restored import alike
from marathonlb.web.context import WebContext
from marathonlb.web.page import Answer, ClientRequest, Page, Parameter, Refusal, data
from marathonlb.web.redaction import shown
from marathonlb.web.threads import in_thread

RUNNING = "running"
"""Name of the running configuration, instead of a number."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """
    One archived configuration.

    :param number: a higher number is newer.
    :param time: when HAProxy confirmed it, in ISO 8601 and UTC.
    :param reason: why HAProxy was reloaded.
    :param cause: what triggered the reload; empty if unknown.
    :param running: true if HAProxy runs it, with today's tasks.
    :param pinned: true if an operator went back to it.
    """

    number: int
    time: str
    reason: str
    cause: str
    running: bool
    pinned: bool


class Versions(msgspec.Struct, frozen=True):
    """The archived configurations (``--archive-versions``), the newest first."""

    configurations: tuple[Version, ...]


class Configuration(msgspec.Struct, frozen=True):
    """
    The texts of one configuration.

    :param text: of haproxy.cfg; passwords are ``***`` for clients that are not in ``--admin-allow``.
    :param maps: the text of each map file, by name.
    """

    name: str
    text: str
    maps: dict[str, str]


def texts(context: WebContext, name: str, *, admin: bool) -> Published:
    """Return the texts of a configuration: `RUNNING`, or an archived one. Raises `Refusal` if there is none."""
    if name == RUNNING:
        return shown(context.published(), admin=admin)
    published = (
        context.archive.read(int(name)) if name.isascii() and name.isdecimal() and len(name) < 9 else None
    )
    if published is None:
        raise Refusal(404, f"there is no configuration {name}; /api/configurations lists them")
    return shown(published, admin=admin)


class VersionsPage(Page):
    """The archived configurations."""

    summary = "The configurations that HAProxy ran, and the reason for each reload"
    shape = Versions

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, request: ClientRequest) -> Answer:
        """Return them, the newest first."""
        return data(versions_of(self._context))


def versions_of(context: WebContext) -> Versions:
    """Return the archived configurations, the newest first."""
    kept = context.archive.list()[::-1]
    pin = context.hold.pins.current()
    running = pin.name if pin is not None else _running(context, kept[:1])
    return Versions(
        tuple(
            Version(
                number=each.number,
                time=each.time,
                reason=each.reason,
                cause=each.cause,
                running=str(each.number) == running,
                pinned=pin is not None and pin.name == str(each.number),
            )
            for each in kept
        )
    )


def _running(context: WebContext, last: Sequence[Archived]) -> str:
    """Return the name of the last one if HAProxy runs it; else an empty string."""
    for each in last:
        kept = context.archive.read(each.number)
        with suppress(Refusal):
            if kept is not None and alike(kept, context.published()):
                return str(each.number)
    return ""


class ConfigurationPage(Page):
    """One configuration."""

    summary = "The texts of one configuration"
    shape = Configuration
    parameters = (Parameter("name", "path", "its number, or running", required=True),)
    statuses = ((404, "no such configuration"), (503, "HAProxy runs none yet"))

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, request: ClientRequest) -> Answer:
        """Return its texts."""
        name = request.arguments["name"]
        published = texts(self._context, name, admin=request.admin)
        return data(Configuration(name, published.text, dict(published.maps)))


class DifferencePage(Page):
    """The difference between two configurations."""

    summary = "The difference between two configurations, section by section"
    shape = ConfigDifference
    parameters = (
        Parameter("from", "query", "the number of the older one, or running", required=True),
        Parameter("to", "query", "the number of the newer one; running by default"),
    )
    statuses = (
        (400, "a parameter is missing"),
        (404, "no such configuration"),
        (503, "HAProxy runs none yet"),
    )

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, request: ClientRequest) -> Answer:
        """Return the difference by sections."""
        if "from" not in request.query:
            raise Refusal(400, "from= names the older configuration, to= the newer one")
        old = texts(self._context, request.query["from"], admin=request.admin)
        new = texts(self._context, request.query.get("to", RUNNING), admin=request.admin)
        changes = await in_thread(
            self._context.clock, lambda: difference(old.text, new.text, old.maps, new.maps)
        )
        return data(changes)
