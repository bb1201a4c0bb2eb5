"""The demonstration's options."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from minimarathon.demo.plan import Plan, Ports, parse


class PlanTests(SynchronousTestCase):
    """The demonstration's options."""

    def test_defaults_and_environment(self) -> None:
        """Ports come from the command line, else the environment, else they are the documented ones."""
        environ = {"HTTP_PORT": "1080", "MARATHON": "http://a, http://b"}
        plan = parse(["--stats-port", "1090"], environ)
        self.assertEqual(Ports(http=1080, https=10443, stats=1090, appid=19091, marathon=18080), plan.ports)
        self.assertEqual(("http://a", "http://b"), plan.marathon)

    def test_sockets_have_room(self) -> None:
        """Where the directory's path is too long for a socket, the state lies in a short one, always the same."""
        ports = Ports(http=1, https=2, stats=3, appid=4, marathon=5)
        near = Plan(directory=Path("/x/run"), ports=ports)
        self.assertEqual(Path("/x/run/state"), near.state)
        far = Plan(directory=Path("/" + "x" * 100), ports=ports)
        self.assertLess(len(str(far.state)), 70)
        self.assertEqual(far.state, Plan(directory=far.directory, ports=ports).state)
