"""
What is closed where a template of the operator's cannot be used. Pure.

A section that such a template opens is not written; a service that has lines of it is left out. Without HAPROXY_HEAD
HAProxy cannot run at all: then a minimal one is written, whose statistics listen on a socket of the state directory
alone, with the lines of the operator's that say with which rights HAProxy runs and which TLS it speaks.
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
"""By the templates that no service is left out for, what is closed in their place."""

_RULES = frozenset(
    "acl http-request http-response http-after-response tcp-request tcp-response filter email-alert".split()
)
"""What a ``defaults`` section may say that holds for each request of each service."""

_RIGHTS = frozenset({"user", "group", "uid", "gid", "chroot"})
_KEPT = frozenset({"unix-bind", "ca-base", "crt-base", "ssl-server-verify"})
"""What a ``global`` section may say about rights and certificates."""

_TLS = "ssl-default-"
"""How its lines begin that say which TLS is spoken."""


def what(template: Template) -> str | None:
    """
    What is closed without a template, with its verb; None where nothing can be served without it.

    :param template: the one that cannot be used.
    """
    if template.name == "HEAD":
        return None if _rules_for_all(template.text) else "the statistics and whatever else it opens are"
    if template.name in SHARED:
        return SHARED[template.name]
    if template.name.startswith("HTTPS_GROUPED_"):
        return "the https port is, where it asks for the name in the handshake,"
    return "the services that use it are"


def why(template: Template) -> str:
    """What the owner of a service is told that a closed template keeps out."""
    name = f"HAPROXY_{template.name}"
    return f"is closed: the operator's {name} may guard it and cannot be used; the problem of {name} says why"


def minimal(settings: Settings) -> Settings:
    """The settings with which our own HAPROXY_HEAD shows its statistics on a socket of the state directory alone."""
    return evolve(settings, bind_stats=f"unix@{settings.state_dir}/closed.sock mode 600")


def kept(text: str, *, rights: bool = True) -> str:
    """
    The lines of an operator's HAPROXY_HEAD that hold without the rest, as a ``global`` section.

    :param rights: whether those that say who HAProxy becomes are among them; else the settings say so.
    """
    names = _KEPT | (_RIGHTS if rights else frozenset())
    lines = [
        line
        for section, words, line in _lines(text)
        if section == "global" and (words[0] in names or words[0].startswith(_TLS))
    ]
    return "".join(("\nglobal\n", *(f"  {line.strip()}\n" for line in lines))) if lines else ""


def _rules_for_all(text: str) -> bool:
    """Whether a HAPROXY_HEAD holds rules that hold for each service."""
    return any(section == "defaults" and words[0] in _RULES for section, words, _ in _lines(text))


def _lines(text: str) -> Iterator[tuple[str, list[str], str]]:
    """Each line that says something: the section that it stands in, its words, and itself."""
    section = ""
    for line in text.split("\n"):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[0] in SECTION_KEYWORDS:
            section = words[0]
        else:
            yield section, words, line
