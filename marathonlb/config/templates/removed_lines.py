"""
Lines of an operator's template that HAProxy refuses and that guard nothing. Pure.

HAProxy has removed many directives over the years. One that only tuned it is left out, one that has a modern form of
the same meaning is written in it, and the operator is told. A line that may guard something (who may connect, what is
answered, which password is asked for) is never among them: the template that holds it is refused as a whole.
"""

from __future__ import annotations

import re

from attrs import frozen

from marathonlb.redaction import masked

_TUNING = frozenset(
    "bind-process busy-polling cpu-map cpu-policy cpu-set daemon debug grace master-worker max-spread-checks maxpipes "
    "mworker-max-reloads nbproc nbthread noepoll noevports nogetaddrinfo nokqueue nopoll noreuseport nosplice "
    "numa-cpu-mapping profiling.memory profiling.tasks quiet spread-checks ssl-engine ssl-mode-async thread-group "
    "thread-groups ulimit-n".split()
)
"""Directives that say how HAProxy works, and nothing of what it lets pass."""

_OPTIONS = frozenset(
    "contstats forceclose http-keep-alive http-no-delay http-pretend-keepalive http-server-close http-tunnel "
    "http-use-htx httpclose splice-auto splice-request splice-response tcp-smart-accept tcp-smart-connect".split()
)
"""The same of ``option``."""

_GUARDS = ("tune.ssl.",)
"""How the names of tuning begin that has a say in who is let in: a session of TLS may stand for a certificate."""

_RENAMED = {
    "clitimeout": "timeout client",
    "contimeout": "timeout connect",
    "srvtimeout": "timeout server",
    "redispatch": "option redispatch",
}
"""Directives with a modern form of the same meaning; the first three may stand behind ``timeout``, too."""

_WORDS = re.compile(r"[ \t]*(?P<words>\S+(?:[ \t]+\S+){0,2})")
_FIRST = re.compile(r"^([ \t]*)(?:timeout[ \t]+)?\S+")
_PROCESS = re.compile(r"[ \t]+process[ \t]+[A-Za-z0-9/-]+")
_UNRESOLVED = "could not resolve address"
_NO_FILES = "FD limit"


@frozen
class Amendment:
    """
    What stands in the place of a refused line.

    :param line: the refused one.
    :param instead: what is written in its place: one line, too.
    :param told: what became of it, for the operator.
    """

    line: str
    instead: str
    told: str


def amendment(line: str, message: str) -> Amendment | None:
    """
    What may stand in the place of a line that HAProxy refuses; None where it may guard something.

    :param line: one that is not continued on the next by a backslash.
    :param message: HAProxy's words.
    """
    found = _WORDS.match(line)
    if found is None or line.rstrip().endswith("\\"):
        return None
    words = found["words"].split()
    first = words[1] if words[0] == "no" and len(words) > 1 else words[0]
    shown = f"`{masked(' '.join(line.split()))[:200]}`"
    old = words[1] if first == "timeout" and len(words) > 1 else first
    if words[0] != "no" and old in _RENAMED:
        instead = _FIRST.sub(lambda at: f"{at[1]}{_RENAMED[old]}", line, count=1)
        return Amendment(line, instead, f"{shown} is written as `{' '.join(instead.split())[:200]}`")
    if first == "server" and _UNRESOLVED in message and "init-addr" not in line.split():
        instead = f"{line.partition(' #')[0].rstrip()} init-addr last,libc,none"
        told = f"{shown} does not wait for its name to be known: `init-addr last,libc,none` is added"
        return Amendment(line, instead, told)
    if (first == "bind" or words[:2] == ["stats", "socket"]) and "process" in message:
        instead = _PROCESS.sub("", line, count=1)
        return None if instead == line else Amendment(line, instead, f"`process` is left out of {shown}")
    if _guards_nothing(words, first, message):
        indent = line[: len(line) - len(line.lstrip())]
        return Amendment(line, f"{indent}# {line.strip()}", f"{shown} is left out")
    return None


def _guards_nothing(words: list[str], first: str, message: str) -> bool:
    if first == "option":
        return words[-1] in _OPTIONS if words[0] == "no" else words[1:2] != [] and words[1] in _OPTIONS
    if first == "stats":
        return words[1:2] == ["bind-process"]
    if first.startswith("tune."):
        return not first.startswith(_GUARDS)
    return first in _TUNING or (first == "maxconn" and _NO_FILES in message)
