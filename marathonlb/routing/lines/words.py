"""The words of a line as HAProxy cuts them, as far as a line that is looked at before may hold them. Pure."""

from __future__ import annotations

import re

from marathonlb.routing.lines.expressions import CLOSE, OPEN, OWNERS_TEXT, require

_OWNERS = re.compile(f"(?:{'|'.join(sorted(OWNERS_TEXT))}){CLOSE}")
"""A variable behind its first mark whose value is written as a word that stands in no quotes."""


def words_of(line: str) -> list[str]:
    """Return the words of a line as HAProxy cuts them: quotes and backslashes resolved, a comment left out."""
    words: list[str] = []
    word: list[str] | None = None
    quote, index = "", 0
    while index < len(line):
        letter = line[index]
        index += 1
        if not quote and letter in " \t#":
            if word is not None:
                words.append("".join(word))
            word = None
            if letter == "#":
                break
            continue
        word = [] if word is None else word
        if letter == "\\" and quote != "'":
            require(
                index < len(line) and line[index] != "x", "a backslash at the end, or \\x, is not allowed"
            )
            word.append(_escaped(line[index], quote))
            index += 1
        elif letter == quote:
            quote = ""
        elif letter in "\"'" and not quote:
            quote = letter
        else:
            require(letter != "$" or quote != '"', "variables of the environment are not allowed")
            require(
                letter != OPEN or not quote or not _OWNERS.match(line, index), "it has a variable in quotes"
            )
            word.append(letter)
    require(not quote, "a quote is left open")
    return words if word is None else [*words, "".join(word)]


def _escaped(letter: str, quote: str) -> str:
    """Return what a backslash and this letter stand for; HAProxy leaves the backslash where it means nothing."""
    if letter in "\\\"'# " or (letter == "$" and quote):
        return letter
    return {"n": "\n", "r": "\r", "t": "\t"}.get(letter, f"\\{letter}")
