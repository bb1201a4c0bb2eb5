"""The sample's servers."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from minimarathon.apps import Web, main


class Exchange(Web):
    """A web server's connection with its input and output in memory."""

    def __init__(self, request: bytes, leaving: bool = False) -> None:
        self.rfile: Any = io.BytesIO(request)
        self.wfile: Any = io.BytesIO()
        self.server: Any = SimpleNamespace(name="shop", leaving=leaving, server_address=("127.0.0.1", 31000))

    @property
    def head_and_body(self) -> tuple[str, str]:
        """What was sent."""
        head, _, body = self.wfile.getvalue().decode().partition("\r\n\r\n")
        return head, body


class WebTests(SynchronousTestCase):
    """`Web`."""

    def test_line(self) -> None:
        """A response names the app, the port, the path, and the headers that matter to a load balancer."""
        exchange = Exchange(
            b"GET /cart?x HTTP/1.1\r\nHost: shop\r\nX-Forwarded-Port: 80\r\nAccept: */*\r\n\r\n"
        )
        self.assertTrue(exchange.talk())
        head, body = exchange.head_and_body
        self.assertTrue(head.startswith("HTTP/1.1 200 OK\r\n"))
        self.assertIn(f"Content-Length: {len(body)}\r\nConnection: keep-alive", head)
        self.assertRegex(body, r"\Ashop task=\S+ port=31000 path=/cart\?x host=shop x-forwarded-port=80\n\Z")

    def test_health(self) -> None:
        """The health check is answered shortly, and HEAD without a body."""
        exchange = Exchange(b"GET /health HTTP/1.1\r\n\r\n")
        exchange.talk()
        self.assertEqual("ok\n", exchange.head_and_body[1])
        exchange = Exchange(b"HEAD / HTTP/1.1\r\n\r\n")
        exchange.talk()
        self.assertEqual("", exchange.head_and_body[1])

    def test_last(self) -> None:
        """The connection ends after the response if the client asks for it, or while the server shuts down."""
        for request, leaving in (
            (b"GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", False),
            (b"GET / HTTP/1.0\r\n\r\n", False),
            (b"GET / HTTP/1.1\r\n\r\n", True),
        ):
            exchange = Exchange(request, leaving)
            self.assertFalse(exchange.talk())
            self.assertIn("Connection: close", exchange.head_and_body[0])
        self.assertFalse(Exchange(b"").talk())


class MainTests(SynchronousTestCase):
    """`main`."""

    def test_usage(self) -> None:
        """Wrong arguments give the usage and status 2."""
        for arguments in ([], ["ftp"], ["web", "--name"], ["web", "-n", "x"]):
            errors = io.StringIO()
            self.patch(__import__("sys"), "stderr", errors)
            self.assertEqual(2, main(arguments))
            self.assertIn("usage:", errors.getvalue())
