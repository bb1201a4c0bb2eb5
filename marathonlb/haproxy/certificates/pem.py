"""
What stands in a PEM file, judged as HAProxy judges it: by OpenSSL.

A file that HAProxy would refuse costs a whole reload, so each is read here before HAProxy is asked. What depends on how
HAProxy's own OpenSSL was built (the smallest key that it takes, say) is left to HAProxy.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from attrs import frozen
from OpenSSL import crypto

_MARK = re.compile(rb"-----(?P<side>BEGIN|END) (?P<kind>[A-Z0-9 ]{1,40})-----")
_CERTIFICATES = frozenset({b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE"})
_ENCRYPTED = re.compile(rb"BEGIN ENCRYPTED PRIVATE KEY|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)


@frozen
class Certificate:
    """
    A certificate that can be served.

    :param fingerprint: SHA-1 in upper-case hex digits, as ``show ssl cert`` has it.
    :param begins: since when it is valid, in seconds since 1970.
    :param ends: until when.
    """

    fingerprint: str
    begins: float
    ends: float


def blocks(pem: bytes) -> list[tuple[bytes, bytes]]:
    """The kind and the whole text of each PEM block; costs one pass, whatever is in the file."""
    found: list[tuple[bytes, bytes]] = []
    opened: dict[bytes, int] = {}
    for mark in _MARK.finditer(pem):
        kind = mark["kind"]
        if mark["side"] == b"BEGIN" and pem[mark.end() : mark.end() + 1].isspace():
            opened.setdefault(kind, mark.start())
        elif mark["side"] == b"END" and kind in opened:
            found.append((kind, pem[opened[kind] : mark.end()]))
            opened.clear()
    return found


def _is_key(kind: bytes) -> bool:
    return kind == b"PRIVATE KEY" or kind.endswith(b" PRIVATE KEY")


def has_key(pem: bytes) -> bool:
    """Whether there is a private key in it."""
    return any(_is_key(kind) for kind, _ in blocks(pem))


def read_certificate(pem: bytes, key: bytes = b"") -> Certificate:
    """
    Judge a certificate, its chain and its key.

    :param key: the file beside it that holds the key, where `pem` holds none.
    :raises ValueError: why it cannot be served, in words that follow the file's name.
    """
    found = blocks(pem)
    chain = [block for kind, block in found if kind in _CERTIFICATES]
    keys = [block for kind, block in (*found, *blocks(key)) if _is_key(kind)]
    if not chain:
        raise ValueError("holds no certificate" if found else "is no PEM file")
    if not keys:
        raise ValueError(
            "holds no private key; append it, or put it beside it as a file with .key at its end"
        )
    certificates = [_certificate(block, place) for place, block in enumerate(chain)]
    _require_match(certificates[0], _key(keys[0]))
    leaf = certificates[0]
    return Certificate(
        leaf.digest("sha1").decode().replace(":", ""),
        _moment(leaf.get_notBefore()),
        _moment(leaf.get_notAfter()),
    )


def read_authorities(pem: bytes) -> float:
    """
    Judge a file of certificates (and revocation lists) to verify others with.

    :return: when the last of its certificates ends, in seconds since 1970.
    :raises ValueError: why it cannot be used.
    """
    found = blocks(pem)
    chain = [block for kind, block in found if kind in _CERTIFICATES]
    if not chain and not any(kind == b"X509 CRL" for kind, _ in found):
        raise ValueError("holds no certificate" if found else "is no PEM file")
    read = [_certificate(block, place) for place, block in enumerate(chain)]
    return max((_moment(each.get_notAfter()) for each in read), default=float("inf"))


def payload(pem: bytes, key: bytes = b"") -> str:
    """The blocks alone, without an empty line, as ``set ssl cert`` takes them; the text around them says nothing."""
    kept = [block for _, block in (*blocks(pem), *(() if has_key(pem) else blocks(key)))]
    lines = b"\n".join(kept).decode("ascii", "replace").splitlines()
    return "".join(f"{line}\n" for line in lines if line.strip())


def _certificate(block: bytes, place: int) -> crypto.X509:
    try:
        return crypto.load_certificate(crypto.FILETYPE_PEM, block)
    except crypto.Error:
        which = "certificate" if place == 0 else f"certificate {place + 1} (of its chain)"
        raise ValueError(f"holds a {which} that cannot be read: it is cut off or garbled") from None


def _key(block: bytes) -> crypto.PKey:
    if _ENCRYPTED.search(block):
        raise ValueError("holds an encrypted private key, and nobody is there to say the passphrase")
    try:
        return crypto.load_privatekey(crypto.FILETYPE_PEM, block, b"")
    except (crypto.Error, ValueError, TypeError):
        raise ValueError("holds a private key that cannot be read: it is cut off or garbled") from None


def _require_match(certificate: crypto.X509, key: crypto.PKey) -> None:
    try:
        of_certificate, of_key = (
            crypto.dump_publickey(crypto.FILETYPE_ASN1, each) for each in (certificate.get_pubkey(), key)
        )
    except crypto.Error:
        raise ValueError("holds a key of a kind that OpenSSL does not know") from None
    if of_certificate != of_key:
        raise ValueError("holds a private key that does not fit its certificate")


def _moment(text: bytes | None) -> float:
    """ASN.1 time in seconds since 1970."""
    try:
        return datetime.strptime((text or b"").decode(), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        raise ValueError("holds a certificate with a date that cannot be read") from None
