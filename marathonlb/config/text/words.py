"""The words of a line of HAProxy's configuration. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

_QUOTING = re.compile(r"[\\\"'#]")
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{2}")
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n"}


def split_words(line: str) -> tuple[list[str], str]:
    """
    A line as HAProxy's parser sees it: words, with quotes and backslashes undone and the comment left out.

    :return: the words, and what in them can only be known by HAProxy (an environment variable).
    """
    if not _QUOTING.search(line):
        return line.split(), ""
    words: list[str] = []
    word: list[str] | None = None
    quote = problem = ""
    characters = iter(line)
    for character in characters:
        if character == "\\" and quote != "'":
            word = word if word is not None else []
            word.append(_escaped(characters, quote))
        elif quote:
            if character == quote:
                quote = ""
                continue
            if character == "$" and quote == '"':
                problem = "names an environment variable"
            assert word is not None
            word.append(character)
        elif character in "\"'":
            quote, word = character, word if word is not None else []
        elif character == "#":
            break
        elif character.isspace():
            if word is not None:
                words.append("".join(word))
            word = None
        else:
            word = word if word is not None else []
            word.append(character)
    if word is not None:
        words.append("".join(word))
    return words, "has a quote that does not end" if quote else problem


def _escaped(characters: Iterator[str], quote: str) -> str:
    """What a backslash and the character after it stand for."""
    following = next(characters, "")
    if quote == '"' and following not in '\\"$':
        return "\\" + following
    if following == "x" and not quote:
        digits = next(characters, "") + next(characters, "")
        return chr(int(digits, 16)) if _HEXADECIMAL.fullmatch(digits) else f"\\x{digits}"
    return following if quote else _ESCAPES.get(following, following)
