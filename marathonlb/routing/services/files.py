"""
The files that labels name: which paths may be named, and what HAProxy is given in their place. Pure.

HAProxy opens what its configuration names, whoever wrote that. So a path of a label never reaches the configuration:
the controller reads the file, and HAProxy is given a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from attrs import frozen

UNUSABLE = (
    "cannot be used: it has to be a regular file that the load balancer may read, in PEM, complete, and a certificate"
    " with the private key that fits"
)
"""The reason for every certificate that cannot be served: its author learns nothing else of the file system."""

UNUSABLE_AUTHORITY = (
    "cannot be used: it has to be a regular file that the load balancer may read, with certificates in PEM"
)
"""The same for a file of authorities or revocation lists."""

UNUSABLE_KEYS = (
    "cannot be used: it has to be a regular file that the load balancer may read, with three keys or more"
)
"""The same for the keys of TLS tickets."""

SENTENCES = {"crt": UNUSABLE, "ca": UNUSABLE_AUTHORITY, "keys": UNUSABLE_KEYS}
"""By kind of file, why it cannot be used, in words that follow its name."""

BIND_WORDS = {
    "crt": "crt",
    "default-crt": "crt",
    "ca-sign-file": "crt",
    "ca-file": "ca",
    "ca-verify-file": "ca",
    "crl-file": "ca",
    "tls-ticket-keys": "keys",
}
"""The words of a ``bind`` or ``server`` line that name a file, and its kind."""


@frozen
class ServiceFiles:
    """
    What HAProxy is given in place of the files that a service's labels name.

    :param certs: certificates of its own ``bind`` line.
    :param bind_options: the words of BIND_OPTIONS with other paths in them.
    :param authority: what ``ca-file`` takes in the ``server`` lines.
    """

    certs: tuple[str, ...] = ()
    bind_options: str = ""
    authority: str = ""


def normal(path: str) -> str:
    """
    A path without empty parts and ``.``.

    :raises ValueError: it is no absolute path, or leads upward.
    """
    parts = path.split("/")
    if not path.startswith("/") or "\0" in path:
        raise ValueError("is no absolute path")
    if ".." in parts:
        raise ValueError("holds `..`: write the path without it")
    return "/" + "/".join(part for part in parts if part not in ("", "."))


def covered(path: str, patterns: Iterable[str]) -> bool:
    """Whether a normal path fits a pattern; ``*`` stands for a part of one name, ``**`` for any names in between."""
    parts = path.split("/")
    return any(_fits(parts, pattern.split("/")) for pattern in patterns)


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Compare part by part; where that fails, the last ``**`` takes one part more."""
    place = wanted = 0
    retry: tuple[int, int] | None = None
    while place < len(parts):
        if wanted < len(pattern) and pattern[wanted] == "**":
            wanted += 1
            retry = place, wanted
        elif wanted < len(pattern) and fnmatchcase(parts[place], pattern[wanted]):
            place, wanted = place + 1, wanted + 1
        elif retry is not None:
            place, wanted = retry[0] + 1, retry[1]
            retry = place, wanted
        else:
            return False
    return all(each == "**" for each in pattern[wanted:])
