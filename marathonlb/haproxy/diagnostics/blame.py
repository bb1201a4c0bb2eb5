"""
Who is to blame for what HAProxy refuses: services, or templates of the operator's. Pure.

A line of an operator's template may be wrong in itself, or by what some app has put into its variables. Templates are
read once, at the start, so what is wrong with one shows before HAProxy has accepted anything that it wrote: then it is
to blame, unless it is refused in few of the services that use it, on a line that apps have put something into. Later it
is the services.

HAProxy gives up at the first of some mistakes (a condition that names no ACL, say). So a template that was refused in
one service is doubted: where the next one is refused in its turn, the template is to blame for both.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from attrs import Factory, frozen

from marathonlb.config.text import named_defaults
from marathonlb.config.text.model import Config, Owner
from marathonlb.errors import Complaint
from marathonlb.haproxy.diagnostics.hints import remedy
from marathonlb.redaction import masked

SAID = 5
"""So many complaints about one template are told."""

MOST = 50
"""After so many HAProxy reads no further."""

_SAME_NAME = re.compile(r"(?P<kind>\w+) '[^']*' has the same name as (?!(?P=kind))\w+ '")
_SECRET = re.compile(r"\b(?:insecure-)?password\b")

Key = tuple[str, int]


@frozen
class Blamed:
    """
    The offenders of one refusal.

    :param templates: by the template's name, what is wrong with it.
    :param services: by the service's key: the label, or the template whose line it is, and what is wrong.
    :param doubted: by the name of a template that is not trusted yet, the services that it was refused in.
    """

    templates: Mapping[str, str]
    services: Mapping[Key, tuple[str, str]]
    doubted: Mapping[str, frozenset[Key]] = Factory(dict)


def names_clash(complaints: Iterable[Complaint]) -> bool:
    """Whether HAProxy refuses that a frontend and a backend have one name."""
    return any(_SAME_NAME.match(complaint.message) for complaint in complaints)


def about_defaults(complaints: Iterable[Complaint]) -> bool:
    """Whether a line is refused from which backends would be made while HAProxy runs; it can do without."""
    owners = (complaint.owner for complaint in complaints)
    return any(isinstance(owner, Owner) and owner.template == named_defaults.TEMPLATE for owner in owners)


def about_limits(complaints: Iterable[Complaint]) -> bool:
    """Whether HAProxy would need more files than it may open; it points to HEAD, whoever wants them."""
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
    Whom the complaints name.

    :param config: what HAProxy refused.
    :param trusted: the operator's templates that HAProxy has accepted before, by name.
    :param doubted: those that it has refused before, in one service that is left out now.
    :param unchanged: the services that HAProxy has accepted as they are: what is refused in them of a template that is
        as it was has lost something that it needs, a file perhaps, and that is no app's doing.
    """
    shared: dict[str, list[Complaint]] = {}
    services: dict[Key, tuple[str, str]] = {}
    for complaint in complaints:
        owner = complaint.owner
        if not isinstance(owner, Owner):
            continue
        if _is_operators(owner):
            shared.setdefault(owner.template, []).append(complaint)
        elif (key := _key(owner)) is not None and key not in services:
            services[key] = _label(owner), told(complaint, config)
    templates: dict[str, str] = {}
    suspects: dict[str, frozenset[Key]] = {}
    for name, found in shared.items():
        by_service = {_key(c.owner): c for c in reversed(found) if isinstance(c.owner, Owner)}
        wrong = _wrong_itself(by_service, name, config, cut=len(complaints) >= MOST, doubted=name in doubted)
        outside = any(key in unchanged for key in by_service)
        if None in by_service or (outside if name in trusted else wrong):
            templates[name] = _all_told(found, config)
            continue
        if name not in trusted:
            suspects[name] = frozenset(key for key in by_service if key is not None)
        for key, complaint in by_service.items():
            if key is not None:
                services.setdefault(key, (f"HAPROXY_{name}", told(complaint, config)))
    return Blamed(templates, services, suspects)


def written_by_operator(complaint: Complaint, config: Config) -> str | None:
    """The line that a complaint is about, where a template of the operator's holds it; but no server of an app."""
    owner = complaint.owner
    if not isinstance(owner, Owner) or not _is_operators(owner):
        return None
    line = _line(complaint, config)
    return None if owner.app_id is not None and line.split()[:1] == ["server"] else line or None


def operators(config: Config) -> frozenset[str]:
    """The names of the operator's templates that have a line in a configuration."""
    return frozenset(
        chunk.owner.template
        for section in config.sections
        for chunk in section.chunks
        if chunk.text and _is_operators(chunk.owner)
    )


def told(complaint: Complaint, config: Config) -> str:
    """HAProxy's words, the line that they are about where it is somebody's own, and what to do."""
    words, line = complaint.message, ""
    place = config.place(complaint.line) if complaint.line is not None else None
    if place is not None and place[1].owner.source != "default":
        number, line = place[2], _line(complaint, config).strip()
        words += f" (line {number}" + ("" if _SECRET.search(line) else f": `{masked(line)[:200]}`") + ")"
    advice = remedy(complaint.message, line)
    return f"{words}; {advice}" if advice else words


def _all_told(found: Sequence[Complaint], config: Config) -> str:
    each = list(dict.fromkeys(told(complaint, config) for complaint in found))
    more = len(each) - SAID
    return "; ".join(each[:SAID]) + (f"; and {more} more" if more > 0 else "")


def _wrong_itself(
    refused: Mapping[Key | None, Complaint], name: str, config: Config, *, cut: bool, doubted: bool
) -> bool:
    """
    Whether a template is refused in each service that has a line of it, or the line is the same in others: no app has
    put anything into that. Where it was doubted before, half of the services are enough, since HAProxy tells of one
    at a time.

    :param cut: HAProxy has not read all of them: those after the last one that it refused do not count.
    :param doubted: it was refused in another service before.
    """
    users: dict[Key | None, str] = {}
    for section in config.sections:
        for chunk in section.chunks:
            if chunk.owner.template == name and chunk.text and _is_operators(chunk.owner):
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


def _is_operators(owner: Owner) -> bool:
    return owner.source != "default" and not owner.source.startswith("label ")


def _key(owner: object) -> Key | None:
    if not isinstance(owner, Owner) or owner.app_id is None or owner.port_index is None:
        return None
    return owner.app_id, owner.port_index


def _label(owner: Owner) -> str:
    if owner.source.startswith("label "):
        return owner.source.removeprefix("label ")
    return f"HAPROXY_{owner.template}"
