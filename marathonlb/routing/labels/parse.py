"""Parse the labels of an app into checked values and problems."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from attrs import Factory, field, frozen

from marathonlb.base import limits
from marathonlb.marathon.model import App
from marathonlb.problem_kinds.apps import LABEL_LIMIT, LABEL_UNKNOWN, LABEL_VALUE
from marathonlb.routing.labels.label import Label
from marathonlb.routing.labels.table import LABELS
from marathonlb.routing.problems import Problem

PER_PORT: Mapping[str, Label] = {label.name: label for label in LABELS if label.per_port}
PER_APP: Mapping[str, Label] = {label.name: label for label in LABELS if not label.per_port}

OPERATORS = frozenset(
    "HEAD HTTP_FRONTEND_HEAD HTTP_FRONTEND_APPID_HEAD HTTPS_FRONTEND_HEAD HTTPS_GROUPED_FRONTEND_HEAD"
    " HTTPS_GROUPED_VHOST_FRONTEND_HEAD HTTPS_GROUPED_VHOST_BACKEND_HEAD HTTPS_GROUPED_VHOST_FRONTEND_ACL"
    " HTTP_BACKEND_ACL_ALLOW_DENY TCP_BACKEND_ACL_ALLOW_DENY".split()
)
"""Templates that hold for all services; no label overrides them."""

_INDEXED = re.compile(r"HAPROXY_(0|[1-9][0-9]{0,8})_(.+)", re.ASCII | re.DOTALL)
_SEPARATOR = re.compile(r"[,\s]+")
_TRIPLE = re.compile(r"[^:\n]+:(?!//)[^:\s]+:[^\s:]+", re.ASCII)
"""``realm:user:password``, whatever the label's name."""

_SECRET = re.compile(r"AUTH|PASSW|SECRET|TOKEN|CREDENTIAL", re.IGNORECASE)


