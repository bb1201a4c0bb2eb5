"""Two apps of a deployment group are one service."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.model import App, HealthCheck, Networking, Port, Task
from marathonlb.marathon.parsing.apps import parse_apps
from marathonlb.routing.deployments import GroupMember, JoinedGroup, Shares, by_age, join, shares
from marathonlb.routing.quarantine.refused import bare
from marathonlb.routing.services.build import services_of
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.paths import data

SETTINGS = Settings(groups=frozenset({"*"}))
NAMES = frozenset({"BACKEND_HEAD"})


def tasks(letter: str, alive: str) -> tuple[Task, ...]:
    """Tasks named by a letter and a number: ``+`` is alive, ``-`` is not, ``?`` has no result, ``x`` is lost."""
    base = 31000 + 100 * (ord(letter) - ord("a"))
    known = {"+": True, "-": False, "?": None, "x": True}
    return tuple(
        Task(
            f"{letter}{i}",
            "10.0.0.1",
            (base + i,),
            state="TASK_LOST" if mark == "x" else "TASK_RUNNING",
            alive=known[mark],
        )
        for i, mark in enumerate(alive)
    )


def app(colour: str, alive: str = "", port: int = 10000, **more: Any) -> App:
    """An app of the group ``shop``; more labels by their name without ``HAPROXY_``."""
    labels = {"HAPROXY_DEPLOYMENT_GROUP": "shop", "HAPROXY_DEPLOYMENT_COLOUR": colour}
    labels |= {f"HAPROXY_{name}": str(value) for name, value in more.pop("labels", {}).items()}
    made: dict[str, Any] = {
        "id": f"/shop-{colour}",
        "networking": Networking.BRIDGE,
        "ports": (Port(service_port=port),),
        "health_checks": (HealthCheck("TCP", port_index=0),),
        "tasks": tasks(colour[0], alive),
        "instances": len(alive),
        "config_changed_at": {"blue": "2026-01-01T00:00:00.000Z", "green": "2026-01-02T00:00:00.000Z"}.get(
            colour, "2026-01-03T00:00:00.000Z"
        ),
        "labels": labels,
    }
    return App(**(made | more))


def joined(*apps: App, settings: Settings = SETTINGS) -> JoinedGroup:
    """What the group offers."""
    members = [GroupMember(each, services_of(each, settings, NAMES, lambda host: host)) for each in apps]
    return join("shop", "/shop", members)


def one(*apps: App) -> Service:
    """The group's only service."""
    (service,) = joined(*apps).offered.services
    return service


def serving(service: Service) -> str:
    """The ids of the tasks that get traffic."""
    return " ".join(sorted(server.task_id for server in service.servers if server.weight is None))


def drained(service: Service) -> str:
    """The ids of the tasks that are drained."""
    return " ".join(sorted(server.task_id for server in service.servers if server.weight == 0))


class Arithmetic(SynchronousTestCase):
    """How many of each app serve."""

    def test_replaced_one_by_one(self) -> None:
        """Each healthy task of the newer app takes the place of one of the older's, up to the target."""
        for older, newer, healthy, target, left in (
            (3, 0, 0, 3, 3),
            (3, 3, 0, 3, 3),
            (3, 1, 1, 3, 2),
            (3, 3, 2, 3, 1),
            (3, 3, 3, 3, 0),
            (3, 5, 5, 3, 0),
            (0, 3, 1, 3, 0),
            (1, 3, 1, 3, 1),
            (1, 3, 2, 3, 1),
            (3, 1, 1, 20, 3),
        ):
            told = shares(older=older, newer=newer, healthy=healthy, target=target)
            self.assertEqual(told, Shares(left, newer), (older, newer, healthy, target))

    def test_another_target(self) -> None:
        """A target that is smaller than the older app holds from the first healthy task on, never before."""
        for older, healthy, target, left in (
            (5, 0, 3, 5),
            (5, 1, 3, 2),
            (5, 3, 3, 0),
            (5, 0, 0, 5),
            (5, 1, 0, 0),
        ):
            told = shares(older=older, newer=3, healthy=healthy, target=target)
            self.assertEqual(told, Shares(left, 3), (older, healthy, target))

    def test_split(self) -> None:
        """A split holds the newer app at so many and leaves the rest to the older one."""
        for older, newer, healthy, target, split, told in (
            (3, 1, 1, 3, 1, Shares(2, 1)),
            (3, 3, 3, 3, 1, Shares(2, 1)),
            (3, 3, 0, 3, 1, Shares(3, 1)),
            (3, 3, 1, 3, 2, Shares(2, 2)),
            (3, 3, 3, 3, 2, Shares(1, 2)),
            (2, 1, 1, 3, 1, Shares(2, 1)),
            (9, 4, 4, 10, 3, Shares(7, 3)),
            (3, 3, 3, 3, 0, Shares(0, 3)),
            (3, 3, 3, 3, 3, Shares(0, 3)),
            (3, 3, 3, 3, 9, Shares(0, 3)),
            (0, 3, 3, 3, 1, Shares(0, 3)),
        ):
            got = shares(older=older, newer=newer, healthy=healthy, target=target, split=split)
            self.assertEqual(got, told, (older, newer, healthy, target, split))


