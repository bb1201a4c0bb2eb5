"""
A HAProxy configuration as text that knows who wrote it.

A `Config` is an ordered tuple of `Section`s and the map files. A section is made of `Chunk`s; each remembers its
`Owner`, so a complaint about line 4711 names an app, a port and a template, and two configurations can be compared
section by section.

Where the text names the directory of the map files it holds `DIRECTORY`; only `Config.text` puts a real one in.
So the files that ``haproxy -c`` reads in the staging directory are the files that will run.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import accumulate

from attrs import field, frozen

from marathonlb.config.text.rows import Rows

DIRECTORY = "\0"
"""Stands for the directory of haproxy.cfg; no template can hold it, since control characters are refused there."""

SECTION_KEYWORDS = frozenset(
    "acme backend cache crt-store defaults fcgi-app frontend global http-errors listen log-forward log-profile mailers "
    "peers program resolvers ring traces userlist".split()
)
"""The words that begin a section, from HAProxy's configuration manual, 2.4 to 3.4."""


@frozen
class Owner:
    """
    Who wrote a chunk.

    :param app_id: the app, or None for what is nobody's alone (the head, the frontends' first lines).
    :param port_index: the index of the app's service port.
    :param template: the template's name without ``HAPROXY_``.
    :param source: where its text came from: ``default``, ``label HAPROXY_0_…``, ``environment …`` or a file.
    """

    app_id: str | None = None
    port_index: int | None = None
    template: str = ""
    source: str = "default"


@frozen
class Chunk:
    """
    A run of whole lines by one owner; ends with a newline unless it is empty.

    :param line: which line of what the owner has written its first line is.
    """

    text: str
    owner: Owner
    line: int = 1


@frozen(slots=False, eq=False)
class Section:
    """
    One section of the file: ``global`` and its kin, a frontend or a backend.

    :param kind: HAProxy's keyword: ``backend``; ``head`` for the global template, which may hold several sections.
    :param name: the section's name; empty for the head.
    """

    kind: str
    name: str
    chunks: tuple[Chunk, ...]

    @cached_property
    def text(self) -> str:
        """The section's lines."""
        return "".join(chunk.text for chunk in self.chunks)

    @cached_property
    def lines(self) -> int:
        """How many lines the section has."""
        return self.text.count("\n")


@frozen
class MapEntry:
    """One line of a map file: a key, the backend it leads to, and who wants it."""

    key: str
    value: str
    owner: Owner


class Pieces:
    """
    What the texts of configurations made from one another have in common, joined once.

    So the text after a change of one backend costs a walk over the blocks, not over all sections. It may be asked by
    several threads: what is kept is compared with what is asked for, so the worst is a block that is joined twice.
    """

    def __init__(self) -> None:
        self._blocks: dict[int, tuple[tuple[Section, ...], str]] = {}
        self._maps: dict[str, tuple[tuple[MapEntry, ...], str]] = {}

    def of(self, sections: Rows[Section]) -> list[str]:
        """The text of these sections, block by block."""
        pieces = []
        for number, block in enumerate(sections.blocks):
            kept = self._blocks.get(number)
            if kept is None or kept[0] is not block:
                kept = self._blocks[number] = block, "".join(section.text for section in block)
            pieces.append(kept[1])
        return pieces

    def of_map(self, name: str, entries: tuple[MapEntry, ...]) -> str:
        """The text of a map file."""
        kept = self._maps.get(name)
        if kept is None or kept[0] is not entries:
            text = "".join(f"{entry.key} {entry.value}\n" for entry in entries)
            kept = self._maps[name] = entries, text
        return kept[1]


def _sections(sections: Iterable[Section]) -> Rows[Section]:
    return Rows.of(sections)


@frozen(slots=False, eq=False)
class Config:
    """
    A whole configuration.

    :param maps: by file name (``domain2backend.map``), the entries in the order of the file.
    """

    sections: Rows[Section] = field(default=(), converter=_sections)
    maps: Mapping[str, tuple[MapEntry, ...]] = field(factory=dict)
    _token: object = field(factory=object, init=False, repr=False)
    _origin: tuple[object, frozenset[int]] | None = field(default=None, repr=False)
    _pieces: Pieces = field(factory=Pieces, repr=False)

    def replace(self, sections: Mapping[int, Section]) -> Config:
        """
        The same configuration with other sections at some places.

        It remembers where it differs, so that a comparison with this one costs what has changed.
        """
        origin = self._token, frozenset(sections)
        return Config(self.sections.replace(sections), self.maps, origin, self._pieces)

    def places_that_differ(self, other: Config) -> Iterable[int] | None:
        """Where this one's sections are others than those of `other`, which it was made from; None if it was not."""
        if self._origin is None or self._origin[0] is not other._token:
            return None
        return sorted(self._origin[1])

    @property
    def template(self) -> str:
        """The text with `DIRECTORY` standing in it: equal for equal configurations, wherever they lie."""
        return "".join(self._pieces.of(self.sections))

    def text(self, directory: str) -> str:
        """
        The text of haproxy.cfg.

        :param directory: where the map files lie, absolute.
        """
        return "".join(self.parts(directory))

    def parts(self, directory: str) -> tuple[str, ...]:
        """The text of haproxy.cfg in parts of whole sections, which nobody needs to join to write them."""
        pieces = self._pieces.of(self.sections)
        return tuple(each.replace(DIRECTORY, directory) if DIRECTORY in each else each for each in pieces)

    def map_texts(self) -> dict[str, str]:
        """The text of each map file, by name."""
        return {name: self._pieces.of_map(name, entries) for name, entries in self.maps.items()}

    def locate(self, line: int) -> tuple[Section, Chunk] | None:
        """Which section and chunk hold this line, counted from 1; None past the end."""
        found = self.place(line)
        return None if found is None else found[:2]

    def place(self, line: int) -> tuple[Section, Chunk, int] | None:
        """Which section and chunk hold this line, and which of its owner's lines it is, counted from 1."""
        if line < 1:
            return None
        index = bisect_right(self._starts, line) - 1
        section = self.sections[index] if index < len(self.sections) else None
        if section is None:
            return None
        here = self._starts[index]
        for chunk in section.chunks:
            size = chunk.text.count("\n")
            if line < here + size:
                return section, chunk, line - here + chunk.line
            here += size
        return None

    @cached_property
    def _starts(self) -> list[int]:
        return list(accumulate((section.lines for section in self.sections), initial=1))

    def __iter__(self) -> Iterator[Section]:
        return iter(self.sections)
