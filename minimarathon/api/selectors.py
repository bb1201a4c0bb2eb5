"""Marathon's label selectors: ``a``, ``a==x``, ``a!=x``, ``a in (x, y)``, ``a notin (x, y)``, separated by commas."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from minimarathon.errors import Refused

Selector = Callable[[Mapping[str, str]], bool]

_NAME = r"(?:\\.|[-A-Za-z0-9_.])+"
_ONE = re.compile(
    rf"\s*(?P<label>{_NAME})\s*"
    rf"(?:(?P<same>==|!=)\s*(?P<value>{_NAME})|(?P<set>notin|in)\s*\((?P<values>(?:\\.|[^()])*)\))?\s*(?:,|$)"
)


def parse_selector(text: str) -> Selector:
    """
    Return a function that returns whether an app's labels match.

    :raise Refused: 400 if the text is not a selector.
    """
    tests: list[Selector] = []
    position = 0
    while position < len(text):
        match = _ONE.match(text, position)
        if match is None:
            raise Refused(400, f"Can not parse label selector {text!r} at {text[position:]!r}")
        tests.append(_test(match))
        position = match.end()
    return lambda labels: all(test(labels) for test in tests)


def _test(match: re.Match[str]) -> Selector:
    label = _unescaped(match["label"])
    if match["same"]:
        value, equal = _unescaped(match["value"]), match["same"] == "=="
        return lambda labels: label in labels and (labels[label] == value) is equal
    if match["set"]:
        values = {_unescaped(value.strip()) for value in match["values"].split(",")}
        inside = match["set"] == "in"
        return lambda labels: label in labels and (labels[label] in values) is inside
    return lambda labels: label in labels


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
