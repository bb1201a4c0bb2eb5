"""
Read the file of ``--policy``: TOML, checked as a whole before anything is served.

An error names the line, the key and what was expected there.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from fnmatch import filter as fnmatching
from ipaddress import ip_network
from typing import Any

from attrs import evolve

from marathonlb.errors import UsageError
from marathonlb.marathon.model import cluster_of, id_in_cluster, qualified
from marathonlb.routing.labels import values
from marathonlb.routing.policy.prefixes import TEXT_LABELS, Grant, Network, Policy
from marathonlb.routing.services import files

_PREFIX = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?:)?/")

LINES = "lines"
"""The value of ``templates`` that allows harmless lines in any label."""

Place = tuple[str, ...]
"""The names of a table and of a key in it, from the top."""


class _PolicyValueError(ValueError):
    """A key or a value of the file is not valid."""

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(reason)
        self.place = place


def read_policy(path: str, template_names: frozenset[str]) -> Policy:
    """
    Read a policy.

    :param template_names: the templates that a label can override.
    :raises UsageError: the file cannot be read or is not a policy; the error names the line and the key.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(
            option="--policy", value=path, expected=f"a file that can be read: {reason}"
        ) from None
    try:
        return policy_of(text, template_names)
    except ValueError as error:
        raise UsageError(option="--policy", value=path, expected=f"a policy: {error}") from None


def policy_of(text: str, template_names: frozenset[str]) -> Policy:
    """
    Return the policy of a text.

    :raises ValueError: the text is not valid; the error names the line, the key and what was expected.
    """
    table = tomllib.loads(text)
    try:
        return _policy(table, template_names)
    except _PolicyValueError as wrong:
        line = _line_of(text, wrong.place)
        where = ".".join(_quoted(name) for name in wrong.place)
        raise ValueError(f"{f'line {line}, ' if line else ''}{where}: {wrong}") from None


def _policy(table: Mapping[str, Any], template_names: frozenset[str]) -> Policy:
    _known(table, ("defaults", "apps"), ())
    defaults = _grant(
        _table(table.get("defaults", {}), ("defaults",)), ("defaults",), Grant(), template_names
    )
    grants: dict[str, Grant] = {}
    for prefix, section in _table(table.get("apps", {}), ("apps",)).items():
        place = ("apps", prefix)
        if not _PREFIX.match(prefix):
            raise _PolicyValueError(
                place, "an app id's prefix begins with /, or with a cluster's name and :/"
            )
        path = id_in_cluster(prefix).rstrip("/") or "/"
        plain = qualified(cluster_of(prefix), path)
        if plain in grants:
            raise _PolicyValueError(place, f"{plain} is defined twice")
        grants[plain] = _grant(_table(section, place), place, defaults, template_names)
    return Policy(defaults, grants)


def _grant(table: Mapping[str, Any], place: Place, base: Grant, template_names: frozenset[str]) -> Grant:
    parsers: dict[str, Callable[[Any], Any]] = {
        "templates": lambda item: _template(item, template_names | TEXT_LABELS),
        "hosts": _host,
        "ports": _ports,
        "addresses": _address,
        "networks": _network,
        "deployment_groups": _text,
        "certificates": _path_pattern,
    }
    _known(table, parsers, place)
    section = ".".join(_quoted(name) for name in place)
    lines = table.get("templates") == LINES
    if isinstance(table.get("templates"), str) and not lines:
        raise _PolicyValueError((*place, "templates"), f'is neither a list nor "{LINES}"')
    found: dict[str, Any] = {
        key: _items(table[key], (*place, key), parsers[key])
        for key in table
        if key != "templates" or not lines
    }
    if "templates" in table:
        found["harmless_lines"] = lines
    if lines:
        found["templates"] = ()
    return evolve(base, section=section, **found)


def _known(table: Mapping[str, Any], names: Iterable[str], place: Place) -> None:
    for key in table:
        if key not in names:
            near = get_close_matches(key, list(names), 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise _PolicyValueError((*place, key), f"is unknown here, known are {', '.join(names)}{hint}")


def _table(value: Any, place: Place) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _PolicyValueError(place, "is not a table")
    return value


def _items(value: Any, place: Place, parse: Callable[[Any], Any]) -> tuple[Any, ...] | None:
    """Return the parsed items of a list; None, which allows everything, if ``*`` is among them."""
    if not isinstance(value, list):
        raise _PolicyValueError(place, "is not a list")
    try:
        items = [parse(item) for item in value if item != "*"]
    except ValueError as error:
        raise _PolicyValueError(place, str(error)) from None
    return None if "*" in value else tuple(items)


def _text(item: Any) -> str:
    if not isinstance(item, str) or not item.strip():
        raise ValueError(f"{item!r} is not a text")
    return values.no_control(item.strip())


def _template(item: Any, known: frozenset[str]) -> str:
    pattern = re.sub(r"^HAPROXY_(\{n\}_)?", "", _text(item))
    if not fnmatching(known, pattern):
        near = get_close_matches(pattern, sorted(known), 1)
        hint = f"; the nearest is {near[0]}" if near else ""
        raise ValueError(f"{item!r} names no label that holds text for HAProxy{hint}")
    return pattern


def _host(item: Any) -> str:
    text = _text(item)
    if values.host_warning(text):
        raise ValueError(f"{text!r} is more than a host name")
    return values.host(text)


def _ports(item: Any) -> tuple[int, int]:
    if isinstance(item, int) and not isinstance(item, bool):
        item = str(item)
    low, dash, high = _text(item).partition("-")
    with suppress(ValueError):
        first = values.integer(low, 1, 65535)
        last = values.integer(high, first, 65535) if dash else first
        return first, last
    raise ValueError(f"{item!r} is neither a port nor a range such as 10000-10999")


def _network(item: Any) -> Network:
    try:
        return ip_network(_text(item))
    except ValueError as error:
        raise ValueError(f"{item!r} is no network such as 10.0.0.0/8: {error}") from None


def _address(item: Any) -> Network | str:
    text = values.address("localhost") if _text(item) == "localhost" else _text(item)
    with suppress(ValueError):
        return ip_network(text.strip("[]"))
    try:
        return values.host(text)
    except ValueError:
        raise ValueError(f"{item!r} is neither an address, a network nor a host name") from None


def _path_pattern(item: Any) -> str:
    try:
        return files.normal(_text(item))
    except ValueError as error:
        raise ValueError(f"{item!r} {error}") from None


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'


def _line_of(text: str, place: Place) -> int | None:
    """Return the line of a key or a table, counted from 1; None if it is written in a form that is not found."""
    table: Place = ()
    best: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        with suppress(tomllib.TOMLDecodeError):
            if line.lstrip().startswith("["):
                table = _path(tomllib.loads(line))
                if table == place:
                    best = number
                continue
        key = line.partition("=")[0].strip()
        with suppress(tomllib.TOMLDecodeError):
            if key and (*table, *_path(tomllib.loads(f"{key} = {{}}"))) == place:
                return number
    return best


def _path(table: Mapping[str, Any]) -> Place:
    """Return the names on the way into nested tables that hold one key each."""
    names: list[str] = []
    while table:
        name, inner = next(iter(table.items()))
        names.append(name)
        table = inner if isinstance(inner, dict) else {}
    return tuple(names)
