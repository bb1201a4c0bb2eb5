"""Asking the running controller over its socket."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from marathonlb.errors import DaemonRefused, DaemonUnreachable
from marathonlb.haproxy.files.state_directory import WEB_SOCKET
from marathonlb.settings import Settings
from marathonlb.web.access import Access
from marathonlb.web.client import ControllerClient
from marathonlb.web.page import Answer, ClientRequest, Page, Refusal, data, text
from marathonlb.web.router import Route, Router
from marathonlb.web.server import WebServer


class Echo(Page):
    """Says what it was asked, and by whom."""

    also = "POST"
    changes = True

    async def answer(self, request: ClientRequest) -> Answer:
        return data(
            {
                "q": request.query.get("q"),
                "client": request.client,
                "body": request.body.decode(),
                "type": request.headers.getRawHeaders("Content-Type"),
            }
        )


class Never(Page):
    """Knows nothing yet."""

    async def answer(self, request: ClientRequest) -> Answer:
        raise Refusal(503, "Marathon has not answered yet")


class Plain(Page):
    """Says something that is no JSON."""

    async def answer(self, request: ClientRequest) -> Answer:
        return text("not here\n", 404)


class Dying(Protocol):
    """Ends with the first byte."""

    def dataReceived(self, data: bytes) -> None:
        """Hang up."""
        self.transport.loseConnection()


ROOT = Router(
    (Route("/api/echo", Echo()), Route("/api/never", Never()), Route("/plain", Plain())),
    Access(("127.0.0.0/8",)),
)


class DaemonTests(TestCase):
    """A script beside a controller."""

    def setUp(self) -> None:
        self.directory = tempfile.mkdtemp(prefix="mlb-")  # a socket's path is short
        self.addCleanup(shutil.rmtree, self.directory)
        self.daemon = ControllerClient.of(Settings(state_dir=self.directory), reactor)

    def serve(self) -> None:
        """A controller's pages on its socket."""
        path = os.path.join(self.directory, WEB_SOCKET)
        server = WebServer(lambda: path, ROOT, reactor)
        server.startService()
        self.addCleanup(server.stopService)

    async def test_asked(self) -> None:
        """The daemon hears the question and what is posted, from this machine, and its words come back."""
        self.serve()
        reply = await self.daemon.ask("/api/echo?q=%2Fshop")
        said = {"q": "/shop", "client": "127.0.0.1", "body": "", "type": None}
        self.assertEqual((200, said), (reply.status, reply.data()))
        reply = await self.daemon.ask("/api/echo", "POST", b'{"x":1}')
        self.assertEqual(('{"x":1}', ["application/json"]), (reply.data()["body"], reply.data()["type"]))

    async def test_refused(self) -> None:
        """What the daemon does not answer is an error with its status and words."""
        self.serve()
        for path, words in (
            ("/api/never", "the daemon answers 503: Marathon has not answered yet"),
            ("/plain", "the daemon answers 404: not here"),
        ):
            reply = await self.daemon.ask(path)
            error = self.assertRaises(DaemonRefused, reply.data)
            self.assertEqual(words, str(error))

    async def test_nobody(self) -> None:
        """Where no daemon listens the error names the socket and what to do, also beside one that was killed."""
        path = os.path.join(self.directory, WEB_SOCKET)
        for left_behind, words in ((False, "No such file or directory"), (True, "Connection refused")):
            if left_behind:
                with socket.socket(socket.AF_UNIX) as left:
                    left.bind(path)
            error = await self.assertFailure(self.daemon.ask("/api/echo"), DaemonUnreachable)
            self.assertIn(f"no daemon answers at {path} ({words})", str(error))
            self.assertIn("--state-dir", str(error))
        far = ControllerClient((os.path.join(self.directory, "x" * 200),), reactor)
        await self.assertFailure(far.ask("/"), DaemonUnreachable)

    async def test_breaks_off(self) -> None:
        """A daemon that dies while it answers is an error of the same kind."""
        factory = Factory.forProtocol(Dying)
        port = reactor.listenUNIX(os.path.join(self.directory, WEB_SOCKET), factory)
        self.addCleanup(port.stopListening)
        asked = self.daemon.ask("/api/echo")
        error = await self.assertFailure(asked, DaemonUnreachable)
        self.assertIn("the connection broke", str(error))

    async def test_beside_the_configuration(self) -> None:
        """Where the default state directory has no daemon, the one beside the configuration is asked."""
        place = os.path.join(self.directory, ".marathon-lb")
        os.mkdir(place)
        config = os.path.join(self.directory, "haproxy.cfg")
        os.symlink(os.path.join("..", WEB_SOCKET), os.path.join(place, WEB_SOCKET))
        self.serve()
        daemon = ControllerClient.of(Settings(haproxy_config=config), reactor)
        self.assertEqual(200, (await daemon.ask("/api/echo")).status)
