"""
Split a line of HAProxy's configuration into words, as HAProxy does (``parse_line`` in its ``src/tools.c``). Pure.

Backslashes escape a blank, ``\\``, ``#``, quotes, ``n``, ``r``, ``t`` and ``xHH``, and ``$`` in double quotes; before
any other character they stay. Single quotes keep everything. A ``#`` outside quotes begins a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

_SPECIAL = re.compile(r"[\\\"'#\x1c-\x1f]|[^\x00-\x7f]")
"""Characters that `str.split` does not treat as HAProxy does; to HAProxy only ASCII blanks separate words."""

_TOKEN = re.compile(
    r"(?P<blank>[ \t\n\v\f\r]+)"
    r"|(?P<comment>\#)"
    r"|'(?P<single>[^']*)(?P<single_end>'?)"
    r"|\"(?P<double>(?:[^\"\\]|\\.?)*)(?P<double_end>\"?)"
    r"|(?P<escape>\\(?:x[0-9A-Fa-f]{2}|.?))"
    r"|(?P<plain>[^ \t\n\v\f\r#'\"\\]+)",
    re.DOTALL,
)
"""One token of a line; consecutive tokens other than blanks form a word."""

_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|.?)", re.DOTALL)
_VARIABLE_IN_QUOTES = re.compile(r"(?:[^\\$]|\\.)*\$", re.DOTALL)
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n"}
_THEMSELVES = frozenset(" \\#\"'")


class WordProblem(Enum):
    """Why only HAProxy can know the words of a line, or refuses the line; the value continues "the line"."""

    OPEN_QUOTE = "has a quote that does not end"
    VARIABLE = "names an environment variable"
    ESCAPE = "has a backslash at its end, or an incomplete \\x"


def split_words(line: str) -> tuple[list[str], WordProblem | None]:
    """
    Split a line into words: quotes and escapes resolved, the comment left out.

    :return: the words, and why they may not be those that HAProxy reads; None if they are.
    """
    if not _SPECIAL.search(line):
        return line.split(), None
    words: list[str] = []
    word: str | None = None
    problem: WordProblem | None = None
    for token in _tokens(line):
        if token["blank"] is None:
            word = (word or "") + _text(token)
            problem = _problem(token) or problem
        elif word is not None:
            words.append(word)
            word = None
    if word is not None:
        words.append(word)
    return words, problem


def quoted_parts(line: str) -> Iterator[str]:
    """Return the text inside the quotes of a line, without the quotes."""
    for token in _tokens(line):
        quoted = token["single"] if token["double"] is None else token["double"]
        if quoted is not None:
            yield quoted


def has_code_escape(line: str) -> bool:
    """Return True if a character of a line is written by its code (``\\x41``)."""
    texts = (token["double"] or token["escape"] or "" for token in _tokens(line))
    return any(found[1][:1] == "x" for text in texts for found in _ESCAPE.finditer(text))


def _tokens(line: str) -> Iterator[re.Match[str]]:
    """Return the tokens of a line up to its comment."""
    for token in _TOKEN.finditer(line):
        if token["comment"] is not None:
            return
        yield token


def _text(token: re.Match[str]) -> str:
    """Return the characters that a token adds to its word."""
    if token["plain"] is not None:
        return token["plain"]
    if token["single"] is not None:
        return token["single"]
    if token["double"] is not None:
        return _ESCAPE.sub(lambda found: _character(found[1], in_quotes=True), token["double"])
    return _character(token["escape"][1:], in_quotes=False)


def _character(escape: str, *, in_quotes: bool) -> str:
    """Return the character that a backslash and these characters stand for."""
    if len(escape) == 3:
        return chr(int(escape[1:], 16))
    if escape in _THEMSELVES or (escape == "$" and in_quotes):
        return escape
    return _ESCAPES.get(escape, f"\\{escape}")


def _problem(token: re.Match[str]) -> WordProblem | None:
    """Return why a token's text is not known; an open quote is always the last token of a line."""
    if token["single_end"] == "" or token["double_end"] == "":
        return WordProblem.OPEN_QUOTE
    if token["double"] is not None and _VARIABLE_IN_QUOTES.match(token["double"]):
        return WordProblem.VARIABLE
    escaped = token["double"] or token["escape"] or ""
    if any(found[1] in ("", "x") for found in _ESCAPE.finditer(escaped)):
        return WordProblem.ESCAPE
    return None
