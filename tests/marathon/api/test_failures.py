"""Failures below HTTP, as errors that name the remedy."""

from __future__ import annotations

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.address import HostnameAddress
from twisted.internet.defer import CancelledError
from twisted.internet.error import (
    ConnectingCancelledError,
    ConnectionLost,
    ConnectionRefusedError,
    DNSLookupError,
    TimeoutError,
)
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseFailed, ResponseNeverReceived

from marathonlb.marathon.api.failures import AskedServer, failure

URL = "https://m1:8443/v2/apps"


def tls(*messages: str) -> SSL.Error:
    """Return an error as pyOpenSSL raises it."""
    return SSL.Error([("SSL routines", "", message) for message in messages])


class FailureTests(SynchronousTestCase):
    """`failure`."""

    def test_reasons(self) -> None:
        """Each failure is an error of its URL with what can be done about it."""
        for error, words in (
            (DNSLookupError(), ("its name is not known", "--marathon and the name server")),
            (TimeoutError(), ("it does not answer",)),
            (ConnectionRefusedError(), ("refused; check --marathon", "Marathon runs there")),
            (VerificationError(errors=[]), ("not for this name or address",)),
            (ConnectionLost(), ("onnection",)),
            (OSError("no route."), ("no route",)),
            (OSError(), ("OSError",)),
        ):
            made = failure(URL, error)
            self.assertEqual((URL, None), (made.url, made.status))
            for word in words:
                self.assertIn(word, made.reason)

    def test_tls(self) -> None:
        """An alert about the client certificate names that option, any other TLS error the authorities."""
        for message, option in (
            ("certificate verify failed", "--marathon-ca-cert"),
            ("wrong version number", "--marathon-ca-cert"),
            ("tlsv13 alert certificate required", "--marathon-client-cert"),
            ("tlsv1 alert unknown ca", "--marathon-client-cert"),
            ("sslv3 alert bad certificate", "--marathon-client-cert"),
            ("sslv3 alert handshake failure", "--marathon-client-cert"),
            ("tlsv1 alert access denied", "--marathon-client-cert"),
        ):
            reason = failure(URL, tls(message)).reason
            self.assertIn(f"TLS failed ({message}); {option}", reason)
        self.assertIn("without a message", failure(URL, SSL.Error()).reason)
        self.assertIn("(a; b)", failure(URL, tls("a", "b")).reason)

    def test_wrapped(self) -> None:
        """The reason inside Twisted's wrappers counts, and a prefix stands before it."""
        error = ResponseFailed([Failure(ResponseNeverReceived([Failure(TimeoutError())]))])
        self.assertEqual(
            "the answer broke off: it does not answer", failure(URL, error, "the answer broke off: ").reason
        )

    def test_cancelled(self) -> None:
        """A request that was cancelled here is no error of the server."""
        connecting = ConnectingCancelledError(HostnameAddress(b"m1", 8443))
        for error in (connecting, ResponseFailed([Failure(CancelledError())])):
            self.assertRaises(CancelledError, failure, URL, error)

    def test_other_server(self) -> None:
        """The advice names the option and the name of the server that was asked."""
        server = AskedServer("--x", "DC/OS", untrusted="trust it", unknown_client="no certificate")
        self.assertIn(
            "check --x, and that DC/OS runs", failure(URL, ConnectionRefusedError(), server=server).reason
        )
        self.assertIn("; trust it", failure(URL, tls("certificate verify failed"), server=server).reason)
        self.assertIn("; no certificate", failure(URL, tls("tlsv1 alert unknown ca"), server=server).reason)
