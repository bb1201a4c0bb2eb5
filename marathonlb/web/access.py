"""
Who may do what: what changes something is for the networks of ``--admin-allow``, and for pages of our own.

The client's address is the one that HAProxy tells by the PROXY protocol; no header is asked. Whoever can connect to the
socket itself can tell any address, so the socket's permissions decide who that is.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from twisted.internet.address import IPv4Address as TCPAddress
from twisted.internet.address import IPv6Address as TCP6Address
from twisted.internet.interfaces import IAddress
from twisted.web.http_headers import Headers

UNKNOWN = "an unknown address"


def client_of(address: IAddress | None) -> str:
    """A client's address; `UNKNOWN` for one that has none, such as HAProxy itself."""
    return address.host if isinstance(address, TCPAddress | TCP6Address) else UNKNOWN


class Access:
    """
    The networks whose clients may use what changes something.

    :param networks: as ``--admin-allow`` has them, checked.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(ip_network(network) for network in networks)

    def allows(self, client: str) -> bool:
        """Whether this client's address is in one of them."""
        try:
            address = ip_address(client.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


def is_same_origin(headers: Headers) -> bool:
    """
    Whether a request comes from one of our pages or from no page at all.

    A browser names the page that makes it ask (``Origin``, ``Sec-Fetch-Site``); programs name none.
    """
    site = (headers.getRawHeaders("Sec-Fetch-Site") or ["none"])[0]
    if site not in ("same-origin", "none"):
        return False
    origin = headers.getRawHeaders("Origin")
    if not origin:
        return True
    host = (headers.getRawHeaders("Host") or [""])[0]
    try:
        return bool(host) and urlsplit(origin[0]).netloc.lower() == host.lower()
    except ValueError:
        return False
