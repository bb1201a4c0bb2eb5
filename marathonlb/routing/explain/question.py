"""Questions about the routing: a URL, an app id or a port."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from attrs import frozen

from marathonlb.routing.hosts import is_wildcard
from marathonlb.routing.labels import values


@frozen
class UrlQuestion:
    """
    The question which rule catches a request.

    :param host: lower case, in its ASCII form.
    :param port: the port, if it was named.
    :param path: the path as a client sends it, without the query.
    """

    scheme: str
    host: str
    port: int | None
    path: str

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.path}"


@frozen
class AppQuestion:
    """The question how an app is served."""

    app_id: str

    def __str__(self) -> str:
        return self.app_id


@frozen
class PortQuestion:
    """The question which frontend listens on a port."""

    port: int

    def __str__(self) -> str:
        return f"port {self.port}"


Question = UrlQuestion | AppQuestion | PortQuestion

EXPECTED = "a URL (http://host/path), an app id (/shop/web, or cluster:/shop/web) or a port (10000)"


def question_of(text: str) -> Question:
    """
    Parse a question.

    ``10000`` and ``:10000`` are ports. Text that begins with ``/``, or with a cluster's name and ``:/``, is an app id.
    Text with a dot, a colon or a slash further on is a URL, of http if it names no scheme. Any other word is an app id
    without its first slash.

    :raises ValueError: it is none of these.
    """
    word = values.no_control(text).strip()
    if re.fullmatch(r":?[0-9]+", word, re.ASCII):
        return PortQuestion(values.integer(word.lstrip(":"), 1, 65535))
    if "://" in word:
        return _url(word)
    if re.match(r"([a-z0-9-]+:)?/", word):
        return AppQuestion(word if word == "/" or word.endswith(":/") else word.rstrip("/"))
    if re.search(r"[.:/]", word):
        return _url(f"http://{word}")
    if not word or re.search(r"\s", word):
        raise ValueError("cannot be looked up")
    return AppQuestion(f"/{word}")


def _url(text: str) -> UrlQuestion:
    parts = urlsplit(text)
    scheme = parts.scheme.lower()
    if scheme not in ("http", "https") or re.search(r"\s", text):
        raise ValueError("is no URL of http or https")
    name = parts.hostname or ""
    if not name:
        raise ValueError("names no host")
    if is_wildcard(name):
        raise ValueError("is a wildcard; ask for a name that it covers")
    host = name if ":" in name else _host(name)
    return UrlQuestion(scheme, f"[{host}]" if ":" in host else host, parts.port, _path(parts.path))


def _host(name: str) -> str:
    """Return a host as a client sends it; one that is no host name is unchanged."""
    try:
        return values.host(name)
    except ValueError:
        return name.rstrip(".")


def _path(path: str) -> str:
    """Return a path as a client sends it: characters outside of ASCII are encoded, and no others."""
    return "".join(char if char.isascii() else quote(char) for char in path) or "/"
