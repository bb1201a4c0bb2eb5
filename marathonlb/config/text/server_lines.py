"""
The text of a backend, taken apart: its ``server`` lines, and everything else as the rest. Pure.

What a server line says can be said to a HAProxy that runs only where each of its words means the same there. What does
not is kept as a problem in words, which becomes the reason of a reload.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import pairwise

from attrs import field, frozen

from marathonlb.config.text.model import Section
from marathonlb.config.text.named_defaults import PREFIX
from marathonlb.config.text.words import split_words

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
The arguments that mean the same in ``add server`` as in the file, each with the number of its values.

Tried on HAProxy 2.6, 2.8, 3.0 and 3.4, traffic and checks alike. What is missing is refused there, needs a file or a
name to be resolved, or is taken and means something else (``disabled``, ``track``, ``agent-check``, ``crt``).
"""

CHECK_TARGETS = frozenset({"port", "addr"})
"""
Without one of these a check of the file speaks TLS and the PROXY protocol as the traffic does; that of an added server
does not, unless it is told to.
"""

DYNAMIC_BALANCE = re.compile(r"(?:roundrobin|leastconn|first|random(?:\(\d+\))?)\Z")

MOST_WORDS = 56
"""HAProxy takes 64 words in a command, and some are added to those of the line."""

LONGEST = 3_000
"""Characters of a line that is said on a socket at most; HAProxy swallows what is more than its buffer."""

_PLAIN = re.compile(r"[A-Za-z0-9_.:/@%,+=()\[\]*-]+\Z")


@frozen
class Server:
    """
    One ``server`` line.

    :param address: numeric, an IPv6 address without its brackets; what stands there where it is not numeric.
    :param weight: 1 where the line has none, as in HAProxy.
    :param arguments: the words after the address, without ``id`` and ``weight``.
    :param problem: why this cannot be said at runtime, in words that follow the server's name; empty where it can.
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
        """Address and port as ``add server`` takes them."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def checked(self) -> bool:
        """Whether HAProxy checks its health."""
        return "check" in self.arguments

    def spoken(self, *, with_id: bool = True) -> str:
        """The words of ``add server`` after the name that make the server which the line makes."""
        words = [self.target]
        if with_id and self.id is not None:
            words.append(f"id {self.id}")
        if self.weight != 1:
            words.append(f"weight {self.weight}")
        words += self.arguments
        if self.checked and CHECK_TARGETS.isdisjoint(self.arguments):
            said = set(self.arguments)
            if "ssl" in said and "check-ssl" not in said:
                words.append("check-ssl")
            if said & {"send-proxy", "send-proxy-v2"} and "check-send-proxy" not in said:
                words.append("check-send-proxy")
        return " ".join(words)


@frozen(slots=False)
class Backend:
    """
    One backend.

    :param servers: by name, in the order of the text.
    :param rest: everything but the server lines.
    :param balance: the algorithm; empty where the backend has none of its own.
    :param lines: each server line and what it says.
    """

    name: str
    servers: Mapping[str, Server]
    rest: str
    lines: Mapping[str, Server] = field(repr=False, factory=dict)
    twice: str = ""

    @cached_property
    def balance(self) -> str:
        """The algorithm by which servers are chosen; empty where the backend has none of its own."""
        return _last(_BALANCE, self.rest)

    @cached_property
    def problem(self) -> str:
        """Why no server of this backend can be changed at runtime, in words; empty where they can."""
        if self.twice:
            return f"has two servers {self.twice}"
        if self.balance and not DYNAMIC_BALANCE.match(self.balance):
            return f"has balance {self.balance}"
        found = _FOREIGN.search(self.rest)
        if found:
            return f"has {' '.join(found[0].split())}"
        if len(_SECTIONS.findall(self.rest)) > 1:
            return "holds more than one section"
        return ""


_BALANCE = re.compile(r"^[ \t]*balance[ \t]+(\S+)", re.MULTILINE)
_FOREIGN = re.compile(
    r"^[ \t]*(?:default-server\b|server-template\b|dynamic-cookie-key\b|cookie[ \t].*\bdynamic\b|\.\w+)",
    re.MULTILINE,
)
_SECTIONS = re.compile(
    r"^(?:[ \t]*)(?:backend|frontend|listen|defaults|global|userlist|peers|resolvers)\b", re.MULTILINE
)
_DEFAULTS = re.compile(r"^[ \t]*defaults\b", re.MULTILINE)
_DEFAULT_SERVER = re.compile(r"^[ \t]*default-server\b", re.MULTILINE)


