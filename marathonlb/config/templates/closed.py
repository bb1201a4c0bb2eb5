"""
The parts of the configuration that stay closed while a template of the operator's cannot be used. Pure.

A section that such a template opens is left out, and so is a service that uses it. HAProxy cannot run without
HAPROXY_HEAD: a minimal one is written then. Its statistics listen on a socket in the state directory only, and it has
the operator's lines about HAProxy's account and about TLS.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from marathonlb.config.templates.template import Template
from marathonlb.config.text.model import SECTION_KEYWORDS
from marathonlb.settings import Settings

SHARED = {
    "HTTP_FRONTEND_HEAD": "the http port is",
    "HTTP_FRONTEND_APPID_HEAD": "the port for requests by app id is",
    "HTTPS_FRONTEND_HEAD": "the https port is",
    "MAP_HTTP_FRONTEND_ACL": "the http port is",
    "MAP_HTTP_FRONTEND_ACL_ONLY": "the http port is",
    "MAP_HTTPS_FRONTEND_ACL": "the https port is",
    "MAP_HTTP_FRONTEND_APPID_ACL": "the port for requests by app id is",
}
"""Template name to the part that is closed without it, for templates that no service is left out for."""

_RULES = frozenset(
    "acl http-request http-response http-after-response tcp-request tcp-response filter email-alert".split()
)
"""Directives of a ``defaults`` section that apply to every request of every service."""

_ACCOUNT = frozenset({"user", "group", "uid", "gid", "chroot"})
"""Directives of a ``global`` section about HAProxy's account."""

_RESTRICTIONS = frozenset({"unix-bind", "ca-base", "crt-base", "ssl-server-verify"})
"""Directives of a ``global`` section about the rights of sockets and about certificates."""

_TLS = "ssl-default-"
"""Prefix of the directives of a ``global`` section about TLS versions and ciphers."""


def closed_part(template: Template) -> str | None:
    """
    Return the part that is closed without a template, as a subject with its verb; None if nothing can be served.

    :param template: the template that cannot be used.
    """
    if template.name == "HEAD":
        return None if _rules_for_all(template.text) else "the statistics and whatever else it opens are"
    if template.name in SHARED:
        return SHARED[template.name]
    if template.name.startswith("HTTPS_GROUPED_"):
        return "the https port is, where it asks for the name in the handshake,"
    return "the services that use it are"


def closed_reason(template: Template) -> str:
    """Return the reason for the owner of a service that is left out because of a closed template."""
    name = f"HAPROXY_{template.name}"
    return f"is closed: the operator's {name} may protect it and cannot be used; see the problem of {name}"


def minimal(settings: Settings) -> Settings:
    """Return settings for our HAPROXY_HEAD whose statistics listen on a socket in the state directory only."""
    return evolve(settings, bind_stats=f"unix@{settings.state_dir}/closed.sock mode 600")


def restrictions(text: str, *, account: bool = True) -> str:
    """
    Return the lines of an operator's HAPROXY_HEAD that restrict HAProxy, as a ``global`` section; empty if none do.

    :param account: True if the lines about HAProxy's account are among them; otherwise the settings name it.
    """
    names = _RESTRICTIONS | (_ACCOUNT if account else frozenset())
    lines = [
        line
        for section, words, line in _lines(text)
        if section == "global" and (words[0] in names or words[0].startswith(_TLS))
    ]
    return "".join(("\nglobal\n", *(f"  {line.strip()}\n" for line in lines))) if lines else ""


def _rules_for_all(text: str) -> bool:
    """Return whether a HAPROXY_HEAD has rules that apply to every service."""
    return any(section == "defaults" and words[0] in _RULES for section, words, _ in _lines(text))


def _lines(text: str) -> Iterator[tuple[str, list[str], str]]:
    """Yield each line with a directive: the keyword of its section, its words, and the line."""
    section = ""
    for line in text.split("\n"):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[0] in SECTION_KEYWORDS:
            section = words[0]
        else:
            yield section, words, line
