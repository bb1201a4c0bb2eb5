"""
The certificates and keys in a PEM file, judged as HAProxy judges them: by OpenSSL.

A file that HAProxy would refuse costs a whole reload, so each file is read here before HAProxy is asked. Limits that
depend on how HAProxy's own OpenSSL was built (the smallest key that it takes, say) are left to HAProxy.

pyOpenSSL reads them, not ``cryptography.x509``, whose own parser gives other verdicts: it takes PEM headers in a
certificate, which OpenSSL refuses, and refuses bytes after a certificate and rarer curves, which OpenSSL takes.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from msgspec import Struct
from OpenSSL import crypto

_MARK = re.compile(rb"-----(?P<side>BEGIN|END) (?P<kind>[A-Z0-9 ]{1,40})-----")
_CERTIFICATES = frozenset({b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE"})
_ENCRYPTED = re.compile(rb"BEGIN ENCRYPTED PRIVATE KEY|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)


class Certificate(Struct, frozen=True):
    """
    A certificate that can be served.

    :param fingerprint: SHA-1 in upper-case hex digits, as ``show ssl cert`` has it.
    :param begins: the time from which it is valid, in seconds since 1970.
    :param ends: the time until which it is valid.
    """

    fingerprint: str
    begins: float
    ends: float


def blocks(pem: bytes) -> list[tuple[bytes, bytes]]:
    """Return the kind and the whole text of each PEM block, in one pass over the file."""
    result: list[tuple[bytes, bytes]] = []
    opened: dict[bytes, int] = {}
    for mark in _MARK.finditer(pem):
        kind = mark["kind"]
        if mark["side"] == b"BEGIN" and pem[mark.end() : mark.end() + 1].isspace():
            opened.setdefault(kind, mark.start())
        elif mark["side"] == b"END" and kind in opened:
            result.append((kind, pem[opened[kind] : mark.end()]))
            opened.clear()
    return result


def _is_key(kind: bytes) -> bool:
    return kind == b"PRIVATE KEY" or kind.endswith(b" PRIVATE KEY")


def has_key(pem: bytes) -> bool:
    """Return whether the text holds a private key."""
    return any(_is_key(kind) for kind, _ in blocks(pem))


def read_certificate(pem: bytes, key: bytes = b"") -> Certificate:
    """
    Judge a certificate, its chain and its key.

    :param key: the text of the file beside it that holds the key, if `pem` holds none.
    :raises ValueError: it cannot be served; the reason follows the file's name in a sentence.
    """
    pem_blocks = blocks(pem)
    chain = [block for kind, block in pem_blocks if kind in _CERTIFICATES]
    keys = [block for kind, block in (*pem_blocks, *blocks(key)) if _is_key(kind)]
    if not chain:
        raise ValueError("holds no certificate" if pem_blocks else "is no PEM file")
    if not keys:
        raise ValueError(
            "holds no private key: append it, or put it into a file of the same name with .key at its end"
        )
    certificates = [_certificate(block, place) for place, block in enumerate(chain)]
    _require_match(certificates[0], _key(keys[0]))
    leaf = certificates[0]
    return Certificate(
        leaf.digest("sha1").decode().replace(":", ""),
        _seconds(leaf.get_notBefore()),
        _seconds(leaf.get_notAfter()),
    )


def read_authorities(pem: bytes) -> float:
    """
    Judge a file of authorities: certificates and revocation lists that verify other certificates.

    :return: the time at which the last of its certificates ends, in seconds since 1970.
    :raises ValueError: it cannot be used; the reason follows the file's name in a sentence.
    """
    pem_blocks = blocks(pem)
    chain = [block for kind, block in pem_blocks if kind in _CERTIFICATES]
    if not chain and not any(kind == b"X509 CRL" for kind, _ in pem_blocks):
        raise ValueError("holds no certificate" if pem_blocks else "is no PEM file")
    read = [_certificate(block, place) for place, block in enumerate(chain)]
    return max((_seconds(certificate.get_notAfter()) for certificate in read), default=float("inf"))


def payload(pem: bytes, key: bytes = b"") -> str:
    """Return the blocks without empty lines and without the text around them, as ``set ssl cert`` takes them."""
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
        raise ValueError(
            "holds an encrypted private key: remove the passphrase, since HAProxy starts unattended"
        )
    try:
        return crypto.load_privatekey(crypto.FILETYPE_PEM, block, b"")
    except (crypto.Error, ValueError, TypeError):
        raise ValueError("holds a private key that cannot be read: it is cut off or garbled") from None


def _require_match(certificate: crypto.X509, key: crypto.PKey) -> None:
    try:
        of_certificate, of_key = (
            crypto.dump_publickey(crypto.FILETYPE_ASN1, public) for public in (certificate.get_pubkey(), key)
        )
    except crypto.Error:
        raise ValueError("holds a key of a kind that OpenSSL does not know") from None
    if of_certificate != of_key:
        raise ValueError("holds a private key that does not fit its certificate")


def _seconds(text: bytes | None) -> float:
    """Return an ASN.1 time in seconds since 1970."""
    try:
        return datetime.strptime((text or b"").decode(), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        raise ValueError("holds a certificate with a date that cannot be read") from None
