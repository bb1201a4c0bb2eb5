"""
From HAProxy's messages to complaints that name a line of the configuration and its owner. Pure.

The messages differ by version (2.6, 2.8 and 3.4 were read). Common to all is ``[LEVEL] (pid) : message``, mostly with
``[file:line]`` in the message. A complaint that comes after parsing names only a proxy and what it misses; its line is
looked up in the text. HAProxy checks in phases: a parser's error hides those of later phases, so a second check may
name more.

A message quotes the text that HAProxy refuses, and the author of a template chooses that text. So a place counts only
where HAProxy itself writes it: at the beginning or the end, and in the two messages that name two lines. A level never
follows a line break of a template's own: see `marathonlb.routing.labels.values.speaks_for_haproxy`.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence

from marathonlb.config.text.model import SECTION_KEYWORDS, Config, Owner, Section
from marathonlb.errors import Complaint

_MESSAGE = re.compile(r"^\[(?P<level>[A-Z]+)\][^()\n]*\((?P<pid>\d+)\) : (?P<message>.*)$")
_CUT = re.compile(
    r"^(\[[A-Z]+\][^()\n]*\(\d+\) : (?:config : )?[Pp]arsing \[[^\[\]]*?:\d+\]\s*: character ')"
    r"(?=\[[A-Z]+\]\s+\(\d+\) : )",
    re.MULTILINE,
)
"""A complaint about a broken character: HAProxy's message ends before the line does."""

_PLACE = re.compile(r"\[(?P<file>[^\[\]]*?):(?P<line>\d+)\]")
_AT_FIRST = r"^(?:config : )?(?:[Pp]arsing |Binding )?\[[^\[\]]*?:(?P<line>\d+)\]"
_PLACES = (re.compile(_AT_FIRST), re.compile(r"\(at [^\s()]*:(?P<line>\d+)\)\.?$"))
_PREFIX = re.compile(r"^(?:config : )?(?:[Pp]arsing )?(?:\[[^\[\]]*?:\d+\]\s*:?\s*)?")
_PROXY = re.compile(
    r"(?:\b[Pp]roxy|\b[Ff]rontend|\b[Bb]ackend|\b[Ll]isten|for frontend)\s+'?(?P<name>[\w.:-]*[\w-])'?"
)
_MISSING = re.compile(r"unable to find required (?P<keyword>[\w-]+): '(?P<name>[^']+)'")
_SERVER = re.compile(r", server '(?P<name>[^']+)'")
_REFERRED = re.compile(
    r"unable to find server '(?P<name>[^']+)' referenced in a '(?P<keyword>use-server)' rule"
)
_NEEDED = re.compile(
    r"(?:[Uu]nable to find (?:the )?(?:sync peers|stick-table|table|cache)|[Uu]nknown http-errors section"
    r"|[Cc]an't find resolvers section) '(?P<name>[^']+)'"
)
_NEEDS = r"(?:(?<!\S)(?:peers|table|cache|cache-use|cache-store|errorfiles)\s+|\bdo-resolve\([^()]*,\s*){}(?![^\s,)])"
"""A line that names something it needs from another section, with the name in place of ``{}``."""

_SEVERAL = re.compile(r"^(?:config : )?multiple argument resolution errors:\n")
_TWO_MODES = re.compile(
    r"^(?:config : )?\w+ \w+ '[\w.:-]+' \([^\s()]*:(?P<line>\d+)\) tries to use incompatible"
    r" \w+ \w+ '(?P<backend>[\w.:-]+)' \([^\s()]*:(?P<other>\d+)\)"
)
_TWINS = re.compile(
    _AT_FIRST
    + r"\s*: \w+ '(?P<name>[\w.:-]+)' has the same name as \w+ '[\w.:-]+' declared at \S*?:(?P<other>\d+)\b"
)
_SUMMARIES = (
    "Error(s) found in configuration file",
    "Fatal errors found in configuration",
    "Some protocols failed to start their listeners",
    "Failed to initialize server(s) addr",
    "Loading failure!",
    "Configuration file has no error",
)
_PROXIES = frozenset({"frontend", "backend", "listen", "defaults"})
_QUOTED = re.compile(r"'([^'\s]+)'")
_SAYS_NOTHING = re.compile(r"\s*(?:#|$)")
_OF_FILES = re.compile(
    "|".join(
        re.escape(os.strerror(number))
        for number in (
            errno.ENOENT,
            errno.EACCES,
            errno.EPERM,
            errno.EISDIR,
            errno.ENOTDIR,
            errno.ELOOP,
            errno.ENAMETOOLONG,
            errno.ENXIO,
            errno.EINVAL,
        )
    )
)
"""The system's errors about files; an app's owner does not see them, because they reveal which files exist."""