class Age(SynchronousTestCase):
    """Which of the apps is the newer one."""

    def order(self, *apps: App) -> list[str]:
        """The apps by age, whatever order they come in."""
        orders = {
            tuple(
                m.app.id for m in by_age([GroupMember(a, services_of(a, SETTINGS, NAMES, str)) for a in some])
            )
            for some in (apps, apps[::-1])
        }
        (order,) = orders
        return list(order)

    def test_started_at(self) -> None:
        """The label decides against the date of the last change, zones counted; without a zone it is UTC."""
        for blue, green in (
            ("2026-05-02T00:00:00", "2026-05-01T00:00:00"),
            ("2026-05-01T12:00:00.5Z", "2026-05-01T12:00:00.499089"),
            ("2026-05-01T12:00:00", "2026-05-01T13:30:00+02:00"),
            ("2026-05-02", "20260501T235959"),
        ):
            order = self.order(
                app("blue", labels={"DEPLOYMENT_STARTED_AT": blue}),
                app("green", labels={"DEPLOYMENT_STARTED_AT": green}),
            )
            self.assertEqual(order, ["/shop-green", "/shop-blue"], (blue, green))

    def test_missing_date(self) -> None:
        """Where one app has no date, or an empty one, their last changes decide, then their versions."""
        late = {"DEPLOYMENT_STARTED_AT": "2027-01-01T00:00:00"}
        for labels in ({}, {"DEPLOYMENT_STARTED_AT": " "}):
            order = self.order(app("blue", labels=late), app("green", labels=labels))
            self.assertEqual(order, ["/shop-blue", "/shop-green"])
        order = self.order(
            app("blue", config_changed_at="", version="2026-01-09T00:00:00.000Z"), app("green")
        )
        self.assertEqual(order, ["/shop-green", "/shop-blue"])

    def test_ties(self) -> None:
        """Equal dates are settled by the last change, and equal changes by the ids."""
        same = {"DEPLOYMENT_STARTED_AT": "2027-01-01T00:00:00"}
        self.assertEqual(
            self.order(app("green", labels=same, config_changed_at="2025"), app("blue", labels=same)),
            ["/shop-green", "/shop-blue"],
        )
        self.assertEqual(
            self.order(app("green", config_changed_at="x"), app("blue", config_changed_at="x")),
            ["/shop-blue", "/shop-green"],
        )

    def test_bad_date(self) -> None:
        """A date that is none takes that app out, and the other one serves alone."""
        for text in ("yesterday", "2026-13-01", "0001-01-01T00:00:00+23:00", "2026-01-01\n"):
            bad = app("green", "+++", 10001, labels={"DEPLOYMENT_STARTED_AT": text})
            offered = services_of(bad, SETTINGS, NAMES, str)
            self.assertEqual(offered.services, (), text)
            self.assertEqual(
                [(p.label, p.value, p.fatal) for p in offered.problems],
                [("HAPROXY_DEPLOYMENT_STARTED_AT", text, True)],
            )


