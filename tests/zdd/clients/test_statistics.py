"""What load balancers show, and what follows from it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.services.servers import server_name
from marathonlb.zdd.clients.statistics import ServerRow, View, drain_state, lag, parse

TABLE = """\
# pxname,svname,qcur,qmax,scur,smax,slim,stot,status,weight,act
stats,FRONTEND,,,1,2,524268,3,OPEN,,
shop_10000,10_0_0_1_31000,1,0,2,1,,1,UP,100,1
shop_10000,agent_10_0_0_2_31001,0,0,0,1,,1,DRAIN,0,1
shop_10000,BACKEND,0,0,0,1,52427,1,UP,100,1

"""


def row(name: str, status: str = "UP", weight: int = 100, held: int = 0) -> ServerRow:
    """A server."""
    return ServerRow(name, status, weight, held)


class Table(SynchronousTestCase):
    """The statistics as they come."""

    def test_parsed(self) -> None:
        """Servers alone, with their sessions and what waits for them together."""
        self.assertEqual(
            (row("10_0_0_1_31000", held=3), row("agent_10_0_0_2_31001", "DRAIN", 0)), parse(TABLE)
        )

    def test_something_else(self) -> None:
        """A page that is no such table is told."""
        for text in ("", "<html>", "# pxname,svname\na,b\n"):
            self.assertRaises(ValueError, parse, text)

    def test_states(self) -> None:
        """What gets something new, and what does not."""
        for status, weight, serves, drains in (
            ("UP", 100, True, False),
            ("no check", 1, True, False),
            ("UP 1/3", 100, True, False),
            ("UP", 0, False, True),
            ("DRAIN", 0, False, True),
            ("DRAIN (agent)", 100, False, True),
            ("MAINT", 100, False, True),
            ("DOWN", 100, False, False),
            ("NOLB", 100, False, False),
        ):
            found = row("a", status, weight)
            self.assertEqual((serves, drains), (found.serves, found.drains), status)

    def test_names(self) -> None:
        """A server belongs to the task at that place, and to no other."""
        places = frozenset(
            {("10.0.0.1", 31000), ("10.0.0.1", 31007), ("node-1.example", 31000), ("::1", 31000)}
        )
        for host, address, port, ours in (
            ("10.0.0.1", "10.0.0.1", 31000, True),
            ("10.0.0.1", "10.0.0.1", 31007, True),
            ("node-1.example", "10.0.0.9", 31000, True),
            ("node-1.example", "fd00::9:1", 31000, True),
            ("::1", "::1", 31000, True),
            ("10.0.0.1", "10.0.0.1", 31001, False),
            ("10.0.0.1", "10.0.0.1", 3100, False),
            ("110.0.0.1", "110.0.0.1", 31000, False),
            ("node-1.example.org", "10.0.0.9", 31000, False),
            ("node-1", "10.0.0.9", 31000, False),
        ):
            view = View("lb", (row(server_name(host, address, port)),))
            self.assertEqual(ours, bool(view.of(places)), (host, address, port))


class Judged(SynchronousTestCase):
    """Which tasks may be ended."""

    tasks = {"a": frozenset({("h", 1), ("h", 2)}), "b": frozenset({("h", 3)}), "gone": frozenset()}

    def idle(self, *views: View) -> str:
        """The ids, and why not the others."""
        return " ".join(sorted(drain_state(views, self.tasks).idle))

    def test_everywhere(self) -> None:
        """A task is idle when each load balancer has drained all its ports and none of them holds anything."""
        idle = [row("h_1", "DRAIN", 0), row("h_2", "UP", 0), row("h_3", "MAINT")]
        self.assertEqual("a b gone", self.idle(View("x", tuple(idle)), View("y", tuple(idle))))
        for other, left in (
            ((), "a b gone"),
            ((row("h_1"),), "b gone"),
            ((row("h_2", "DRAIN", 0, held=1),), "b gone"),
            ((row("h_3", "DOWN"),), "a gone"),
        ):
            self.assertEqual(left, self.idle(View("x", tuple(idle)), View("y", other)))

    def test_unknown(self) -> None:
        """One load balancer that cannot be asked, or has old processes, may hold any of them."""
        good = View("x", (row("h_1", "DRAIN", 0),))
        for bad, words in (
            (View("http://y", problem="http://y: no answer"), "http://y: no answer"),
            (View("http://y", workers=3), "http://y: 2 HAProxy processes"),
        ):
            found = drain_state([good, bad], self.tasks)
            self.assertEqual(frozenset(), found.idle)
            self.assertIn(words, found.busy)

    def test_told(self) -> None:
        """What is in the way is told in numbers."""
        view = View("x", (row("h_1", "DRAIN", 0, 2), row("h_2", "DRAIN", 0, 3), row("h_3")))
        self.assertEqual(
            "2 are drained in every load balancer, 5 sessions of 1 are not over",
            drain_state([view], self.tasks).busy,
        )

    def test_lag(self) -> None:
        """Each load balancer has to serve every new task, and so many of the old ones."""
        new = {"n1": frozenset({("h", 1)}), "n2": frozenset({("h", 2)})}
        old = {"o1": frozenset({("h", 3)}), "o2": frozenset({("h", 4)})}
        good = View("x", (row("h_1"), row("h_2"), row("h_3"), row("h_4", "DRAIN", 0)))
        self.assertEqual("", lag([good], new, old, 1))
        for view, keep, words in (
            (good, 2, "x serves 1 of 2 old tasks"),
            (View("y", (row("h_1"), row("h_2", "DOWN"))), 0, "y serves 1 of 2 healthy new"),
            (View("y", (row("h_1"),)), 0, "y serves 1 of 2 healthy new"),
            (View("y", problem="y: no"), 0, "y: no"),
        ):
            self.assertIn(words, lag([good, view], new, old, keep))
