"""Deployment groups among all that the cluster offers."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.model import App, Networking, Port, Task
from marathonlb.problem_kinds.sharing import HOST_TAKEN
from marathonlb.routing.offers import Offers
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.model import AppServices, Service
from marathonlb.settings import Settings

NAMES = frozenset({"BACKEND_HEAD"})


def app(
    app_id: str,
    group: str | None = "shop",
    count: int = 1,
    port: int = 10000,
    since: str = "1",
    **labels: str,
) -> App:
    """An app with so many tasks."""
    said = {f"HAPROXY_{name}": text for name, text in labels.items()}
    if group is not None:
        said["HAPROXY_DEPLOYMENT_GROUP"] = group
    return App(
        id=app_id,
        labels=said,
        networking=Networking.BRIDGE,
        ports=(Port(service_port=port),),
        tasks=tuple(
            Task(f"{app_id.strip('/')}.{i}", "10.0.0.1", (port + 1000 * (i + 1),)) for i in range(count)
        ),
        instances=count,
        config_changed_at=since,
    )


class Cluster:
    """Apps, and what is offered of them."""

    def __init__(self, **more: Any) -> None:
        self.settings = Settings(groups=frozenset({"*"}), **more)
        self.offers = self.make()
        self.apps: dict[str, App] = {}

    def make(self) -> Offers:
        return Offers(self.settings, NAMES, lambda host: host)

    def put(self, *apps: App) -> list[tuple[AppServices, AppServices]]:
        self.apps |= {each.id: each for each in apps}
        return self.offers.update(self.apps, [each.id for each in apps])

    def drop(self, app_id: str) -> list[tuple[AppServices, AppServices]]:
        del self.apps[app_id]
        return self.offers.update(self.apps, [app_id])

    def services(self) -> list[Service]:
        return sorted(self.offers.services(), key=lambda service: service.key)

    def rebuilt(self) -> Offers:
        offers = self.make()
        offers.update(self.apps, reversed(list(self.apps)))
        return offers


def view(offers: Offers) -> tuple[list[Service], list[tuple[str, str, str]], dict[str, int]]:
    """All that can be seen of an offer."""
    return (
        sorted(offers.services(), key=lambda service: service.key),
        sorted((problem.app_id, problem.label, problem.reason) for problem in offers.problems()),
        {app_id: offers.count(app(app_id)) for app_id in IDS},
    )


IDS = ("/shop-a", "/shop-b", "/shop-c", "/shop", "/other", "/x/shop", "/x/a")
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(IDS),
        st.none()
        | st.tuples(
            st.sampled_from([None, "shop", "/shop/", "other", "", "x/shop", "shop-a"]),
            st.integers(0, 3),
            st.sampled_from([10000, 10001, 10002]),
            st.sampled_from(["1", "2", "3"]),
            st.sampled_from(
                [{}, {"DEPLOYMENT_TARGET_INSTANCES": "2"}, {"0_ENABLED": "no"}, {"DEPLOYMENT_ALT_PORT": "x"}]
            ),
        ),
    ),
    max_size=12,
)


class Incremental(SynchronousTestCase):
    """Changes one by one come to the same as all at once."""

    @settings(max_examples=150, deadline=None)
    @given(EVENTS)
    def test_as_rebuilt(self, events: list[tuple[str, Any]]) -> None:
        """Whatever comes, changes and goes in whatever order, the offer is the one of a fresh start."""
        cluster = Cluster()
        for app_id, what in events:
            before = cluster.services()
            if what is not None:
                group, count, port, since, labels = what
                changes = cluster.put(app(app_id, group, count, port, since, **labels))
            elif app_id in cluster.apps:
                changes = cluster.drop(app_id)
            else:
                continue
            told = {service.key: service for service in before}
            for old, _ in changes:
                for service in old.services:
                    self.assertEqual(told.pop(service.key), service)
            for _, new in changes:
                told |= {service.key: service for service in new.services}
            self.assertEqual(sorted(told.values(), key=lambda service: service.key), cluster.services())
            self.assertEqual(len({service.key for service in cluster.services()}), len(cluster.services()))
            self.assertEqual(view(cluster.offers), view(cluster.rebuilt()))


class Groups(SynchronousTestCase):
    """Who is in a group, and what it is called."""

    def test_change_of_one(self) -> None:
        """A change of one app is a change of its group, whose services have one key before and after."""
        cluster = Cluster()
        cluster.put(app("/shop-a"), app("/shop-b", port=10001, since="2", count=0))
        changes = [
            change
            for change in cluster.put(app("/shop-b", port=10001, since="2"))
            if any(c.services for c in change)
        ]
        ((before, after),) = changes
        self.assertEqual([service.key for service in before.services], [("/shop", 0)])
        self.assertEqual([service.key for service in after.services], [("/shop", 0)])
        self.assertEqual(
            [(s.task_id, s.weight) for s in after.services[0].servers], [("shop-a.0", 0), ("shop-b.0", None)]
        )

    def test_stranger_of_the_same_name(self) -> None:
        """An app outside of the group that has its name keeps its id; the group's stays unique."""
        cluster = Cluster()
        cluster.put(app("/shop-a"), app("/shop", None, port=10005))
        self.assertEqual([service.app_id for service in cluster.services()], ["/shop", "/shop~"])
        self.assertEqual([service.backend for service in cluster.services()], ["shop_10005", "shop_10000"])
        cluster.drop("/shop")
        self.assertEqual([service.app_id for service in cluster.services()], ["/shop"])

    def test_member_of_another_group_of_the_same_name(self) -> None:
        """No more does a group take the id of an app that belongs to another group, before or after it does."""
        cluster = Cluster()
        cluster.put(app("/evil", "bank", port=10005))
        self.assertEqual([service.app_id for service in cluster.services()], ["/bank"])
        cluster.put(app("/bank", "pair"))
        self.assertEqual([service.app_id for service in cluster.services()], ["/bank~", "/pair"])
        cluster.drop("/bank")
        self.assertEqual([service.app_id for service in cluster.services()], ["/bank"])

    def test_member_of_the_same_name(self) -> None:
        """A member may bear the group's name, as the first app of a group often does."""
        cluster = Cluster()
        cluster.put(app("/shop"), app("/shop-green", port=10001, since="2"))
        self.assertEqual([service.app_id for service in cluster.services()], ["/shop"])
        self.assertEqual(cluster.offers.members("/shop"), ("/shop", "/shop-green"))

    def test_not_ours(self) -> None:
        """An app that this load balancer does not serve is no member: it drains nobody."""
        cluster = Cluster()
        cluster.put(app("/shop-a"), app("/shop-b", port=10001, since="2", **{"0_ENABLED": "false"}))
        (service,) = cluster.services()
        self.assertEqual([server.weight for server in service.servers], [None])
        self.assertEqual(cluster.offers.members("/shop"), ("/shop-a",))

    def test_names(self) -> None:
        """Slashes around a group's name do not matter; an empty one is none, one with a blank is a problem."""
        cluster = Cluster()
        cluster.put(app("/a", "/x/"), app("/b", "x", since="2"), app("/c", ""), app("/d", "a b"))
        self.assertEqual([service.app_id for service in cluster.services()], ["/c", "/x"])
        self.assertEqual(
            [(p.app_id, p.label) for p in cluster.offers.problems()], [("/d", "HAPROXY_DEPLOYMENT_GROUP")]
        )

    def test_parent_groups(self) -> None:
        """Apps of several parent groups that name one group are no pair; who is not of the oldest reads why."""
        cluster = Cluster()
        cluster.put(
            app("/bank/blue", since="1"),
            app("/bank/green", port=10001, since="3"),
            app("/evil/x", port=10002, since="2"),
            app("/y", port=10003, since="4"),
            app("/bank/web/z", port=10004, since="5"),
        )
        self.assertEqual(
            {service.app_id: (service.backend, len(service.servers)) for service in cluster.services()},
            {
                "/bank/shop": ("bank_shop_10000", 2),
                "/evil/shop": ("evil_shop_10002", 1),
                "/shop": ("shop_10003", 1),
                "/bank/web/shop": ("bank_web_shop_10004", 1),
            },
        )
        problems = list(cluster.offers.problems())
        self.assertEqual([(p.app_id, p.label, p.value, p.fatal) for p in problems], [
            (app_id, "HAPROXY_DEPLOYMENT_GROUP", "shop", False) for app_id in ("/bank/web/z", "/evil/x", "/y")
        ])  # fmt: skip
        self.assertIn(
            "names a group of /bank, and a group joins apps of one parent group", problems[1].reason
        )
        cluster.drop("/bank/blue")
        self.assertEqual({p.app_id for p in cluster.offers.problems()}, {"/bank/web/z", "/bank/green", "/y"})
        cluster.drop("/evil/x")
        self.assertEqual({p.app_id for p in cluster.offers.problems()}, {"/bank/web/z", "/y"})
        for app_id in ("/y", "/bank/web/z"):
            cluster.drop(app_id)
        self.assertEqual(list(cluster.offers.problems()), [])

    def test_name_with_slashes(self) -> None:
        """A name with slashes is an id below the app's own parent group; that of another one leaves the app alone."""
        cluster = Cluster()
        cluster.put(
            app("/bank/web/blue", "bank/web/shop"),
            app("/bank/web/green", "shop", port=10001, since="2"),
            app("/evil/x", "/bank/web/shop", port=10002),
            app("/z", "bank/web", port=10003),
            app("/bank/web", None, port=10004),
        )
        ids = [service.app_id for service in cluster.services()]
        self.assertEqual(ids, ["/bank/web", "/bank/web/shop", "/evil/x", "/z"])
        problems = [(p.app_id, p.label, p.value, p.fatal) for p in cluster.offers.problems()]
        self.assertEqual(sorted(problems), [
            ("/evil/x", "HAPROXY_DEPLOYMENT_GROUP", "bank/web/shop", False),
            ("/z", "HAPROXY_DEPLOYMENT_GROUP", "bank/web", False),
        ])  # fmt: skip

    def test_clusters(self) -> None:
        """A parent group is one cluster's."""
        cluster = Cluster()
        cluster.put(app("a:/t/x"), app("b:/t/y"), app("a:/t/z", "/t/shop", since="2"), app("a:/v", since="0"))
        self.assertEqual([s.app_id for s in cluster.services()], ["a:/shop", "a:/t/shop", "b:/t/shop"])
        self.assertEqual({p.app_id for p in cluster.offers.problems()}, {"a:/t/x", "a:/t/z"})

    def test_forged_name(self) -> None:
        """No name makes the id that tells a group from an app."""
        cluster = Cluster()
        cluster.put(app("/shop-a"), app("/shop", None, port=10005), app("/evil", "shop~", port=10006))
        self.assertEqual([service.app_id for service in cluster.services()], ["/shop", "/shop~", "/shop~~"])

    def test_attributed(self) -> None:
        """A problem that HAProxy or a collision gives to the joined service is told to the app whose labels hold."""
        cluster = Cluster()
        cluster.put(app("/shop-a"), app("/shop-b", port=10001, since="2"), app("/other", None))
        for app_id, index, owner in (
            ("/shop", 0, "/shop-b"),
            ("/shop", None, "/shop-b"),
            ("/other", 0, "/other"),
        ):
            told = cluster.offers.attributed(Problem(app_id, index, "x", "", "y", kind=HOST_TAKEN))
            self.assertEqual(told, Problem(owner, index, "x", "", "y", kind=HOST_TAKEN))

    def test_members(self) -> None:
        """An app without a group stands for itself."""
        cluster = Cluster()
        cluster.put(app("/other", None))
        self.assertEqual(cluster.offers.members("/other"), ("/other",))

    def test_count(self) -> None:
        """An older app whose service the newer one shares takes nothing away when it goes."""
        cluster = Cluster()
        old, new = app("/shop-a"), app("/shop-b", port=10001, since="2")
        cluster.put(old)
        self.assertEqual(cluster.offers.count(old), 1)
        cluster.put(new)
        self.assertEqual([cluster.offers.count(each) for each in (old, new)], [0, 1])
