"""A self-signed certificate for a container without one, and files for secrets."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from marathonlb.base.files import replace

LIFE = timedelta(days=3650)
"""How long the self-signed certificate is valid."""


def write_secret(path: str, text: str) -> None:
    """
    Write a file atomically that only its owner can read.

    :raises OSError: it cannot be written.
    """
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    fresh = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}")
    with suppress(FileNotFoundError):
        os.unlink(fresh)
    replace(path, text, durable=False, temporary=fresh)


def self_signed(host: str, now: datetime | None = None) -> str:
    """Return a new self-signed certificate and its key as PEM, for this host name and ``localhost``."""
    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "marathon-lb, self-signed")])
    names = [x509.DNSName(name) for name in dict.fromkeys((host, "localhost")) if name.isascii()]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    pem += key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode("ascii")
