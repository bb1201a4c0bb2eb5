"""The values of running apps, and the ids of several clusters."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.model import (
    App,
    HealthCheck,
    Networking,
    Port,
    Task,
    cluster_of,
    id_in_cluster,
    qualified,
    shown_cluster,
)


class IdTests(SynchronousTestCase):
    """`qualified`, `cluster_of` and `id_in_cluster`."""

    def test_named(self) -> None:
        """An id has the name of its cluster before it, and both are found again."""
        app_id = qualified("east", "/shop/web")
        self.assertEqual("east:/shop/web", app_id)
        self.assertEqual(("east", "/shop/web"), (cluster_of(app_id), id_in_cluster(app_id)))

    def test_without_name(self) -> None:
        """An id of the cluster without a name stays as it is."""
        self.assertEqual("/shop/web", qualified("", "/shop/web"))
        self.assertEqual(("", "/shop/web"), (cluster_of("/shop/web"), id_in_cluster("/shop/web")))

    def test_colon_in_id(self) -> None:
        """Only a colon before the first slash ends a name."""
        self.assertEqual(("", "/a:b"), (cluster_of("/a:b"), id_in_cluster("/a:b")))

    def test_shown(self) -> None:
        """Messages name a cluster, or say that it has no name."""
        self.assertEqual("the cluster east", shown_cluster("east"))
        self.assertEqual("the cluster without a name", shown_cluster(""))


class ValueTests(SynchronousTestCase):
    """`App` and its parts."""

    def test_defaults(self) -> None:
        """Fields that Marathon omits have Marathon's defaults."""
        self.assertEqual(
            (Networking.HOST, (), (), 0),
            (App("/a").networking, App("/a").ports, App("/a").tasks, App("/a").instances),
        )
        check = HealthCheck()
        self.assertEqual(
            ("HTTP", 300, 60), (check.protocol, check.grace_period_seconds, check.interval_seconds)
        )
        self.assertEqual((20, 3), (check.timeout_seconds, check.max_consecutive_failures))

    def test_equal(self) -> None:
        """Values that say the same are equal, and any other field makes a difference."""
        self.assertEqual(
            App("/a", tasks=(Task("a.1", "h", (1,)),)), App("/a", tasks=(Task("a.1", "h", (1,)),))
        )
        for other in (Task("a.1", "h", (2,)), Task("a.1", "i", (1,)), Task("a.1", "h", (1,), alive=False)):
            self.assertNotEqual(Task("a.1", "h", (1,)), other)

    def test_frozen(self) -> None:
        """Values cannot be changed."""
        for value, name in ((App("/a"), "id"), (Port(), "name"), (Task("a.1"), "host")):
            self.assertRaises(AttributeError, setattr, value, name, "x")
