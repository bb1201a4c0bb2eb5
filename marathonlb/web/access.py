"""
Access control: changes and secrets are for clients in ``--admin-allow`` and for those with the ``--admin-token``.

The client's address comes from the PROXY protocol that HAProxy speaks; headers are ignored. A process that can connect
to the socket itself can claim any address, so the socket's permissions are the protection there. A token is secret, and
no browser adds it by itself.

A browser in one of the networks does what any page tells it to. So a request with any sign of a browser has to prove
that no foreign page caused it. Pages can change some of these signs and can remove none of them: a browser sends
``Accept-Language`` even if a page sets it to something else, ``*`` or nothing. Programs have no such sign.

``Sec-Fetch-Site``, which no page can write, names the site that asks, but is sent only over https and to localhost.
Elsewhere there is ``Origin``, with a POST; a request for an image on another site's page has neither. And ``Origin``
proves little: an attacker whose own name resolves to our address makes his pages ours (DNS rebinding), and a form of
his page that came by https may be sent here by http, with the same name and port. So without ``Sec-Fetch-Site`` a
browser has to use a host name that no stranger can register.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from urllib.parse import SplitResult, urlsplit

from attrs import frozen
from twisted.internet.address import IPv4Address as TCPAddress
from twisted.internet.address import IPv6Address as TCP6Address
from twisted.internet.interfaces import IAddress
from twisted.web.http_headers import Headers

from marathonlb.web.page import Refusal
from marathonlb.web.tokens import AdminToken, FailedTokens

UNKNOWN = "an unknown address"

SIGNS = (
    *("Accept-Language", "Cookie", "Origin", "Ping-From", "Purpose", "Referer"),
    *("Upgrade-Insecure-Requests", "X-Moz", "X-Purpose"),
)
"""Headers that browsers send and programs do not, besides all ``Sec-…`` headers and a ``User-Agent`` of ``Mozilla``."""

VARY = ", ".join(
    ("Authorization", *SIGNS, "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "User-Agent")
)
"""The headers that an answer may depend on."""

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="marathon-lb", error="invalid_token"'}


def client_of(address: IAddress | None) -> str:
    """Return a client's address; `UNKNOWN` if it has none, such as HAProxy itself."""
    return address.host if isinstance(address, TCPAddress | TCP6Address) else UNKNOWN


@frozen
class Permissions:
    """
    The permissions of one request.

    :param barred: why it may not see secrets; empty if it may.
    :param refused: why it may not change anything; empty if it may.
    """

    barred: str = ""
    refused: str = ""


