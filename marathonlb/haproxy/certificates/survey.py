"""
Read a path that names certificates: a file with its companions, a directory, or a bundle. For a thread.

A companion file (``.ocsp``, ``.issuer``, ``.sctl``) that HAProxy would refuse is left out; its certificate is served.
"""

from __future__ import annotations

import hashlib
import os
import stat
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from attrs import Factory, evolve, frozen
from msgspec import Struct

from marathonlb.base.files import FileVersion
from marathonlb.haproxy.certificates.pem import has_key, payload, read_authorities, read_certificate
from marathonlb.haproxy.files.reader import LARGEST, read_regular

COMPANIONS = (".key", ".ocsp", ".issuer", ".sctl")
"""The ends of the names of companions: files that HAProxy reads beside a certificate."""

BUNDLE = (".rsa", ".ecdsa", ".dsa")
"""The ends of the names of the files that ``crt FILE`` means where FILE itself does not exist."""

AUTHORITIES = (".pem", ".crt", ".cer", ".crl")
"""The ends of the names of the files that ``ca-file DIRECTORY`` means."""

MAX_FILES = 20_000
"""Maximum number of files in a directory."""

MAX_BYTES = 256_000_000
"""Maximum number of bytes that one look reads from a directory."""

FileKey = tuple[str, str]
"""The kind of a file (``crt``, ``ca`` or ``keys``) and its path."""


@frozen
class CertificateFile:
    """
    One file and its companions, as they were read.

    :param signature: the state of these files by ``stat``; a file is read again when it differs.
    :param digest: the digest of their contents; empty if they cannot be read.
    :param reason: why the file cannot be served, in words that follow its name; empty if it can.
    :param begins: the time from which the certificate is valid, in seconds since 1970.
    :param ends: the time until which it is valid.
    :param real: the file's real path, symbolic links resolved.
    :param companions: the ends of the names of the companions that can be used.
    :param wrong: the ends of the names of the other companions, each with the reason.
    :param copied: True if there is a copy of it for HAProxy.
    :param haproxy: HAProxy's message if HAProxy itself has refused it, which `reason` quotes; else empty.
    """

    signature: object
    digest: str = ""
    reason: str = ""
    begins: float = 0.0
    ends: float = float("inf")
    real: str = ""
    companions: tuple[str, ...] = ()
    wrong: Mapping[str, str] = Factory(dict)
    copied: bool = False
    haproxy: str = ""


class CertificateListing(Struct, frozen=True):
    """
    The files of a directory or of a bundle.

    :param files: the files that HAProxy would read.
    :param bad: the files at which HAProxy would stop, each with the reason.
    :param reason: why there is nothing to read, in words that follow the name; empty if there is.
    :param real: the directory's real path, symbolic links resolved; empty for a bundle.
    """

    files: tuple[str, ...] = ()
    bad: tuple[tuple[str, str], ...] = ()
    reason: str = ""
    real: str = ""


Surveyed = CertificateFile | CertificateListing


class CopyWriter(Protocol):
    """Writes copies of the files that were read."""

    def bring(self, kind: str, path: str, parts: Mapping[str, bytes]) -> None:
        """
        Write a copy.

        :param parts: the texts of the file and of its companions, by the end of the name.
        :raises OSError: it cannot be written.
        """


def survey(
    kind: str,
    path: str,
    known: Mapping[FileKey, Surveyed],
    copier: CopyWriter | None,
    beat: Callable[[], object],
    *,
    max_files: int = MAX_FILES,
    max_bytes: int = MAX_BYTES,
) -> dict[FileKey, Surveyed]:
    """
    Read the files of a path.

    :param known: the results of the last look; a file that has not changed since is not read again.
    :param beat: called after each file, to show that there is progress.
    :param max_files: maximum number of files in a directory.
    :param max_bytes: maximum number of bytes to read from a directory.
    :return: the result for the path, and for each file of a directory.
    """
    listing = _listing(kind, path, max_files)
    if listing is None:
        return {(kind, path): _entry(kind, path, known.get((kind, path)), copier)}
    if kind != "crt" and not listing.reason:
        return {(kind, path): _gathered(kind, path, listing, copier)}
    entries: dict[FileKey, Surveyed] = {(kind, path): listing}
    left = max_bytes
    for file in listing.files:
        before = known.get((kind, file))
        if left <= 0:
            entries[kind, file] = CertificateFile(
                None, reason=f"is not read: the directory holds more than {max_bytes} bytes"
            )
            continue
        entries[kind, file] = _entry(kind, file, before, copier)
        if entries[kind, file] is not before:
            left -= min(_size(file), LARGEST)
        beat()
    return entries


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0


def _listing(kind: str, path: str, max_files: int) -> CertificateListing | None:
    """Return the files of a directory or a bundle; None if the path is neither."""
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISDIR(mode):
            return None
        names = sorted(name for name in os.listdir(path) if not name.startswith("."))
    except (OSError, ValueError):
        parts = tuple(path + end for end in BUNDLE if kind == "crt" and os.path.exists(path + end))
        return CertificateListing(parts) if parts else None
    if len(names) > max_files:
        return CertificateListing(reason=f"is a directory of more than {max_files} files")
    files, bad = list[str](), list[tuple[str, str]]()
    for name in names:
        if name.endswith(COMPANIONS) if kind == "crt" else not name.endswith(AUTHORITIES):
            continue
        file = os.path.join(path, name)
        try:
            if stat.S_ISREG(os.stat(file).st_mode):
                files.append(file)
        except OSError as error:  # HAProxy stops at it
            bad.append((file, cannot(error)))
    reason = "" if files else "is a directory without a certificate"
    return CertificateListing(tuple(files), tuple(bad), reason, os.path.realpath(path))


