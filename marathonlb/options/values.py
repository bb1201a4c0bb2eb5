"""
What the value of an option must be: one `Kind` for each sort of value, text in, value out.

A parser raises `ValueError` and says nothing more; what was expected is said once, by its kind. Nothing here looks
at the machine: whether a path exists or a port is free is found out where it is used.
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
LARGEST_TIMER = 2**31 - 1  # milliseconds, HAProxy's own bound

_ENDPOINTS = ("tcp", "tcp6", "ssl", "unix", "systemd", "fd", "haproxy")
_UNITS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_TRUE = frozenset({"true", "t", "yes", "y", "1", "on"})
_FALSE = frozenset({"false", "f", "no", "n", "0", "off"})


@frozen
class ValueKind:
    """
    One sort of value.

    :param parse: text → value; `ValueError` where the text is not what it should be.
    :param expected: completes "… is not": what the text must be.
    :param metavar: how the help calls the value.
    :param choices: what it may be, where that can be listed.
    """

    parse: Callable[[str], Any]
    expected: str
    metavar: str
    choices: tuple[str, ...] = ()


def plain(text: str) -> str:
    """A text of one line: whatever has no control character and is not blank."""
    if not text.strip() or any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError
    return text


def secret(text: str) -> str:
    """A secret, as it stands: not blank. It may be a JSON document of many lines."""
    if not text.strip():
        raise ValueError
    return text


def token(text: str) -> str:
    """A token that fits into a header, or the path of a file that holds one."""
    text = plain(text.strip())
    if not is_path(text) and (" " in text or not text.isascii()):
        raise ValueError
    return text


def is_path(text: str) -> bool:
    """Whether a secret is the path of a file that holds it."""
    return text.startswith(("/", "./", "../"))


def boolean(text: str) -> bool:
    """A flag out of the environment, by the words that labels know."""
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError
    return word in _TRUE


def seconds(text: str) -> float:
    """Seconds above 0."""
    value = float(text)
    if not isfinite(value) or value <= 0:
        raise ValueError
    return value


def pause(text: str) -> float:
    """Seconds, 0 included."""
    value = float(text)
    if not isfinite(value) or value < 0:
        raise ValueError
    return value


def milliseconds(text: str) -> float:
    """Milliseconds from 0.5 to 100."""
    value = float(text)
    if not 0.5 <= value <= 100:
        raise ValueError
    return value


def integer(low: int, high: int) -> Callable[[str], int]:
    """A parser of whole numbers from ``low`` to ``high``, both included."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,9}", text.strip()):
            raise ValueError
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return parse


def choice(*words: str) -> Callable[[str], str]:
    """A parser of one word out of several; case does not matter."""

    def parse(text: str) -> str:
        word = text.strip().lower()
        if word not in words:
            raise ValueError
        return word

    return parse


def duration(text: str) -> str:
    """A HAProxy duration with its unit: without one HAProxy would take milliseconds, which nobody means."""
    found = re.fullmatch(r"([0-9]{1,12})(us|ms|s|m|h|d)", text.strip())
    if found is None or not 0 < int(found[1]) * _UNITS[found[2]] <= LARGEST_TIMER:
        raise ValueError
    return text.strip()


def command(text: str) -> str:
    """A command line that a shell could split."""
    if not shlex.split(plain(text)):
        raise ValueError
    return text


def words(text: str) -> tuple[str, ...]:
    """Items of a comma separated list, blanks around them and empty ones left out; at least one."""
    found = tuple(item.strip() for item in plain(text).split(",") if item.strip())
    if not found:
        raise ValueError
    return found


def networks(text: str) -> tuple[str, ...]:
    """Networks and addresses of a comma separated list, as networks (``10.1.2.3`` is ``10.1.2.3/32``)."""
    return tuple(str(ip_network(item, strict=False)) for item in words(text))


def credentials(text: str) -> tuple[str, str]:
    """``user:pass``; the password may hold colons."""
    user, colon, password = plain(text).partition(":")
    if not user or not colon:
        raise ValueError
    return user, password


def port(text: str) -> int:
    """A TCP port, 1 to 65535, in digits alone."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise ValueError
    return int(text)


def host_port(text: str) -> tuple[str, int]:
    """
    ``host:port``, an IPv6 address in brackets.

    :return: the host, brackets included and empty where there was none, and the port.
    """
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:/@\[\],]*):([0-9]+)", text.strip())
    if found is None:
        raise ValueError
    return found[1], port(found[2])


def bind(text: str) -> str:
    """``address:port`` for HAProxy's ``bind``; no address is every address."""
    host, number = host_port(text)
    return f"{host or '*'}:{number}"


def _http(text: str) -> SplitResult:
    url = urlsplit(plain(text.strip()))
    if url.scheme not in ("http", "https") or not url.hostname or re.search(r"[\s\"<>\\]", text.strip()):
        raise ValueError
    if url.port == 0 or "@" in url.path:  # what seems to be a path is the rest of a password
        raise ValueError
    return url


def of_cluster(text: str) -> tuple[str, str]:
    """``NAME=VALUE`` taken apart; the name is empty where the text does not begin with one."""
    found = re.fullmatch(r"(?:([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)=)?(.*)", text, re.DOTALL)
    assert found is not None
    return found[1] or "", found[2]


def marathons(text: str) -> tuple[tuple[str, str], ...]:
    """
    Addresses of Marathon, separated by commas or blanks, each with its cluster's name, empty where it has none.

    ``NAME=`` before an address names the cluster of that address and of those that follow. Trailing slashes are left
    out. A user and password in an address are kept; `without_userinfo` takes them apart.
    """
    found = []
    cluster = ""
    for item in re.split(r"[,\s]+", text.strip()):
        if item:
            name, address = of_cluster(item)
            cluster = name or cluster
            url = _http(address)
            if url.query or url.fragment:
                raise ValueError
            found.append((cluster, urlunsplit((url.scheme, url.netloc, url.path.rstrip("/"), "", ""))))
    if not found:
        raise ValueError
    return tuple(found)


def callback(text: str) -> str:
    """Where Marathon reaches us: a URL, or ``host:port`` alone, which means ``http://host:port/``."""
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
    """The port of a callback URL, where the callback listens unless told otherwise."""
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def listening(text: str) -> str:
    """Where the callback listens: ``8081``, ``:8081``, ``host:8081`` or a Twisted endpoint description."""
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
    """A URL without its user and password, and these apart (percent-decoded)."""
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    user, _, password = userinfo.partition(":")
    return urlunsplit(parts._replace(netloc=host)), (unquote(user), unquote(password))


def redacted(text: str) -> str:
    """The text with the users and passwords of its URLs replaced by ``***``: fit for logs and errors."""
    return re.sub(r"://\S*@", "://***@", text)