class Phases(SynchronousTestCase):
    """A deployment from its first app to its last."""

    def test_one_name(self) -> None:
        """Name, port and everything but the servers stay, whichever of two alike apps is there."""
        port = {"0_PORT": 10000, "0_VHOST": "shop.example.com"}
        blue, green = app("blue", "+++", labels=port), app("green", "+++", 10001, labels=port)
        seen = [one(blue), one(blue, app("green", "", 10001, labels=port)), one(blue, green), one(green)]
        self.assertEqual(
            (seen[0].app_id, seen[0].backend, seen[0].service_port), ("/shop", "shop_10000", 10000)
        )
        for service in seen:
            self.assertEqual(bare(service), bare(seen[0]))
        self.assertEqual([drained(service) for service in seen], ["", "", "b0 b1 b2", ""])
        self.assertEqual(
            [serving(service) for service in seen], ["b0 b1 b2", "b0 b1 b2", "g0 g1 g2", "g0 g1 g2"]
        )

    def test_ports(self) -> None:
        """The older app's service port is bound; the newer one's own is not."""
        service = one(app("blue", "+", 10000), app("green", "++", 10001))
        self.assertEqual((service.backend, service.service_port), ("shop_10000", 10000))

    def test_left_with_the_alternate_port(self) -> None:
        """An app that is left with the alternate port binds it, with a word that names the remedy."""
        alone = joined(app("green", "+", 10001, labels={"DEPLOYMENT_ALT_PORT": 10001}))
        self.assertEqual([service.backend for service in alone.offered.services], ["shop_10001"])
        (problem,) = alone.offered.problems
        self.assertEqual(
            (problem.app_id, problem.label, problem.fatal),
            ("/shop-green", "HAPROXY_DEPLOYMENT_ALT_PORT", False),
        )
        self.assertIn("HAPROXY_0_PORT", problem.reason)
        for fine in (
            app("green", "+", 10001, labels={"DEPLOYMENT_ALT_PORT": 10001, "0_PORT": 10001}),
            app("blue", "+", 10000, labels={"DEPLOYMENT_ALT_PORT": 10001}),
        ):
            self.assertEqual(joined(fine).offered.problems, ())

    def test_drain_as_health_comes(self) -> None:
        """The older app's tasks are drained by the order of their ids as the newer's become healthy."""
        target = {"DEPLOYMENT_TARGET_INSTANCES": 3}
        for health, left in (
            ("---", "b0 b1 b2"),
            ("?--", "b0 b1 b2"),
            ("+--", "b1 b2"),
            ("+-+", "b2"),
            ("+++", ""),
        ):
            service = one(app("blue", "+++"), app("green", health, 10001, labels=target))
            self.assertEqual(serving(service), " ".join([*left.split(), "g0", "g1", "g2"]), health)

    def test_undrained_when_health_goes(self) -> None:
        """A newer task that is lost or fails gives its place back."""
        for health in ("+++", "++x", "++-"):
            service = one(app("blue", "+++"), app("green", health, 10001))
            self.assertEqual(drained(service), "b0 b1 b2" if health == "+++" else "b0 b1")

    def test_without_checks(self) -> None:
        """Without health checks a task that runs is healthy."""
        service = one(app("blue", "???", health_checks=()), app("green", "??", 10001, health_checks=()))
        self.assertEqual(drained(service), "b0 b1")

    def test_unhealthy_drained_first(self) -> None:
        """Of the older app those that are not healthy leave first."""
        service = one(app("blue", "++-+"), app("green", "++", 10001))
        self.assertEqual(drained(service), "b0 b2")

    def test_target(self) -> None:
        """The newer app's target counts; without one the larger of both apps."""
        self.assertEqual(drained(one(app("blue", "+++"), app("green", "+", 10001))), "b0")
        small = app("green", "+", 10001, labels={"DEPLOYMENT_TARGET_INSTANCES": 2})
        self.assertEqual(
            drained(one(app("blue", "+++", labels={"DEPLOYMENT_TARGET_INSTANCES": 20}), small)), "b0 b1"
        )

    def test_split(self) -> None:
        """A split keeps so many of the newer app, the healthy ones first, and the rest of the older."""
        labels = {"DEPLOYMENT_TARGET_INSTANCES": 4, "DEPLOYMENT_NEW_INSTANCES": 1}
        service = one(app("blue", "++++"), app("green", "-++", 10001, labels=labels))
        self.assertEqual(serving(service), "b1 b2 b3 g1")
        self.assertEqual(drained(service), "b0 g0 g2")

    def test_rolled_back(self) -> None:
        """Without the newer app the older one serves as before, whole."""
        blue = app("blue", "+++")
        self.assertEqual(drained(one(blue, app("green", "+++", 10001))), "b0 b1 b2")
        self.assertEqual(serving(one(blue)), "b0 b1 b2")


