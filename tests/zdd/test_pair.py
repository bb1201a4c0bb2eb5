"""The apps of a deployment group."""

from __future__ import annotations

from datetime import timedelta

from attrs import evolve
from msgspec import structs
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.zdd.errors import Refused
from marathonlb.zdd.pair import Pair, next_build, pair_of
from tests.routing.apps import task
from tests.zdd.test_course import FILE, pair_app
from tests.zdd.worlds import EPOCH


class PairTests(SynchronousTestCase):
    """`pair_of` and `PairApp`."""

    def test_order(self) -> None:
        """The app that was started first is the older one, in whatever order they come."""
        older = pair_app()
        newer = pair_app(older)
        self.assertEqual(pair_of("shop", [newer, older]), Pair(older, newer))
        self.assertEqual(pair_of("shop", [newer]), Pair(newer))
        self.assertEqual(pair_of("shop", []), Pair())

    def test_too_many(self) -> None:
        """A third app of the group is refused with all names."""
        apps = [pair_app(), *(pair_app(pair_app()) for _ in range(2))]
        third = structs.replace(apps[2].member.app, id="/third")
        apps[2] = evolve(apps[2], member=evolve(apps[2].member, app=third))
        error = self.assertRaises(Refused, pair_of, "shop", apps)
        self.assertIn("/third", str(error))

    def test_tasks(self) -> None:
        """A task that this run has ended, or that Marathon is ending, counts no more; the app is not empty yet."""
        app = pair_app()
        tasks = (task(1), task(2), task(3, state="TASK_KILLING"))
        app = evolve(app, member=evolve(app.member, app=structs.replace(app.member.app, tasks=tasks)))
        ids = [one.id for one in tasks]
        self.assertEqual(app.tasks, tuple(ids[:2]))
        ended = evolve(app, ended=frozenset(ids))
        self.assertEqual((ended.tasks, ended.empty, ended.healthy), ((), False, frozenset()))


class NextBuildTests(SynchronousTestCase):
    """`next_build`."""

    def test_colours(self) -> None:
        """The colours take turns."""
        first = pair_app()
        second = pair_app(first)
        self.assertEqual(
            [next_build(FILE, one, 1, EPOCH).colour for one in (None, first, second)],
            ["blue", "green", "blue"],
        )

    def test_start(self) -> None:
        """The newer app starts later than the older one, though this machine's clock is behind."""
        build = next_build(FILE, pair_app(), 1, EPOCH - timedelta(days=1))
        self.assertEqual(build.started_at, EPOCH + timedelta(seconds=1))

    def test_ports(self) -> None:
        """The older app's service ports are taken, and the ports that clients use are kept."""
        older = pair_app()
        build = next_build(FILE, older, 1, EPOCH)
        self.assertEqual(build.taken, {port.service_port for port in older.member.app.ports})
        self.assertEqual(set(build.bound), {service.port_index for service in older.member.offered.services})
