"""``--status``: the table."""

from __future__ import annotations

import re

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.problem_kinds.operators import SSL_CERTS_UNUSABLE
from marathonlb.routing.problems import Problem
from marathonlb.script.status import SHOWN, ago, table
from marathonlb.script.terminal import Paint
from marathonlb.web.api.problems import Problems
from marathonlb.web.api.status import Status
from marathonlb.web.client import Reply
from tests.reconciling import web
from tests.web.contexts import EVERYTHING, PagesTestCase

EVIL = "\x1b[31m\x1b]0;owned\x07\x9b1m\u202e\u2066\r\nmarathon-lb  ready"


class EvilTests(PagesTestCase):
    """What apps may have written into their labels."""

    def test_obeyed(self) -> None:
        """Nothing that a terminal obeys comes out of a label, nor a line of its own, in colours or without."""
        labels = {"HAPROXY_0_PATH": EVIL, f"HAPROXY_0_{EVIL}": EVIL, "HAPROXY_0_BALANCE": EVIL}
        self.serve(web("shop", **labels), web("other", 10001, HAPROXY_0_UNKNOWN=EVIL))
        replies = [Reply(200, self.ask("GET", path)[1]) for path in ("/api/status", "/api/problems")]
        status = msgspec.convert(replies[0].data(), Status)
        problems = msgspec.convert(replies[1].data(), Problems).problems
        self.assertGreater(len(problems), 2)
        for colours in (False, True):
            lines = list(table(status, problems, Paint(colours)))
            for line in lines:
                plain = re.sub(r"\x1b\[(?:0|3[1-3])m", "", line) if colours else line
                self.assertTrue(plain.isprintable(), line)
            self.assertEqual(1, len([line for line in lines if line.startswith("marathon-lb  ")]))
        for reply in replies:
            self.assertTrue(reply.json.replace("\n", "").isprintable())
            self.assertEqual(msgspec.json.decode(reply.json), msgspec.json.decode(reply.text))


class StatusTests(PagesTestCase):
    """What people read of `/api/status`."""

    def table(self, *, colours: bool = False) -> str:
        """The table of what the API says now."""
        status = msgspec.convert(self.get("/api/status"), Status)
        problems = msgspec.convert(self.get("/api/problems"), Problems).problems
        return "\n".join(table(status, problems, Paint(colours))) + "\n"

    def test_well(self) -> None:
        """All that an operator asks first is there, and nothing alarming."""
        self.serve(web("shop", tasks=2))
        said = self.table()
        for line in (
            "marathon-lb  1.2.3, mode sse, up 1 s: ready\n",
            "Marathon     http://one:8080 (preferred)\n             http://two:8080 (leader)\n",
            "             events: from http://one:8080, last 6 s ago\n",
            "             1 app, last full comparison 1 s ago\n",
            "HAProxy      2.8.1, managed, pid 77, up 3 s\n",
            "serves       1 service, 2 servers\n",
            "last reload  1 s ago, in 0 ms: reloaded: there was no configuration\n",
            "problems     none\n",
        ):
            self.assertIn(line, said)
        self.assertNotIn("pinned", said)

    def test_not_ready(self) -> None:
        """Why it is not ready stands right below."""
        self.marathon.fail("down")
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(1)
        self.assertRegex(self.table(), r"(?m)not ready\n +no Marathon has answered with all apps yet: .*down")
        self.assertRegex(self.table(), r"(?m)^ +\d+ failures? in a row: .*down")

    def test_pinned(self) -> None:
        """A pin is the second line, with what releases it, and is not told twice."""
        self.serve(web("shop"))
        self.post("/api/pin", {"name": "running"})
        self.clock.advance(1)
        self.assertIn(
            "\npinned       configuration running since 2033-05-18 03:33:21 UTC; --rollback 0 r", self.table()
        )
        self.assertEqual(self.table().count("pinned"), 1)
        self.assertIn("problems     none\n", self.table())

    def test_problems(self) -> None:
        """Problems are counted by kind, and the first of them told."""
        self.serve(*(web(f"shop{n}", 10000 + n, HAPROXY_0_MODE="x") for n in range(SHOWN + 2)))
        said = self.table()
        self.assertIn("problems     12 label\n", said)
        self.assertIn("             MLB-101 /shop0 port 0: HAPROXY_0_MODE=x: ", said)
        self.assertIn("and 2 more: /api/problems", said)

    def test_words(self) -> None:
        """They are told in the words of the dashboard, and a value that goes on and on is cut."""
        self.serve(web("shop", HAPROXY_0_MODE="x" * 5000))
        option = Problem(
            "", None, "--ssl-certs", "/nowhere.pem", "is not there", fatal=False, kind=SSL_CERTS_UNUSABLE
        )
        self.reconciler.event_log.problems_are((*self.reconciler.problems, option))
        said = self.table()
        self.assertIn("problems     1 label, 1 operator\n", said)
        self.assertLess(max(map(len, said.splitlines())), 500)

    def test_colours(self) -> None:
        """On a terminal what is wrong is red; without colours there is no escape sequence."""
        self.serve(web("shop", HAPROXY_0_MODE="x"))
        self.assertIn("\x1b[31mMLB-101 /shop port 0: ", self.table(colours=True))
        self.assertNotIn("\x1b", self.table())


class AgoTests(SynchronousTestCase):
    """Durations."""

    def test_units(self) -> None:
        """The two largest units are said."""
        for seconds, said in (
            (-1, "0 s"),
            (0.9, "0 s"),
            (61, "1 min 1 s"),
            (86400 * 3 + 59, "3 d 59 s"),
            (7205, "2 h 5 s"),
        ):
            self.assertEqual(ago(seconds), said)