class Labels(SynchronousTestCase):
    """Whose labels hold."""

    def test_more_tasks(self) -> None:
        """The app with more healthy tasks that serve gives the labels; on a tie the newer one."""
        for health, host in (
            ("", "old.example.com"),
            ("----", "old.example.com"),
            ("+---", "old.example.com"),
            ("++--", "new.example.com"),
            ("++++", "new.example.com"),
        ):
            service = one(
                app("blue", "++++", labels={"0_VHOST": "old.example.com"}),
                app("green", health, 10001, labels={"0_VHOST": "new.example.com"}),
            )
            self.assertEqual(service.hosts, (host,), health)
            self.assertEqual((service.backend, service.service_port), ("shop_10000", 10000))

    def test_empty_older(self) -> None:
        """An older app without any server leaves the labels to the newer one, healthy or not."""
        service = one(
            app("blue", "", labels={"0_VHOST": "old.example.com"}),
            app("green", "-", 10001, labels={"0_VHOST": "new.example.com"}),
        )
        self.assertEqual(service.hosts, ("new.example.com",))

    def test_leads(self) -> None:
        """What is joined tells whose labels hold, and who its members are."""
        told = joined(app("green", "++", 10001), app("blue", "+++"))
        self.assertEqual((told.members, told.leads), (("/shop-blue", "/shop-green"), {0: "/shop-green"}))

    def test_seniority(self) -> None:
        """A collision sees the date of the older app as long as it is there."""
        self.assertEqual(one(app("green", "+++", 10001), app("blue", "+")).since, "2026-01-01T00:00:00.000Z")


class Shapes(SynchronousTestCase):
    """Apps of one group that differ."""

    def test_several_ports(self) -> None:
        """Each port is joined with the one of the same index; one that is alone is left alone."""
        blue = app("blue", "", ports=(Port(10000), Port(10002), Port(10004)))
        green = app("green", "", ports=(Port(10001), Port(10003)), labels={"1_ENABLED": "false"})
        blue_tasks = tuple(
            Task(f"b{i}", "10.0.0.1", (31000 + i, 32000 + i, 33000 + i), alive=True) for i in range(2)
        )
        green_tasks = (Task("g0", "10.0.0.1", (31100, 32100), alive=True),)
        found = joined(
            App(**{**fields(blue), "tasks": blue_tasks, "instances": 2}),
            App(**{**fields(green), "tasks": green_tasks, "instances": 1}),
        ).offered.services
        self.assertEqual([service.backend for service in found], ["shop_10000", "shop_10002", "shop_10004"])
        self.assertEqual([drained(service) for service in found], ["b0", "", ""])
        self.assertEqual([serving(service) for service in found], ["b1 g0", "b0 b1", "b0 b1"])

    def test_third(self) -> None:
        """Of three apps the two older ones are the group; the third is left out with a problem that names them."""
        told = joined(app("red", "+++", 10002), app("green", "+", 10001), app("blue", "+++"))
        self.assertEqual(told.members, ("/shop-blue", "/shop-green"))
        (problem,) = told.offered.problems
        self.assertEqual(
            (problem.app_id, problem.label, problem.fatal), ("/shop-red", "HAPROXY_DEPLOYMENT_GROUP", True)
        )
        self.assertIn("/shop-blue and /shop-green", problem.reason)
        self.assertNotIn("r0", serving(told.offered.services[0]))

    def test_leftover(self) -> None:
        """An old app that was left behind without a task does not count before two that serve."""
        told = joined(app("blue", ""), app("green", "+++", 10001), app("red", "+", 10002))
        self.assertEqual(told.members, ("/shop-green", "/shop-red"))
        self.assertEqual([problem.app_id for problem in told.offered.problems], ["/shop-blue"])

    def test_same_place(self) -> None:
        """A port that both apps claim is one server, and it serves."""
        task = Task("b0", "10.0.0.1", (31000,), alive=True)
        twin = Task("g0", "10.0.0.1", (31000,), alive=True)
        service = one(app("blue", "+", tasks=(task,)), app("green", "+", 10001, tasks=(twin,)))
        self.assertEqual([(server.task_id, server.weight) for server in service.servers], [("g0", None)])

    def test_servers(self) -> None:
        """Servers are sorted by name, with ids of their own."""
        servers = one(app("blue", "+++"), app("green", "+", 10001)).servers
        self.assertEqual([server.name for server in servers], sorted(server.name for server in servers))
        self.assertEqual(len({server.id for server in servers}), 4)

    def test_problems(self) -> None:
        """The warnings of both apps stay theirs."""
        told = joined(
            app("blue", "+", labels={"0_COLOR": "x"}), app("green", "+", 10001, labels={"0_STIKY": "x"})
        )
        self.assertEqual(
            sorted((problem.app_id, problem.label) for problem in told.offered.problems),
            [("/shop-blue", "HAPROXY_0_COLOR"), ("/shop-green", "HAPROXY_0_STIKY")],
        )


