"""The pages about the past: the timeline, the configurations and the difference between two of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import count, pairwise
from typing import Any

from attrs import frozen

from marathonlb.base.figures import seconds_of
from marathonlb.config.text.model import SECTION_KEYWORDS
from marathonlb.config.text.unified_diff import SectionDifference, difference
from marathonlb.controller.timeline import Kind
from marathonlb.web.api.configurations import RUNNING, texts, versions_of
from marathonlb.web.api.services import TextSection
from marathonlb.web.dashboard.charts import stages
from marathonlb.web.dashboard.site import HtmlPage
from marathonlb.web.page import ClientRequest
from marathonlb.web.threads import in_thread

ENTRIES = 100
"""Maximum number of entries on one page of the timeline."""

LINES = 1000
"""Maximum number of lines on one page of a configuration."""

MATCHES = 200
"""Maximum number of lines that a search shows."""

FILTERS: Mapping[str, tuple[str, frozenset[Kind]]] = {
    "": ("Everything", frozenset(Kind)),
    "changes": ("Changes", frozenset({Kind.CONVERGED})),
    "failures": ("Failed and waiting", frozenset({Kind.FAILED, Kind.WAITING, Kind.HELD})),
    "problems": ("Problems", frozenset({Kind.PROBLEM, Kind.FIXED, Kind.DRIFT})),
    "asked": ("Requests", frozenset({Kind.ASKED})),
}


class TimelineHtmlPage(HtmlPage):
    """The timeline, the newest entry first."""

    template = "timeline.html"
    summary = "The last events: what triggered each, what was done, and how long each stage took"

    async def values(self, request: ClientRequest) -> Mapping[str, Any]:
        """Return the values of the template."""
        name = request.query.get("kind", "")
        name = name if name in FILTERS else ""
        everything = self._context.recorder.timeline.entries()
        selected = [entry for entry in reversed(everything) if entry.kind in FILTERS[name][1]]
        page = max(1, request.number("page", 1))
        shown = selected[(page - 1) * ENTRIES : page * ENTRIES]
        return {
            "entries": shown,
            "stages": stages,
            "longest": max((entry.total_seconds for entry in shown), default=0.0),
            "kind": name,
            "filters": [
                (kind, title, sum(entry.kind in kinds for entry in everything))
                for kind, (title, kinds) in FILTERS.items()
            ],
            "found": len(selected),
            "number_of_page": page,
            "pages": max(1, -(-len(selected) // ENTRIES)),
        }


class ConfigurationsHtmlPage(HtmlPage):
    """The archived configurations."""

    template = "configurations.html"
    summary = "The configurations that HAProxy ran, and the reason for each reload"

    async def values(self, request: ClientRequest) -> Mapping[str, Any]:
        """Return the values of the template."""
        versions = versions_of(self._context).configurations
        return {
            "versions": versions,
            "before": {newer.number: older.number for newer, older in pairwise(versions)},
            "seconds_of": seconds_of,
        }


@frozen
class Line:
    """
    A line of a configuration.

    :param kind: ``section``, ``comment``, ``keyword`` or empty.
    """

    number: int
    text: str
    kind: str


def lines_of(text: Iterable[str], first: int) -> Iterator[Line]:
    """Yield lines with their numbers and kinds."""
    for number, line in enumerate(text, first):
        word = line.split(None, 1)[:1]
        if not word:
            kind = ""
        elif word[0].startswith("#"):
            kind = "comment"
        elif word[0] in SECTION_KEYWORDS and not line[0].isspace():
            kind = "section"
        else:
            kind = "keyword"
        yield Line(number, line, kind)


def section_lines(section: TextSection) -> Iterator[Line]:
    """Yield the lines of a section, without the empty ones before it."""
    bare = section.text.lstrip("\n")
    return lines_of(bare.splitlines(), section.line + len(section.text) - len(bare))


class ConfigurationHtmlPage(HtmlPage):
    """The text of one configuration with line numbers."""

    template = "configuration.html"
    summary = "The text of one configuration with line numbers"

    async def values(self, request: ClientRequest) -> Mapping[str, Any]:
        """Return the values of the template. Raises `Refusal` if there is no such configuration."""
        name, file = request.arguments["name"], request.query.get("file", "")
        published = texts(self._context, name, admin=request.admin)
        file = file if file in published.maps else ""
        everything = (published.maps[file] if file else published.text).splitlines()
        word = request.query.get("find", "").strip()
        marked = request.number("line", 0)
        page = (max(1, marked) - 1) // LINES + 1 if marked else max(1, request.number("page", 1))
        page = min(page, max(1, -(-len(everything) // LINES)))
        start = (page - 1) * LINES
        return {
            "name": name,
            "file": file,
            "files": sorted(published.maps),
            "running": RUNNING,
            "lines": list(lines_of(everything[start : start + LINES], start + 1)),
            "total": len(everything),
            "marked": marked,
            "find": word,
            "matches": list(_matches(everything, word)) if word else [],
            "max_matches": MATCHES,
            "number_of_page": page,
            "pages": max(1, -(-len(everything) // LINES)),
        }


def _matches(lines: list[str], word: str) -> Iterator[Line]:
    wanted, left = word.lower(), MATCHES
    for number, line in enumerate(lines, 1):
        if wanted in line.lower():
            yield Line(number, line, "")
            left -= 1
            if not left:
                return


@frozen
class ChangedLine:
    """
    A line of a difference.

    :param kind: ``added``, ``removed``, ``same`` or ``gap``.
    :param old: its number in the older section, from 1; None if it is not in it.
    :param new: its number in the newer one.
    """

    kind: str
    text: str
    old: int | None = None
    new: int | None = None


_PLACE = re.compile(r"@@ -(?P<old>\d+)(?:,\d+)? \+(?P<new>\d+)(?:,\d+)? @@")


def changed_lines(section: SectionDifference) -> Iterator[ChangedLine]:
    """Yield the unified lines of a section with the line numbers of both sides."""
    old, new = count(1), count(1)
    for line in section.lines:
        sign, text = line[:1], line[1:]
        if place := _PLACE.match(line):
            old, new = count(int(place["old"])), count(int(place["new"]))
            yield ChangedLine("gap", "")
        elif sign == "+":
            yield ChangedLine("added", text, None, next(new))
        elif sign == "-":
            yield ChangedLine("removed", text, next(old), None)
        else:
            yield ChangedLine("same", text, next(old), next(new))


class DifferenceHtmlPage(HtmlPage):
    """The difference between two configurations."""

    template = "difference.html"
    summary = "The difference between two configurations, section by section"

    async def values(self, request: ClientRequest) -> Mapping[str, Any]:
        """Return the values of the template. Raises `Refusal` if one of them does not exist."""
        versions = versions_of(self._context).configurations
        names = [RUNNING, *(str(each.number) for each in versions)]
        one = request.query.get("from") or (names[2] if len(names) > 2 else names[-1])
        other = request.query.get("to") or RUNNING
        old = texts(self._context, one, admin=request.admin)
        new = texts(self._context, other, admin=request.admin)
        return {
            "one": one,
            "other": other,
            "names": names,
            "difference": await in_thread(
                self._context.clock, lambda: difference(old.text, new.text, old.maps, new.maps)
            ),
            "changed_lines": changed_lines,
        }
