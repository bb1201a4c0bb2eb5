"""Splits a line of HAProxy's configuration into words. Pure."""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"[\\\"'#]")
_TOKEN = re.compile(
    r"(?P<blank>\s+)"
    r"|(?P<comment>\#)"
    r"|'(?P<single>[^']*)(?P<single_end>'?)"
    r"|\"(?P<double>(?:[^\"\\]|\\.?)*)(?P<double_end>\"?)"
    r"|\\(?P<escape>x.{0,2}|.?)"
    r"|(?P<plain>[^\s#'\"\\]+)",
    re.DOTALL,
)
"""One token of a line; consecutive tokens other than blanks form a word."""

_ESCAPE_IN_QUOTES = re.compile(r"\\([\\\"$]|\Z)")
_VARIABLE_IN_QUOTES = re.compile(r"(?:[^\\$]|\\.)*\$", re.DOTALL)
_HEXADECIMAL = re.compile(r"x[0-9A-Fa-f]{2}")
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n"}


def split_words(line: str) -> tuple[list[str], str]:
    """
    Split a line into words as HAProxy's parser does: quotes and backslashes resolved, the comment left out.

    :return: the words, and why only HAProxy can know them (an environment variable, an open quote); else empty.
    """
    if not _SPECIAL.search(line):
        return line.split(), ""
    words: list[str] = []
    word: str | None = None
    problem = ""
    for token in _TOKEN.finditer(line):
        kind = token.lastgroup
        if kind == "comment":
            break
        if kind == "blank":
            if word is not None:
                words.append(word)
            word = None
        elif kind == "plain":
            word = (word or "") + token[0]
        else:
            word = (word or "") + _text(token)
            problem = _problem(token) or problem
    if word is not None:
        words.append(word)
    return words, problem


def _text(token: re.Match[str]) -> str:
    """Return the characters that a quoted or escaped token adds to its word."""
    if token["double"] is not None:
        return _ESCAPE_IN_QUOTES.sub(r"\1", token["double"])
    if token["escape"] is not None:
        escape = token["escape"]
        if escape[:1] == "x":
            return chr(int(escape[1:], 16)) if _HEXADECIMAL.fullmatch(escape) else f"\\{escape}"
        return _ESCAPES.get(escape, escape)
    return token["single"]


def _problem(token: re.Match[str]) -> str:
    """Return why a token's text is unknown; an open quote is always a line's last token."""
    if token["single_end"] == "" or token["double_end"] == "":
        return "has a quote that does not end"
    if token["double"] is not None and _VARIABLE_IN_QUOTES.match(token["double"]):
        return "names an environment variable"
    return ""
