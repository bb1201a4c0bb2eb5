"""
Who may do what: what changes something, and what shows secrets, is for ``--admin-allow`` and for ``--admin-token``.

The client's address is the one that HAProxy tells by the PROXY protocol; no header is asked. Whoever can connect to the
socket itself can tell any address, so the socket's permissions decide who that is. A token is known to nobody else, and
no browser adds it by itself.

A browser in one of the networks does what any page tells it to. So a request with any sign of a browser has to show
that no foreign page caused it. Pages can change some of these signs and can remove none of them: a browser sends
``Accept-Language`` even where a page has set it to something else, ``*`` or nothing. Programs have no such sign.

``Sec-Fetch-Site``, which no page can write, says whose page asks, but is sent over https and to localhost alone.
Elsewhere there is ``Origin``, with a POST; for an image that another site's page shows from here there is nothing at
all. And ``Origin`` proves little: who has a name of his own lead to our address makes his pages ours (DNS rebinding),
and a form of his page that came by https may be sent here by http, with one name and port. So without
``Sec-Fetch-Site`` a browser has to call us by a name that nobody else can have.
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
"""Headers that browsers send and programs do not, besides all of ``Sec-…`` and a ``User-Agent`` of ``Mozilla``."""

VARY = ", ".join(
    ("Authorization", *SIGNS, "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "User-Agent")
)
"""The headers that an answer may depend on."""

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="marathon-lb", error="invalid_token"'}


def client_of(address: IAddress | None) -> str:
    """A client's address; `UNKNOWN` for one that has none, such as HAProxy itself."""
    return address.host if isinstance(address, TCPAddress | TCP6Address) else UNKNOWN


@frozen
class Standing:
    """
    What a request may do.

    :param barred: why it may not see secrets; empty where it may.
    :param refused: why it may not change anything; empty where it may.
    """

    barred: str = ""
    refused: str = ""


class Access:
    """
    The networks and the token that may use what changes something, and the names that browsers may call us by.

    :param networks: as ``--admin-allow`` has them, checked.
    :param host: this host's name; who runs its domain says what the names in it lead to.
    :param token: of ``--admin-token``; None where there is none.
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
        """Whether there is an ``--admin-token``."""
        return self._token is not None

    def standing(self, client: str, headers: Headers, method: str) -> Standing:
        """
        What a request may do.

        :raises Refusal: it has a token that is wrong.
        """
        if self._proven(client, headers):
            return Standing(refused=foreign(headers))
        if not self.allows(client):
            barred = f"{client} is not in --admin-allow" + (
                ", and no --admin-token is given" if self.takes_token else ""
            )
            return Standing(barred, barred)
        barred = self.misnamed(headers) or foreign_reader(headers)
        return Standing(barred, self.misnamed(headers) or foreign(headers) or unproven(headers, method))

    def _proven(self, client: str, headers: Headers) -> bool:
        """Whether a request has the token. Raises `Refusal` for another one."""
        given = bearer(headers)
        if self._token is None or given is None:
            return False
        wait = ceil(self._failed.wait(client)) if self._failed is not None else 0
        if wait > 0:
            reason = f"{client} has given too many wrong tokens; try again in {wait} s"
            raise Refusal(429, reason, {"Retry-After": str(wait)})
        if self._token.matches(given):
            return True
        if self._failed is not None:
            self._failed.note(client)
        raise Refusal(401, "this is not the --admin-token", CHALLENGE)

    def allows(self, client: str) -> bool:
        """Whether this client's address is in one of the networks."""
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
        if self.is_own_name(host):
            return ""
        return (
            f"a browser calls this address {host or 'nothing'}, and anybody may have made that name lead here: "
            "call it by its IP address, a name without a dot or one of this host's domain; or by https, with a browser "
            "that sends Sec-Fetch-Site; or give an --admin-token"
        )

    def is_own_name(self, host: str) -> bool:
        """
        Whether a ``Host`` is one that no stranger can have lead to us.

        It is an address, a name without a dot, a private one, this host's, or one of its domain where that has three
        labels or more: beside ``lb.co.uk`` anybody may have a name.

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


_OURS = frozenset({"internal", "lan", "local", "localdomain", "localhost", "test"})
"""Top-level names that nobody can buy a name below; below ``mesos`` every app has one."""


def from_browser(headers: Headers) -> bool:
    """Whether anything says that a browser asks."""
    if any(map(headers.hasHeader, SIGNS)):
        return True
    if any(name.lower().startswith(b"sec-") for name, _ in headers.getAllRawHeaders()):
        return True
    return any(agent.startswith("Mozilla") for agent in headers.getRawHeaders("User-Agent", []))


def foreign(headers: Headers) -> str:
    """Why a page of another site asks; empty where nothing says so."""
    origin, host = _first(headers, "Origin"), _first(headers, "Host")
    if not _same_site(headers):
        return _THEIRS
    if origin is not None and (not host or _parts(origin).netloc.lower() != host.lower()):
        return _THEIRS
    if any(headers.hasHeader(name) for name in ("Purpose", "Sec-Purpose", "X-Moz", "X-Purpose")):
        return "a browser asks for this before anybody wants it"
    return ""


def foreign_reader(headers: Headers) -> str:
    """Why a page of another site may look at the answer; empty where none can: it cannot look at a page of its own."""
    modes = [_first(headers, name) for name in ("Sec-Fetch-Mode", "Sec-Fetch-Dest")]
    if modes == ["navigate", "document"] and not headers.hasHeader("Origin"):
        return ""
    return foreign(headers)


def unproven(headers: Headers, method: str) -> str:
    """Why it is not known whose page has made a browser ask; empty where it is, and for programs."""
    if not from_browser(headers) or headers.hasHeader("Sec-Fetch-Site"):
        return ""
    if method != "GET" and headers.hasHeader("Origin"):
        return ""
    return (
        "a browser does not say whose page asks for this: POST it, from a program such as curl -X POST, "
        "or give an --admin-token"
    )


def bearer(headers: Headers) -> str | None:
    """The token that a request has; None where it has none."""
    for value in headers.getRawHeaders("Authorization", []):
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer":
            return str(token.strip())
    return None


_THEIRS = "a page of another site asks for this"


def _same_site(headers: Headers) -> bool:
    return all(site in ("same-origin", "none") for site in headers.getRawHeaders("Sec-Fetch-Site", []))


def _parts(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _first(headers: Headers, name: str) -> str | None:
    found = headers.getRawHeaders(name)
    return found[0] if found else None
