"""What an answer changes, and what it may not change."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.cluster import Change, ClusterState, Shrink
from marathonlb.marathon.interfaces import UnreadableApp
from marathonlb.marathon.model import App, HealthCheck, Port, Task

LABELS = {"HAPROXY_GROUP": "external"}


def app(name: str, **more: Any) -> App:
    """An app with one service."""
    return App(**{"id": name, "labels": LABELS, "ports": (Port(10000),), **more})


def ids(*names: str) -> frozenset[str]:
    """A set of ids."""
    return frozenset(names)


def unreadable(*names: str) -> list[UnreadableApp]:
    """Apps that could not be read."""
    return [UnreadableApp(app_id=name, reason="ports") for name in names]


class ReplaceAll(SynchronousTestCase):
    """An answer about everything."""

    def setUp(self) -> None:
        self.cluster = ClusterState()
        self.cluster.replace_all([app("/a"), app("/b")])

    def test_first(self) -> None:
        """Everything is new to an empty cluster."""
        self.assertEqual(ClusterState().replace_all([app("/a")]), Change(added=ids("/a")))

    def test_equal(self) -> None:
        """An answer that says the same changes nothing, in whatever order."""
        change = self.cluster.replace_all([app("/b"), app("/a")])
        self.assertEqual(change, Change())
        self.assertFalse(change)

    def test_difference(self) -> None:
        """Apps come, go and change, and each is named once."""
        change = self.cluster.replace_all([app("/b", instances=2), app("/c")])
        self.assertEqual(change, Change(added=ids("/c"), removed=ids("/a"), changed=ids("/b")))
        self.assertEqual(change.touched, ids("/a", "/b", "/c"))
        self.assertEqual(set(self.cluster.apps), {"/b", "/c"})
        self.assertEqual(self.cluster.apps["/b"].instances, 2)

    def test_unreadable(self) -> None:
        """An unreadable app keeps what was held of it, and a new one is only noted."""
        change = self.cluster.replace_all([app("/b")], unreadable("/a", "/new"))
        self.assertEqual(change, Change())
        self.assertEqual(self.cluster.apps["/a"], app("/a"))
        self.assertEqual(self.cluster.unreadable, {"/a": "ports", "/new": "ports"})
        self.cluster.replace_all([app("/a"), app("/b")])
        self.assertEqual(self.cluster.unreadable, {})

    def test_nameless(self) -> None:
        """An unreadable app without an id may be any that is missing, so none is removed."""
        self.assertEqual(self.cluster.replace_all([app("/c")], unreadable("#2")), Change(added=ids("/c")))
        self.assertEqual(set(self.cluster.apps), {"/a", "/b", "/c"})
        named = ClusterState()
        named.replace_all([app("east:/a"), app("east:/b")])
        self.assertEqual(named.replace_all([], unreadable("east:#2")), Change())
        self.assertEqual(named.shrink([], unreadable("east:/a")).vanished, 1)

    def test_stale(self) -> None:
        """An older version is not taken until it is confirmed; a missing version is no older one."""
        cluster = ClusterState()
        cluster.replace_all([app("/a", version="2018-04-15T14:39:38.264Z", instances=3)])
        for older in ("2018-04-15T14:39:38.263Z", "2018-04-15T14:39:38Z", "2017-12-31T23:59:59.999Z"):
            change = cluster.replace_all([app("/a", version=older)])
            self.assertEqual(change, Change(stale=ids("/a")))
            self.assertFalse(change)
            self.assertEqual(cluster.apps["/a"].instances, 3)
        self.assertEqual(
            cluster.replace_all([app("/a", version="2017")], confirmed=True), Change(changed=ids("/a"))
        )
        self.assertEqual(cluster.replace_all([app("/a", instances=5)]), Change(changed=ids("/a")))


class Replace(SynchronousTestCase):
    """An answer about one app."""

    def setUp(self) -> None:
        self.cluster = ClusterState()
        self.cluster.replace_all([app("/a", version="2"), app("/b")])

    def test_steps(self) -> None:
        """One app comes, stays, changes and goes; the others are not touched."""
        for answer, change in (
            (app("/c"), Change(added=ids("/c"))),
            (app("/c"), Change()),
            (app("/c", instances=1), Change(changed=ids("/c"))),
            (None, Change(removed=ids("/c"))),
            (None, Change()),
        ):
            self.assertEqual(self.cluster.replace("/c", answer), change)
        self.assertEqual(set(self.cluster.apps), {"/a", "/b"})

    def test_stale(self) -> None:
        """An older version is not taken until it is confirmed."""
        self.assertEqual(self.cluster.replace("/a", app("/a", version="1")), Change(stale=ids("/a")))
        self.assertEqual(self.cluster.apps["/a"].version, "2")
        change = self.cluster.replace("/a", app("/a", version="1"), confirmed=True)
        self.assertEqual(change, Change(changed=ids("/a")))

    def test_keep(self) -> None:
        """An app that cannot be read stays, with the reason, until an answer can be read."""
        self.cluster.keep(UnreadableApp(app_id="/a", reason="ports"))
        self.assertEqual(self.cluster.unreadable, {"/a": "ports"})
        self.assertIn("/a", self.cluster.apps)
        self.assertEqual(self.cluster.replace("/a", app("/a", version="2")), Change())
        self.assertEqual(self.cluster.unreadable, {})

    def test_view(self) -> None:
        """The view of the apps cannot be changed."""
        with self.assertRaises(TypeError):
            self.cluster.apps["/a"] = app("/a")  # type: ignore[index]


class Verdicts(SynchronousTestCase):
    """Health that Marathon does not tell just now."""

    def after(self, *answers: App) -> list[bool | None]:
        """The verdicts that are held after these answers."""
        cluster = ClusterState()
        for answer in answers:
            cluster.replace_all([answer])
        return [task.alive for task in cluster.apps["/a"].tasks]

    def test_kept(self) -> None:
        """A task whose results are missing keeps its last verdict, a new task has none."""
        checks = (HealthCheck(),)
        told = app("/a", health_checks=checks, tasks=(Task("1", alive=True), Task("2", alive=False)))
        silent = app("/a", health_checks=checks, tasks=(Task("1"), Task("2"), Task("3")))
        self.assertEqual(self.after(told, silent), [True, False, None])
        self.assertEqual(self.after(told, silent, silent), [True, False, None])

    def test_silence_is_no_change(self) -> None:
        """An answer that differs by missing results alone changes nothing."""
        cluster = ClusterState()
        cluster.replace_all([app("/a", health_checks=(HealthCheck(),), tasks=(Task("1", alive=True),))])
        silent = app("/a", health_checks=(HealthCheck(),), tasks=(Task("1"),))
        self.assertFalse(cluster.replace_all([silent]))
        self.assertFalse(cluster.replace("/a", silent))

    def test_told(self) -> None:
        """A health result of the answer wins over the known one."""
        checks = (HealthCheck(),)
        self.assertEqual(
            self.after(
                app("/a", health_checks=checks, tasks=(Task("1", alive=True),)),
                app("/a", health_checks=checks, tasks=(Task("1", alive=False),)),
            ),
            [False],
        )

    def test_without_checks(self) -> None:
        """Without health checks there is no verdict to wait for."""
        self.assertEqual(
            self.after(app("/a", tasks=(Task("1", alive=True),)), app("/a", tasks=(Task("1"),))), [None]
        )


class HowMuch(SynchronousTestCase):
    """What an answer would take away."""

    def setUp(self) -> None:
        self.cluster = ClusterState()
        tasks = (Task("1"),)
        self.cluster.replace_all(
            [
                app("/a", tasks=tasks, instances=1),
                app("/b", ports=(Port(1), Port(2), Port(3)), tasks=tasks, instances=1),
                app("/unlabelled", labels={}, tasks=tasks),
                app("/suspended"),
            ]
        )
        self.apps = list(self.cluster.apps.values())

    def without(self, *names: str) -> list[App]:
        """The apps but for these."""
        return [each for each in self.apps if each.id not in names]

    def test_nothing(self) -> None:
        """The same answer takes nothing away; an empty cluster has nothing to lose."""
        self.assertEqual(self.cluster.shrink(self.apps), Shrink(5, 0))
        self.assertEqual(ClusterState().shrink([]).percent, 0)

    def test_everything(self) -> None:
        """An empty answer takes everything away."""
        self.assertEqual(self.cluster.shrink([]).percent, 100)

    def test_part(self) -> None:
        """Services are counted by ports; apps that are not ours do not count."""
        self.assertEqual(self.cluster.shrink(self.without("/b", "/unlabelled")), Shrink(5, 3))
        self.assertEqual(self.cluster.shrink(self.without("/b")).percent, 60)

    def test_ports_and_labels(self) -> None:
        """A service goes with its port or its label too; more ports elsewhere do not make up for it."""
        apps = [*self.without("/a", "/b"), app("/b", ports=(Port(1),)), app("/a", ports=(Port(1), Port(2)))]
        apps = [each if each.id != "/b" else app("/b", ports=(Port(1),), tasks=(Task("1"),)) for each in apps]
        self.assertEqual(self.cluster.shrink([*apps]).vanished, 2)
        self.assertEqual(self.cluster.shrink([*self.without("/a"), app("/a", labels={})]).vanished, 1)

    def test_tasks(self) -> None:
        """An app that wants instances and has lost all tasks is as good as gone; a suspended one is as wanted."""
        self.assertEqual(self.cluster.shrink([*self.without("/a"), app("/a", instances=1)]).vanished, 1)
        self.assertEqual(self.cluster.shrink([*self.without("/a"), app("/a", instances=0)]).vanished, 0)

    def test_unreadable(self) -> None:
        """What cannot be read is kept, so it does not vanish."""
        self.assertEqual(self.cluster.shrink(self.without("/a", "/b"), unreadable("/b")).vanished, 1)
        self.assertEqual(self.cluster.shrink([], unreadable("#1")).vanished, 0)

    def test_weigh(self) -> None:
        """The caller may weigh the apps."""
        self.assertEqual(self.cluster.shrink([], weigh=lambda each: 1), Shrink(4, 4))


class Order(SynchronousTestCase):
    """The same answers give the same state."""

    @settings(max_examples=100, deadline=None)
    @given(
        st.lists(
            st.dictionaries(st.sampled_from(["/a", "/b", "/c"]), st.integers(0, 3)), min_size=1, max_size=6
        ),
        st.randoms(use_true_random=False),
    )
    def test_order(self, answers: list[dict[str, int]], shuffle: random.Random) -> None:
        """However the apps of an answer are ordered and whatever came before, the last answer is what is held."""
        cluster = ClusterState()
        for answer in answers:
            apps = [app(name, instances=count) for name, count in answer.items()]
            shuffle.shuffle(apps)
            before = dict(cluster.apps)
            change = cluster.replace_all(apps)
            now = dict(cluster.apps)
            self.assertEqual({name: each.instances for name, each in now.items()}, answer)
            self.assertEqual(change.touched, {n for n in before | now if before.get(n) != now.get(n)})
