"""
Who may do what: what changes something is for the networks of ``--admin-allow``, and for pages of our own.

The client's address is the one that HAProxy tells by the PROXY protocol; no header is asked. Whoever can connect to the
socket itself can tell any address, so the socket's permissions decide who that is.

A browser in one of the networks does what any page tells it to. ``Sec-Fetch-Site``, which no page can write, says whose
page that is, but is sent over https and to localhost alone. Elsewhere there is ``Origin``, with a POST; for an image
that another site's page shows from here there is nothing at all. And ``Origin`` proves little: who has a name of his
own lead to our address makes his pages ours (DNS rebinding). So without ``Sec-Fetch-Site`` a browser has to call us by
a name that nobody else can have.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

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
    The networks whose clients may use what changes something, and the names that browsers may call us by.

    :param networks: as ``--admin-allow`` has them, checked.
    :param host: this host's name; who runs its domain says what the names in it lead to.
    """

    def __init__(self, networks: Iterable[str], host: str = "") -> None:
        self._networks = tuple(ip_network(network) for network in networks)
        self._host = host.lower()
        domain = self._host.partition(".")[2]
        self._domain = f".{domain}" if "." in domain else ""

    def allows(self, client: str) -> bool:
        """Whether this client's address is in one of them."""
        try:
            address = ip_address(client.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def misnamed(self, headers: Headers) -> str:
        """Why a browser may be at another site that has its name lead here; empty where it is not, and for programs."""
        if not from_browser(headers) or headers.hasHeader("Sec-Fetch-Site"):
            return ""
        host = _first(headers, "Host") or ""
        if self.is_own_name(host) or _parts(_first(headers, "Origin") or "").scheme == "https":
            return ""
        return (
            f"a browser calls this address {host or 'nothing'}, and anybody may have made that name lead here: "
            "call it by its IP address, a name without a dot or one of this host's domain, or by https"
        )

    def is_own_name(self, host: str) -> bool:
        """
        Whether a ``Host`` is one that no stranger can have lead to us.

        It is an address, a name without a dot, a private one, this host's or one of its domain.

        :param host: with a port or without.
        """
        name = (_parts(f"//{host}").hostname or "").rstrip(".")
        try:
            ip_address(name)
        except ValueError:
            private = "." not in name or name.rpartition(".")[2] in _OURS
            ours = name == self._host or (self._domain and f".{name}".endswith(self._domain))
            return bool(name) and (private or bool(ours))
        return True


_OURS = frozenset({"internal", "lan", "local", "localdomain", "localhost", "mesos", "test"})
"""Top-level names that nobody can buy a name below."""


def from_browser(headers: Headers) -> bool:
    """Whether a browser asks: all of them say languages, which no page can keep from being sent; programs do not."""
    languages = headers.getRawHeaders("Accept-Language", [])
    return languages not in ([], ["*"]) or any(map(headers.hasHeader, ("Origin", "Sec-Fetch-Site")))


def foreign(headers: Headers, method: str) -> str:
    """Why a page of another site may have made a browser ask; empty where none has, and for programs."""
    site, origin, host = (_first(headers, name) for name in ("Sec-Fetch-Site", "Origin", "Host"))
    theirs = "a page of another site asks for this"
    if site not in (None, "same-origin", "none"):
        return theirs
    if origin is not None and (not host or _parts(origin).netloc.lower() != host.lower()):
        return theirs
    if method == "GET" and site is None and origin is None and from_browser(headers):
        return "a browser does not say whose page asks for this: POST it, from a program such as curl -X POST"
    return ""


def _parts(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _first(headers: Headers, name: str) -> str | None:
    found = headers.getRawHeaders(name)
    return found[0] if found else None
