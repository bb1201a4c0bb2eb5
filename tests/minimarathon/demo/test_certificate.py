"""The demonstration's certificate."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from minimarathon.demo.certificate import ensure


class CertificateTests(SynchronousTestCase):
    """`ensure`."""

    def test_made_once(self) -> None:
        """It is made for its owner alone, holds certificate and key, and is kept the next time."""
        path = Path(self.mktemp())
        self.assertTrue(ensure(path))
        first = path.read_bytes()
        self.assertEqual(0o600, path.stat().st_mode & 0o777)
        self.assertIn(b"PRIVATE KEY", first)
        names = x509.load_pem_x509_certificate(first).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        self.assertIn("*.example.com", names.value.get_values_for_type(x509.DNSName))
        self.assertFalse(ensure(path))
        self.assertEqual(first, path.read_bytes())

    def test_mended(self) -> None:
        """What is no certificate is made anew."""
        path = Path(self.mktemp())
        path.write_text("nonsense")
        self.assertTrue(ensure(path))
        self.assertFalse(ensure(path))
