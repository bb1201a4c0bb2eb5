"""
The labels of an app: which values they hold, and what is wrong with them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from attrs import Factory, field, frozen

from marathonlb.marathon.model import App
from marathonlb.routing.labeltable import LABELS, Label
from marathonlb.routing.problems import Problem

PER_PORT: Mapping[str, Label] = {label.name: label for label in LABELS if label.per_port}
PER_APP: Mapping[str, Label] = {label.name: label for label in LABELS if not label.per_port}

OPERATORS = frozenset(
    "HEAD HTTP_FRONTEND_HEAD HTTP_FRONTEND_APPID_HEAD HTTPS_FRONTEND_HEAD HTTPS_GROUPED_FRONTEND_HEAD"
    " HTTPS_GROUPED_VHOST_FRONTEND_HEAD HTTPS_GROUPED_VHOST_BACKEND_HEAD HTTPS_GROUPED_VHOST_FRONTEND_ACL"
    " HTTP_BACKEND_ACL_ALLOW_DENY TCP_BACKEND_ACL_ALLOW_DENY".split()
)
"""The templates that hold for all services, which no label overrides."""

_INDEXED = re.compile(r"HAPROXY_(0|[1-9][0-9]{0,8})_(.+)", re.ASCII | re.DOTALL)
_TRIPLE = re.compile(r"[^:\n]+:(?!//)[^:\s]+:[^\s:]+", re.ASCII)
"""``realm:user:password``, whatever the label's name."""

_SECRET = re.compile(r"AUTH|PASSW|SECRET|TOKEN|CREDENTIAL", re.IGNORECASE)


@frozen
class PortLabels:
    """
    What the labels say of one port.

    :param values: checked values by the label's name; a label that is absent is absent here.
    :param templates: overrides by the template's name.
    """

    values: Mapping[str, Any] = Factory(dict)
    templates: Mapping[str, str] = Factory(dict)
    problems: tuple[Problem, ...] = ()

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a label of `LABELS`, or the default where it is absent."""
        return self.values.get(name, default)


NOTHING = PortLabels()


@frozen
class AppLabels:
    """
    What the labels of one app say; ports without labels are `NOTHING`.

    :param values: checked values of the labels for the whole app, by the label's name.
    """

    groups: tuple[str, ...] = ()
    ports: Mapping[int, PortLabels] = field(factory=dict)
    problems: tuple[Problem, ...] = ()
    values: Mapping[str, Any] = field(factory=dict)

    def port(self, index: int) -> PortLabels:
        """The labels of one port."""
        return self.ports.get(index, NOTHING)


def parse_labels(app: App, template_names: frozenset[str]) -> AppLabels:
    """
    Read an app's labels.

    ``HTTP_BACKEND_REDIR`` is the name of a label and of a template: what begins with ``/`` is the label's path, and so
    would a single word be, which is no line for HAProxy.

    :param template_names: the templates that a label can override.
    """
    general: dict[str, Any] = {}
    problems: list[Problem] = []
    found: dict[int, tuple[dict[str, Any], dict[str, str], list[Problem]]] = {}
    for name in sorted(app.labels):
        text = app.labels[name]
        indexed = _INDEXED.fullmatch(name)
        index = int(indexed[1]) if indexed else None
        if indexed is None or index is None:
            row = PER_APP.get(name.removeprefix("HAPROXY_"))
            if row is None:
                problems.append(_unknown(app, None, name, text, template_names))
            else:
                general[row.name] = _value(app, None, name, row, text, problems)
            continue
        checked, templates, own = found.setdefault(index, ({}, {}, []))
        stem = indexed[2]
        row = PER_PORT.get(stem)
        is_text = (
            stem in template_names and (len(text.split()) > 1 or _is_false(text)) and text.lstrip()[0] != "/"
        )
        if row is not None and not row.template and not is_text:
            value = _value(app, index, name, row, text, own)
            if value is not None:
                checked[stem] = value
        elif stem in template_names:
            _template(app, index, name, text, templates, own)
        else:
            own.append(_unknown(app, index, name, text, template_names))
    ports = {index: PortLabels(*parts[:2], tuple(parts[2])) for index, parts in found.items()}
    return AppLabels(general.get("GROUP") or (), ports, tuple(problems), general)


def _value(app: App, index: int | None, name: str, row: Label, text: str, problems: list[Problem]) -> Any:
    try:
        return row.parse(text)
    except ValueError as error:
        shown = "***" if row.secret else text
        problems.append(Problem(app.id, index, name, shown, str(error)))
        return None


def _template(
    app: App, index: int, name: str, text: str, templates: dict[str, str], problems: list[Problem]
) -> None:
    """Take a template's text; ``false``, which no HAProxy would understand, switches it off as nothing does."""
    if "\0" in text or "\r" in text.replace("\r\n", "\n"):
        problems.append(
            Problem(app.id, index, name, text, "holds a control character that HAProxy does not take")
        )
        return
    text = text.replace("\r\n", "\n")
    templates[name.split("_", 2)[2]] = "" if _is_false(text) else text


def _is_false(text: str) -> bool:
    return text.strip().lower() == "false"


def _unknown(app: App, index: int | None, name: str, text: str, template_names: frozenset[str]) -> Problem:
    stem = re.sub(r"^HAPROXY_(\d+_)?", "", name, flags=re.ASCII)
    near = _nearest(stem[:64].upper(), template_names)
    if stem in OPERATORS:
        reason = (
            f"is ignored: HAPROXY_{stem} holds for all services, and its text is the operator's (--templates)"
        )
    elif name == f"HAPROXY_{near}":
        reason = f"has no index and is ignored; HAPROXY_0_{stem} is the label of the first port"
    else:
        hint = f"; the nearest known name is {_full_name(index, near, name)}" if near else ""
        reason = f"is no label of the load balancer and is ignored{hint}"
    secret = near == "AUTH" or _SECRET.search(stem) or _TRIPLE.fullmatch(text)
    shown = "***" if secret else text
    return Problem(app.id, index, name, shown, reason, fatal=False)


def _full_name(index: int | None, stem: str, name: str) -> str:
    """A known label's name with its index, where it has one: that of the misspelt name, if there is any."""
    if stem in PER_APP and (index is None or stem not in PER_PORT):
        return f"HAPROXY_{stem}"
    number = re.match(r"HAPROXY_(\d+)_", name, re.ASCII)
    return f"HAPROXY_{int(number[1]) if number else '{n}'}_{stem}"


@lru_cache(maxsize=1000)
def _nearest(stem: str, template_names: frozenset[str]) -> str | None:
    known = sorted({*PER_PORT, *PER_APP, *template_names})
    near = get_close_matches(stem, known, 1)
    return near[0] if near else None
