"""
Rules that every request passes before it is routed, beside whatever text a template has.

They stand in the frontends, after the head, so no template that an app overrides takes them away.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from marathonlb.config.text.model import Chunk, Owner
from marathonlb.routing.explain import router_model
from marathonlb.settings import Settings

ODD_HOST = f"  http-request deny deny_status 400 if {{ req.fhdr(host) -m reg '{router_model.ODD}' }}\n"
"""
HAProxy 2.6 lets such a Host header pass, which later ones refuse, and some say two things at once.

To ACLs a comma makes several hosts and to maps it leaves the last one; a slash makes a host and path in the eyes of
``path2backend.map`` and another host in those of the rules that guard the hosts of client certificates.
"""

_UPGRADE = "  http-request del-header Upgrade if { req.hdr(Upgrade) -m sub -i h2c }\n"
"""
An upgrade to HTTP/2 without TLS would make the connection a tunnel, in which a client asks the task for what it likes:
no path, password, network or rate limit would be looked at any more.
"""

_UNDERSCORES = """\
  http-request del-header x_forwarded -m beg
  http-request del-header x-forwarded_ -m beg
"""
"""CGI and its kin take ``X_Forwarded_Proto`` and ``X-Forwarded-Proto`` for one header."""

_FORWARDED_PROTO = re.compile(r"x-forwarded-proto", re.IGNORECASE)

_NETWORKS_A_LINE = 20
"""Maximum number of networks in one ACL line; HAProxy takes 64 words."""

_SCHEMES = (
    "x-forwarded-proto -m beg",
    "x-forwarded-s -m beg",
    "X-Url-Scheme",
    "Front-End-Https",
    "Forwarded",
)
"""Headers that tell frameworks the scheme: ``X-Forwarded-Proto`` and its kin first."""

_TRUSTED = "marathon_lb_trusted_proxy"


def guards(head: Chunk, settings: Settings, *, routed: bool = True) -> Chunk:
    """
    Return the rules for an HTTP frontend.

    :param head: the frontend's own text. Where an operator or an app says there what ``X-Forwarded-Proto`` is, that
        holds.
    :param routed: requests are routed by their Host header there.
    """
    text = ODD_HOST if routed else ""
    text += _UPGRADE + _UNDERSCORES
    if not _FORWARDED_PROTO.search(head.text):
        text += _scheme(settings)
    return Chunk(text, Owner(None, None, "", "default"))


def _scheme(settings: Settings) -> str:
    """
    Drop a client's word on the scheme, unless it is a trusted proxy's.

    HAPROXY_BACKEND_HTTP_OPTIONS, or whatever overrides it, says the true one later.
    """
    networks = settings.trusted_proxies
    acls = "".join(f"  acl {_TRUSTED} src {each}\n" for each in network_lines(networks))
    condition = f" if !{_TRUSTED}" if networks else ""
    return acls + "".join(f"  http-request del-header {name}{condition}\n" for name in _SCHEMES)


def network_lines(networks: Sequence[str]) -> list[str]:
    """Return the networks as words of lines that HAProxy takes."""
    return [
        " ".join(networks[first : first + _NETWORKS_A_LINE])
        for first in range(0, len(networks), _NETWORKS_A_LINE)
    ]
