"""
Single files of certificates: read once, and again when their size, time or inode have changed.

One that was good and is bad now is held to be good for a while: it may be half written, or its key not yet beside it,
and HAProxy has the good one in memory.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable

from attrs import evolve, frozen

from marathonlb.haproxy.pem import has_key, payload, read_authorities, read_certificate

GRACE = 15.0
"""Seconds for which a file that was good and is bad now is held to be good."""

COMPANIONS = (".key", ".ocsp", ".issuer", ".sctl")
"""The ends of files that HAProxy reads beside a certificate, and which are none themselves."""

LARGEST = 4_000_000
"""Bytes; a bundle of all public authorities has 220,000."""

Key = tuple[str, str]
"""A kind (``crt`` or ``ca``) and a path."""


@frozen
class CertificateFile:
    """
    One file, with those beside it, as it was read.

    :param signature: what ``stat`` says of them.
    :param digest: of their contents; empty where they cannot be read.
    :param reason: why it cannot be served, in words that follow its name; empty where it can.
    :param begins: since when it is valid, in seconds since 1970.
    :param ends: until when.
    """

    signature: tuple[object, ...]
    digest: str = ""
    reason: str = ""
    begins: float = 0.0
    ends: float = float("inf")


class CertificateFiles:
    """
    Reads files, and remembers what it read.

    :param now: seconds since 1970.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._files: dict[Key, CertificateFile] = {}
        self._doubted: dict[Key, float] = {}
        self._refused: dict[tuple[str | None, str], tuple[str, str]] = {}

    @property
    def complainants(self) -> frozenset[str | None]:
        """The apps in whose lines HAProxy has refused a file, and None for the shared ones."""
        return frozenset(who for who, _ in self._refused)

    def read(self, kind: str, path: str, who: str | None = None) -> CertificateFile:
        """
        The file as it is, or as it was while it was good a moment ago.

        :param who: the app that it is for: what HAProxy refused in its lines counts, too.
        """
        file = self._current(kind, path)
        if kind == "crt" and not file.reason:
            for complainant in (None, who):
                digest, reason = self._refused.get((complainant, path), ("", ""))
                if digest == file.digest:
                    return evolve(file, reason=reason)
        return file

    def _current(self, kind: str, path: str) -> CertificateFile:
        key = (kind, path)
        signature = _signature(path)
        known = self._files.get(key)
        if known is not None and known.signature == signature:
            self._doubted.pop(key, None)
            return known
        fresh = self._read(kind, path, signature)
        turned_bad = known is not None and not known.reason and bool(fresh.reason)
        if known and turned_bad and self._now() - self._doubted.setdefault(key, self._now()) < GRACE:
            return known
        self._doubted.pop(key, None)
        self._files[key] = fresh
        return fresh

    def refuse(self, path: str, reason: str, who: str | None = None) -> bool:
        """
        Take note that a certificate which was thought to be good is none, until its file has changed.

        :param who: the app in whose lines it was refused; for the others it is good still.
        """
        file = self._files.get(("crt", path))
        if file is None or self.read("crt", path, who).reason:
            return False
        now = self._read("crt", path, _signature(path))
        if now.reason:  # it has just turned bad: what it held before was not refused
            self._files["crt", path] = now
        else:
            self._refused[who, path] = (file.digest, reason)
        return True

    def _read(self, kind: str, path: str, signature: tuple[object, ...]) -> CertificateFile:
        digest = ""
        try:
            content = content_of(path)
            digest = digest_of([content])
            beside = [content_of(path + end) if os.path.exists(path + end) else b"" for end in COMPANIONS]
            digest = digest_of([content, *beside])
            if kind == "ca":
                return CertificateFile(signature, digest, ends=read_authorities(content))
            certificate = read_certificate(content, beside[0])
        except OSError as error:
            return CertificateFile(signature, digest, cannot(error))
        except ValueError as error:
            return CertificateFile(signature, digest, str(error))
        return CertificateFile(signature, digest, "", certificate.begins, certificate.ends)


def to_be_served(path: str) -> tuple[str, str]:
    """
    What is to be said to HAProxy so that it serves what a file holds now: the PEM text, and its fingerprint.

    :raises ValueError: it cannot be served.
    :raises OSError: it cannot be read.
    """
    beside = [end for end in COMPANIONS[1:] if os.path.exists(path + end)]
    if beside:
        raise ValueError(f"there is a {beside[0]} beside it")
    pem, key = content_of(path), b""
    if not has_key(pem):
        key = content_of(f"{path}.key")
    return payload(pem, key), read_certificate(pem, key).fingerprint


def content_of(path: str) -> bytes:
    """A file's bytes. Raises `OSError`, or `ValueError` where they are too many."""
    with open(path, "rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"is larger than {LARGEST} bytes")
    return content


def digest_of(parts: Iterable[str | bytes]) -> str:
    """A digest of texts, each told from the next."""
    digest = hashlib.sha256()
    for part in parts:
        content = os.fsencode(part) if isinstance(part, str) else part
        digest.update(b"%d:" % len(content) + content)
    return digest.hexdigest()


def cannot(error: OSError) -> str:
    """Why a file cannot be used, in words that follow its name."""
    if isinstance(error, FileNotFoundError):
        return "is not there"
    return f"cannot be read: {error.strerror}"


def _signature(path: str) -> tuple[object, ...]:
    return tuple(_stat(path + end) for end in ("", *COMPANIONS))


def _stat(path: str) -> object:
    try:
        found = os.stat(path)
    except OSError as error:
        return error.errno
    except ValueError:  # no path at all
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
