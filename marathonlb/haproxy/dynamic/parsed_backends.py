"""A cache of the backends whose sections were parsed a moment ago. Pure."""

from __future__ import annotations

from collections import OrderedDict

from marathonlb.config.text.model import Section
from marathonlb.config.text.server_lines import Backend, parse

MAX_REMEMBERED = 2_000
"""Maximum number of backends kept; a backend that has changed a moment ago is likely to change again."""


class ParsedBackends:
    """Parses sections, and of a backend that has changed only its new lines."""

    def __init__(self) -> None:
        self._parsed: OrderedDict[str, tuple[Section, Backend]] = OrderedDict()

    def of(self, section: Section) -> Backend:
        """Return the backend of a section."""
        kept = self._parsed.pop(section.name, None)
        if kept is None or kept[0] is not section:
            kept = section, parse(section, kept[1] if kept else None)
        self._parsed[section.name] = kept
        if len(self._parsed) > MAX_REMEMBERED:
            self._parsed.popitem(last=False)
        return kept[1]

    def forget(self, name: str) -> None:
        """Drop a backend that is gone."""
        self._parsed.pop(name, None)
