"""
The streams of the script: plain text for files and pipes, colours and progress for a terminal.

A terminal obeys escape sequences, and an app's label may contain some. So only printable characters and the colours of
`Paint` are written to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import IO, Any

from msgspec import Struct

from marathonlb.base.figures import visible
from marathonlb.base.redaction import masked

CLEAR = "\r\x1b[K"
"""The sequence that empties the line on a terminal."""

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1"}
_PAINTED = re.compile(rf"(\x1b\[(?:0|{'|'.join(_COLOURS.values())})m)")


def harmless(text: str) -> str:
    """Return a text for a terminal with escapes for all control characters, except `Paint`'s colours."""
    return "".join(part if n % 2 else visible(part) for n, part in enumerate(_PAINTED.split(text)))


class Screen:
    """
    Standard output.

    :param paints: True if `Paint` writes colours to it.
    """

    def __init__(self, stream: IO[str], *, paints: bool) -> None:
        self._stream = stream
        self._written_as = harmless if paints else visible

    def write(self, text: str) -> int:
        """Write a text as `harmless` returns it, also to a file or a pipe, which may be shown on a terminal later."""
        return self._stream.write(self._written_as(text))

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()


class Paint(Struct, frozen=True):
    """
    Adds colours to text.

    :param on: False to add none.
    """

    on: bool = False

    def __call__(self, text: str, colour: str) -> str:
        """Return the text in a colour: ``red``, ``green``, ``yellow``, ``cyan`` or ``bold``."""
        text = visible(text)
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self.on and text else text


class ErrorStream:
    """
    Standard error with a temporary line at its end.

    Permanent text is written before that line, so that the log and the progress do not mix.

    :param stream: the real stream.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._shown = False

    def write(self, text: str) -> int:
        """Write permanent text."""
        self.hide()
        return self._stream.write(visible(text))

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return self._stream.isatty()

    def show(self, text: str) -> None:
        """Show this as the temporary line."""
        self._shown = True
        self._stream.write(f"{CLEAR}{text}")
        self._stream.flush()

    def hide(self) -> None:
        """Remove the temporary line."""
        if self._shown:
            self._shown = False
            self._stream.write(CLEAR)
            self._stream.flush()


class Terminal(Struct, frozen=True):
    """
    The script's two streams.

    :param paint: colours for `out`.
    :param watched: True if `err` is a terminal, so that progress is shown.
    :param file: standard output if it is no terminal: texts are written to it unchanged, so that they can be used.
    """

    out: Any
    err: Any
    paint: Paint = Paint()
    watched: bool = False
    file: Any = None

    def show_file(self, text: str) -> None:
        """Write the text of a file: unchanged to a file or a pipe, without passwords to a terminal."""
        if self.file is None:
            self.out.write(masked(text))
        else:
            self.file.write(text)

    @classmethod
    def of(cls, out: IO[str], err: IO[str], environ: Mapping[str, str]) -> Terminal:
        """
        Return the terminal for these streams.

        There are colours if the output is a terminal, ``NO_COLOR`` is empty or absent, and ``TERM`` is not ``dumb``.
        """
        able = environ.get("TERM") != "dumb"
        colours = able and out.isatty() and not environ.get("NO_COLOR")
        file = None if out.isatty() else out
        return cls(Screen(out, paints=colours), ErrorStream(err), Paint(colours), able and err.isatty(), file)
