"""The credentials for Marathon."""

from __future__ import annotations

import os
from base64 import b64decode

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from marathonlb.errors import SourceError
from marathonlb.marathon.api.auth import (
    BasicAuthorization,
    FileAuthorization,
    IAuthorization,
    NoAuthorization,
)

URL = "http://m1:8080"


class AuthorizationTests(SynchronousTestCase):
    """`NoAuthorization` and `BasicAuthorization`."""

    def test_interface(self) -> None:
        """All kinds of credentials provide the interface."""
        for credentials in (
            NoAuthorization(),
            BasicAuthorization("u", "p"),
            FileAuthorization(self.mktemp()),
        ):
            self.assertTrue(verifyObject(IAuthorization, credentials))

    def test_fixed(self) -> None:
        """Fixed credentials are the same for every request, and a refusal does not change them."""
        for credentials, expected in ((NoAuthorization(), {}), (BasicAuthorization("lb", "ü:x"), None)):
            headers = self.successResultOf(credentials.headers(URL))
            self.assertEqual(headers, self.successResultOf(credentials.headers(URL)))
            self.assertFalse(credentials.refused(headers))
            if expected is not None:
                self.assertEqual(expected, headers)

    def test_basic(self) -> None:
        """User and password are sent as UTF-8."""
        headers = self.successResultOf(BasicAuthorization("lb", "ü:x").headers(URL))
        kind, _, encoded = headers["Authorization"].partition(" ")
        self.assertEqual(("Basic", "lb:ü:x"), (kind, b64decode(encoded).decode()))


class FileAuthorizationTests(SynchronousTestCase):
    """`FileAuthorization`."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.credentials = FileAuthorization(self.path)

    def write(self, content: bytes) -> None:
        """Replace the file."""
        with open(self.path + ".new", "wb") as file:
            file.write(content)
        os.replace(self.path + ".new", self.path)

    def sent(self) -> str:
        """Return user and password of the next request."""
        headers = self.successResultOf(self.credentials.headers(URL))
        return b64decode(headers["Authorization"].removeprefix("Basic ")).decode()

    def test_replaced(self) -> None:
        """A replaced file is read again; a line end is no part of the password."""
        self.write(b"lb:old\n")
        self.assertEqual("lb:old", self.sent())
        self.write(b"lb:new\n")
        self.assertEqual("lb:new", self.sent())

    def test_unusable(self) -> None:
        """A missing or unusable file is an error that names the file, the fault and the option."""
        for content, word in (
            (None, "No such file"),
            (b"", "one line user:pass"),
            (b"no colon", "one line user:pass"),
            (b"a:b\nc:d", "one line user:pass"),
            (b"\xff\xfe", "not UTF-8"),
        ):
            if content is not None:
                self.write(content)
            error = self.failureResultOf(self.credentials.headers(URL), SourceError).value
            for part in (self.path, word, "--marathon-auth-credential-file"):
                self.assertIn(part, str(error))

    def test_unusable_later(self) -> None:
        """While a file that was good cannot be used, its last credentials are sent."""
        self.write(b"lb:old\n")
        self.sent()
        self.write(b"half")
        self.assertEqual("lb:old", self.sent())
        os.unlink(self.path)
        self.assertEqual("lb:old", self.sent())

    def test_refused(self) -> None:
        """After a refusal the file is read again, and other credentials are worth another request."""
        self.write(b"lb:old\n")
        headers = self.successResultOf(self.credentials.headers(URL))
        self.assertFalse(self.credentials.refused(headers))
        self.write(b"lb:new\n")
        self.assertTrue(self.credentials.refused(headers))
