"""The event stream."""

from __future__ import annotations

from twisted.web.client import ResponseDone

from minimarathon.api.event_stream import GAP
from tests.minimarathon.api.resources import WEB, ResourceTestCase, ServedMarathon


class StreamTests(ResourceTestCase):
    """``/v2/events``."""

    ACCEPT = {"Accept": "text/event-stream"}

    def listen(self, query: str = "") -> list[bytes]:
        """Open a stream; return the list to which received data is added."""
        sending = self.send("GET", f"/v2/events{query}", headers=self.ACCEPT)
        self.served.agent.flush()
        self.response = self.successResultOf(sending)
        pieces: list[bytes] = []
        self.over = self.response.collect(pieces.append)
        self.flush()
        return pieces

    def flush(self) -> None:
        self.cluster.rest()
        self.served.agent.flush()

    def kinds_of(self, pieces: list[bytes]) -> list[str]:
        lines = b"".join(pieces).split(b"\r\n")
        return [line.partition(b": ")[2].decode() for line in lines if line.startswith(b"event: ")]

    def test_framing(self) -> None:
        """The head has neither length nor chunks, and the first event is the stream's own attachment."""
        pieces = self.listen()
        self.assertEqual("text/event-stream;charset=UTF-8", self.header("Content-Type"))
        self.assertEqual("", self.header("Transfer-Encoding") + self.header("Content-Length"))
        self.assertRegex(
            b"".join(pieces), rb'^event: event_stream_attached\r\ndata: \{"remoteAddress":.*\}\r\n\r\n$'
        )

    def test_accept(self) -> None:
        """Anything but the exact Accept is 405, as a page."""
        for headers in ({}, {"Accept": "text/event-stream, */*"}, {"Accept": "*/*"}):
            status, body = self.ask("GET", "/v2/events", headers=headers)
            self.assertEqual(405, status)
            self.assertIn("HTTP method GET is not supported by this URL", body)

    def test_filter(self) -> None:
        """event_type, given several times, lets those types through and nothing else."""
        pieces = self.listen("?event_type=deployment_success&event_type=api_post_event")
        self.ask("POST", "/v2/apps", WEB)
        self.flush()
        self.assertEqual(["api_post_event", "deployment_success"], self.kinds_of(pieces))

    def test_light_plans(self) -> None:
        """plan-format=light leaves the cluster out of deployments."""
        heavy, light = self.listen(), self.listen("?plan-format=light")
        self.ask("POST", "/v2/apps", WEB)
        self.flush()
        self.assertIn(b'"original"', b"".join(heavy))
        self.assertNotIn(b'"original"', b"".join(light))

    def test_keep_alive(self) -> None:
        """Every ten seconds come a CR and a LF, in pieces of their own, and nothing comes between them."""
        pieces = self.listen()
        del pieces[:]
        self.cluster.clock.advance(10)
        self.served.agent.flush()
        self.assertEqual([b"\r"], pieces)
        self.cluster.bus.publish([self.cluster.state.announce.event("app_terminated_event", appId="/x")])
        self.served.agent.flush()
        self.assertEqual([b"\r"], pieces)
        self.cluster.clock.advance(GAP)
        self.flush()
        self.assertTrue(pieces[1].startswith(b"\nevent: "), pieces)
        self.assertEqual(["app_terminated_event"], self.kinds_of(pieces))
        self.cluster.clock.advance(10)
        self.flush()
        self.cluster.clock.advance(GAP)
        self.flush()
        self.assertEqual([b"\r", b"\n"], pieces[-2:])

    def test_others_hear_of_it(self) -> None:
        """Every other stream hears of an attachment."""
        first = self.listen()
        self.listen()
        self.flush()
        self.assertEqual(["event_stream_attached"] * 2, self.kinds_of(first))

    def test_slow_clients(self) -> None:
        """A client that does not read loses events until 1.7, and its connection from 1.8 on."""
        for version, closed in (("1.4", False), ("1.8", True)):
            self.use(ServedMarathon(version))
            self.listen()
            (stream,) = self.served.streams.open
            stream.pauseProducing()
            limit = self.cluster.state.dialect.max_outstanding
            event = self.cluster.state.announce.event("app_terminated_event", appId="/x")
            self.cluster.bus.publish([event] * limit)
            self.assertTrue(stream.open)
            self.cluster.bus.publish([event])
            self.assertEqual(closed, not stream.open)

    def test_close(self) -> None:
        """A Marathon that stops ends its streams."""
        self.listen()
        self.served.streams.close()
        self.flush()
        self.successResultOf(self.over.addErrback(lambda failure: failure.trap(ResponseDone)))
        self.assertEqual({}, self.served.streams.open)
