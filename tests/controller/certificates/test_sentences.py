"""The sentences about certificates, for the operator and for an app's owner."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.controller.certificates.sentences import for_operator, for_owner
from marathonlb.haproxy.certificates.verdicts import CertificateFault, CertificateWarning
from marathonlb.routing.services.files import UNUSABLE, UNUSABLE_AUTHORITY


class SentenceTests(SynchronousTestCase):
    """`for_operator` and `for_owner`."""

    def test_replaced(self) -> None:
        """The operator learns the reason; an owner learns what the kind of file has to be."""
        warning = CertificateWarning("/a.pem", CertificateFault.REPLACED, "is no PEM file")
        fate = "; a copy of its last good content is served instead: fix or remove it"
        self.assertEqual(f"is no PEM file{fate}", for_operator(warning))
        self.assertEqual(f"{UNUSABLE}{fate}", for_owner(warning, "crt"))
        self.assertEqual(f"{UNUSABLE_AUTHORITY}{fate}", for_owner(warning, "ca"))

    def test_companion(self) -> None:
        """An owner learns the end of the name of a file beside the certificate, and no reason."""
        warning = CertificateWarning(
            "/a.pem.ocsp", CertificateFault.COMPANION, "is refused by HAProxy", ".ocsp"
        )
        self.assertTrue(for_operator(warning).startswith("is refused by HAProxy: its certificate is served"))
        self.assertTrue(
            for_owner(warning, "crt").startswith("has a file beside it (.ocsp) that cannot be used")
        )

    def test_dates(self) -> None:
        """Both learn the dates; one that no calendar holds is said to be far away."""
        for fault, sentence in (
            (CertificateFault.EXPIRED, "has expired at 2023-11-14 22:13 UTC"),
            (CertificateFault.EXPIRES, "expires at 2023-11-14 22:13 UTC; renew it"),
            (CertificateFault.NOT_YET_VALID, "is not valid before 2023-11-14 22:13 UTC"),
        ):
            warning = CertificateWarning("/a.pem", fault, time=1_700_000_000.0)
            self.assertTrue(for_operator(warning).startswith(sentence))
            self.assertEqual(for_operator(warning), for_owner(warning, "crt"))
        far = CertificateWarning("/a.pem", CertificateFault.NOT_YET_VALID, time=1e20)
        self.assertIn("a date far away", for_operator(far))

    def test_no_answer(self) -> None:
        """A file system that does not answer is named to both."""
        warning = CertificateWarning("/a.pem", CertificateFault.NO_ANSWER)
        self.assertIn("its file system does not answer", for_operator(warning))
        self.assertEqual(for_operator(warning), for_owner(warning, "crt"))
