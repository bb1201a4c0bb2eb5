"""
Find what is at fault for HAProxy's complaints: services, or the operator's templates. Pure.

A line of an operator's template may be wrong in itself, or by a value that an app's label puts into it. Templates are
read once, at the start, so a wrong template shows before HAProxy has accepted any of its lines: then the template is at
fault, unless HAProxy refuses it in few of the services that use it, on a line with values of apps. After HAProxy has
accepted it, the services are at fault.

HAProxy stops at the first mistake of some kinds (a condition that names no ACL, say). So a template that was refused in
one service is doubted: if another service is refused for it next, the template is at fault for both.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from attrs import Factory, frozen

from marathonlb.base.redaction import masked
from marathonlb.config.text import named_defaults
from marathonlb.config.text.model import Config, Owner
from marathonlb.errors import Complaint
from marathonlb.haproxy.diagnostics.hints import remedy

MAX_SHOWN = 5
"""Maximum number of complaints to show about one template."""

MAX_COMPLAINTS = 50
"""Number of errors after which HAProxy reads no further."""

_SAME_NAME = re.compile(r"(?P<kind>\w+) '[^']*' has the same name as (?!(?P=kind))\w+ '")
_SECRET = re.compile(r"\b(?:insecure-)?password\b")

Key = tuple[str, int]


@frozen
class Blamed:
    """
    The templates and services that are at fault for one refusal.

    :param templates: HAProxy's complaints, by the template's name.
    :param services: by the service's key, the label or the template whose line is refused, and HAProxy's complaint.
    :param doubted: the services in which a template was refused that HAProxy has not accepted yet, by its name.
    """

    templates: Mapping[str, str]
    services: Mapping[Key, tuple[str, str]]
    doubted: Mapping[str, frozenset[Key]] = Factory(dict)


def names_clash(complaints: Iterable[Complaint]) -> bool:
    """Return whether HAProxy refuses that a frontend and a backend have the same name."""
    return any(_SAME_NAME.match(complaint.message) for complaint in complaints)


def about_defaults(complaints: Iterable[Complaint]) -> bool:
    """Return whether a line of the named defaults is refused, which are needed only to add backends at runtime."""
    owners = (complaint.owner for complaint in complaints)
    return any(isinstance(owner, Owner) and owner.template == named_defaults.TEMPLATE for owner in owners)


def about_limits(complaints: Iterable[Complaint]) -> bool:
    """Return whether HAProxy needs more files than it may open; it points to HEAD, whichever line is at fault."""
    return any("FD limit" in complaint.message for complaint in complaints)


def blamed(
    complaints: Sequence[Complaint],
    config: Config,
    *,
    trusted: Collection[str] = (),
    doubted: Collection[str] = (),
    unchanged: Collection[Key] = (),
) -> Blamed:
    """
    Return the templates and services that the complaints name.

    :param config: the configuration that HAProxy refused.
    :param trusted: the operator's templates that HAProxy has accepted before, by name.
    :param doubted: the templates that it has refused before, in one service that is left out now.
    :param unchanged: the services that HAProxy has accepted as they are. A trusted template that is refused in one of
        them has lost something that it needs, such as a file, so the app is not at fault.
    """
    shared: dict[str, list[Complaint]] = {}
    services: dict[Key, tuple[str, str]] = {}
    for complaint in complaints:
        owner = complaint.owner
        if not isinstance(owner, Owner):
            continue
        if owner.is_operator:
            shared.setdefault(owner.template, []).append(complaint)
        elif (key := _key(owner)) is not None and key not in services:
            services[key] = _label(owner), explained(complaint, config)
    templates: dict[str, str] = {}
    suspects: dict[str, frozenset[Key]] = {}
    for name, refused in shared.items():
        by_service = {_key(c.owner): c for c in reversed(refused) if isinstance(c.owner, Owner)}
        wrong = _wrong_itself(
            by_service, name, config, cut=len(complaints) >= MAX_COMPLAINTS, doubted=name in doubted
        )
        outside = any(key in unchanged for key in by_service)
        if None in by_service or (outside if name in trusted else wrong):
            templates[name] = _explain_all(refused, config)
            continue
        if name not in trusted:
            suspects[name] = frozenset(key for key in by_service if key is not None)
        for key, complaint in by_service.items():
            if key is not None:
                services.setdefault(key, (f"HAPROXY_{name}", explained(complaint, config)))
    return Blamed(templates, services, suspects)


def written_by_operator(complaint: Complaint, config: Config) -> str | None:
    """Return the line that a complaint is about, if an operator's template holds it and it is no server of an app."""
    owner = complaint.owner
    if not isinstance(owner, Owner) or not owner.is_operator:
        return None
    line = _line(complaint, config)
    return None if owner.app_id is not None and line.split()[:1] == ["server"] else line or None


def operators(config: Config) -> frozenset[str]:
    """Return the names of the operator's templates that have a line in a configuration."""
    return frozenset(name for section in config.sections for name in section.operator_templates)


def explained(complaint: Complaint, config: Config) -> str:
    """Return HAProxy's message, the line that it is about unless that is a default, and what to do."""
    message, line = complaint.message, ""
    place = config.place(complaint.line) if complaint.line is not None else None
    if place is not None and not place[1].owner.is_default:
        number, line = place[2], _line(complaint, config).strip()
        message += f" (line {number}" + ("" if _SECRET.search(line) else f": `{masked(line)[:200]}`") + ")"
    advice = remedy(complaint.message, line)
    return f"{message}; {advice}" if advice else message


def _explain_all(complaints: Sequence[Complaint], config: Config) -> str:
    sentences = list(dict.fromkeys(explained(complaint, config) for complaint in complaints))
    more = len(sentences) - MAX_SHOWN
    return "; ".join(sentences[:MAX_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _wrong_itself(
    refused: Mapping[Key | None, Complaint], name: str, config: Config, *, cut: bool, doubted: bool
) -> bool:
    """
    Return whether a template is wrong itself: refused in each service that uses it, or on a line that holds no value of
    an app, since other services have the same line. If the template was doubted before, half of the services are
    enough, since HAProxy names one at a time.

    :param cut: True if HAProxy has not read all services: those after the last one that it refused do not count.
    :param doubted: True if it was refused in another service before.
    """
    users: dict[Key | None, str] = {}
    for section in config.sections:
        for chunk in section.chunks:
            if chunk.owner.template == name and chunk.text and chunk.owner.is_operator:
                key = _key(chunk.owner)
                users[key] = users.get(key, "") + chunk.text
    read = list(users)
    while cut and read and read[-1] not in refused:
        read.pop()
    if len(refused) >= len(read) or (doubted and 2 * len(refused) >= len(read)):
        return True
    if len(refused) == 1 and not doubted:
        return False
    lines = {_line(complaint, config) for complaint in refused.values()} - {""}
    others = {line for key, text in users.items() if key not in refused for line in text.split("\n")}
    return not lines.isdisjoint(others)


def _line(complaint: Complaint, config: Config) -> str:
    place = config.place(complaint.line) if complaint.line is not None else None
    return place[1].text.split("\n")[place[2] - place[1].line] if place is not None else ""


def _key(owner: object) -> Key | None:
    if not isinstance(owner, Owner) or owner.app_id is None or owner.port_index is None:
        return None
    return owner.app_id, owner.port_index


def _label(owner: Owner) -> str:
    return owner.label or f"HAPROXY_{owner.template}"
