"""
The files that labels name: the paths that are allowed, and the copies that HAProxy gets in their place. Pure.

HAProxy opens every file that its configuration names, also if an app's label names it. So a path of a label never
reaches the configuration: the controller reads the file, and HAProxy gets a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from msgspec import Struct

UNUSABLE = (
    "cannot be used: it has to be a regular file that the load balancer may read, in PEM, complete, and a certificate"
    " with the private key that fits"
)
"""The reason for every certificate that cannot be served; it reveals nothing else about the file system."""

UNUSABLE_AUTHORITY = (
    "cannot be used: it has to be a regular file that the load balancer may read, with certificates in PEM"
)
"""The reason for every unusable file of authorities or revocation lists."""

UNUSABLE_KEYS = (
    "cannot be used: it has to be a regular file that the load balancer may read, with three keys or more"
)
"""The reason for every unusable file of TLS ticket keys."""

SENTENCES = {"crt": UNUSABLE, "ca": UNUSABLE_AUTHORITY, "keys": UNUSABLE_KEYS}
"""The reason why a file cannot be used, by the kind of file; it follows the file's name."""

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


class ServiceFiles(Struct, frozen=True):
    """
    The files of one service as HAProxy's configuration names them.

    :param certs: the certificates of its own ``bind`` line.
    :param bind_options: the words of BIND_OPTIONS with the paths of the copies.
    :param authority: the value of ``ca-file`` in its ``server`` lines.
    """

    certs: tuple[str, ...] = ()
    bind_options: str = ""
    authority: str = ""


def normal(path: str) -> str:
    """
    Return a path without empty parts and ``.``.

    :raises ValueError: it is no absolute path, or contains ``..``.
    """
    parts = path.split("/")
    if not path.startswith("/") or "\0" in path:
        raise ValueError("is no absolute path")
    if ".." in parts:
        raise ValueError("holds `..`: write the path without it")
    return "/" + "/".join(part for part in parts if part not in ("", "."))


def covered(path: str, patterns: Iterable[str]) -> bool:
    """Return True if a normal path matches a pattern: ``*`` is part of one name, ``**`` any names in between."""
    parts = path.split("/")
    return any(_fits(parts, pattern.split("/")) for pattern in patterns)


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Compare part by part; on a mismatch the last ``**`` takes one part more."""
    position = wanted = 0
    retry: tuple[int, int] | None = None
    while position < len(parts):
        if wanted < len(pattern) and pattern[wanted] == "**":
            wanted += 1
            retry = position, wanted
        elif wanted < len(pattern) and fnmatchcase(parts[position], pattern[wanted]):
            position, wanted = position + 1, wanted + 1
        elif retry is not None:
            position, wanted = retry[0] + 1, retry[1]
            retry = position, wanted
        else:
            return False
    return all(part == "**" for part in pattern[wanted:])
