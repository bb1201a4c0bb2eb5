"""Certificates and keys in PEM files: the verdicts of OpenSSL."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from marathonlb.haproxy.certificates.pem import (
    blocks,
    has_key,
    payload,
    read_authorities,
    read_certificate,
)
from tests.haproxy.certificates.cases import CertificateTestCase
from tests.integration.authorities import key_text

BEGIN, END = b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n"


def der_of(pem: bytes) -> bytes:
    """The bytes of the first certificate of a text."""
    return base64.b64decode(pem.split(BEGIN)[1].split(END)[0])


def certificate_of(der: bytes) -> bytes:
    """A PEM certificate of these bytes."""
    return BEGIN + base64.encodebytes(der) + END


class BlocksTests(CertificateTestCase):
    """`blocks`, `has_key` and `payload`: the text of a file in parts."""

    def test_kinds(self) -> None:
        """Each block has its kind, whatever stands around it; one without an end is none."""
        text = b"subject: a\n" + self.read(self.good) + b"-----BEGIN CERTIFICATE-----\nAAAA\n"
        self.assertEqual([b"CERTIFICATE", b"PRIVATE KEY"], [kind for kind, _ in blocks(text)])

    def test_cost(self) -> None:
        """A file of nothing but beginnings costs one pass, and holds no block."""
        self.assertEqual([], blocks(b"-----BEGIN A-----\n" * 50_000))

    def test_key(self) -> None:
        """A key is found by the end of its block's kind."""
        for kind, expected in ((b"PRIVATE KEY", True), (b"EC PRIVATE KEY", True), (b"PUBLIC KEY", False)):
            text = b"-----BEGIN %s-----\nAAAA\n-----END %s-----\n" % (kind, kind)
            self.assertEqual(expected, has_key(text), kind)

    def test_payload(self) -> None:
        """The runtime API gets the blocks without empty lines and other text; a key beside it only where none is in."""
        whole, other = self.read(self.good), key_text(ec.generate_private_key(ec.SECP256R1()))
        text = payload(b"name: x\n\n" + whole.replace(b"\n", b"\r\n\r\n"), other)
        self.assertEqual(whole.decode(), text)
        certificate = whole[: whole.index(END) + len(END)]
        self.assertEqual((certificate + other).decode(), payload(certificate, other))


class CertificateTests(CertificateTestCase):
    """`read_certificate`."""

    def setUp(self) -> None:
        super().setUp()
        self.whole = self.read(self.good)
        place = self.whole.index(END) + len(END)
        self.certificate, self.key = self.whole[:place], self.whole[place:]

    def test_good(self) -> None:
        """A certificate has its fingerprint and its dates; the key may be in a file beside it."""
        leaf = x509.load_pem_x509_certificate(self.certificate)
        read = read_certificate(self.whole)
        self.assertEqual(leaf.fingerprint(hashes.SHA1()).hex().upper(), read.fingerprint)
        dates = tuple(datetime.fromtimestamp(each, UTC) for each in (read.begins, read.ends))
        self.assertEqual((leaf.not_valid_before_utc, leaf.not_valid_after_utc), dates)
        self.assertEqual(read, read_certificate(self.certificate, self.key))
        self.assertEqual(read, read_certificate(self.whole.replace(b"CERTIFICATE", b"X509 CERTIFICATE")))

    def test_bad(self) -> None:
        """Each fault has a reason that follows the file's name."""
        other = key_text(rsa.generate_private_key(65537, 2048))
        garbled = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
        table = {
            b"": "is no PEM file",
            self.key: "holds no certificate",
            self.certificate: "holds no private key: append it",
            self.certificate + other: "holds a private key that does not fit its certificate",
            self.certificate + garbled: "holds a private key that cannot be read: it is cut off or garbled",
            self.certificate + key_text(ec.generate_private_key(ec.SECP256R1()), b"word"): (
                "holds an encrypted private key: remove the passphrase"
            ),
            certificate_of(b"\x30\x03") + self.key: "holds a certificate that cannot be read",
            self.whole
            + certificate_of(b"\x30\x03"): "holds a certificate 2 (of its chain) that cannot be read",
        }
        for text, reason in table.items():
            error = self.assertRaises(ValueError, read_certificate, text)
            self.assertTrue(str(error).startswith(reason), f"{error} is not {reason}")

    def test_as_openssl(self) -> None:
        """Bytes after a certificate are taken as OpenSSL takes them, and PEM headers are refused as it refuses them."""
        der = der_of(self.certificate)
        self.assertEqual(
            read_certificate(self.whole), read_certificate(certificate_of(der + b"\0\0") + self.key)
        )
        headers = self.whole.replace(BEGIN, BEGIN + b"friendlyName: x\n\n", 1)
        self.assertRaises(ValueError, read_certificate, headers)


class AuthoritiesTests(CertificateTestCase):
    """`read_authorities`."""

    def test_ends(self) -> None:
        """The last of several authorities decides until when the file can be used."""
        first = self.read(self.authority.issue("a.pem", "a.test", days=(-1, 10), mode="certificate"))
        last = self.read(self.authority.issue("b.pem", "b.test", days=(-1, 20), mode="certificate"))
        self.assertEqual(read_authorities(last), read_authorities(last + first))
        self.assertGreater(read_authorities(last), read_authorities(first))

    def test_revocation_list(self) -> None:
        """A file of nothing but a revocation list can be used, and has no end."""
        text = b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"
        self.assertEqual(float("inf"), read_authorities(text))

    def test_bad(self) -> None:
        """A key alone, garbage, or a garbled certificate is refused."""
        whole = Path(self.authority.path).read_bytes()
        key = key_text(ec.generate_private_key(ec.SECP256R1()))
        for text in (b"x", key, whole + certificate_of(b"\x30\x03")):
            self.assertRaises(ValueError, read_authorities, text)
