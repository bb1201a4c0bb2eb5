"""Whole deployments, against a Marathon and load balancers in memory."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from attrs import evolve
from zope.interface.verify import verifyObject

from marathonlb.errors import SourceError
from marathonlb.zdd.clients.balancers import IBalancers
from marathonlb.zdd.clients.hook import IHook
from marathonlb.zdd.clients.marathon import ICluster
from marathonlb.zdd.deployment import Ending
from marathonlb.zdd.errors import Refused
from minimarathon.definitions.parsing import parse
from minimarathon.model import App
from tests.zdd.worlds import EPOCH, FakeHook, WorldTestCase, app_file


class Forward(WorldTestCase):
    """From one version to the next."""

    def test_interfaces(self) -> None:
        """What the tests stand in for keeps its promises."""
        for interface, thing in (
            (IBalancers, self.world.balancers),
            (IHook, self.world.hook),
            (ICluster, self.world.cluster),
        ):
            self.assertTrue(verifyObject(interface, thing))

    def test_first(self) -> None:
        """The first deployment is the whole app, in blue, with its own port, and needs no load balancer."""
        self.world.balancers.unresolved = True
        self.assertEnds(Ending.DONE, self.world.deploy(app_file(4)))
        (app,) = self.world.marathon.state.apps()
        self.assertEqual(("/shop-blue", 4, (10000,)), (app.id, app.instances, app.service_ports))
        self.assertEqual("blue", app.labels["HAPROXY_DEPLOYMENT_COLOUR"])
        self.assertEqual(["planned", "created", "done"], self.world.events())

    def test_replaced(self) -> None:
        """The next one begins with one instance, doubles, and at the end the older app is gone."""
        self.first(4)
        self.assertEnds(Ending.DONE, self.world.deploy(app_file(4)))
        self.assertEqual({"/shop-green": 4}, self.world.instances())
        steps = [
            (line["event"], line.get("app"), line.get("instances", len(line.get("tasks", ""))))
            for line in self.world.said()
            if line["event"] in ("created", "scaled", "ended", "removed")
        ]
        self.assertEqual(
            [
                ("created", "/shop-green", 1),
                ("ended", "/shop-blue", 1),
                ("scaled", "/shop-green", 2),
                ("ended", "/shop-blue", 1),
                ("scaled", "/shop-green", 4),
                ("ended", "/shop-blue", 2),
                ("removed", "/shop-blue", 0),
            ],
            steps,
        )

    def test_colours_and_ports_take_turns(self) -> None:
        """Again and again, the pair has two colours and two ports, and clients know one."""
        for colour, port in (("blue", 10000), ("green", 10100), ("blue", 10000)):
            self.assertEnds(Ending.DONE, self.world.deploy(app_file(2)))
            (app,) = self.world.marathon.state.apps()
            self.assertEqual((f"/shop-{colour}", (port,)), (app.id, app.service_ports))
            self.assertEqual("10000", app.labels["HAPROXY_0_PORT"])

    def test_more_and_fewer(self) -> None:
        """The number of instances may change with the version."""
        for count in (2, 5, 1, 3):
            self.assertEnds(Ending.DONE, self.world.deploy(app_file(count), initial_instances=2))
            self.assertEqual([count], list(self.world.instances().values()))

    def test_nothing_that_is_held_ends(self) -> None:
        """A drained task that holds a session in one load balancer is not ended, and no other one in its place."""
        self.first(2)
        blue = self.world.tasks("/shop-blue")
        self.world.balancers.held = dict.fromkeys(blue, 1)
        run = self.world.start(app_file(2))
        self.world.turn(times=20)
        self.assertEqual(blue, self.world.tasks("/shop-blue"))
        self.assertIn("1 sessions of 1 are not over", self.world.waited_for())
        self.world.balancers.held.clear()
        self.assertEnds(Ending.DONE, self.world.finish(run))

    def test_every_balancer_counts(self) -> None:
        """Nothing ends before the load balancer that lags behind has drained it, too."""
        self.first(2)
        self.world.balancers.stuck = self.world.balancers.rows()
        run = self.world.start(app_file(2))
        self.world.turn(times=20)
        self.assertEqual(2, len(self.world.tasks("/shop-blue")))
        self.assertIn("http://lb2 serves 0 of 1 healthy new tasks", self.world.waited_for())
        self.world.balancers.stuck = None
        self.assertEnds(Ending.DONE, self.world.finish(run))

    def test_old_processes(self) -> None:
        """While processes from before a reload serve what they hold, nothing ends."""
        self.first(2)
        self.world.balancers.workers = 2
        run = self.world.start(app_file(2))
        self.world.turn(times=20)
        self.assertEqual(2, len(self.world.tasks("/shop-blue")))
        self.assertIn("1 HAProxy processes from before a reload", self.world.waited_for())
        self.world.balancers.workers = 1
        self.assertEnds(Ending.DONE, self.world.finish(run))

    def test_several_ports(self) -> None:
        """Each port has its own alternative; a session on any of them keeps the task."""
        ports = [{"port": 10000}, {"port": 10010}]
        self.first(1, portDefinitions=ports, labels={"1_MODE": "tcp"})
        (task,) = self.world.tasks("/shop-blue")
        self.world.balancers.held = {task: 1}
        run = self.world.start(app_file(1, portDefinitions=ports, labels={"1_MODE": "tcp"}))
        self.world.turn(times=5)
        self.assertEqual([task], self.world.tasks("/shop-blue"))
        self.world.balancers.held.clear()
        self.assertEnds(Ending.DONE, self.world.finish(run))
        (app,) = self.world.marathon.state.apps()
        self.assertEqual((10100, 10101), app.service_ports)
        self.assertEqual("10010", app.labels["HAPROXY_1_PORT"])

    def test_told_once(self) -> None:
        """A task that takes its time to end is told once, and the next step waits for it, whatever Marathon shows."""
        for tells in (True, False):
            with self.subTest(tells=tells):
                self.setUp()
                self.first(4)
                self.world.tells_of_killing, self.world.runner.linger = tells, 10
                self.assertEnds(Ending.DONE, self.world.deploy(app_file(4)))
                ended = [task for line in self.world.said() for task in line.get("tasks", ())]
                self.assertEqual((4, 4), (len(ended), len(set(ended))))

    def test_slowly_healthy(self) -> None:
        """As long as one more gets healthy now and then, nobody loses patience."""
        self.world.health.pace = 20
        self.assertEnds(Ending.DONE, self.world.deploy(app_file(4), max_wait=30))

    def test_clock_that_is_wrong(self) -> None:
        """The newer app is the newer one, also by a clock that is years behind."""
        self.first(2)
        self.world.hands = evolve(self.world.hands, now=lambda: EPOCH - timedelta(days=9999))
        self.assertEnds(Ending.DONE, self.world.deploy(app_file(2)))
        self.assertEqual({"/shop-green": 2}, self.world.instances())

    def test_hook(self) -> None:
        """The hook is asked before each end, about whom it is."""
        self.first(2)
        self.assertEnds(Ending.DONE, self.world.deploy(app_file(2)))
        self.assertEqual([("/shop-blue", "/shop-green")] * 2, [(a, b) for a, _, b in self.world.hook.asked])
        self.assertEqual([1, 1], [len(tasks) for _, tasks, _ in self.world.hook.asked])


class Split(WorldTestCase):
    """Both versions side by side."""

    def split(self, file: dict[str, Any] | None = None) -> None:
        """One of four instances is of the next version."""
        self.first(4)
        self.assertEnds(Ending.DONE, self.world.deploy(file or app_file(4), new_instances=1))
        self.assertEqual({"/shop-blue": 3, "/shop-green": 1}, self.world.instances())

    def test_shares(self) -> None:
        """A split leaves the rest of the target with the older app, and every task serves."""
        self.split()
        rows = self.world.balancers.rows()
        self.assertEqual((4, 0), (len(rows), sum(row.drains for row in rows)))

    def test_completed(self) -> None:
        """A split is completed without a restart of what serves already."""
        self.split()
        (task,) = self.world.tasks("/shop-green")
        self.assertEnds(Ending.DONE, self.world.deploy(app_file(4), complete_cur=True))
        self.assertEqual({"/shop-green": 4}, self.world.instances())
        self.assertIn(task, self.world.tasks("/shop-green"))

    def test_widened(self) -> None:
        """A split can be moved further."""
        self.split()
        self.assertEnds(Ending.DONE, self.world.deploy(app_file(4), resume=True, new_instances=3))
        self.assertEqual({"/shop-blue": 1, "/shop-green": 3}, self.world.instances())

    def test_taken_back(self) -> None:
        """A split is taken back: the older app is whole again before anything of the newer ends."""
        self.split()
        self.world.out.truncate(0)
        self.world.out.seek(0)
        self.assertEnds(Ending.DONE, self.world.deploy(app_file(4), complete_prev=True))
        self.assertEqual({"/shop-blue": 4}, self.world.instances())
        self.assertEqual(["planned", "scaled", "ended", "removed", "done"], self.world.events())

    def test_label_of_a_split(self) -> None:
        """A split that was made by its label is completed, too; the label goes."""
        self.split()
        green = self.world.marathon.state.app("/shop-green")
        labels = {**green.labels, "HAPROXY_DEPLOYMENT_NEW_INSTANCES": "1"}
        self.successResultOf(self.world.cluster.relabel(green.id, labels))
        self.world.turn(times=3)
        self.assertEnds(Ending.DONE, self.world.deploy(app_file(4), complete_cur=True))
        self.assertEqual({"/shop-green": 4}, self.world.instances())
        self.assertNotIn(
            "HAPROXY_DEPLOYMENT_NEW_INSTANCES", self.world.marathon.state.app("/shop-green").labels
        )


class Back(WorldTestCase):
    """What cannot go on goes back."""

    def assertAsBefore(self, tasks: int = 4) -> None:
        """The older app alone is there and serves whole."""
        self.assertEqual({"/shop-blue": tasks}, self.world.instances())
        rows = self.world.balancers.rows()
        self.assertEqual((tasks, 0), (len(rows), sum(row.drains for row in rows)))

    def test_never_healthy(self) -> None:
        """A version that never gets well goes again, and nothing of the older one was touched."""
        self.first(4)
        blue = self.world.tasks("/shop-blue")
        self.world.health.ill = ("green",)
        self.assertEnds(Ending.ROLLED_BACK, self.world.deploy(app_file(4)))
        self.assertAsBefore()
        self.assertEqual(blue, self.world.tasks("/shop-blue"))
        (why,) = [line["reason"] for line in self.world.said() if line["event"] == "rolled-back"]
        self.assertIn("--max-wait): 0 of 1 new tasks are healthy", why)

    def test_first_never_healthy(self) -> None:
        """A first deployment that never gets well leaves nothing behind."""
        self.world.health.ill = ("blue",)
        self.assertEnds(Ending.ROLLED_BACK, self.world.deploy(app_file(4)))
        self.assertEqual({}, self.world.instances())

    def test_fails_in_the_middle(self) -> None:
        """A hook that says no in the middle: the older app gets back what it had."""
        self.first(4)
        self.world.hook._refuse_at = 2
        self.assertEnds(Ending.ROLLED_BACK, self.world.deploy(app_file(4)))
        self.assertAsBefore()

    def test_sessions_never_end(self) -> None:
        """Sessions that never end turn a deployment back, and the tasks that hold them live on."""
        self.first(2)
        blue = self.world.tasks("/shop-blue")
        self.world.balancers.held = dict.fromkeys(blue, 3)
        self.assertEnds(Ending.ROLLED_BACK, self.world.deploy(app_file(2)))
        self.assertEqual(blue, self.world.tasks("/shop-blue"))

    def test_interrupted_anywhere(self) -> None:
        """At whatever second a signal comes, everything is as before, or all is done; nobody ever serves nothing."""
        for seconds in range(14):
            with self.subTest(seconds=seconds):
                self.setUp()
                self.first(3)
                run = self.world.start(app_file(3))
                least = 3
                for second in range(200):
                    if second == seconds:
                        run.cancel()
                    if self.world.over:
                        break
                    self.world.turn()
                    rows = self.world.balancers.rows()
                    least = min(least, sum(row.serves for row in rows))
                self.assertGreater(least, 0)
                ending = self.successResultOf(run)
                if ending is Ending.INTERRUPTED:
                    self.assertAsBefore(3)
                else:
                    self.assertIn(ending, (Ending.DONE, Ending.LEFT))
                    self.assertLess(6, seconds)
                    self.assertEqual({"/shop-green": 3}, self.world.instances())

    def test_interrupted_twice(self) -> None:
        """A second signal leaves everything as it is, and another run takes it back."""
        self.first(4)
        run = self.world.start(app_file(4))
        self.world.turn(times=4)
        run.cancel()
        run.cancel()
        self.assertEnds(Ending.LEFT, run)
        self.assertEqual({"/shop-blue", "/shop-green"}, set(self.world.instances()))
        self.assertEnds(Ending.DONE, self.world.deploy(app_file(4), complete_prev=True))
        self.assertAsBefore()

    def test_resumed(self) -> None:
        """What was left half done is gone on with."""
        self.first(4)
        run = self.world.start(app_file(4))
        self.world.turn(times=4)
        run.cancel()
        run.cancel()
        self.assertEnds(Ending.LEFT, run)
        self.assertEnds(Ending.DONE, self.world.deploy(app_file(4), resume=True))
        self.assertEqual({"/shop-green": 4}, self.world.instances())

    def test_told_once(self) -> None:
        """On the way back, too, a task that takes its time to end is told once."""
        self.first(4)
        run = self.world.start(app_file(4), initial_instances=4)
        self.world.turn(times=2)
        self.world.tells_of_killing, self.world.runner.linger = False, 10
        run.cancel()
        self.assertEnds(Ending.INTERRUPTED, self.world.finish(run))
        ended = [
            task
            for line in self.world.said()
            if line.get("app") == "/shop-green"
            for task in line.get("tasks", ())
        ]
        self.assertEqual((4, 4), (len(ended), len(set(ended))))
        self.assertAsBefore()

    def test_failed_completion_goes_back_to_the_split(self) -> None:
        """A completion that fails leaves the split that it found."""
        self.first(4)
        self.assertEnds(Ending.DONE, self.world.deploy(app_file(4), new_instances=1))
        self.world.health.ill = ("green",)
        self.assertEnds(Ending.ROLLED_BACK, self.world.deploy(app_file(4), complete_cur=True))
        self.assertEqual({"/shop-blue": 3, "/shop-green": 1}, self.world.instances())

    def test_balancer_gone(self) -> None:
        """A load balancer that falls silent turns the deployment back, and does not keep it from going back."""
        self.first(4)
        run = self.world.start(app_file(4))
        self.world.turn(times=3)
        self.world.balancers.problem = "http://lb2: no answer"
        self.assertEnds(Ending.ROLLED_BACK, self.world.finish(run))
        self.assertAsBefore()

    def test_balancer_forgets(self) -> None:
        """A load balancer that shows nothing of the pair any more does not keep it from going back either."""
        self.first(4)
        run = self.world.start(app_file(4))
        self.world.turn(times=3)
        self.world.balancers.stuck = ()
        self.assertEnds(Ending.ROLLED_BACK, self.world.finish(run))
        self.assertAsBefore()

    def test_app_is_gone(self) -> None:
        """Where somebody removes the new app, the older one is made whole again."""
        self.first(4)
        run = self.world.start(app_file(4))
        self.world.turn(times=4)
        self.world.marathon.engine.deploy({"/shop-green": None}, force=True)
        self.assertEnds(Ending.ROLLED_BACK, self.world.finish(run))
        self.assertAsBefore()

    def test_marathon_is_away_for_a_while(self) -> None:
        """An answer that fails is asked for again."""
        self.first(2)
        asked = itertools.count(1)
        self.world.away = lambda: next(asked) % 3 == 0
        self.assertEnds(Ending.DONE, self.world.deploy(app_file(2)))
        self.assertIn("no leader", self.world.waited_for())


class Refusals(WorldTestCase):
    """What is not begun."""

    def refused(self, words: str, file: dict[str, Any], **wish: Any) -> None:
        """A deployment that is not begun, for a reason."""
        before = self.world.instances()
        failure = self.failureResultOf(self.world.deploy(file, **wish), Refused)
        self.assertIn(words, str(failure.value))
        self.assertEqual(before, self.world.instances())

    def test_nothing_there(self) -> None:
        """There is nothing to go on with, or to share with."""
        self.refused("--resume: no deployment of shop is under way", app_file(), resume=True)
        self.refused("--complete-prev: no", app_file(), complete_prev=True)
        self.refused("no app of shop exists yet", app_file(), new_instances=1)

    def test_under_way(self) -> None:
        """A second deployment is not begun beside another one."""
        self.first(4)
        self.assertEnds(Ending.DONE, self.world.deploy(app_file(4), new_instances=1))
        self.refused("--complete-prev goes back", app_file())
        self.refused("4 is not less", app_file(), resume=True, new_instances=4)

    def test_share_of_everything(self) -> None:
        """A split that leaves nothing is none."""
        self.first(4)
        self.refused("4 is not less than the app's 4", app_file(4), new_instances=4)

    def test_bad_label(self) -> None:
        """A label that would take the service out is told before anything begins."""
        self.first(4)
        self.refused("HAPROXY_0_MODE", app_file(4, labels={"0_MODE": "carrier pigeon"}))

    def test_balancer_away(self) -> None:
        """Nothing is begun where a load balancer cannot be asked."""
        self.first(4)
        self.world.balancers.problem = "http://lb2: no answer"
        self.refused("http://lb2: no answer", app_file(4))

    def test_balancer_of_others(self) -> None:
        """Nothing is begun where a load balancer does not serve the app that is there."""
        self.first(4)
        self.world.balancers.stuck = ()
        self.refused("http://lb2 has no server of /shop-blue", app_file(4))

    def test_balancers_unknown(self) -> None:
        """Nothing is begun where nobody knows where they are."""
        self.first(4)
        self.world.balancers.unresolved = True
        self.failureResultOf(self.world.deploy(app_file(4)), SourceError)
        self.assertEqual({"/shop-blue": 4}, self.world.instances())

    def test_third(self) -> None:
        """A group of three is not touched."""
        self.first(2)
        for name in ("/a", "/b"):
            self.world.marathon.deploy(parse_like(name))
        self.refused("a pair has two apps", app_file())

    def test_same_name_elsewhere(self) -> None:
        """Apps of other parent groups that have copied the label are none of its business."""
        self.first(2)
        for name in ("/evil/a", "/evil/b", "/shop/c"):
            self.world.marathon.deploy(parse_like(name))
        self.assertEnds(Ending.DONE, self.world.deploy(app_file(2)))
        others = {"/evil/a": 1, "/evil/b": 1, "/shop/c": 1}
        self.assertEqual({"/shop-green": 2, **others}, self.world.instances())

    def test_not_confirmed(self) -> None:
        """Who is asked may say no."""
        self.first(2)
        self.world.confirmed = False
        self.assertEnds(Ending.REFUSED, self.world.deploy(app_file(2)))
        self.assertEqual({"/shop-blue": 2}, self.world.instances())


def parse_like(app_id: str) -> App:
    """Another app of the same group."""
    return parse({**app_file(1), "id": app_id})


class Hooked(WorldTestCase):
    """The hook of a deployment that is taken back."""

    def test_not_asked(self) -> None:
        """Nobody can keep a deployment from being taken back."""
        self.first(4)
        self.world.hook = FakeHook()
        run = self.world.start(app_file(4))
        self.world.turn(times=4)
        asked = len(self.world.hands.hook.asked)  # type: ignore[attr-defined]
        run.cancel()
        self.assertEnds(Ending.INTERRUPTED, self.world.finish(run))
        self.assertEqual(asked, len(self.world.hands.hook.asked))  # type: ignore[attr-defined]
