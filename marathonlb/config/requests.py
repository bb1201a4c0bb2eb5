"""
Rules for every request before it is routed. Pure.

They are written into the frontends after the first lines, so no template that an app overrides removes them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from marathonlb.config.text.model import Chunk, Owner
from marathonlb.routing.explain import router_model
from marathonlb.settings import Settings

ODD_HOST = f"  http-request deny deny_status 400 if {{ req.fhdr(host) -m reg '{router_model.ODD}' }}\n"
"""
Refuses malformed Host headers, which HAProxy 2.6 accepts and later versions refuse, because they are ambiguous.

With a comma an ACL matches each of several hosts, and a map only the last one. With a slash ``path2backend.map``
matches a host and a path, and the rules that protect hosts with client certificates match another host.
"""

_UPGRADE = "  http-request del-header Upgrade if { req.hdr(Upgrade) -m sub -i h2c }\n"
"""
Removes upgrades to HTTP/2 without TLS. They would make the connection a tunnel to the task, in which no path, password,
network or rate limit is checked.
"""

_UNDERSCORES = """\
  http-request del-header x_forwarded -m beg
  http-request del-header x-forwarded_ -m beg
"""
"""Removes variants with an underscore: CGI takes ``X_Forwarded_Proto`` for the header ``X-Forwarded-Proto``."""

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
"""Headers from which frameworks read the scheme: ``X-Forwarded-Proto`` and similar ones first."""

_TRUSTED = "marathon_lb_trusted_proxy"


def guards(head: Chunk, settings: Settings, *, routed: bool = True) -> Chunk:
    """
    Return the rules for an HTTP frontend.

    :param head: the first lines of the frontend. If they set ``X-Forwarded-Proto``, the scheme is left to them.
    :param routed: True if the frontend routes requests by their Host header.
    """
    text = ODD_HOST if routed else ""
    text += _UPGRADE + _UNDERSCORES
    if not _FORWARDED_PROTO.search(head.text):
        text += _scheme(settings)
    return Chunk(text, Owner(None, None, "", "default"))


def _scheme(settings: Settings) -> str:
    """
    Return the rules that remove headers about the scheme, unless a trusted proxy sent them.

    HAPROXY_BACKEND_HTTP_OPTIONS, or its override, sets the correct one later.
    """
    networks = settings.trusted_proxies
    acls = "".join(f"  acl {_TRUSTED} src {line}\n" for line in network_lines(networks))
    condition = f" if !{_TRUSTED}" if networks else ""
    return acls + "".join(f"  http-request del-header {name}{condition}\n" for name in _SCHEMES)


def network_lines(networks: Sequence[str]) -> list[str]:
    """Return the networks as the words of lines that are short enough for HAProxy."""
    return [
        " ".join(networks[first : first + _NETWORKS_A_LINE])
        for first in range(0, len(networks), _NETWORKS_A_LINE)
    ]
