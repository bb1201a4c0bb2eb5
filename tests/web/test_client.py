"""The client of the running controller: what it makes of answers. tests/integration asks a real one."""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import DaemonRefused, DaemonUnreachable
from marathonlb.haproxy.files.state_directory import MAX_SOCKET_PATH
from marathonlb.web.client import ControllerClient, Reply


class ReplyTests(SynchronousTestCase):
    """`Reply`."""

    def test_data(self) -> None:
        """Texts of the JSON are one printable line each, names of fields included."""
        reply = Reply(200, '{"a\\u001b": ["x\\ny", 1, "\\u202e"]}')
        self.assertEqual(reply.data(), {"a\\x1b": ["x\\ny", 1, "\\u202e"]})

    def test_json(self) -> None:
        """The JSON stays JSON, with every unprintable character escaped and one newline at the end."""
        self.assertEqual(Reply(200, '{\n"a": "\u202e"}\n\n').json, '{\n"a": "\\u202e"}\n')

    def test_refused(self) -> None:
        """An answer with another status is an error with the daemon's reason, in JSON or as text."""
        for body in ('{"error": "there is no page /x"}', "there is no page /x\n"):
            error = self.assertRaises(DaemonRefused, Reply(404, body).data)
            self.assertEqual((error.status, error.reason), (404, "there is no page /x"))


class ControllerClientTests(SynchronousTestCase):
    """`ControllerClient`, where there is nothing to connect to."""

    def test_too_long(self) -> None:
        """A path that is too long for a socket is not tried, and named in the error."""
        path, reactor = "/" + "x" * MAX_SOCKET_PATH, MemoryReactorClock()
        error = self.failureResultOf(ControllerClient((path,), reactor).ask("/api/status")).value
        self.assertIsInstance(error, DaemonUnreachable)
        self.assertEqual((error.path, error.reason), (path, "the path is too long for a socket"))
        self.assertEqual(reactor.unixClients, [])

    def test_no_directory(self) -> None:
        """Without any path the error says so."""
        error = self.failureResultOf(ControllerClient((), MemoryReactorClock()).ask("/")).value
        self.assertIn("no state directory", str(error))