class Access:
    """
    The networks and the token that allow changes, and the host names that browsers may use.

    :param networks: from ``--admin-allow``, already checked.
    :param host: this host's name; the names in its domain are trusted.
    :param token: of ``--admin-token``; None without it.
    :param failed: counts the wrong tokens of each client.
    """

    def __init__(
        self,
        networks: Iterable[str],
        host: str = "",
        token: AdminToken | None = None,
        failed: FailedTokens | None = None,
    ) -> None:
        self._networks = tuple(ip_network(network) for network in networks)
        self._host = host.lower().rstrip(".")
        domain = self._host.partition(".")[2]
        self._domain = f".{domain}" if domain.count(".") >= 2 else ""
        self._token = token
        self._failed = failed

    @property
    def takes_token(self) -> bool:
        """Return whether there is an ``--admin-token``."""
        return self._token is not None

    def permissions(self, client: str, headers: Headers, method: str) -> Permissions:
        """
        Return the permissions of a request.

        :raises Refusal: it has a wrong token.
        """
        if self._proven(client, headers):
            return Permissions(refused=foreign(headers))
        if not self.allows(client):
            barred = f"{client} is not in --admin-allow" + (
                ", and the request has no --admin-token" if self.takes_token else ""
            )
            return Permissions(barred, barred)
        barred = self.misnamed(headers) or foreign_reader(headers)
        return Permissions(barred, self.misnamed(headers) or foreign(headers) or unproven(headers, method))

    def _proven(self, client: str, headers: Headers) -> bool:
        """Return whether a request has the token. Raises `Refusal` if it has a wrong one."""
        given = bearer(headers)
        if self._token is None or given is None:
            return False
        wait = ceil(self._failed.wait(client)) if self._failed is not None else 0
        if wait > 0:
            reason = f"too many wrong tokens from {client}; retry in {wait} s"
            raise Refusal(429, reason, {"Retry-After": str(wait)})
        if self._token.matches(given):
            return True
        if self._failed is not None:
            self._failed.note(client)
        raise Refusal(401, "wrong --admin-token", CHALLENGE)

    def allows(self, client: str) -> bool:
        """Return whether this client's address is in one of the networks."""
        try:
            address = ip_address(client.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def misnamed(self, headers: Headers) -> str:
        """Return why the host name may be a stranger's that resolves to us; empty if it cannot be, and for programs."""
        if not from_browser(headers) or headers.hasHeader("Sec-Fetch-Site"):
            return ""
        host = _first(headers, "Host") or ""
        if self.is_own_name(host):
            return ""
        return (
            f"the host name {host or '(none)'} may be a stranger's that resolves to this address: use the IP address, "
            "a name without a dot or a name in this host's domain; or https, with a browser that sends "
            "Sec-Fetch-Site; or an --admin-token"
        )

    def is_own_name(self, host: str) -> bool:
        """
        Return whether no stranger can register this ``Host``.

        That is an address, a name without a dot, a private name, this host's name, or one in its domain if that has
        at least two labels of its own: below ``co.uk`` everybody can register a name.

        :param host: with or without a port.
        """
        name = (_parts(f"//{host}").hostname or "").rstrip(".")
        try:
            ip_address(name)
        except ValueError:
            private = "." not in name or name.rpartition(".")[2] in _OURS
            ours = name == self._host or (self._domain and f".{name}".endswith(self._domain))
            return bool(name) and (private or bool(ours))
        return True


_OURS = frozenset({"internal", "lan", "local", "localdomain", "localhost", "test"})
"""Top-level names below which no name can be bought; below ``mesos`` every app has one."""


def from_browser(headers: Headers) -> bool:
    """Return whether a request has a sign of a browser."""
    if any(map(headers.hasHeader, SIGNS)):
        return True
    if any(name.lower().startswith(b"sec-") for name, _ in headers.getAllRawHeaders()):
        return True
    return any(agent.startswith("Mozilla") for agent in headers.getRawHeaders("User-Agent", []))


def foreign(headers: Headers) -> str:
    """Return why the request seems to come from a page of another site; empty if nothing says so."""
    origin, host = _first(headers, "Origin"), _first(headers, "Host")
    if not _same_site(headers):
        return _THEIRS
    if origin is not None and (not host or _parts(origin).netloc.lower() != host.lower()):
        return _THEIRS
    if any(headers.hasHeader(name) for name in ("Purpose", "Sec-Purpose", "X-Moz", "X-Purpose")):
        return "a browser prefetches this; nobody asked for it yet"
    return ""


def foreign_reader(headers: Headers) -> str:
    """Return why a page of another site could read the answer; empty if none can, as with a page opened by itself."""
    modes = [_first(headers, name) for name in ("Sec-Fetch-Mode", "Sec-Fetch-Dest")]
    if modes == ["navigate", "document"] and not headers.hasHeader("Origin"):
        return ""
    return foreign(headers)


def unproven(headers: Headers, method: str) -> str:
    """Return why the site that made a browser ask is unknown; empty if it is known, and for programs."""
    if not from_browser(headers) or headers.hasHeader("Sec-Fetch-Site"):
        return ""
    if method != "GET" and headers.hasHeader("Origin"):
        return ""
    return (
        "the browser does not name the page that asks for this: POST it from a program, such as curl -X POST, "
        "or use an --admin-token"
    )


def bearer(headers: Headers) -> str | None:
    """Return the token of a request; None without one."""
    for value in headers.getRawHeaders("Authorization", []):
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer":
            return str(token.strip())
    return None


_THEIRS = "the request comes from a page of another site"


def _same_site(headers: Headers) -> bool:
    return all(site in ("same-origin", "none") for site in headers.getRawHeaders("Sec-Fetch-Site", []))


def _parts(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _first(headers: Headers, name: str) -> str | None:
    values = headers.getRawHeaders(name)
    return values[0] if values else None