def fields(one: App) -> dict[str, Any]:
    """An app's fields by name."""
    return {name: getattr(one, name) for name in App.__struct_fields__}


class PairTests(SynchronousTestCase):
    """Definitions as a deployment tool writes them."""

    path = data("answers", "blue-green@1.3.json")
    group, members = "shop", ("/shop-blue", "/shop-green")
    backend, service_port = "shop_10100", 10100
    old_tasks = 3

    def test_blue_green(self) -> None:
        """A tool's pair is one service on the port that its labels name, one old task drained for the new one."""
        found = parse_apps(self.path.read_bytes())
        members = [GroupMember(each, services_of(each, SETTINGS, NAMES, str)) for each in found.apps]
        told = join(self.group, f"/{self.group}", members)
        self.assertEqual(told.members, self.members)
        (service,) = told.offered.services
        self.assertEqual((service.backend, service.service_port), (self.backend, self.service_port))
        self.assertEqual(len(serving(service).split()), self.old_tasks)
        (older,) = (app for app in found.apps if app.id == self.members[0])
        self.assertEqual(drained(service), min(task.id for task in older.tasks))


class Weights(SynchronousTestCase):
    """``HAPROXY_{n}_WEIGHT``: who shares the traffic by hand."""

    def weights(self, *apps: App) -> dict[str, int | None]:
        """The weight of each server, by its task."""
        return {server.task_id: server.weight for server in one(*apps).servers}

    def test_canary(self) -> None:
        """Where one app names a weight the other's servers have 100, and nobody is drained for the newer's health."""
        found = self.weights(app("blue", "++"), app("green", "++", labels={"0_WEIGHT": 10}))
        self.assertEqual(found, {"b0": 100, "b1": 100, "g0": 10, "g1": 10})
        found = self.weights(app("blue", "+", labels={"0_WEIGHT": 30}), app("green", "+"))
        self.assertEqual(found, {"b0": 30, "g0": 100})

    def test_target(self) -> None:
        """A target that is named holds, and tasks whose weight is 0 do not count for it."""
        labels = {"DEPLOYMENT_TARGET_INSTANCES": 2, "0_WEIGHT": 10}
        self.assertEqual(
            self.weights(app("blue", "++"), app("green", "+", labels=labels)), {"b0": 0, "b1": 100, "g0": 10}
        )
        labels["0_WEIGHT"] = 0
        self.assertEqual(
            self.weights(app("blue", "++"), app("green", "++", labels=labels)),
            {"b0": 100, "b1": 100, "g0": 0, "g1": 0},
        )

    def test_alone(self) -> None:
        """One app's weight is its servers', and changes nothing but them."""
        self.assertEqual(self.weights(app("blue", "+", labels={"0_WEIGHT": 7})), {"b0": 7})
        services = [one(app("blue", "+", labels={"0_WEIGHT": weight})) for weight in (0, 256)]
        self.assertEqual(bare(services[0]), bare(services[1]))
