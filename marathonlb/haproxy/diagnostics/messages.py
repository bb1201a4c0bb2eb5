"""
HAProxy's words → complaints that name a line and who wrote it. Pure.

The words differ by version (2.6, 2.8 and 3.4 were read); what they have in common is ``[LEVEL] (pid) : words`` with
``[file:line]`` among the words mostly. A complaint that comes after parsing names only a proxy and what it misses;
its line is found in the text. HAProxy checks in phases: an error of the parser hides those that come later, so a second
check may name more.

HAProxy repeats what it refuses, and whoever writes a template chooses those words. So a place counts where HAProxy
writes it and nobody else can: at the beginning or the end, and in the two sentences that name two lines. No level
stands behind a line break of a template's own: see `marathonlb.routing.labels.values.speaks_for_haproxy`.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence

from marathonlb.config.text.model import SECTION_KEYWORDS, Config, Owner, Section
from marathonlb.errors import Complaint

_SAID = re.compile(r"^\[(?P<level>[A-Z]+)\][^()\n]*\((?P<pid>\d+)\) : (?P<words>.*)$")
_CUT = re.compile(
    r"^(\[[A-Z]+\][^()\n]*\(\d+\) : (?:config : )?[Pp]arsing \[[^\[\]]*?:\d+\]\s*: character ')"
    r"(?=\[[A-Z]+\]\s+\(\d+\) : )",
    re.MULTILINE,
)
"""Where HAProxy complains about a character that is none, its words end before the line does."""

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
"""How a line names what it needs from elsewhere."""

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
        re.escape(os.strerror(each))
        for each in (
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
"""What the system says of files: whoever names one in a label is not told which files there are."""

ALERTS = frozenset({"EMERG", "ALERT", "CRIT", "ERR"})
WARNINGS = frozenset({"WARNING", "DIAG"})


def complaints(output: str, config: Config | None = None) -> tuple[Complaint, ...]:
    """
    What HAProxy refuses, in the order it was said.

    :param output: of ``haproxy -c``, of a start that failed, or the log that ``reload`` answers with.
    :param config: what the file was written from; with it each complaint has its owner, and a line where HAProxy named
        only a proxy.
    :return: without the lines that only sum up, unless nothing else was said.
    """
    alerts = [each for level, words in _said(output) if level in ALERTS for each in _each(words)]
    telling = [words for words in alerts if not _sums_up(words)]
    return tuple(_complaint(words, config) for words in telling or alerts)


def warnings(output: str, config: Config | None = None) -> tuple[Complaint, ...]:
    """What HAProxy accepts but advises against, in the order it was said."""
    return tuple(
        _complaint(words, config)
        for level, words in _said(output)
        if level in WARNINGS and not _sums_up(words) and not words.startswith("Former worker")
    )


def _said(output: str) -> Iterator[tuple[str, str]]:
    """Each level and what was said on it; a line without a level goes on with the one before."""
    level, words = "", list[str]()
    while (whole := _CUT.sub(r"\1\n", output)) != output:
        output = whole
    for line in output.split("\n"):
        match = _SAID.match(line)
        if match:
            if words:
                yield level, "\n".join(words)
            level, words = match["level"], [match["words"]]
        elif words and line[:1].isspace():
            words.append(line)
        elif words:
            yield level, "\n".join(words)
            words = []
    if words:
        yield level, "\n".join(words)


def _each(words: str) -> list[str]:
    """The complaints in what was said; HAProxy gathers some of them under one heading."""
    heading = _SEVERAL.match(words)
    return [words] if heading is None else [line.strip() for line in words[heading.end() :].split("\n")]


def _sums_up(words: str) -> bool:
    return any(summary in words for summary in _SUMMARIES)


def _complaint(words: str, config: Config | None) -> Complaint:
    line = next((int(place["line"]) for pattern in _PLACES if (place := pattern.search(words))), None)
    sure = True
    if config is not None:
        line = _line_of_guilty(words, config) or line or _line_of_limit(words, config)
        if line is None:
            line, sure = _line_of_proxy(words, config)
    found = config.locate(line) if config is not None and line is not None else None
    owner = found[1].owner if found else None
    message = _PREFIX.sub("", words, count=1)
    if message == words:
        message = _PLACE.sub("", words, count=1).replace("  ", " ", 1)
    if isinstance(owner, Owner) and owner.app_id is not None:
        message = _OF_FILES.sub("it cannot be used", message)
    return Complaint(message=message.strip(), line=line, owner=owner if sure else None)


def _line_of_guilty(words: str, config: Config) -> int | None:
    """Which of two lines is to blame: of two proxies of one name, or of a frontend and a backend of two modes."""
    if twins := _TWINS.match(words):
        lines = [int(twins["line"]), int(twins["other"])]
        places = [(line, found) for line in lines if (found := config.locate(line)) is not None]
        # the one that stands in a section of another name
        return next((line for line, (section, _) in places if section.name != twins["name"]), lines[0])
    modes = _TWO_MODES.match(words)
    return _line_of_mode(modes, config) if modes else None


def _line_of_mode(modes: re.Match[str], config: Config) -> int:
    """
    Who has brought a frontend and a backend of two modes together.

    Somebody who leads a frontend to a backend that is another one's; else, where the frontend is everybody's, whoever
    set the backend's mode; else the one of the two that is not our default, the backend first.
    """
    front, back = int(modes["line"]), int(modes["other"])
    found, other = config.place(front), config.place(back)
    if found is None or other is None:
        return back
    theirs = other[1].owner
    for line, owner, said in _lines_from(front, config):
        foreign = (owner.app_id, owner.port_index) != (theirs.app_id, theirs.port_index)
        if foreign and owner.app_id and said[1:2] == [modes["backend"]] and said[0] in _LEADS:
            return line
    if found[1].owner.app_id is None:
        return max((line for line, _, said in _lines_from(back, config) if said[0] == "mode"), default=back)
    return front if theirs.source == "default" and found[1].owner.source != "default" else back


_LEADS = frozenset({"use_backend", "default_backend"})


def _lines_from(start: int, config: Config) -> Iterator[tuple[int, Owner, list[str]]]:
    """The lines of a proxy from its first one on that say something: the number, who wrote it, its words."""
    number = 1
    for section in config.sections:
        if number + section.lines > start:
            break
        number += section.lines
    else:
        return
    for chunk in section.chunks:
        for line in chunk.text.split("\n")[:-1]:
            said = line.split()
            if number > start and said[:1] and said[0] in SECTION_KEYWORDS:
                return
            if number >= start and said:
                yield number, chunk.owner, said
            number += 1


def _line_of_limit(words: str, config: Config) -> int | None:
    """The line that asks for more files than HAProxy may open: it says how many, and not who wants them."""
    if "FD limit" not in words:
        return None
    section = ""
    for number, line in enumerate(config.template.split("\n"), 1):
        found = line.split()
        if found[:1] and found[0] in SECTION_KEYWORDS:
            section = found[0]
        if section == "global" and found[:1] and found[0] in ("maxconn", "ulimit-n"):
            return number
    return None


def _line_of_proxy(words: str, config: Config) -> tuple[int | None, bool]:
    """
    The line that a complaint without one is about: in the proxy that it names, where the missing name stands.

    A proxy that has no section of its own stands in somebody's template.

    :return: with it whether that is sure: where several write a section, its first line may be another one's.
    """
    named = _PROXY.search(words)
    if named is None:
        return None, True
    start = 1
    for section in config.sections:
        if section.kind in _PROXIES and section.name == named["name"]:
            offset, sure = _offset_in(section, words)
            return start + offset, sure
        start += section.lines
    lines = config.template.split("\n")
    for number, line in enumerate(lines):
        opened = line.split()[:2]
        if len(opened) == 2 and opened[0] in _PROXIES and opened[1] == named["name"]:
            return 1 + number + (_pointed_at(lines[number:], words) or 0), True
    return None, True


def _pointed_at(lines: Sequence[str], words: str) -> int | None:
    """How far down a proxy's lines the complaint points: to its server, or to the name that is missing."""
    missing = _MISSING.search(words) or _REFERRED.search(words)
    needed = _NEEDED.search(words)
    needs = re.compile(_NEEDS.format(re.escape(needed["name"]))) if needed else None
    server = _SERVER.search(words)
    begun = False
    for offset, line in enumerate(lines):
        found = line.split()
        if found[:1] and found[0] in SECTION_KEYWORDS:
            if begun:
                break
            begun = True
        if server is not None and found[:2] == ["server", server["name"]]:
            return offset
        if server is None and missing is not None and found[:2] == [missing["keyword"], missing["name"]]:
            return offset
        if needs is not None and found[:1] != ["acl"] and needs.search(line):
            return offset
    return None


def _offset_in(section: Section, words: str) -> tuple[int, bool]:
    """
    How far down in a section the line stands that is to blame, and whether that is sure.

    Where HAProxy points to a line of our defaults, or to none, it is one of somebody's own that has a word which
    HAProxy quotes; else the one that opens the section, unless several write there.
    """
    owned = [(line, chunk.owner) for chunk in section.chunks for line in chunk.text.split("\n")[:-1]]
    pointed = _pointed_at([line for line, _ in owned], words)
    if pointed is not None and owned[pointed][1].source != "default":
        return pointed, True
    quoted = {word for word in _QUOTED.findall(words) if word != section.name}
    for offset, (line, owner) in enumerate(owned):
        if owner.source != "default" and not quoted.isdisjoint(line.split()):
            return offset, True
    if pointed is not None:
        return pointed, True
    opening = next((offset for offset, (line, _) in enumerate(owned) if not _SAYS_NOTHING.match(line)), 0)
    return opening, len({owner.app_id for _, owner in owned}) == 1
