"""
Rewrites old lines of overridden templates for current versions of HAProxy, if the rewrite needs no decision. Pure.

Operators have templates written over many years. A rewritten line keeps its meaning; a line without any meaning left is
commented out. The owner gets a warning. The number of lines stays the same, and an added line counts as the one above
it, so a HAProxy error on a line can be found in the owner's text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from os.path import dirname
from pathlib import Path

from msgspec import Struct

from marathonlb.config.templates.variables import escaped
from marathonlb.config.text.model import Chunk
from marathonlb.settings import Account

SOCKET_VARIABLE = "MARATHON_LB_WEB_SOCKET"
"""HAProxy's variable with the controller's socket, read by the Lua files; HAProxy 2.6 passes them no arguments."""

CONFIG_VARIABLE = "MARATHON_LB_CONFIG"
"""HAProxy's variable with the path of haproxy.cfg, read by the Lua files; the map files are in its directory."""

LUA = Path(__file__).resolve().parents[2] / "lua"
"""The directory of our Lua files, in a checkout and in an installed package."""

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
"""A health check as old versions of HAProxy take it: request headers follow the version, as part of it."""

_HEADER = re.compile(r"(?P<name>[A-Za-z0-9-]+):[ \t]*(?P<value>\S(?:.*\S)?)[ \t]*")

APART_SINCE = (3, 3)
"""The first version of HAProxy that refuses a frontend and a backend with the same name."""

RENAMED = (
    "names its frontend {backend}, which this version of HAProxy refuses beside the backend of that name; {frontend} is"
    " used instead; write that"
)

OLD_CHECK = (
    "has headers behind the version of `option httpchk`, which HAProxy after 2.6 refuses; `http-check send hdr NAME"
    " VALUE` on a line of its own is used instead; write that"
)


class ModernHead(Struct, frozen=True):
    """
    An operator's HAPROXY_HEAD, rewritten for current versions of HAProxy.

    :param before: a section that precedes it; empty if none is needed.
    :param warnings: the rewritten lines, each as a sentence for the operator.
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
) -> ModernHead:
    """
    Rewrite an operator's HAPROXY_HEAD.

    :param managed: True if the controller runs HAProxy, which must stay in the foreground then.
    :param socket: the path of the controller's socket, for the Lua services.
    :param config: the path of haproxy.cfg, for the Lua services.
    :param account: the account of HAProxy's worker if HAProxy starts as root and this text names none.
    :param stats: the path of HAProxy's stats socket in our default.
    :param is_directory: returns whether a path is a directory, in which HAProxy can make a socket.
    """
    text, warnings = _stats_sockets(text, stats, is_directory)
    before = ""
    if account is not None and account.ours:
        before = "global\n" + "".join(f"  {line}\n" for line in account.directives)
    text, loads = _LUA_LOAD.subn(
        lambda match: f"{match['load']}{escaped(str(LUA / match['name']))}.lua", text
    )
    if loads:
        before += f"global\n  setenv {SOCKET_VARIABLE} {escaped(socket)}\n"
        before += f"  setenv {CONFIG_VARIABLE} {escaped(config)}\n"
    daemon = _DAEMON.search(text) if managed else None
    if daemon is not None:
        text = _DAEMON.sub("  # daemon", text)
        number = text.count("\n", 0, daemon.start()) + 1
        warnings.append(
            f"line {number}: `daemon` is left out, because with --manage-haproxy the controller runs HAProxy"
        )
    return ModernHead(text, before, tuple(warnings))


def _stats_sockets(text: str, ours: str, is_directory: Callable[[str], bool]) -> tuple[str, list[str]]:
    """Replace the first stats socket without a directory by ours, comment the others out, and warn about each."""
    warnings: list[str] = []
    is_used = any(match["path"] == ours for match in _STATS_SOCKET.finditer(text))

    def replacement(match: re.Match[str]) -> str:
        nonlocal is_used
        directory, number = dirname(match["path"]), text.count("\n", 0, match.start()) + 1
        if is_directory(directory):
            return match[0]
        reason = f"line {number}: there is no directory {directory} for the stats socket, so that"
        if is_used:
            warnings.append(f"{reason} it is left out")
            return f"  # {match[0].strip()}"
        is_used = True
        warnings.append(f"{reason} {ours} is used; name that one, or make the directory")
        return f"{match['before']}{escaped(ours)}"

    return _STATS_SOCKET.sub(replacement, text), warnings


def frontend(text: str, backend: str, name: str) -> str:
    """Return a frontend's text with a name other than its backend's, as HAProxy 3.3 requires."""
    pattern = rf"^([ \t]*(?:frontend|listen)[ \t]+){re.escape(backend)}(?=\s|$)"
    return re.sub(pattern, lambda match: match[1] + name, text, flags=re.MULTILINE)


def checks(chunk: Chunk) -> tuple[Chunk, ...]:
    """
    Split a chunk at old health checks, and write the headers behind their version as ``http-check send`` lines.

    Each added line is a chunk of its own. A chunk without old health checks is returned unchanged.
    """
    if "httpchk" not in chunk.text or chunk.owner.is_default:
        return (chunk,)
    pieces: list[Chunk] = []
    position, line = 0, chunk.line
    for check in _CHECK.finditer(chunk.text):
        version, *lines = (check["quoted"] or re.sub(r"\\([ \t])", r"\1", check["bare"])).split("\\r\\n")
        headers = [_HEADER.fullmatch(header) for header in lines]
        if not all(headers):
            continue
        before = f"{chunk.text[position : check.start()]}{check['option']}{version}{check['rest']}\n"
        send = " ".join(f"hdr {header['name']} {escaped(header['value'])}" for header in headers if header)
        position, line = check.end() + 1, line + before.count("\n")
        pieces.append(Chunk(before, chunk.owner, line - before.count("\n")))
        pieces.append(Chunk(f"{check['indent']}http-check send {send}\n", chunk.owner, line - 1))
    return (*pieces, Chunk(chunk.text[position:], chunk.owner, line))
