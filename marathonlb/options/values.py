"""
The kinds of values of options: one parser for each, from text to value.

A parser raises `ValueError` without a message; `ValueKind.expected` has the message. No parser looks at the machine:
the user of a value finds out if a path exists or a port is free.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from ipaddress import ip_network
from math import isfinite
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from attrs import frozen

MODES = ("sse", "event", "poll")
LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("debug", "info", "warn", "error", "critical")
LARGEST_TIMER = 2**31 - 1
"""Maximum milliseconds of a duration of HAProxy's."""

_ENDPOINTS = ("tcp", "tcp6", "ssl", "unix", "systemd", "fd", "haproxy")
_UNITS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_TRUE = frozenset({"true", "t", "yes", "y", "1", "on"})
_FALSE = frozenset({"false", "f", "no", "n", "0", "off"})


@frozen
class ValueKind:
    """
    One kind of value.

    :param parse: returns the value of a text; raises `ValueError` if the text is wrong.
    :param expected: the right values, as the end of a sentence that begins with "… is not".
    :param metavar: the name of the value in the help.
    :param choices: all right values, if they can be listed.
    """

    parse: Callable[[str], Any]
    expected: str
    metavar: str
    choices: tuple[str, ...] = ()


def plain(text: str) -> str:
    """Return a text of one line; it must not be blank or have control characters."""
    if not text.strip() or any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError
    return text


def secret(text: str) -> str:
    """Return a secret unchanged; it must not be blank. It may be a JSON document of many lines."""
    if not text.strip():
        raise ValueError
    return text


def token(text: str) -> str:
    """Return a token that fits into a header, or the path of a file that holds one."""
    text = plain(text.strip())
    if not is_path(text) and (" " in text or not text.isascii()):
        raise ValueError
    return text


def is_path(text: str) -> bool:
    """Return whether a secret is the path of a file that holds it."""
    return text.startswith(("/", "./", "../"))


def boolean(text: str) -> bool:
    """Return a flag of the environment, from the words that labels accept."""
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError
    return word in _TRUE


def seconds(text: str) -> float:
    """Return seconds above 0."""
    value = float(text)
    if not isfinite(value) or value <= 0:
        raise ValueError
    return value


def pause(text: str) -> float:
    """Return seconds, 0 or more."""
    value = float(text)
    if not isfinite(value) or value < 0:
        raise ValueError
    return value


def milliseconds(text: str) -> float:
    """Return milliseconds from 0.5 to 100."""
    value = float(text)
    if not 0.5 <= value <= 100:
        raise ValueError
    return value


def integer(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from ``low`` to ``high``, both included."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,9}", text.strip()):
            raise ValueError
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return parse


def choice(*words: str) -> Callable[[str], str]:
    """Return a parser of one word out of several; it ignores case."""

    def parse(text: str) -> str:
        word = text.strip().lower()
        if word not in words:
            raise ValueError
        return word

    return parse


def duration(text: str) -> str:
    """Return a HAProxy duration; it must have a unit, since HAProxy takes a bare number for milliseconds."""
    match = re.fullmatch(r"([0-9]{1,12})(us|ms|s|m|h|d)", text.strip())
    if match is None or not 0 < int(match[1]) * _UNITS[match[2]] <= LARGEST_TIMER:
        raise ValueError
    return text.strip()


def command(text: str) -> str:
    """Return a command line that a shell can split."""
    if not shlex.split(plain(text)):
        raise ValueError
    return text


def words(text: str) -> tuple[str, ...]:
    """Return the items of a list separated by commas, without blanks around them and empty ones; at least one."""
    items = tuple(item.strip() for item in plain(text).split(",") if item.strip())
    if not items:
        raise ValueError
    return items


def networks(text: str) -> tuple[str, ...]:
    """Return the networks and addresses of such a list as networks (``10.1.2.3`` is ``10.1.2.3/32``)."""
    return tuple(str(ip_network(item, strict=False)) for item in words(text))


def credentials(text: str) -> tuple[str, str]:
    """Return the user and the password of ``user:pass``; the password may contain colons."""
    user, colon, password = plain(text).partition(":")
    if not user or not colon:
        raise ValueError
    return user, password