@frozen
class PortLabels:
    """
    The parsed labels of one port.

    :param values: checked values by the label's name; absent labels are missing.
    :param templates: overrides by the template's name.
    """

    values: Mapping[str, Any] = Factory(dict)
    templates: Mapping[str, str] = Factory(dict)
    problems: tuple[Problem, ...] = ()

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a label of `LABELS`; the default if it is absent."""
        return self.values.get(name, default)


NOTHING = PortLabels()


@frozen
class AppLabels:
    """
    The parsed labels of one app; ports without labels are `NOTHING`.

    :param values: checked values of the labels for the whole app, by the label's name.
    """

    groups: tuple[str, ...] = ()
    ports: Mapping[int, PortLabels] = field(factory=dict)
    problems: tuple[Problem, ...] = ()
    values: Mapping[str, Any] = field(factory=dict)

    def port(self, index: int) -> PortLabels:
        """Return the labels of one port."""
        return self.ports.get(index, NOTHING)


def parse_labels(app: App, template_names: frozenset[str]) -> AppLabels:
    """
    Parse an app's labels.

    ``HTTP_BACKEND_REDIR`` is the name of a label and of a template: text that begins with ``/``, and a single word, is
    the label's path, since neither is a line for HAProxy.

    :param template_names: the templates that a label can override.
    """
    known, unknown = _separate(app, template_names)
    held = sum(limits.size(app.labels[name]) for _, name, _ in known)
    if held > limits.TEXT:
        reason = f"hold {held} bytes, and the maximum is {limits.TEXT}; nothing of this app is served"
        return AppLabels(problems=(Problem(app.id, None, "HAPROXY_…", "", reason, kind=LABEL_LIMIT),))
    reader = _LabelParser(app, template_names)
    for index, name, stem in known[: limits.LABELS]:
        reader.read(index, name, stem)
    unread = {index for index, _, _ in known[limits.LABELS :]}
    for index in sorted(index for index in unread if index < len(app.ports)):
        reason = f"is one of {len(known)} labels, of which {limits.LABELS} are read; this port is not served"
        reader.of_port(index)[2].append(
            Problem(app.id, index, f"HAPROXY_{index}_…", "", reason, kind=LABEL_LIMIT)
        )
    for number, (port, name) in enumerate(unknown[: limits.UNKNOWN]):
        compared = template_names if number < limits.HINTS else None
        problem = _unknown(app, port, name, app.labels[name], compared)
        (reader.problems if port is None else reader.of_port(port)[2]).append(problem)
    if len(unknown) > limits.UNKNOWN:
        names = ", ".join(limits.shortened(name, 64) for _, name in unknown[limits.UNKNOWN :][:5])
        more = len(unknown) - limits.UNKNOWN
        reason = f"{more} more unknown labels are ignored: {names}{', …' if more > 5 else ''}"
        reader.problems.append(
            Problem(app.id, None, "HAPROXY_…", "", reason, fatal=False, kind=LABEL_UNKNOWN)
        )
    ports = {index: PortLabels(*parts[:2], tuple(parts[2])) for index, parts in reader.ports.items()}
    general = reader.general
    return AppLabels(general.get("GROUP") or (), ports, tuple(reader.problems), general)


def _separate(
    app: App, template_names: frozenset[str]
) -> tuple[list[tuple[int, str, str]], list[tuple[int | None, str]]]:
    """
    Separate the known labels, those of the whole app first and then by port, from the unknown ones.

    :return: the index (-1 for the whole app), the name and the stem of each known label; then the index and the name of
        each unknown one.
    """
    known: list[tuple[int, str, str]] = []
    unknown: list[tuple[int | None, str]] = []
    for name in sorted(app.labels):
        indexed = _INDEXED.fullmatch(name) if len(name) <= limits.WORD else None
        if indexed is None:
            stem = name.removeprefix("HAPROXY_")
            if stem in PER_APP:
                known.append((-1, name, stem))
            else:
                unknown.append((None, name))
            continue
        index = int(indexed[1])
        if indexed[2] in PER_PORT or indexed[2] in template_names:
            known.append((index, name, indexed[2]))
        else:
            unknown.append((index, name))
    known.sort()
    return known, unknown


class _LabelParser:
    """Parses the labels of one app, and counts the items of its lists."""

    def __init__(self, app: App, template_names: frozenset[str]) -> None:
        self.general: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self.ports: dict[int, tuple[dict[str, Any], dict[str, str], list[Problem]]] = {}
        self._app = app
        self._template_names = template_names
        self._items: Counter[str] = Counter()

    def of_port(self, index: int) -> tuple[dict[str, Any], dict[str, str], list[Problem]]:
        """Return the values, the templates and the problems of a port."""
        return self.ports.setdefault(index, ({}, {}, []))

    def read(self, index: int, name: str, stem: str) -> None:
        """Parse a known label; the index is -1 for one of the whole app."""
        text = self._app.labels[name]
        if index < 0:
            self.general[stem] = self._value(None, name, PER_APP[stem], text, self.problems)
            return
        checked, templates, own = self.of_port(index)
        row = PER_PORT.get(stem)
        is_text = (
            stem in self._template_names
            and (len(text.split()) > 1 or _is_false(text))
            and text.lstrip()[0] != "/"
        )
        if row is not None and not row.template and not is_text:
            value = self._value(index, name, row, text, own)
            if value is not None:
                checked[stem] = value
        else:
            _template(self._app, index, name, text, templates, own)

    def _value(self, index: int | None, name: str, row: Label, text: str, problems: list[Problem]) -> Any:
        try:
            limits.within(text, row.most)
            if row.items is not None:
                self._count(row.name, text, row.items)
            return row.parse(text)
        except ValueError as error:
            shown = "***" if row.secret else text
            problems.append(Problem(self._app.id, index, name, shown, str(error), kind=LABEL_VALUE))
            return None

    def _count(self, name: str, text: str, most: int) -> None:
        """Count the items of a list before they are parsed. Raises `ValueError` if the app has too many."""
        items = _SEPARATOR.split(text)
        count = len(items)
        if name == "VHOST" and not text.isascii():
            count += sum(limits.FOREIGN - 1 for item in items if not item.isascii())
        if self._items[name] + count > most:
            raise ValueError(f"is too long: an app has {most} items in all its labels {name} at most")
        self._items[name] += count


def _template(
    app: App, index: int, name: str, text: str, templates: dict[str, str], problems: list[Problem]
) -> None:
    """Take a template's text; ``false``, which is no line of HAProxy's, switches the template off like empty text."""
    if limits.size(text) > limits.LABEL:
        reason = f"holds {limits.size(text)} bytes; the maximum is {limits.LABEL}"
        problems.append(Problem(app.id, index, name, text, reason, kind=LABEL_VALUE))
        return
    if "\0" in text or "\r" in text.replace("\r\n", "\n"):
        reason = "holds a control character that HAProxy does not take"
        problems.append(Problem(app.id, index, name, text, reason, kind=LABEL_VALUE))
        return
    text = text.replace("\r\n", "\n")
    templates[name.split("_", 2)[2]] = "" if _is_false(text) else text


def _is_false(text: str) -> bool:
    return text.strip().lower() == "false"


def _unknown(
    app: App, index: int | None, name: str, text: str, template_names: frozenset[str] | None
) -> Problem:
    """
    Return the problem of an unknown label.

    :param template_names: the templates that a label can override; None compares the name with none, and hides the
        value, which may be a secret under a misspelt name.
    """
    stem = re.sub(r"^HAPROXY_(\d+_)?", "", name, flags=re.ASCII)
    name, text = limits.shortened(name, limits.WORD), text[: limits.LABEL]
    near = _nearest(stem[:64].upper(), template_names) if template_names is not None else None
    if stem in OPERATORS:
        reason = (
            f"is ignored: HAPROXY_{stem} holds for all services, and its text is the operator's (--templates)"
        )
    elif name == f"HAPROXY_{near}":
        reason = f"has no index and is ignored; HAPROXY_0_{stem} is the label of the first port"
    else:
        hint = f"; the nearest known name is {_full_name(index, near, name)}" if near else ""
        reason = f"is no label of the load balancer and is ignored{hint}"
    secret = near == "AUTH" or template_names is None or _SECRET.search(stem) or _TRIPLE.fullmatch(text)
    shown = "***" if secret else text
    return Problem(app.id, index, name, shown, reason, fatal=False, kind=LABEL_UNKNOWN)


def _full_name(index: int | None, stem: str, name: str) -> str:
    """Return a known label's name, with the index of the misspelt name if the label has an index."""
    if stem in PER_APP and (index is None or stem not in PER_PORT):
        return f"HAPROXY_{stem}"
    number = re.match(r"HAPROXY_(\d+)_", name, re.ASCII)
    return f"HAPROXY_{int(number[1]) if number else '{n}'}_{stem}"


@lru_cache(maxsize=1000)
def _nearest(stem: str, template_names: frozenset[str]) -> str | None:
    known = sorted({*PER_PORT, *PER_APP, *template_names})
    near = get_close_matches(stem, known, 1)
    return near[0] if near else None
