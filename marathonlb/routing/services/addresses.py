"""The addresses that ports are bound to, and which of them overlap. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address

_FAMILY = re.compile(r"(?:ipv[46]@|udp[46]?@|quic[46]@|mptcp[46]?@)+")
_NO_PORT = re.compile(r"/|(?:unix|uxst|uxdg|abnsz?|fd|sockpair|rev|rhttp)@")
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_BIND = re.compile(r"^[ \t]*(?:bind|stats[ \t]+socket)[ \t]+(\S+)", re.MULTILINE)
_QUOTES = str.maketrans("", "", "\"'")


@lru_cache(maxsize=10_000)
def known(text: str) -> Address | None:
    """
    Return the only address that a text stands for; None if it is every address, or may be any.

    A host name may be any address: HAProxy resolves it when it starts. An IPv4 address within an IPv6 one is the same
    for the kernel.
    """
    try:
        address = ip_address(text.strip("[]"))
    except ValueError:
        return None
    address = getattr(address, "ipv4_mapped", None) or address
    return None if address.is_unspecified else address


def overlap(first: str, second: str) -> bool:
    """Return True if a connection may belong to either of two addresses of one port."""
    one, other = known(first), known(second)
    return one is None or other is None or one == other


def bound(text: str) -> Iterator[tuple[str, int]]:
    """Yield the addresses and ports of the first word of a ``bind`` line, which may name several; sockets have none."""
    word = text.split(None, 1)[0] if text.strip() else ""
    for address_and_port in word.split(","):
        if _NO_PORT.match(address_and_port):
            continue
        address, _, ports = _FAMILY.sub("", address_and_port, count=1).rpartition(":")
        range_of_ports = _PORTS.fullmatch(ports)
        if range_of_ports is not None:
            first, last = int(range_of_ports[1]), int(range_of_ports[2] or range_of_ports[1])
            yield from ((address or "*", port) for port in range(first, min(last, 65535) + 1))


def bound_by(text: str) -> Iterator[tuple[str, int]]:
    """Yield the addresses and ports of the ``bind`` and ``stats socket`` lines of HAProxy's configuration."""
    for line in _BIND.finditer(text):
        yield from bound(line[1].translate(_QUOTES))
