"""
Replacements for lines of an operator's template that HAProxy refuses and that protect nothing. Pure.

HAProxy has removed many directives over the years. A tuning directive is left out, a directive with a new form of the
same meaning is written in the new form, and the operator gets a warning. A line that may protect something (who may
connect, what is answered, which password is required) is never replaced: its template is refused as a whole.
"""

from __future__ import annotations

import re

from msgspec import Struct

from marathonlb.base.redaction import masked
from marathonlb.config.templates.template import Template
from marathonlb.problem_kinds.operators import TEMPLATE_REWRITTEN
from marathonlb.routing.problems import Problem

_TUNING = frozenset(
    "bind-process busy-polling cpu-map cpu-policy cpu-set daemon debug grace master-worker max-spread-checks maxpipes "
    "mworker-max-reloads nbproc nbthread noepoll noevports nogetaddrinfo nokqueue nopoll noreuseport nosplice "
    "numa-cpu-mapping profiling.memory profiling.tasks quiet spread-checks ssl-engine ssl-mode-async thread-group "
    "thread-groups ulimit-n".split()
)
"""Directives that tune HAProxy and do not affect which requests it lets through."""

_OPTIONS = frozenset(
    "contstats forceclose http-keep-alive http-no-delay http-pretend-keepalive http-server-close http-tunnel "
    "http-use-htx httpclose splice-auto splice-request splice-response tcp-smart-accept tcp-smart-connect".split()
)
"""The same for ``option``."""

_ACCESS_TUNING = ("tune.ssl.",)
"""Prefixes of tuning directives that affect access: a resumed TLS session may stand for a client certificate."""

_RENAMED = {
    "clitimeout": "timeout client",
    "contimeout": "timeout connect",
    "srvtimeout": "timeout server",
    "redispatch": "option redispatch",
}
"""Old directive to its new form with the same meaning; the first three may also follow ``timeout``."""

_WORDS = re.compile(r"[ \t]*(?P<words>\S+(?:[ \t]+\S+){0,2})")
_FIRST = re.compile(r"^([ \t]*)(?:timeout[ \t]+)?\S+")
_PROCESS = re.compile(r"[ \t]+process[ \t]+[A-Za-z0-9/-]+")
_UNRESOLVED = "could not resolve address"
_NO_FILES = "FD limit"


class Amendment(Struct, frozen=True):
    """
    The replacement of a line that HAProxy refuses.

    :param line: the refused line.
    :param replacement: the line written instead of it.
    :param warning: the change as a phrase, for the operator.
    """

    line: str
    replacement: str
    warning: str

    def problem(self, template: Template) -> Problem:
        """Return the warning as a problem of a template, for the operator."""
        reason = f"{self.warning}, because HAProxy refuses the line and it protects nothing; write it so, or remove it"
        return Problem(
            "",
            None,
            f"HAPROXY_{template.name}",
            template.source,
            reason,
            fatal=False,
            kind=TEMPLATE_REWRITTEN,
        )


def amendment(line: str, message: str) -> Amendment | None:
    """
    Return the replacement of a line that HAProxy refuses; None if the line may protect something.

    A line that continues on the next one by a backslash has none.

    :param message: HAProxy's error about the line.
    """
    match = _WORDS.match(line)
    if match is None or line.rstrip().endswith("\\"):
        return None
    words = match["words"].split()
    first = words[1] if words[0] == "no" and len(words) > 1 else words[0]
    shown = f"`{masked(' '.join(line.split()))[:200]}`"
    old = words[1] if first == "timeout" and len(words) > 1 else first
    if words[0] != "no" and old in _RENAMED:
        replacement = _FIRST.sub(lambda match: f"{match[1]}{_RENAMED[old]}", line, count=1)
        return Amendment(line, replacement, f"{shown} is written as `{' '.join(replacement.split())[:200]}`")
    if first == "server" and _UNRESOLVED in message and "init-addr" not in line.split():
        replacement = f"{line.partition(' #')[0].rstrip()} init-addr last,libc,none"
        warning = f"{shown} does not wait for its name to be resolved: `init-addr last,libc,none` is added"
        return Amendment(line, replacement, warning)
    if (first == "bind" or words[:2] == ["stats", "socket"]) and "process" in message:
        replacement = _PROCESS.sub("", line, count=1)
        unchanged = replacement == line
        return None if unchanged else Amendment(line, replacement, f"`process` is left out of {shown}")
    if _protects_nothing(words, first, message):
        indent = line[: len(line) - len(line.lstrip())]
        return Amendment(line, f"{indent}# {line.strip()}", f"{shown} is left out")
    return None


def _protects_nothing(words: list[str], first: str, message: str) -> bool:
    """Return whether a directive only tunes HAProxy."""
    if first == "option":
        return words[-1] in _OPTIONS if words[0] == "no" else words[1:2] != [] and words[1] in _OPTIONS
    if first == "stats":
        return words[1:2] == ["bind-process"]
    if first.startswith("tune."):
        return not first.startswith(_ACCESS_TUNING)
    return first in _TUNING or (first == "maxconn" and _NO_FILES in message)
