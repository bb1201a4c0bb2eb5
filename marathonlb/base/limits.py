"""
The largest values that an app may have, by what HAProxy's parser, its sockets and the reactor can take. Pure.

Values are bounded where they are parsed. So no text of an app exceeds a limit of HAProxy past which HAProxy would read
something else, and parsing one app takes milliseconds. `marathonlb.config.text.line_check` checks the resulting lines
again.
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
"""Maximum number of unknown labels that are compared with the known names, and of other details reported of one app."""

PORTS = 1_000
"""Maximum number of an app's ports that are served."""

SERVERS = 200_000
"""Maximum number of an app's servers, in all its ports together."""

CHECKS = 1_000
"""Maximum number of an app's health checks that are read."""

ENTRIES = 10_000
"""Maximum number of hosts, of paths, and of hosts times paths, in all ports of an app together."""

FOREIGN = 20
"""Number of hosts that a virtual host outside of ASCII counts as: its conversion takes that much longer."""

NETWORKS = 2_000
"""Maximum number of networks in all ports of an app together."""

LISTED = 1_000
"""Maximum number of origins, of certificates and of groups, each in all labels of an app together."""

ORIGINS = 40
"""Maximum number of origins in one label: they are on one line of HAProxy's configuration."""

CERTIFICATES = 20
"""Maximum number of certificates of one service port or host: they are on one line."""

BIND_WORDS = 50
"""Maximum number of words of the bind options and certificates of one bind line; HAProxy takes 64 on a line."""

ACL_PATHS = 50
"""Maximum number of paths in one rule that a template writes: they are on one line."""

ACL_RULES = 1_000
"""
Maximum number of hosts times paths of an app that HAProxy compares one by one, outside of its maps.

Every request to any service passes them: 10,000 take two to five milliseconds. It is also the maximum number of an
app's hosts with TLS settings of their own, which every TLS connection passes.
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
"""Maximum bytes of a label whose words are on a line with others (BIND_OPTIONS)."""

RENDERED = 262_144
"""Maximum characters of a label's text with its variables filled in, and of all such texts of one service."""

RULES = 1_048_576
"""Maximum characters that the labels of one service add to the shared frontends, with all hosts and paths."""

PER_SERVER = 512
"""Characters that each server adds to `RENDERED`."""

SHOWN = 500
"""Maximum characters of a label's value in a problem."""

TOLD = 2_000
"""Maximum characters of a problem's reason."""

QUOTED = 1_000
"""Maximum characters of one complaint of HAProxy, which repeats the lines that it refuses."""

PROBLEMS = 200
"""Maximum number of problems that are reported of one app; for more the number is reported."""


def size(text: str) -> int:
    """Return the number of bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def within(text: str, most: int, what: str = "holds") -> str:
    """
    Return the text if it is not too long.

    :param most: maximum number of bytes in UTF-8.
    :raises ValueError: it is longer.
    """
    if len(text) > most or size(text) > most:
        raise ValueError(f"{what} {size(text)} bytes; the maximum is {most}")
    return text


def shortened(text: str, most: int = SHOWN) -> str:
    """Return the text as it is shown: cut off after this many characters, with an ellipsis."""
    return text if len(text) <= most else text[:most] + "…"


def quoted(message: str) -> str:
    """Return a message of HAProxy as it is shown: its beginning, which names the place, and its end, which says why."""
    half = QUOTED // 2
    return message if len(message) <= QUOTED else f"{message[:half]}…{message[-half:]}"