def port(text: str) -> int:
    """Return a TCP port, 1 to 65535, written in digits only."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise ValueError
    return int(text)


def host_port(text: str) -> tuple[str, int]:
    """
    Split ``host:port``; an IPv6 address is in brackets.

    :return: the host with its brackets, empty if there is none, and the port.
    """
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:/@\[\],]*):([0-9]+)", text.strip())
    if match is None:
        raise ValueError
    return match[1], port(match[2])


def bind(text: str) -> str:
    """Return ``address:port`` for HAProxy's ``bind``; without an address, it is every address."""
    host, number = host_port(text)
    return f"{host or '*'}:{number}"


def _http(text: str) -> SplitResult:
    url = urlsplit(plain(text.strip()))
    if url.scheme not in ("http", "https") or not url.hostname or re.search(r"[\s\"<>\\]", text.strip()):
        raise ValueError
    if url.port == 0 or "@" in url.path:  # the seeming path is the rest of a password
        raise ValueError
    return url


def of_cluster(text: str) -> tuple[str, str]:
    """Split ``NAME=VALUE``; the name is empty if the text does not begin with one."""
    match = re.fullmatch(r"(?:([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)=)?(.*)", text, re.DOTALL)
    assert match is not None
    return match[1] or "", match[2]


def marathons(text: str) -> tuple[tuple[str, str], ...]:
    """
    Return addresses of Marathon, separated by commas or blanks, each after its cluster's name, which may be empty.

    ``NAME=`` before an address names the cluster of that address and of those that follow. Trailing slashes are
    removed. A user and password in an address are kept; `without_userinfo` takes them apart.
    """
    addresses = []
    cluster = ""
    for item in re.split(r"[,\s]+", text.strip()):
        if item:
            name, address = of_cluster(item)
            cluster = name or cluster
            url = _http(address)
            if url.query or url.fragment:
                raise ValueError
            addresses.append((cluster, urlunsplit((url.scheme, url.netloc, url.path.rstrip("/"), "", ""))))
    if not addresses:
        raise ValueError
    return tuple(addresses)


def callback(text: str) -> str:
    """Return the URL of the callback; ``host:port`` alone means ``http://host:port/``."""
    if "://" not in text:
        host, number = host_port(text)
        if not host:
            raise ValueError
        text = f"http://{host}:{number}/"
    url = _http(text)
    if url.fragment:
        raise ValueError
    return urlunsplit((url.scheme, url.netloc, url.path or "/", url.query, ""))


def callback_port(url: str) -> int:
    """Return the port of a callback URL; the callback listens there by default."""
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def listening(text: str) -> str:
    """Return a Twisted endpoint description for ``8081``, ``:8081``, ``host:8081`` or such a description."""
    text = plain(text.strip())
    kind, colon, rest = text.partition(":")
    if not colon:
        return f"tcp:{port(text)}"
    if kind in _ENDPOINTS:
        if not rest or (kind in ("tcp", "tcp6", "ssl") and not _port_of_endpoint(rest)):
            raise ValueError
        return text
    host, number = host_port(text)
    if host.startswith("["):
        return f"tcp6:{number}:interface=" + host[1:-1].replace(":", r"\:")
    return f"tcp:{number}" + (f":interface={host}" if host and host != "*" else "")


def listening_port(endpoint: str) -> int | None:
    """Return the TCP port of an endpoint that `listening` gives; None where it has none, or the system chooses it."""
    kind, _, rest = endpoint.partition(":")
    if kind not in ("tcp", "tcp6", "ssl"):
        return None
    first = next((part for part in rest.split(":") if part.startswith("port=")), rest.split(":")[0])
    number = first.removeprefix("port=")
    return int(number) or None if number.isdecimal() else None


def _port_of_endpoint(rest: str) -> int:
    first = next((part for part in rest.split(":") if part.startswith("port=")), rest.split(":")[0])
    number = first.removeprefix("port=")
    return 1 if number == "0" else port(number)


def without_userinfo(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return a URL without its user and password, and these two, percent-decoded; None if it has none."""
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    user, _, password = userinfo.partition(":")
    return urlunsplit(parts._replace(netloc=host)), (unquote(user), unquote(password))


def redacted(text: str) -> str:
    """Return the text with ``***`` for the users and passwords of its URLs, for logs and errors."""
    return re.sub(r"://\S*@", "://***@", text)
