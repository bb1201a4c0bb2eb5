"""
Overrides of long ago, made fit for today's HAProxy as far as nobody has to decide anything.

Operators of Marathon load balancers have templates of many years. What a line means is kept; a line that cannot mean
anything any more is left out or written as it is written today, and its owner is told. No line is taken away, and one
that is added counts as the one above it, so that what HAProxy says of a line can be found in the owner's text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from os.path import dirname
from pathlib import Path

from attrs import frozen

from marathonlb.config.templates.table import Template
from marathonlb.config.templates.variables import escaped
from marathonlb.config.text.model import SECTION_KEYWORDS, Chunk
from marathonlb.errors import TemplateError
from marathonlb.redaction import masked
from marathonlb.routing.labels.values import speaks_for_haproxy
from marathonlb.settings import Account

SOCKET_VARIABLE = "MARATHON_LB_WEB_SOCKET"
"""By this variable of HAProxy's the Lua files know the controller's socket: HAProxy 2.6 gives them no arguments."""

CONFIG_VARIABLE = "MARATHON_LB_CONFIG"
"""By this one they know the configuration, beside which the map files lie."""

LUA = Path(__file__).resolve().parents[2] / "lua"
"""Where our Lua files lie, in a checkout and in an installed package."""

_LUA_LOAD = re.compile(
    r"^(?P<load>[ \t]*lua-load(?:-per-thread)?[ \t]+)(?P<quote>[\"']?)(?:[^\s\"']*/)?"
    r"(?P<name>getpids|getconfig|getmaps|signalmlb)\.lua(?P=quote)(?=\s|$)",
    re.MULTILINE,
)
_DAEMON = re.compile(r"^[ \t]*daemon\b", re.MULTILINE)

_STATS_SOCKET = re.compile(
    r"^(?P<before>[ \t]*stats[ \t]+socket[ \t]+(?:unix@)?)(?P<path>/[^\s\"'\\#$]+)(?=\s|$)", re.MULTILINE
)

_CHECK = re.compile(
    r"^(?P<option>(?P<indent>[ \t]*)option[ \t]+httpchk(?:[ \t]+[^\s\"'#]+){2}[ \t]+)"
    r"(?:\"(?P<quoted>HTTP/[0-9.]+(?:\\r\\n[^\n\\\"%$]+)+)(?:\\r\\n)*\""
    r"|(?P<bare>HTTP/[0-9.]+(?:\\r\\n(?:\\[ \t]|[^\s\\\"'#%$])+)+)(?:\\r\\n)*)(?P<rest>[ \t]*(?:#.*)?)$",
    re.MULTILINE,
)
"""The check of an older HAProxy: its headers stand behind the version, as part of it."""

_HEADER = re.compile(r"(?P<name>[A-Za-z0-9-]+):[ \t]*(?P<value>\S(?:.*\S)?)[ \t]*")

APART_SINCE = (3, 3)
"""HAProxy refuses a frontend and a backend of one name from this version on."""

RENAMED = (
    "names its frontend {backend}, which this HAProxy refuses beside the backend of that name; it is named {frontend}"
    " in its place, and that is what to write"
)

OLD_CHECK = (
    "hides headers behind the version of `option httpchk`, which HAProxy after 2.6 refuses; `http-check send hdr NAME"
    " VALUE` on a line of its own says the same in its place, and that is what to write"
)

_EVERYBODYS = frozenset({"global", "defaults"})
_CONDITIONS = {".if": 1, ".elif": 0, ".else": 0, ".endif": -1}
_WORD = re.compile(r"[ \t\v\f]*([^\s#]+)")
_HEX = re.compile(r"\\x([0-9A-Fa-f]{2})")
_QUOTING = re.compile(r"[\\\"']")

OPENS = {
    "USERLIST_HEAD": ("userlist",),
    "HTTP_FRONTEND_HEAD": ("frontend", "listen"),
    "HTTP_FRONTEND_APPID_HEAD": ("frontend", "listen"),
    "HTTPS_FRONTEND_HEAD": ("frontend", "listen"),
    "HTTPS_GROUPED_FRONTEND_HEAD": ("frontend", "listen"),
    "HTTPS_GROUPED_VHOST_FRONTEND_HEAD": ("frontend", "listen"),
    "HTTPS_GROUPED_VHOST_BACKEND_HEAD": ("backend", "listen"),
    "FRONTEND_HEAD": ("frontend", "listen"),
    "BACKEND_HEAD": ("backend", "listen"),
}
"""The sections that templates open; more lines follow in the last one."""


@frozen
class Head:
    """
    The text of HAPROXY_HEAD as HAProxy shall read it.

    :param before: a section that has to stand before it.
    :param warnings: what its owner should know.
    """

    text: str
    before: str = ""
    warnings: tuple[str, ...] = ()


def head(
    text: str,
    *,
    managed: bool,
    socket: str,
    config: str,
    account: Account | None = None,
    stats: str = "",
    is_directory: Callable[[str], bool] = lambda path: True,
) -> Head:
    """
    An operator's HAPROXY_HEAD for today.

    :param managed: the controller runs HAProxy itself, which must not leave it then.
    :param socket: the controller's, for the Lua services that ask it.
    :param config: the path of haproxy.cfg, for those that show it.
    :param account: whom HAProxy becomes where it is started as root and this text says nothing of that.
    :param stats: where HAProxy's own stats socket is in our default.
    :param is_directory: whether HAProxy can make a socket there.
    """
    text, warnings = _stats_sockets(text, stats, is_directory)
    before = ""
    if account is not None and account.ours:
        before = "global\n" + "".join(f"  {line}\n" for line in account.directives)
    text, loads = _LUA_LOAD.subn(
        lambda found: f"{found['load']}{escaped(str(LUA / found['name']))}.lua", text
    )
    if loads:
        before += f"global\n  setenv {SOCKET_VARIABLE} {escaped(socket)}\n"
        before += f"  setenv {CONFIG_VARIABLE} {escaped(config)}\n"
    daemon = _DAEMON.search(text) if managed else None
    if daemon is not None:
        text = _DAEMON.sub("  # daemon", text)
        number = text.count("\n", 0, daemon.start()) + 1
        warnings.append(
            f"line {number}: `daemon` is left out: with --manage-haproxy the controller runs HAProxy"
        )
    return Head(text, before, tuple(warnings))


def _stats_sockets(text: str, ours: str, is_directory: Callable[[str], bool]) -> tuple[str, list[str]]:
    """The text with ours in place of a stats socket whose directory is not there, and a word about each."""
    warnings: list[str] = []
    taken = any(found["path"] == ours for found in _STATS_SOCKET.finditer(text))

    def led(found: re.Match[str]) -> str:
        nonlocal taken
        directory, number = dirname(found["path"]), text.count("\n", 0, found.start()) + 1
        if is_directory(directory):
            return found[0]
        gone = f"line {number}: there is no directory {directory} for the stats socket, so that"
        if taken:
            warnings.append(f"{gone} it is left out")
            return f"  # {found[0].strip()}"
        taken = True
        warnings.append(f"{gone} it is {ours}; name that one, or make the directory")
        return f"{found['before']}{escaped(ours)}"

    return _STATS_SOCKET.sub(led, text), warnings


def frontend(text: str, backend: str, name: str) -> str:
    """The text of a frontend that is named like its backend, with the name of its own that HAProxy 3.3 wants."""
    pattern = rf"^([ \t]*(?:frontend|listen)[ \t]+){re.escape(backend)}(?=\s|$)"
    return re.sub(pattern, lambda found: found[1] + name, text, flags=re.MULTILINE)


def checks(chunk: Chunk) -> tuple[Chunk, ...]:
    """
    The chunk, or its pieces, with what old health checks hide behind a version as HAProxy takes it today.

    One piece is the line that is added for each.
    """
    if "httpchk" not in chunk.text or chunk.owner.source == "default":
        return (chunk,)
    made: list[Chunk] = []
    here, line = 0, chunk.line
    for found in _CHECK.finditer(chunk.text):
        version, *headers = (found["quoted"] or re.sub(r"\\([ \t])", r"\1", found["bare"])).split("\\r\\n")
        named = [_HEADER.fullmatch(header) for header in headers]
        if not all(named):
            continue
        whole = f"{chunk.text[here : found.start()]}{found['option']}{version}{found['rest']}\n"
        send = " ".join(f"hdr {each['name']} {escaped(each['value'])}" for each in named if each)
        here, line = found.end() + 1, line + whole.count("\n")
        made.append(Chunk(whole, chunk.owner, line - whole.count("\n")))
        made.append(Chunk(f"{found['indent']}http-check send {send}\n", chunk.owner, line - 1))
    return (*made, Chunk(chunk.text[here:], chunk.owner, line))


def opening(template: Template, text: str) -> str:
    """
    The text of a template, once it is sure that what follows it stands where it should.

    A template that opens a section ends in that section, and where it holds nothing but comments that part is switched
    off. Others open none, or the lines of other services would be in it. Conditions end where they began. And nothing
    may pass for HAProxy's own words.

    :raises TemplateError: it does not.
    """
    if template.is_default:
        return text
    if speaks_for_haproxy(text):
        reason = "holds a line break (`\\n`) behind which a message seems to begin"
        raise TemplateError(source=template.source, reason=reason, template=template.name)
    _conditions_end(template, text)
    if template.name == "HEAD":
        return text
    keywords, opened = OPENS.get(template.name, ()), ""
    for number, line, word in _first_words(text):
        if "$" in word or (word == "userlist" and "$" in line):
            raise _misplaced(template, number, line, "holds a variable, so that nobody knows what it is")
        if word in SECTION_KEYWORDS:
            if not keywords or word in _EVERYBODYS:
                where = "HAPROXY_HEAD" if word in _EVERYBODYS else "a template whose name ends in HEAD"
                raise _misplaced(template, number, line, f"opens a section, which is for {where} alone")
            opened = word
        elif keywords and not opened and word not in _CONDITIONS:
            first = f"the first line of HAPROXY_{template.name} has to be `{keywords[0]} NAME`"
            raise _misplaced(template, number, line, f"stands in no section: {first}")
    if keywords and opened and opened not in keywords:
        reason = f"its last section is `{opened}`, and has to be `{keywords[0]}`, since more lines follow"
        raise TemplateError(source=template.source, reason=reason, template=template.name)
    return "" if keywords and not opened else text


def declared(text: str, keyword: str) -> Iterator[str]:
    """The names of the sections of a kind that a text opens."""
    for _, line, word in _first_words(text):
        said = line.split()
        if word == keyword and len(said) > 1:
            yield _plain(said[1])


def _plain(word: str) -> str:
    """A word as HAProxy reads it."""
    return _QUOTING.sub("", _HEX.sub(lambda code: chr(int(code[1], 16)), word))


def _conditions_end(template: Template, text: str) -> None:
    depth = 0
    for number, line, word in _first_words(text):
        depth += _CONDITIONS.get(word, 0)
        if word in _CONDITIONS and depth < (0 if word == ".endif" else 1):
            raise _misplaced(template, number, line, "has no `.if` before it")
    if depth:
        raise _misplaced(template, text.count("\n") + 1, "", "ends without `.endif`")


def _first_words(text: str) -> Iterator[tuple[int, str, str]]:
    """The number of each line that says something, the line, and its first word as HAProxy reads it."""
    for number, line in enumerate(text.split("\n"), 1):
        found = _WORD.match(line)
        if found is not None:
            yield number, line, _plain(found[1])


def _misplaced(template: Template, number: int, line: str, why: str) -> TemplateError:
    shown = f", `{masked(line.strip())[:200]}`," if line.strip() else ""
    reason = f"line {number}{shown} {why}"
    return TemplateError(source=template.source, reason=reason, template=template.name)
