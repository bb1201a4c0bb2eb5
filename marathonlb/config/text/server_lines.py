"""
Parser for a backend's text: its ``server`` lines and the rest. Pure.

A server line can be applied through the runtime API only if each of its arguments means the same in ``add server``.
Otherwise the line has a problem, which becomes the reason of a reload.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import pairwise

from attrs import field, frozen
from msgspec import Struct

from marathonlb.config.text.model import Section
from marathonlb.config.text.named_defaults import PREFIX
from marathonlb.routing.lines.words import split_words

ARGUMENTS: Mapping[str, int] = {
    **dict.fromkeys(
        "backup check check-send-proxy check-ssl send-proxy send-proxy-v2 ssl".split(),
        0,
    ),
    **dict.fromkeys(
        "addr alpn ca-file check-alpn check-proto check-sni cookie downinter error-limit fall fastinter inter maxconn "
        "maxqueue minconn observe on-error on-marked-down on-marked-up pool-low-conn pool-max-conn pool-purge-delay "
        "port proto rise slowstart sni ssl-max-ver ssl-min-ver verify verifyhost".split(),
        1,
    ),
}
"""
Arguments that mean the same in ``add server`` as in haproxy.cfg, each with the number of its values.

Tested on HAProxy 2.6, 2.8, 3.0 and 3.4, for traffic and health checks. Arguments not listed here are refused by
``add server``, need a file or a name to be resolved, or have another meaning there (``disabled``, ``track``,
``agent-check``, ``crt``).
"""

CHECK_TARGETS = frozenset({"port", "addr"})
"""
Arguments that give the health check a target of its own.

Without one of them, the check of a server in haproxy.cfg uses TLS and the PROXY protocol as its traffic does. The check
of a server added at runtime needs ``check-ssl`` and ``check-send-proxy`` for that.
"""

DYNAMIC_BALANCE = re.compile(r"(?:roundrobin|leastconn|first|random(?:\(\d+\))?)\Z")
"""Balance algorithms with which HAProxy adds and removes servers at runtime."""

MOST_WORDS = 56
"""Maximum number of words of a line; HAProxy takes 64 in a command, and the command adds some."""

LONGEST = 3_000
"""Maximum characters of a line sent to the runtime API; HAProxy drops what exceeds its buffer."""

_PLAIN = re.compile(r"[A-Za-z0-9_.:/@%,+=()\[\]*-]+\Z")


@frozen
class ServerLine:
    """
    One ``server`` line of a backend.

    :param address: the numeric address, IPv6 without brackets; the line's own word if it is not numeric.
    :param weight: 1 if the line has none, as in HAProxy.
    :param arguments: the words after the address, without ``id`` and ``weight``.
    :param problem: why the line cannot be applied at runtime, as a phrase after the server's name; empty if it can.
    """

    name: str
    address: str
    port: int
    weight: int = 1
    id: int | None = None
    arguments: tuple[str, ...] = ()
    problem: str = ""

    @property
    def target(self) -> str:
        """The address and the port as ``add server`` takes them."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def checked(self) -> bool:
        """True if HAProxy checks the server's health."""
        return "check" in self.arguments

    def add_arguments(self, *, with_id: bool = True) -> str:
        """Return the arguments of ``add server`` after the name, which make the same server as the line."""
        words = [self.target]
        if with_id and self.id is not None:
            words.append(f"id {self.id}")
        if self.weight != 1:
            words.append(f"weight {self.weight}")
        words += self.arguments
        if self.checked and CHECK_TARGETS.isdisjoint(self.arguments):
            names = set(self.arguments)
            if "ssl" in names and "check-ssl" not in names:
                words.append("check-ssl")
            if names & {"send-proxy", "send-proxy-v2"} and "check-send-proxy" not in names:
                words.append("check-send-proxy")
        return " ".join(words)


@frozen(slots=False)
class Backend:
    """
    One backend, parsed.

    :param servers: server name to server, in the order of the text.
    :param rest: the text without the server lines.
    :param lines: the text of each server line to its server.
    :param duplicate: the name of a server that the backend has twice; empty if there is none.
    """

    name: str
    servers: Mapping[str, ServerLine]
    rest: str
    lines: Mapping[str, ServerLine] = field(repr=False, factory=dict)
    duplicate: str = ""

    @cached_property
    def balance(self) -> str:
        """The balance algorithm; empty if the backend has none of its own."""
        return _last(_BALANCE, self.rest)

    @cached_property
    def problem(self) -> str:
        """Why servers of this backend cannot be changed at runtime, as a phrase; empty if they can."""
        if self.duplicate:
            return f"has two servers {self.duplicate}"
        if self.balance and not DYNAMIC_BALANCE.match(self.balance):
            return f"has balance {self.balance}"
        directive = _STATIC.search(self.rest)
        if directive:
            return f"has {' '.join(directive[0].split())}"
        if len(_SECTIONS.findall(self.rest)) > 1:
            return "holds more than one section"
        return ""


_BALANCE = re.compile(r"^[ \t]*balance[ \t]+(\S+)", re.MULTILINE)
_STATIC = re.compile(
    r"^[ \t]*(?:default-server\b|server-template\b|dynamic-cookie-key\b|cookie[ \t].*\bdynamic\b|\.\w+)",
    re.MULTILINE,
)
"""Directives with which servers cannot be changed at runtime."""

