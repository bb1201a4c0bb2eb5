"""Check lines about health checks: they may concern their own service only."""

from __future__ import annotations

import re
from collections.abc import Sequence

from marathonlb.routing.lines.expressions import require, shown, value, variable

_PATH = variable("healthCheckPath")

_SENT = {"meth": 1, "uri": 1, "uri-lf": 1, "ver": 1, "body": 1, "body-lf": 1, "comment": 1, "hdr": 2}
"""Words of ``http-check send``, with the number of arguments of each."""

_EXPECTED = {
    "min-recv": 1,
    "comment": 1,
    "ok-status": 1,
    "error-status": 1,
    "tout-status": 1,
    "on-success": 1,
    "on-error": 1,
    "status-code": 1,
    "!": 0,
    "status": 1,
    "string": 1,
}
"""
Allowed words of ``http-check expect``, with the number of arguments of each.

Regular expressions are not allowed: the service's own task could answer so that matching takes long.
"""

_BREAKS = re.compile(r"[\r\n\t]")


def httpchk(words: Sequence[str]) -> None:
    """
    Check the words after ``option httpchk``.

    HAProxy expands nothing in the method and the path, but in headers after the version, which may hold line breaks.
    """
    for place, word in enumerate(words):
        value(_BREAKS.sub("", word.replace(_PATH, "") if place < 2 else word))


def http_check(words: Sequence[str]) -> None:
    """Check the words after ``http-check``."""
    kind, rest = (words[0] if words else ""), words[1:]
    if kind == "send":
        _take(rest, _SENT, kind)
    elif kind == "expect":
        _take(rest, _EXPECTED, kind)
    else:
        require(kind in ("disable-on-404", "send-state") and not rest, "http-check takes send or expect")


def _take(words: Sequence[str], table: dict[str, int], kind: str) -> None:
    here = 0
    while here < len(words):
        word = words[here]
        require(word in table, f"{shown(word)} is not among the words of http-check {kind} that are allowed")
        arguments = words[here + 1 : here + 1 + table[word]]
        require(len(arguments) == table[word], f"{word} lacks its argument")
        for argument in arguments:
            value(argument.replace(_PATH, "") if word == "uri" else argument)
        here += 1 + len(arguments)
