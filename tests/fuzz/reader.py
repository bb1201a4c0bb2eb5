"""
Reading the written files the way HAProxy does, byte by byte, without asking who wrote what.

HAProxy reads a map file in pieces of one byte less than its buffer; of a configuration it reads lines of any length,
cuts them into words, and takes at most 64 of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import Factory, frozen

PIECE = 16_383
"""Bytes of a map file that HAProxy takes for a line at most (``tune.bufsize`` less one)."""

MAX_WORDS = 64
"""Words of a line; HAProxy refuses more."""

SECTIONS = frozenset(
    "backend cache crt-store defaults fcgi-app frontend global http-errors listen log-forward log-profile mailers peers"
    " program resolvers ring traces userlist".split()
)


class UnreadableError(Exception):
    """HAProxy would refuse the line, or this reader does not know what it does with it."""


@frozen
class Section:
    """A section as HAProxy sees it: the words of its lines, the opening one left out."""

    kind: str
    name: str
    lines: tuple[tuple[str, ...], ...]

    def of(self, *first: str) -> Iterator[tuple[str, ...]]:
        """The rest of the lines that begin with these words."""
        for line in self.lines:
            if line[: len(first)] == first:
                yield line[len(first) :]


@frozen
class Written:
    """
    A configuration and its maps, as HAProxy reads them.

    :param refused: the first line that HAProxy refuses: too many words, or a quote left open; None where it takes all.
    """

    sections: tuple[Section, ...]
    maps: Mapping[str, tuple[tuple[str, str], ...]] = Factory(dict)
    refused: int | None = None

    def named(self, kind: str) -> dict[str, list[Section]]:
        """The sections of a kind by name; two of one name are a fault that the judge looks for."""
        found: dict[str, list[Section]] = {}
        for section in self.sections:
            if section.kind == kind:
                found.setdefault(section.name, []).append(section)
        return found


def read(text: str, maps: Mapping[str, str]) -> Written:
    """
    The configuration that HAProxy makes of these files.

    :param maps: the text of each map file by its name.
    """
    lines: list[list[str]] = []
    refused = None
    for number, line in enumerate(text.split("\n"), 1):
        try:
            found = words(line)
        except UnreadableError:
            found = [""] * (MAX_WORDS + 1)
        if len(found) > MAX_WORDS and refused is None:
            refused = number
        lines.append(found)
    read_maps = {name: tuple(entries(each)) for name, each in maps.items()}
    return Written(tuple(_sections(lines)), read_maps, refused)


def entries(text: str, piece: int = PIECE) -> Iterator[tuple[str, str]]:
    """The entries of a map file, in the pieces that HAProxy reads it in."""
    data = text.encode()
    here = 0
    while here < len(data):
        end = data.find(b"\n", here, here + piece)
        end = min(here + piece, len(data)) if end < 0 else end + 1
        line, here = data[here:end].decode("utf-8", "replace").strip(" \t\r\n"), end
        if not line or line.startswith("#"):
            continue
        key, _, value = line.replace("\t", " ").partition(" ")
        yield key, value.strip()


def _sections(text: Iterable[Sequence[str]]) -> Iterator[Section]:
    kind, name, lines = "", "", list[tuple[str, ...]]()
    for found in text:
        if not found:
            continue
        if found[0] in SECTIONS:
            if kind:
                yield Section(kind, name, tuple(lines))
            kind, name, lines = found[0], found[1] if len(found) > 1 else "", []
            if len(found) > 2:
                lines.append(tuple(found[2:]))
        else:
            lines.append(tuple(found))
    if kind:
        yield Section(kind, name, tuple(lines))


def words(line: str) -> list[str]:
    """The words of a line: quotes and backslashes resolved, a comment left out (manual, 2.2)."""
    found: list[str] = []
    word: list[str] | None = None
    quote, index = "", 0
    while index < len(line):
        letter = line[index]
        index += 1
        if not quote and (letter in " \t\r\v\f" or letter == "#"):
            if word is not None:
                found.append("".join(word))
            word = None
            if letter == "#":
                break
            continue
        word = [] if word is None else word
        if letter == "\\" and quote != "'":
            if index >= len(line):
                raise UnreadableError(f"a backslash at the end: {line[:200]}")
            word.append(_escaped(line[index], quote))
            index += 1
        elif letter == quote:
            quote = ""
        elif letter in "\"'" and not quote:
            quote = letter
        elif letter == "$" and quote == '"':
            word.append("\0environment\0")  # whatever it is, no value of a label may read it
        else:
            word.append(letter)
    if quote:
        raise UnreadableError(f"a quote is left open: {line[:200]}")
    return found if word is None else [*found, "".join(word)]


def _escaped(letter: str, quote: str) -> str:
    if quote and letter not in "\\\"'$# ":
        return f"\\{letter}"
    return {"n": "\n", "r": "\r", "t": "\t"}.get(letter, letter)


def balanced(section: Sequence[tuple[str, ...]]) -> bool:
    """Whether no word of these lines was read from the environment."""
    return not any("\0environment\0" in word for line in section for word in line)
