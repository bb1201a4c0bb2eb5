"""A terminal in memory."""

from __future__ import annotations

from io import StringIO


class Screen(StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True