_SECTIONS = re.compile(
    r"^(?:[ \t]*)(?:backend|frontend|listen|defaults|global|userlist|peers|resolvers)\b", re.MULTILINE
)
_DEFAULTS = re.compile(r"^[ \t]*defaults\b", re.MULTILINE)
_DEFAULT_SERVER = re.compile(r"^[ \t]*default-server\b", re.MULTILINE)


def _last(pattern: re.Pattern[str], text: str) -> str:
    matches = pattern.findall(text)
    return str(matches[-1]) if matches else ""


def parse(section: Section, before: Backend | None = None) -> Backend:
    """
    Parse a backend's text.

    :param before: the same backend before its text changed; lines that it has too are not parsed again.
    """
    known = before.lines if before is not None else {}
    lines: dict[str, ServerLine] = {}
    servers: dict[str, ServerLine] = {}
    rest: list[str] = []
    duplicate = ""
    for line in section.text.splitlines(keepends=True):
        server = known.get(line)
        if server is None:
            words = line.split(None, 1)
            if not words or words[0] != "server":
                rest.append(line)
                continue
            server = parse_server(line)
        if server.name in servers:
            duplicate = server.name
        lines[line] = servers[server.name] = server
    return Backend(section.name, servers, "".join(rest), lines, duplicate)


def parse_server(line: str) -> ServerLine:
    """Parse one ``server`` line; a line that cannot be applied at runtime has a problem."""
    words, unknown = split_words(line)
    if len(words) < 3:
        return ServerLine(words[1] if len(words) > 1 else "", "", 0, problem="has no address")
    name, target, arguments = words[1], words[2], words[3:]
    problem = unknown.value if unknown is not None else ""
    special = next((word for word in words[1:] if not _PLAIN.match(word)), None)
    if special is not None:
        problem = problem or f"has {special!r}, which the runtime API cannot take"
    address, port, no_address = _address(target)
    others, weight, server_id, unsupported = _arguments(arguments)
    too_long = "is too long for the runtime API" if _is_too_long(words) else ""
    problem = too_long or problem or no_address or unsupported
    return ServerLine(name, address, port, weight, server_id, others, problem)


def _is_too_long(words: list[str]) -> bool:
    """Return whether a line has more words or characters than HAProxy takes in a command."""
    return len(words) > MOST_WORDS or sum(map(len, words)) > LONGEST


def _address(target: str) -> tuple[str, int, str]:
    """Return the address without brackets, the port, and the problem with them."""
    host, _, digits = target.rpartition(":")
    port = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else 0
    address = _numeric(host)
    if not port or address is None or address in ("0.0.0.0", "::"):
        return host or target, port, f"has the address {target}, which is not a numeric address with a port"
    return address, port, ""


def _numeric(host: str) -> str | None:
    """Return a numeric address as HAProxy writes it, without brackets; None if it is not numeric."""
    bracketed = host.startswith("[") and host.endswith("]")
    family = socket.AF_INET6 if bracketed else socket.AF_INET
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, host[1:-1] if bracketed else host))
    except OSError:
        return None


def _arguments(words: list[str]) -> tuple[tuple[str, ...], int, int | None, str]:
    """Return the arguments without weight and id, the weight, the id, and the problem with them."""
    others: list[str] = []
    weight, server_id, problem = 1, None, ""
    remaining = iter(words)
    for word in remaining:
        if word in ("weight", "id"):
            value = next(remaining, "")
            if not value.isdigit():
                problem = problem or f"has the {word} {value}"
            elif word == "weight":
                weight = int(value)
            else:
                server_id = int(value)
            continue
        others.append(word)
        if word not in ARGUMENTS:
            problem = problem or f"has the argument {word}"
        elif ARGUMENTS[word]:
            others.append(next(remaining, ""))
    if {"ssl", "check-ssl"} & set(others) and not _names_trust(others):
        problem = problem or "has ssl without a ca-file or verify none"
    return tuple(others), weight, server_id, problem


def _names_trust(words: list[str]) -> bool:
    """Return whether a line names the certificates to trust; HAProxy refuses a ca-file that it has not read yet."""
    return "ca-file" in words or ("verify", "none") in pairwise(words)


class Inherited(Struct, frozen=True):
    """
    Directives that the backends of a configuration inherit from ``defaults``.

    :param problem: why no backend can be changed at runtime; empty if they can.
    :param balance: an inherited balance algorithm with which servers cannot be changed at runtime; empty if none.
    """

    problem: str = ""
    balance: str = ""


def inherited(sections: Iterable[Section]) -> Inherited:
    """
    Return the directives that backends inherit from any ``defaults`` of these sections.

    Every ``defaults`` counts for every backend, except the named ones from which backends are created at runtime: no
    section of the file inherits from those. A server added at runtime inherits nothing from ``default-server``, and
    HAProxy gives no warning.
    """
    balance = ""
    for section in sections:
        text = section.text
        if "defaults" not in text or section.name.startswith(PREFIX) or not _DEFAULTS.search(text):
            continue
        if _DEFAULT_SERVER.search(text):
            return Inherited("the defaults have a default-server")
        fixed = (word for word in _BALANCE.findall(text) if not DYNAMIC_BALANCE.match(word))
        balance = balance or next(fixed, "")
    return Inherited("", balance)