def _gathered(
    kind: str, path: str, listing: CertificateListing, copier: CopyWriter | None
) -> CertificateFile:
    """Read all authorities of a directory as one file."""
    signature = tuple(_stat(file) for file in listing.files)
    content = b""
    ends = float("-inf")
    try:
        for file in listing.files:
            text, _ = read_regular(file, LARGEST - len(content))
            ends = max(ends, read_authorities(text))
            content += text + b"\n"
    except (OSError, ValueError) as error:
        reason = cannot(error) if isinstance(error, OSError) else str(error)
        return CertificateFile(
            signature, digest_of([content]), f"is a directory with {os.path.basename(file)}, which {reason}"
        )
    entry = CertificateFile(signature, digest_of([content]), ends=ends, real=listing.real)
    return _copied(kind, path, entry, {"": content}, copier)


def _entry(kind: str, path: str, known: Surveyed | None, copier: CopyWriter | None) -> CertificateFile:
    signature = tuple(_stat(path + end) for end in ("", *COMPANIONS))
    if isinstance(known, CertificateFile) and known.signature == signature:
        return known
    digest = ""
    try:
        content, real = read_regular(path)
        digest = digest_of([content])
        if kind == "crt":
            return _certificate(path, content, CertificateFile(signature, real=real), copier)
        if kind == "keys":
            _require_keys(content)
        ends = read_authorities(content) if kind == "ca" else float("inf")
        return _copied(
            kind, path, CertificateFile(signature, digest, ends=ends, real=real), {"": content}, copier
        )
    except OSError as error:
        return CertificateFile(signature, digest, cannot(error))
    except ValueError as error:
        return CertificateFile(signature, digest, str(error))


def _certificate(
    path: str, content: bytes, entry: CertificateFile, copier: CopyWriter | None
) -> CertificateFile:
    """Read a certificate with its key and its companions. Raises `ValueError` if it cannot be served."""
    key = b""
    if not has_key(content) and os.path.exists(path + ".key"):
        key, _ = read_regular(path + ".key")
    read = read_certificate(content, key)
    parts = {"": content + b"\n" + key if key else content}
    wrong: dict[str, str] = {}
    for end in COMPANIONS[1:]:
        if not os.path.exists(path + end):
            continue
        try:
            text, _ = read_regular(path + end)
            _require_companion(end, text)
            parts[end] = text
        except OSError as error:
            wrong[end] = cannot(error)
        except ValueError as error:
            wrong[end] = str(error)
    certificate = evolve(
        entry,
        digest=digest_of([part for end in sorted(parts) for part in (end, parts[end])]),
        begins=read.begins,
        ends=read.ends,
        companions=tuple(end for end in parts if end),
        wrong=wrong,
    )
    return _copied("crt", path, certificate, parts, copier)


def _copied(
    kind: str, path: str, entry: CertificateFile, parts: Mapping[str, bytes], copier: CopyWriter | None
) -> CertificateFile:
    if copier is None:
        return entry
    try:
        copier.bring(kind, path, parts)
    except OSError:
        return entry
    return evolve(entry, copied=True)


def _require_companion(end: str, text: bytes) -> None:
    """Raise `ValueError` if a companion does not hold what the end of its name promises."""
    if end == ".issuer":
        read_authorities(text)
    elif end == ".sctl" and not _is_list_of_timestamps(text):
        raise ValueError("is not a list of signed certificate timestamps (RFC 6962)")


def _is_list_of_timestamps(text: bytes) -> bool:
    """Return whether the lengths fit: two bytes of length before the list, and before each item in it."""
    if len(text) < 4 or int.from_bytes(text[:2], "big") != len(text) - 2:
        return False
    place = 2
    while place < len(text):
        length = int.from_bytes(text[place : place + 2], "big")
        place += 2 + length
        if not length or place > len(text):
            return False
    return True


def _require_keys(text: bytes) -> None:
    """Raise `ValueError` if a text does not hold the keys of TLS tickets."""
    lines = text.split()
    if len(lines) < 3 or len({len(b64decode(line, validate=True)) for line in lines} - {48, 80}):
        raise ValueError("holds no three keys of 48 or 80 bytes in base64")


def to_be_served(path: str) -> tuple[str, str]:
    """
    Return the PEM text of a file for ``set ssl cert``, and the fingerprint of its certificate.

    :raises ValueError: it cannot be served.
    :raises OSError: it cannot be read.
    """
    beside = [end for end in COMPANIONS[1:] if os.path.exists(path + end)]
    if beside:
        raise ValueError(f"there is a {beside[0]} beside it")
    (pem, _), key = read_regular(path), b""
    if not has_key(pem):
        key, _ = read_regular(f"{path}.key")
    return payload(pem, key), read_certificate(pem, key).fingerprint


def cannot(error: OSError) -> str:
    """Return why a file cannot be read, in words that follow its name."""
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    return f"cannot be read: {error.strerror}"


def digest_of(parts: Iterable[str | bytes]) -> str:
    """Return a digest of texts that also depends on where each ends."""
    digest = hashlib.sha256()
    for part in parts:
        content = os.fsencode(part) if isinstance(part, str) else part
        digest.update(b"%d:" % len(content) + content)
    return digest.hexdigest()


def _stat(path: str) -> object:
    try:
        return FileVersion.of(path)
    except OSError as error:
        return error.errno
    except ValueError:  # no path at all
        return None
