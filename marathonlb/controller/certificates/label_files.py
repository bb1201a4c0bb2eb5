"""
The files that an app's labels name: found in the labels, and replaced by the files that HAProxy gets. Pure.

BIND_OPTIONS is split into words as HAProxy splits a line, so no way of quoting hides a path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain, pairwise

from msgspec import Struct

from marathonlb.config.templates.variables import escaped
from marathonlb.problem_kinds.kind import ProblemKind
from marathonlb.routing.lines.words import split_words
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.files import BIND_WORDS, ServiceFiles, normal
from marathonlb.routing.services.model import Service

SYSTEM = "@system-ca"
"""The authorities of HAProxy's own TLS library."""


class LabelFile(Struct, frozen=True):
    """
    A file that a label names.

    :param label: the label's name without its index.
    :param kind: the kind of file: ``crt``, ``ca`` or ``keys``.
    :param written: the path as the label holds it.
    :param path: the path in its plain form; empty if the label holds none, or HAProxy does not open it.
    :param wrong: why the label may not name it, in words that follow the path; empty if it may.
    """

    label: str
    kind: str
    written: str
    path: str = ""
    wrong: str = ""

    def problem(
        self, service: Service, reason: str, kind: ProblemKind, *, haproxy: str = "", fatal: bool = True
    ) -> Problem:
        """Return the problem that the owner of the label is shown."""
        index = service.port_index
        label = f"HAPROXY_{index}_{self.label}"
        return Problem(
            service.app_id, index, label, self.written, reason, fatal=fatal, kind=kind, haproxy=haproxy
        )


def files_of(service: Service, system_ca: str = "") -> list[LabelFile]:
    """
    Return the files that a service's labels name.

    :param system_ca: the file that ``BACKEND_SSL=verify`` stands for; no label names it.
    """
    files = [_named("SSL_CERT", "crt", path) for path in service.ssl_certs]
    if service.backend_ssl.startswith("/") and service.backend_ssl != system_ca:
        files.append(_named("BACKEND_SSL", "ca", service.backend_ssl))
    if service.bind_options:
        files += _in_words("BIND_OPTIONS", service.bind_options)
    if "SERVER_EXTRA" in service.overrides:
        for line in service.overrides["SERVER_EXTRA"].split("\n"):
            files += _in_words("SERVER_EXTRA", line)
    return files


def _in_words(label: str, text: str) -> Iterator[LabelFile]:
    """Yield the files that the words of a line name."""
    words, _ = split_words(text)
    for word, value in pairwise(["", *words]):
        if word in BIND_WORDS:
            yield _named(label, BIND_WORDS[word], value)
        elif word == "crt-list":
            yield LabelFile(
                label,
                "crt",
                value,
                wrong="names further files: name the certificates in SSL_CERT, or each with `crt`",
            )
        elif value.startswith("/") and label == "BIND_OPTIONS":
            yield LabelFile(label, "crt", value, wrong=f"follows `{word}`, which is not known to name a file")


def _named(label: str, kind: str, written: str) -> LabelFile:
    if written.startswith("@"):
        return LabelFile(label, kind, written)
    try:
        return LabelFile(label, kind, written, normal(written))
    except ValueError as error:
        return LabelFile(label, kind, written, wrong=str(error))


def replace_files(
    service: Service,
    instead: Mapping[tuple[str, str], tuple[str, ...]],
    arguments: Callable[[tuple[str, ...]], tuple[str, ...]],
) -> ServiceFiles:
    """
    Return the files that HAProxy gets in place of those that a service's labels name.

    :param instead: the paths to use in place of a file, by its kind and path.
    :param arguments: shortens many certificates to as many as fit on a ``bind`` line.
    """
    certs = chain.from_iterable(instead.get(("crt", normal(path)), ()) for path in service.ssl_certs)
    authority = service.backend_ssl
    if authority.startswith("/"):
        (authority,) = instead.get(("ca", normal(authority)), (authority,))
    return ServiceFiles(
        arguments(tuple(dict.fromkeys(certs))), _with_other_paths(service.bind_options, instead), authority
    )


def _with_other_paths(text: str, instead: Mapping[tuple[str, str], tuple[str, ...]]) -> str:
    """Return BIND_OPTIONS with other paths in it."""
    words, _ = split_words(text)
    result: list[str] = []
    changed = False
    for before, word in pairwise(["", *words]):
        names: tuple[str, ...] = ()
        if before in BIND_WORDS and word.startswith("/"):
            names = instead.get((BIND_WORDS[before], normal(word)), ())
        changed = changed or bool(names)
        result += f" {before} ".join(names).split() if names else [escaped(word)]
    return " ".join(result) if changed else text