def _last(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.findall(text)
    return str(found[-1]) if found else ""


def parse(section: Section, before: Backend | None = None) -> Backend:
    """
    Take a backend's text apart.

    :param before: the same backend as it was: what its lines say need not be found out again.
    """
    known = before.lines if before is not None else {}
    lines: dict[str, Server] = {}
    servers: dict[str, Server] = {}
    rest: list[str] = []
    twice = ""
    for line in section.text.splitlines(keepends=True):
        server = known.get(line)
        if server is None:
            words = line.split(None, 1)
            if not words or words[0] != "server":
                rest.append(line)
                continue
            server = parse_server(line)
        if server.name in servers:
            twice = server.name
        lines[line] = servers[server.name] = server
    return Backend(section.name, servers, "".join(rest), lines, twice)


def parse_server(line: str) -> Server:
    """What one ``server`` line says; what cannot be understood is its problem."""
    words, problem = split_words(line)
    if len(words) < 3:
        return Server(words[1] if len(words) > 1 else "", "", 0, problem="has no address")
    name, target, arguments = words[1], words[2], words[3:]
    odd = next((word for word in words[1:] if not _PLAIN.match(word)), None)
    if odd is not None:
        problem = problem or f"has {odd!r}, which cannot be said on a socket"
    address, port, wrong = _address(target)
    kept, weight, number, unknown = _arguments(arguments)
    long = "is too long to be said on a socket" if _is_long(words) else ""
    return Server(name, address, port, weight, number, kept, long or problem or wrong or unknown)


def _is_long(words: list[str]) -> bool:
    """Whether a line has more words or characters than HAProxy takes in a command."""
    return len(words) > MOST_WORDS or sum(map(len, words)) > LONGEST


def _address(target: str) -> tuple[str, int, str]:
    """The address without brackets, the port, and what is wrong with them."""
    host, _, digits = target.rpartition(":")
    port = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else 0
    address = _numeric(host)
    if not port or address is None or address in ("0.0.0.0", "::"):
        return host or target, port, f"has the address {target}, which is not a number with a port"
    return address, port, ""


def _numeric(host: str) -> str | None:
    """A numeric address as HAProxy writes it, without brackets; None where it is none."""
    bracketed = host.startswith("[") and host.endswith("]")
    family = socket.AF_INET6 if bracketed else socket.AF_INET
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, host[1:-1] if bracketed else host))
    except OSError:
        return None


def _arguments(words: list[str]) -> tuple[tuple[str, ...], int, int | None, str]:
    """What is left without weight and id, the weight, the id, and what is wrong."""
    kept: list[str] = []
    weight, number, problem = 1, None, ""
    rest = iter(words)
    for word in rest:
        if word in ("weight", "id"):
            value = next(rest, "")
            if not value.isdigit():
                problem = problem or f"has the {word} {value}"
            elif word == "weight":
                weight = int(value)
            else:
                number = int(value)
            continue
        kept.append(word)
        if word not in ARGUMENTS:
            problem = problem or f"has the argument {word}"
        elif ARGUMENTS[word]:
            kept.append(next(rest, ""))
    said = set(kept)
    if said & {"ssl", "check-ssl"} and not _says_whom_to_trust(kept):
        problem = problem or "has ssl without a ca-file or verify none"
    return tuple(kept), weight, number, problem


def _says_whom_to_trust(words: list[str]) -> bool:
    """Whether the line tells which certificates are taken; a ca-file that HAProxy has not read yet is refused."""
    return "ca-file" in words or ("verify", "none") in pairwise(words)


@frozen
class Inherited:
    """
    What the ``defaults`` of a configuration give to its backends.

    :param problem: why no backend can be changed at runtime; empty where they can.
    :param balance: what a backend without an algorithm of its own may get that lets no server be changed, or empty.
    """

    problem: str = ""
    balance: str = ""


def inherited(sections: Iterable[Section]) -> Inherited:
    """
    What the backends of these sections inherit, wherever it stands and whichever of them it is for; those from which
    backends are made are for no section of the file.

    An added server inherits nothing from a ``default-server``, and HAProxy does not say so.
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
