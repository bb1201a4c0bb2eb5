"""
Hints about what HAProxy refuses: what to do. Pure.

Where HAProxy still knows a removed keyword it names the modern one itself; `REMEDIES` has the rest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from marathonlb.errors import Complaint

MAX_SHOWN = 3
"""Maximum number of complaints in one line."""

REMEDIES: tuple[tuple[str, str], ...] = (
    (r"nbproc is not supported", "remove it, or set `nbthread`"),
    (r"unknown keyword 'debug'", "remove it: HAProxy has it as its option -d alone, for a terminal"),
    (r"unknown keyword '(?:nokqueue|nopoll|quiet|noepoll|nosplice|noreuseport)'", "remove it"),
    (r"'(?:stats )?bind-process'|'process [^']*'", "remove it: HAProxy is one process with threads"),
    (r"'program'", "remove it, and let the system run that program: HAProxy does not run programs any more"),
    (r"'appsession'", "`cookie NAME insert` or `stick on` in a `stick-table` keeps a client on its server"),
    (r"'grace' keyword", "remove it: a reload lets the old process finish what it has"),
    (r"tune\.chksize", "remove it"),
    (r"option 'forceclose'|option 'http-tunnel'", "remove it"),
    (r"unknown option 'http-use-htx'", "remove it: HAProxy always uses HTX now"),
    (
        r"'option httpchk' : hiding headers",
        "write `option httpchk`, and below it `http-check send meth GET uri /PATH hdr Host NAME`",
    ),
    (
        r"'option httpchk' cannot handle unexpected argument",
        "after the path only a version may follow; what is expected is a line of its own, `http-check expect status N`",
    ),
    (r"balance only supports", "name one of these algorithms, or remove the line"),
    (
        r"could not resolve address",
        "HAProxy resolves the name when it starts: see that it can be resolved by then, or write"
        " `init-addr last,libc,none` at the end of that `server` line so that HAProxy starts without it",
    ),
    (
        r"unable to find required resolvers",
        "write a `resolvers` section of that name, or remove `resolvers` there",
    ),
    (
        r"unable to find required (?:use_backend|default_backend)|no such backend",
        "write a backend of that name; one in another template is missing where that template could not be used",
    ),
    (r"unable to find userlist|missing userlist", "write a `userlist` of that name"),
    (
        r"'lua\.[^']*' unknown service name",
        "write `lua-load` of the file that registers it; getpids.lua, getconfig.lua, getmaps.lua and signalmlb.lua come"
        " with the load balancer, wherever that line looks for them",
    ),
    (
        r"error in Lua file '[^']*': cannot open",
        "the file has to exist where HAProxy runs; getpids.lua, getconfig.lua, getmaps.lua and signalmlb.lua alone come"
        " with the load balancer",
    ),
    (
        r"unable to stat SSL certificate|unable to load certificate|no SSL certificate specified",
        "name a PEM file that exists",
    ),
    (r"is not a valid ACL option", "patterns that begin with - come after `--`"),
    (
        r"unknown fetch method|missing fetch method|unknown.*sample",
        "HAProxy's manual lists the fetches of its version",
    ),
    (
        r"Cannot raise FD limit",
        "remove it: HAProxy finds out by itself how much fits; or let it open more files (`ulimit -n`, LimitNOFILE)",
    ),
    (
        r"cannot bind .*\(Address already in use\)",
        "end what has that port (`ss -ltnp` names it), or choose another: --bind-http and the like for the shared"
        " frontends, HAPROXY_{n}_PORT for an app",
    ),
    (
        r"cannot bind .*\(Permission denied\)",
        "let this user bind ports below 1024 (CAP_NET_BIND_SERVICE), or choose a higher one",
    ),
    (r"cannot bind .*\(Cannot assign requested address\)", "name an address that this machine has"),
    (r"UNIX socket|unix socket", "name a directory that exists and that HAProxy may write to"),
    (r"cannot find (?:group|user) id", "name one that this machine has, or remove the line"),
    (r"tries to use incompatible", "a frontend and its backends have one `mode`: write `mode {mode}`"),
    (r"has the same name as", "give one of the two another name"),
    (
        r"out of section|unknown keyword",
        "HAProxy has no such keyword there (any more): its manual lists those of its version",
    ),
)
"""HAProxy's message, as a regular expression, and what to do. The first that matches is used."""

_HAS_ADVICE = re.compile(r"\b[Uu]se '|[Pp]lease use|[Uu]se 'timeout|did you mean|please just remove")
"""HAProxy's message says itself what to do."""


_CUTS_PATH = re.compile(r"^reqi?rep\s+.*\^\(\[\^ :\]\*\)\\? ")
"""The usual way to cut a prefix off the path, until HAProxy 2.1."""

_ESCAPED_TWICE = re.compile(r"\\\\[rn]|\\n(?:\s|$)")
"""A line break that is written with one backslash too many."""


def remedy(message: str, line: str = "") -> str:
    """
    Return what to do, in words that follow HAProxy's message; empty if it says so itself or nothing is known.

    :param message: HAProxy's message.
    :param line: the line that HAProxy refuses, as its author wrote it.
    """
    if _CUTS_PATH.search(line):
        return "of the request line it is `http-request replace-path`; the default cuts the path without an override"
    if _ESCAPED_TWICE.search(line):
        return "a line break was escaped once too often there: in JSON it is `\\n`, with one backslash"
    for pattern, advice in REMEDIES:
        if re.search(pattern, message):
            return advice if not _HAS_ADVICE.search(message) or "httpchk" in message else ""
    return ""


def in_one_line(complaints: Sequence[Complaint]) -> str:
    """Return the first complaints with their lines, and what to do about them."""
    shown = complaints[:MAX_SHOWN]
    messages = [f"line {one.line}: {one.message}" if one.line else one.message for one in shown]
    advice = dict.fromkeys(remedy(one.message) for one in shown)
    return "; ".join(part.rstrip(".") for part in (*messages, *advice) if part)