ALERTS = frozenset({"EMERG", "ALERT", "CRIT", "ERR"})
WARNINGS = frozenset({"WARNING", "DIAG"})


def complaints(output: str, config: Config | None = None) -> tuple[Complaint, ...]:
    """
    Return what HAProxy refuses, in the order of its messages.

    :param output: the output of ``haproxy -c``, of a failed start, or the log in the reply to ``reload``.
    :param config: the configuration that the file was written from; with it each complaint has its owner, and its line
        where HAProxy names only a proxy.
    :return: the complaints without summaries, unless there are only summaries.
    """
    alerts = [part for level, message in _messages(output) if level in ALERTS for part in _parts(message)]
    substantial = [message for message in alerts if not _is_summary(message)]
    return tuple(_complaint(message, config) for message in substantial or alerts)


def warnings(output: str, config: Config | None = None) -> tuple[Complaint, ...]:
    """Return what HAProxy accepts but advises against, in the order of its messages."""
    return tuple(
        _complaint(message, config)
        for level, message in _messages(output)
        if level in WARNINGS and not _is_summary(message) and not message.startswith("Former worker")
    )


def _messages(output: str) -> Iterator[tuple[str, str]]:
    """Yield the level and text of each message; an indented line without a level belongs to the message before."""
    level, lines = "", list[str]()
    while (whole := _CUT.sub(r"\1\n", output)) != output:
        output = whole
    for line in output.split("\n"):
        match = _MESSAGE.match(line)
        if match:
            if lines:
                yield level, "\n".join(lines)
            level, lines = match["level"], [match["message"]]
        elif lines and line[:1].isspace():
            lines.append(line)
        elif lines:
            yield level, "\n".join(lines)
            lines = []
    if lines:
        yield level, "\n".join(lines)


def _parts(message: str) -> list[str]:
    """Return the complaints in a message; HAProxy puts some of them under one heading."""
    heading = _SEVERAL.match(message)
    return [message] if heading is None else [line.strip() for line in message[heading.end() :].split("\n")]


def _is_summary(message: str) -> bool:
    return any(summary in message for summary in _SUMMARIES)


def _complaint(message: str, config: Config | None) -> Complaint:
    line = next((int(place["line"]) for pattern in _PLACES if (place := pattern.search(message))), None)
    sure = True
    if config is not None:
        line = _line_of_guilty(message, config) or line or _line_of_limit(message, config)
        if line is None:
            line, sure = _line_of_proxy(message, config)
    located = config.locate(line) if config is not None and line is not None else None
    owner = located[1].owner if located else None
    text = _without_place(message)
    if isinstance(owner, Owner) and owner.app_id is not None:
        text = _OF_FILES.sub("it cannot be used", text)
    return Complaint(message=text.strip(), line=line, owner=owner if sure else None)


def _without_place(message: str) -> str:
    text = _PREFIX.sub("", message, count=1)
    return _PLACE.sub("", message, count=1).replace("  ", " ", 1) if text == message else text


def _line_of_guilty(message: str, config: Config) -> int | None:
    """Return the line at fault: of two proxies with one name, or of a frontend and a backend in different modes."""
    if twins := _TWINS.match(message):
        lines = [int(twins["line"]), int(twins["other"])]
        places = [(line, place) for line in lines if (place := config.locate(line)) is not None]
        # the proxy that is written in a section of another name
        return next((line for line, (section, _) in places if section.name != twins["name"]), lines[0])
    modes = _TWO_MODES.match(message)
    return _line_of_mode(modes, config) if modes else None


