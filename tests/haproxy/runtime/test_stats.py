"""What HAProxy says of itself, read."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.runtime.stats import CACHE_SECONDS, Statistics, stats_socket
from tests.coroutines import coroutine

STAT = "# pxname,svname,scur,status,act,bck,check_status,last_chk,lastchg,weight,hrsp_2xx,hrsp_5xx,\n"


class Asking(TestCase):
    """Questions and answers."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[str] = []
        self.answer = ""
        self.statistics = Statistics(self._ask, self.clock)

    async def _ask(self, command: str) -> str:
        self.asked.append(command)
        return self.answer

    @coroutine
    async def test_backends(self) -> None:
        """One row of each backend; fields that a version lacks are zero, and words with commas stay whole."""
        self.answer = STAT + 'shop,BACKEND,3,UP,2,1,,,9,3,7,,\ntcp,BACKEND,0,DOWN,0,0,,"a, b",1,0,,,\n'
        found = await self.statistics.backends()
        self.assertEqual(
            (found["shop"].sessions, found["shop"].active_servers, found["shop"].retries), (3, 2, 0)
        )
        self.assertEqual((found["shop"].responses, found["tcp"].responses), ({"2xx": 7}, {}))
        self.assertEqual(found["tcp"].status, "DOWN")

    @coroutine
    async def test_fresh(self) -> None:
        """All who ask within a second share one answer."""
        self.answer = STAT
        await self.statistics.backends()
        self.clock.advance(CACHE_SECONDS / 2)
        await self.statistics.backends()
        self.assertEqual(self.asked, ["show stat -1 2 -1"])
        self.clock.advance(CACHE_SECONDS / 2)
        await self.statistics.backends()
        self.assertEqual(len(self.asked), 2)

    @coroutine
    async def test_servers(self) -> None:
        """A backend comes with its servers, and the check's words; a check under way is that check."""
        self.answer = STAT + "shop,a,1,UP 1/2,1,0,* L7OK,all well,5,1,,\nshop,BACKEND,3,UP,2,1,,,9,3,,\n"
        found = await self.statistics.backend("shop")
        self.assertEqual(list(found.servers), ["a"])
        server = found.servers["a"]
        self.assertEqual((server.status, server.check, server.check_words), ("UP 1/2", "L7OK", "all well"))
        self.assertEqual(server.changed_seconds, 5)
        assert found.backend is not None

    @coroutine
    async def test_no_backend(self) -> None:
        """A backend that HAProxy does not have has no servers."""
        for answer in ("No such proxy.", STAT):
            self.answer = answer
            found = await self.statistics.backend("gone")
            self.assertEqual((found.backend, found.servers), (None, {}))

    @coroutine
    async def test_info(self) -> None:
        """What HAProxy says of itself is told by name."""
        self.answer = "Name: HAProxy\nVersion: 2.6.12-1+deb12u4\nnode: a: b\n"
        self.assertEqual((await self.statistics.info())["node"], "a: b")

    def test_nonsense(self) -> None:
        """An answer that is none is no empty cluster."""
        for answer in ("", "Permission denied\n", "Unknown command"):
            self.answer = answer
            asked = Deferred.fromCoroutine(self.statistics.backends())
            self.failureResultOf(asked, HAProxyUnavailable)


class Sockets(SynchronousTestCase):
    """Where a HAProxy that is not ours can be asked."""

    def test_found(self) -> None:
        """The first stats socket with a path is taken, whatever its options."""
        for text, path in (
            ("global\n  stats socket /run/a.sock mode 600 level admin\n", "/run/a.sock"),
            ("global\n\tstats  socket unix@/run/a\n", "/run/a"),
            ("global\n  stats socket ipv4@1.2.3.4:9 level admin\n  stats socket /b\n", "/b"),
            ("global\n  # stats socket /c\n", None),
            ("", None),
        ):
            self.assertEqual(stats_socket(text), path, text)
