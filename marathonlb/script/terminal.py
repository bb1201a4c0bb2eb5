"""
Where the script's words go: plain into files and pipes, with colours and signs of progress on a terminal.

A terminal obeys what it is sent, and that may come out of somebody's label: there, nothing but letters and our own
colours are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import IO, Any

from attrs import frozen

from marathonlb.figures import visible
from marathonlb.redaction import masked

CLEAR = "\r\x1b[K"
"""Empties the line on a terminal."""

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1"}
_PAINTED = re.compile(rf"(\x1b\[(?:0|{'|'.join(_COLOURS.values())})m)")


def harmless(text: str) -> str:
    """A text for a terminal: whatever it could obey is written out, but for `Paint`'s colours."""
    return "".join(part if n % 2 else visible(part) for n, part in enumerate(_PAINTED.split(text)))


class Screen:
    """
    Standard output.

    :param paints: whether `Paint` writes colours to it.
    """

    def __init__(self, stream: IO[str], *, paints: bool) -> None:
        self._stream = stream
        self._written_as = harmless if paints else visible

    def write(self, text: str) -> int:
        """Write what is `harmless`, also into a file or a pipe: it may be shown on a terminal later."""
        return self._stream.write(self._written_as(text))

    def flush(self) -> None:
        """Pass on what is buffered."""
        self._stream.flush()


@frozen
class Paint:
    """
    Colours.

    :param on: whether there are any.
    """

    on: bool = False

    def __call__(self, text: str, colour: str) -> str:
        """The text in a colour: ``red``, ``green``, ``yellow``, ``cyan`` or ``bold``."""
        text = visible(text)
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self.on and text else text


class ErrorStream:
    """
    Standard error with a line at its end that comes and goes.

    What is written for good goes before that line, so a log and the progress do not run into each other.

    :param stream: the real one.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._shown = False

    def write(self, text: str) -> int:
        """Write for good."""
        self.hide()
        return self._stream.write(visible(text))

    def flush(self) -> None:
        """Pass on what is buffered."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Whether somebody looks at it."""
        return self._stream.isatty()

    def show(self, text: str) -> None:
        """Have this as the line that comes and goes."""
        self._shown = True
        self._stream.write(f"{CLEAR}{text}")
        self._stream.flush()

    def hide(self) -> None:
        """Have no such line."""
        if self._shown:
            self._shown = False
            self._stream.write(CLEAR)
            self._stream.flush()


@frozen
class Terminal:
    """
    The script's two streams.

    :param paint: colours for `out`.
    :param watched: whether somebody looks at `err`, so that progress is worth showing.
    :param file: standard output where it is no terminal: what is written there can be used, to the letter.
    """

    out: Any
    err: Any
    paint: Paint = Paint()
    watched: bool = False
    file: Any = None

    def show_file(self, text: str) -> None:
        """Write the text of a file: as it is into a file or a pipe, without passwords on a terminal."""
        if self.file is None:
            self.out.write(masked(text))
        else:
            self.file.write(text)

    @classmethod
    def of(cls, out: IO[str], err: IO[str], environ: Mapping[str, str]) -> Terminal:
        """
        What the streams allow.

        There are colours where the output is a terminal, ``NO_COLOR`` is empty or absent, and ``TERM`` is not ``dumb``.
        """
        able = environ.get("TERM") != "dumb"
        colours = able and out.isatty() and not environ.get("NO_COLOR")
        file = None if out.isatty() else out
        return cls(Screen(out, paints=colours), ErrorStream(err), Paint(colours), able and err.isatty(), file)
