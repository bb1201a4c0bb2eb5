"""
The largest values that an app may have: what HAProxy's parser, its sockets and the reactor bear. Pure.

Values are bounded where they are parsed, so that no text of one app reaches a limit of HAProxy's behind which it reads
something else, and so that reading one app takes milliseconds. `marathonlb.config.text.line_check` checks the lines
that are made of them once more.
"""

from __future__ import annotations

LABEL = 65_536
"""Maximum bytes of a label's value."""

TEXT = 262_144
"""Maximum bytes of the values of all known labels of an app together."""

LABELS = 500
"""Maximum number of an app's ``HAPROXY_`` labels that are read."""

UNKNOWN = 50
"""Maximum number of an app's unknown labels that are reported one by one."""

HINTS = 10
"""Maximum number of those that are compared with the known names, and of other things that are told of one app."""

PORTS = 1_000
"""Maximum number of an app's ports that are served."""

SERVERS = 200_000
"""Maximum number of an app's servers, in all its ports together."""

CHECKS = 1_000
"""Maximum number of an app's health checks that are read."""

ENTRIES = 10_000
"""Maximum number of hosts, of paths, and of hosts times paths, in all ports of an app together."""

FOREIGN = 20
"""A virtual host outside of ASCII counts as so many: its conversion takes that much longer."""

NETWORKS = 2_000
"""Maximum number of networks in all ports of an app together."""

LISTED = 1_000
"""Maximum number of origins, of certificates and of groups, each in all labels of an app together."""

ORIGINS = 40
"""Maximum number of origins in one label: they stand on one line of HAProxy's configuration."""

CERTIFICATES = 20
"""Maximum number of certificates of one service port or host: they stand on one line."""

BIND_WORDS = 50
"""Maximum words of the bind options and the certificates of one bind line together; HAProxy takes 64 on a line."""

ACL_PATHS = 50
"""Maximum number of paths in one rule that somebody's template writes: they stand on one line."""

ACL_RULES = 1_000
"""
Maximum number of hosts times paths that HAProxy asks one by one, beside its maps, by what the labels of an app say.

Each request of everybody goes past them: 10,000 take two to five milliseconds of it. It is also the number of an app's
hosts whose TLS is its own, past which each TLS connection goes.
"""

GROUPS = 100
"""Maximum number of groups in one label."""

WORD = 255
"""Maximum bytes of a plain value: a number, a name, a group."""

PATH = 2_048
"""Maximum bytes of a path, of a label or of a health check."""

HOST = 253
"""Maximum bytes of a host name (RFC 1035), of a virtual host or an agent."""

APP_ID = 512
"""Maximum bytes of an app's id, which names its backends."""

TASK_ID = 1_024
"""Maximum bytes of a task's id."""

WORDS_OF_LINE = 2_048
"""Maximum bytes of a label whose words stand on a line with others (BIND_OPTIONS)."""

RENDERED = 262_144
"""Maximum characters that a label's text comes to with its variables, and all those of one service's sections."""

RULES = 1_048_576
"""Maximum characters that the labels of one service write in the shared frontends, with all hosts and paths."""

PER_SERVER = 512
"""Characters that each server adds to that."""

SHOWN = 500
"""Maximum characters of a label's value in a problem."""

TOLD = 2_000
"""Maximum characters of a problem's reason."""

QUOTED = 1_000
"""Maximum characters of one complaint of HAProxy's, which repeats the lines that it refuses."""

PROBLEMS = 200
"""Maximum number of problems that are reported of one app; of more the number is said."""


def size(text: str) -> int:
    """The bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def within(text: str, most: int, what: str = "holds") -> str:
    """The text, where it has at most so many bytes. Raises `ValueError`."""
    if len(text) > most or size(text) > most:
        raise ValueError(f"{what} {size(text)} bytes; {most} are the most")
    return text


def shortened(text: str, most: int = SHOWN) -> str:
    """The text as it is shown: cut off behind so many characters, with a mark."""
    return text if len(text) <= most else text[:most] + "…"


def quoted(words: str) -> str:
    """The words of HAProxy as they are shown: their beginning, which names the place, and their end, which says why."""
    half = QUOTED // 2
    return words if len(words) <= QUOTED else f"{words[:half]}…{words[-half:]}"
