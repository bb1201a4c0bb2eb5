"""
The files that an app's labels name: found in them, and replaced by what HAProxy is given. Pure.

What stands in BIND_OPTIONS is taken apart as HAProxy does it, so that no way of quoting hides a path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain, pairwise

from attrs import frozen

from marathonlb.config.templates.variables import escaped
from marathonlb.config.text.words import split_words
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.files import BIND_WORDS, ServiceFiles, normal
from marathonlb.routing.services.model import Service

SYSTEM = "@system-ca"
"""The authorities of HAProxy's own TLS library."""


@frozen
class Named:
    """
    A file that a label names.

    :param label: the label's name without its index.
    :param kind: of the file.
    :param written: the path as it stands there.
    :param path: the same in its plain form; empty where there is none, or HAProxy does not open it.
    :param wrong: why it may not be named, in words that follow it.
    """

    label: str
    kind: str
    written: str
    path: str = ""
    wrong: str = ""

    def problem(self, service: Service, reason: str, *, fatal: bool = True) -> Problem:
        """What its owner is told."""
        index = service.port_index
        return Problem(
            service.app_id, index, f"HAPROXY_{index}_{self.label}", self.written, reason, fatal=fatal
        )


def files_of(service: Service, system_ca: str = "") -> list[Named]:
    """
    The files that a service's labels name.

    :param system_ca: the one that ``BACKEND_SSL=verify`` stands for, which no label has named.
    """
    found = [_named("SSL_CERT", "crt", path) for path in service.ssl_certs]
    if service.backend_ssl.startswith("/") and service.backend_ssl != system_ca:
        found.append(_named("BACKEND_SSL", "ca", service.backend_ssl))
    if service.bind_options:
        found += _in_words("BIND_OPTIONS", service.bind_options)
    if "SERVER_EXTRA" in service.overrides:
        for line in service.overrides["SERVER_EXTRA"].split("\n"):
            found += _in_words("SERVER_EXTRA", line)
    return found


def _in_words(label: str, text: str) -> Iterator[Named]:
    """The files that a line's words name."""
    words, _ = split_words(text)
    for word, value in pairwise(["", *words]):
        if word in BIND_WORDS:
            yield _named(label, BIND_WORDS[word], value)
        elif word == "crt-list":
            yield Named(
                label,
                "crt",
                value,
                wrong="names further files: name the certificates in SSL_CERT, or each with `crt`",
            )
        elif value.startswith("/") and label == "BIND_OPTIONS":
            yield Named(label, "crt", value, wrong=f"follows `{word}`, which is not known to name a file")


def _named(label: str, kind: str, written: str) -> Named:
    if written.startswith("@"):
        return Named(label, kind, written)
    try:
        return Named(label, kind, written, normal(written))
    except ValueError as error:
        return Named(label, kind, written, wrong=str(error))


def given(
    service: Service,
    instead: Mapping[tuple[str, str], tuple[str, ...]],
    listed: Callable[[tuple[str, ...]], str],
) -> ServiceFiles:
    """
    What HAProxy is given for a service.

    :param instead: by kind and path, what stands in the place of a file.
    :param listed: writes a list of many certificates, and returns its path.
    """
    found = chain.from_iterable(instead.get(("crt", normal(path)), ()) for path in service.ssl_certs)
    certs = tuple(dict.fromkeys(found))
    authority = service.backend_ssl
    if authority.startswith("/"):
        (authority,) = instead.get(("ca", normal(authority)), (authority,))
    return ServiceFiles(
        certs if len(certs) <= MAX_ARGUMENTS else (listed(certs),),
        _replaced(service.bind_options, instead),
        authority,
    )


MAX_ARGUMENTS = 20
"""Maximum number of certificates on a ``bind`` line, which HAProxy cuts off after 64 words; more go into a list."""


def _replaced(text: str, instead: Mapping[tuple[str, str], tuple[str, ...]]) -> str:
    """The words of BIND_OPTIONS with other paths."""
    words, _ = split_words(text)
    found: list[str] = []
    changed = False
    for before, word in pairwise(["", *words]):
        names: tuple[str, ...] = ()
        if before in BIND_WORDS and word.startswith("/"):
            names = instead.get((BIND_WORDS[before], normal(word)), ())
        changed = changed or bool(names)
        found += f" {before} ".join(names).split() if names else [escaped(word)]
    return " ".join(found) if changed else text
