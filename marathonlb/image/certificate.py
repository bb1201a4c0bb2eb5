"""A certificate for a container that was given none, so that https can be tried."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from marathonlb.files import replace

LIFE = timedelta(days=3650)


def write_secret(path: str, text: str) -> None:
    """
    Have a file with this text that its owner alone may read; whoever reads it meanwhile reads the old or the new one.

    :raises OSError: where it cannot be written.
    """
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    fresh = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}")
    with suppress(FileNotFoundError):
        os.unlink(fresh)
    replace(path, text, durable=False, temporary=fresh)


def self_signed(host: str, now: datetime | None = None) -> str:
    """A new certificate and its key as PEM, signed by nobody else, for this host name and ``localhost``."""
    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "marathon-lb, self-signed")])
    names = [x509.DNSName(one) for one in dict.fromkeys((host, "localhost")) if one.isascii()]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    made = certificate.public_bytes(Encoding.PEM)
    made += key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made.decode("ascii")