def _line_of_mode(modes: re.Match[str], config: Config) -> int:
    """
    Return the line that brought a frontend and a backend of two modes together.

    That is a line of another owner that sends the frontend's requests to the backend. Else, where the frontend is
    shared, it is the line that sets the backend's mode. Else it is the one of the two that is not a default, the
    backend first.
    """
    front, back = int(modes["line"]), int(modes["other"])
    frontend, backend = config.place(front), config.place(back)
    if frontend is None or backend is None:
        return back
    backend_owner = backend[1].owner
    for line, owner, words in _lines_from(front, config):
        another = (owner.app_id, owner.port_index) != (backend_owner.app_id, backend_owner.port_index)
        if another and owner.app_id and words[1:2] == [modes["backend"]] and words[0] in _ROUTES:
            return line
    if frontend[1].owner.app_id is None:
        return max((line for line, _, words in _lines_from(back, config) if words[0] == "mode"), default=back)
    return front if backend_owner.is_default and not frontend[1].owner.is_default else back


_ROUTES = frozenset({"use_backend", "default_backend"})


def _lines_from(start: int, config: Config) -> Iterator[tuple[int, Owner, list[str]]]:
    """Yield the lines of a proxy that are not empty: the number, the owner, the words."""
    number = 1
    for section in config.sections:
        if number + section.lines > start:
            break
        number += section.lines
    else:
        return
    for chunk in section.chunks:
        for line in chunk.text.split("\n")[:-1]:
            words = line.split()
            if number > start and words[:1] and words[0] in SECTION_KEYWORDS:
                return
            if number >= start and words:
                yield number, chunk.owner, words
            number += 1


def _line_of_limit(message: str, config: Config) -> int | None:
    """Return the line that asks for more files than HAProxy may open; its message names none."""
    if "FD limit" not in message:
        return None
    section = ""
    for number, line in enumerate(config.template.split("\n"), 1):
        words = line.split()
        if words[:1] and words[0] in SECTION_KEYWORDS:
            section = words[0]
        if section == "global" and words[:1] and words[0] in ("maxconn", "ulimit-n"):
            return number
    return None


def _line_of_proxy(message: str, config: Config) -> tuple[int | None, bool]:
    """
    Return the line that a complaint without a place is about: in the proxy that it names, where the missing name is.

    A proxy that has no section of its own is written in a template.

    :return: the line, and True if it is sure: where a section has several owners, its first line may be another's.
    """
    named = _PROXY.search(message)
    if named is None:
        return None, True
    start = 1
    for section in config.sections:
        if section.kind in _PROXIES and section.name == named["name"]:
            offset, sure = _offset_in(section, message)
            return start + offset, sure
        start += section.lines
    lines = config.template.split("\n")
    for number, line in enumerate(lines):
        opened = line.split()[:2]
        if len(opened) == 2 and opened[0] in _PROXIES and opened[1] == named["name"]:
            return 1 + number + (_pointed_at(lines[number:], message) or 0), True
    return None, True


def _pointed_at(lines: Sequence[str], message: str) -> int | None:
    """Return the offset in a proxy's lines that a complaint points to: its server, or the name that is missing."""
    missing = _MISSING.search(message) or _REFERRED.search(message)
    needed = _NEEDED.search(message)
    needs = re.compile(_NEEDS.format(re.escape(needed["name"]))) if needed else None
    server = _SERVER.search(message)
    begun = False
    for offset, line in enumerate(lines):
        words = line.split()
        if words[:1] and words[0] in SECTION_KEYWORDS:
            if begun:
                break
            begun = True
        if server is not None and words[:2] == ["server", server["name"]]:
            return offset
        if server is None and missing is not None and words[:2] == [missing["keyword"], missing["name"]]:
            return offset
        if needs is not None and words[:1] != ["acl"] and needs.search(line):
            return offset
    return None


def _offset_in(section: Section, message: str) -> tuple[int, bool]:
    """
    Return the offset in a section of the line at fault, and True if it is sure.

    If HAProxy points to a line of a default template, or to none, it is a line of another owner that holds a word
    that HAProxy quotes. Else it is the line that opens the section, which is not sure where several own lines in it.
    """
    owned = [(line, chunk.owner) for chunk in section.chunks for line in chunk.text.split("\n")[:-1]]
    pointed = _pointed_at([line for line, _ in owned], message)
    if pointed is not None and not owned[pointed][1].is_default:
        return pointed, True
    quoted = {word for word in _QUOTED.findall(message) if word != section.name}
    for offset, (line, owner) in enumerate(owned):
        if not owner.is_default and not quoted.isdisjoint(line.split()):
            return offset, True
    if pointed is not None:
        return pointed, True
    opening = next((offset for offset, (line, _) in enumerate(owned) if not _SAYS_NOTHING.match(line)), 0)
    return opening, len({owner.app_id for _, owner in owned}) == 1
