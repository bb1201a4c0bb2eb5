"""Marathon's label selectors: ``a``, ``a==x``, ``a!=x``, ``a in (x, y)``, ``a notin (x, y)``, joined by commas."""

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
    Return a function that tells whether an app's labels match.

    :raise Refused: 400 where the text is no selector.
    """
    tests: list[Selector] = []
    at = 0
    while at < len(text):
        found = _ONE.match(text, at)
        if found is None:
            raise Refused(400, f"Can not parse label selector {text!r} at {text[at:]!r}")
        tests.append(_test(found))
        at = found.end()
    return lambda labels: all(test(labels) for test in tests)


def _test(found: re.Match[str]) -> Selector:
    label = _plain(found["label"])
    if found["same"]:
        value, equal = _plain(found["value"]), found["same"] == "=="
        return lambda labels: label in labels and (labels[label] == value) is equal
    if found["set"]:
        values = {_plain(one.strip()) for one in found["values"].split(",")}
        inside = found["set"] == "in"
        return lambda labels: label in labels and (labels[label] in values) is inside
    return lambda labels: label in labels


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
