"""
HAProxy's configuration as text, with the owner of each line.

A `Config` is an ordered sequence of `Section`s and the map files. A section consists of `Chunk`s. Each chunk has an
`Owner`, so a HAProxy error on line 4711 names an app, a port and a template. Two configurations are compared section by
section.

The text holds the placeholder `DIRECTORY` for the directory of the map files. Only `Config.text` inserts the real path,
so ``haproxy -c`` checks the same text in the staging directory as HAProxy runs later.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import accumulate

from attrs import field, frozen
from msgspec import Struct

from marathonlb.config.text.rows import Rows

DIRECTORY = "\0"
"""Placeholder for the directory of haproxy.cfg. No template can hold it, because control characters are refused."""

SECTION_KEYWORDS = frozenset(
    "acme backend cache crt-store defaults fcgi-app frontend global http-errors listen log-forward log-profile mailers "
    "peers program resolvers ring traces userlist".split()
)
"""Keywords that open a section. Source: HAProxy's configuration manual, 2.4 to 3.4."""


LABEL_SOURCE = "label "
"""The beginning of the source of a text that an app's label holds; the label's full name follows."""


def label_in(source: str) -> str:
    """Return the full name of the label that a source names; empty if the text is not a label's."""
    return source.removeprefix(LABEL_SOURCE) if source.startswith(LABEL_SOURCE) else ""


class Owner(Struct, frozen=True):
    """
    The author of a chunk.

    :param app_id: the app; None for shared text (the head, the first lines of the shared frontends).
    :param port_index: the index of the app's service port.
    :param template: the template's name without ``HAPROXY_``.
    :param source: the origin of the text: ``default``, ``label HAPROXY_0_…``, ``environment …`` or ``file …``.
    """

    app_id: str | None = None
    port_index: int | None = None
    template: str = ""
    source: str = "default"

    @property
    def is_default(self) -> bool:
        """True if a default template has written the text."""
        return self.source == "default"

    @property
    def label(self) -> str:
        """The full name of the label that holds the text; empty if none does."""
        return label_in(self.source)

    @property
    def is_operator(self) -> bool:
        """True if a template of the operator's has written the text."""
        return not self.is_default and not self.label


class Chunk(Struct, frozen=True):
    """
    Consecutive whole lines of one owner. The text ends with a newline unless it is empty.

    :param line: the number of the chunk's first line in the owner's own text, counted from 1.
    """

    text: str
    owner: Owner
    line: int = 1


@frozen(slots=False, eq=False)
class Section:
    """
    One section of haproxy.cfg, for example a frontend or a backend.

    :param kind: HAProxy's keyword, for example ``backend``; ``head`` for HAPROXY_HEAD, which may hold several sections.
    :param name: the section's name; empty for the head.
    """

    kind: str
    name: str
    chunks: tuple[Chunk, ...]

    @cached_property
    def text(self) -> str:
        """The text of the section."""
        return "".join(chunk.text for chunk in self.chunks)

    @cached_property
    def lines(self) -> int:
        """The number of lines of the section."""
        return self.text.count("\n")

    @cached_property
    def operator_templates(self) -> frozenset[str]:
        """The names of the operator's templates that have a line in the section."""
        return frozenset(
            chunk.owner.template for chunk in self.chunks if chunk.text and chunk.owner.is_operator
        )


class MapEntry(Struct, frozen=True):
    """One line of a map file: a key, the backend it maps to, and the owner."""

    key: str
    value: str
    owner: Owner


class Pieces:
    """
    Cache of joined text, shared by configurations that derive from one another.

    After a change of one backend the text of a configuration costs a walk over the blocks, not over all sections.
    Several threads may use it: each entry is compared with the requested rows, so at worst a block is joined twice.
    """

    def __init__(self) -> None:
        self._blocks: dict[int, tuple[tuple[Section, ...], str]] = {}
        self._maps: dict[str, tuple[tuple[MapEntry, ...], str]] = {}

    def of(self, sections: Rows[Section]) -> list[str]:
        """Return the text of these sections, one string per block."""
        pieces = []
        for number, block in enumerate(sections.blocks):
            cached = self._blocks.get(number)
            if cached is None or cached[0] is not block:
                cached = self._blocks[number] = block, "".join(section.text for section in block)
            pieces.append(cached[1])
        return pieces

    def of_map(self, name: str, entries: tuple[MapEntry, ...]) -> str:
        """Return the text of a map file."""
        cached = self._maps.get(name)
        if cached is None or cached[0] is not entries:
            text = "".join(f"{entry.key} {entry.value}\n" for entry in entries)
            cached = self._maps[name] = entries, text
        return cached[1]


def _sections(sections: Iterable[Section]) -> Rows[Section]:
    return Rows.of(sections)


@frozen(slots=False, eq=False)
class Config:
    """
    A whole configuration: the sections of haproxy.cfg and the map files.

    :param maps: file name (``domain2backend.map``) to entries, in the order of the file.
    """

    sections: Rows[Section] = field(default=(), converter=_sections)
    maps: Mapping[str, tuple[MapEntry, ...]] = field(factory=dict)
    _token: object = field(factory=object, init=False, repr=False)
    _origin: tuple[object, frozenset[int]] | None = field(default=None, repr=False)
    _pieces: Pieces = field(factory=Pieces, repr=False)

    def replace(self, sections: Mapping[int, Section]) -> Config:
        """
        Return this configuration with other sections at some places.

        The result remembers these places, so comparing it with this configuration costs only the changed sections.

        :param sections: index in `sections` to the new section.
        """
        origin = self._token, frozenset(sections)
        return Config(self.sections.replace(sections), self.maps, origin, self._pieces)

    def places_that_differ(self, other: Config) -> Iterable[int] | None:
        """Return the places that `replace` changed if this configuration was made from `other`; else None."""
        if self._origin is None or self._origin[0] is not other._token:
            return None
        return sorted(self._origin[1])

    @property
    def template(self) -> str:
        """The text with the placeholder `DIRECTORY`: equal for equal configurations, independent of the path."""
        return "".join(self._pieces.of(self.sections))

    def text(self, directory: str) -> str:
        """
        Return the text of haproxy.cfg.

        :param directory: the absolute path of the map files' directory.
        """
        return "".join(self.parts(directory))

    def parts(self, directory: str) -> tuple[str, ...]:
        """Return the text of haproxy.cfg in parts of whole sections, ready to be written without joining them."""
        pieces = self._pieces.of(self.sections)
        return tuple(piece.replace(DIRECTORY, directory) if DIRECTORY in piece else piece for piece in pieces)

    def map_texts(self) -> dict[str, str]:
        """Return the text of each map file, by file name."""
        return {name: self._pieces.of_map(name, entries) for name, entries in self.maps.items()}

    def locate(self, line: int) -> tuple[Section, Chunk] | None:
        """Return the section and the chunk of a line, counted from 1; None past the end."""
        place = self.place(line)
        return None if place is None else place[:2]

    def place(self, line: int) -> tuple[Section, Chunk, int] | None:
        """Return the section and the chunk of a line, and its number in the owner's text; both counted from 1."""
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
