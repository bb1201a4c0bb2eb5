"""Service ports that are assigned from the range of the options."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.model import App, Networking, Port
from marathonlb.routing.offers import Offers
from marathonlb.routing.services.assigned_ports import AssignedPorts
from marathonlb.settings import Settings
from tests.routing.apps import app as any_app
from tests.routing.test_offers import all_at_once, inside
from tests.routing.test_offers import offers as default_offers
from tests.routing.test_offers import ports as port_of

LOW, HIGH = 10050, 10052


def app(name: str, *ports: int, since: str = "1", **more: Any) -> App:
    """An app with IP per task and these service ports; 0 is a port that Marathon gives none."""
    return any_app(
        f"/{name}",
        networking=Networking.CONTAINER,
        ports=tuple(Port(port, container_port=80 + i, on_host=False) for i, port in enumerate(ports or (0,))),
        config_changed_at=since,
        **more,
    )


def offers(*apps: App, low: int = LOW, high: int = HIGH, one_by_one: bool = False, **more: Any) -> Offers:
    """What is offered when these apps come, at once or one after another."""
    wanted = {"groups": frozenset({"*"}), **more}
    made = Offers(
        Settings(min_serv_port_ip_per_task=low, max_serv_port_ip_per_task=high, **wanted),
        frozenset(),
        lambda host: host,
    )
    known: dict[str, App] = {}
    for some in [(each,) for each in apps] if one_by_one else [apps]:
        known |= {each.id: each for each in some}
        made.update(known, [each.id for each in some])
    return made


def ports(made: Offers) -> dict[str, list[int]]:
    """Service ports by app, in the order of their indexes."""
    found: dict[str, list[int]] = {}
    for service in sorted(made.services(), key=lambda service: service.key):
        found.setdefault(service.app_id, []).append(service.service_port)
    return found


class RangeTests(SynchronousTestCase):
    """Ports from ``--min-serv-port-ip-per-task`` to ``--max-…``."""

    def test_both_ends(self) -> None:
        """A range is used whole, both ends included, and nothing outside of it."""
        told = ports(offers(app("a"), app("b"), app("c")))
        self.assertEqual(sorted(told.values()), [[10050], [10051], [10052]])
        self.assertEqual(ports(offers(app("a"), low=10060, high=10060)), {"/a": [10060]})

    def test_full(self) -> None:
        """Who finds the range full has a problem that names its options; the others are served."""
        made = offers(*(app(name, since=str(i)) for i, name in enumerate("abcd")))
        self.assertEqual(set(ports(made)), {"/a", "/b", "/c"})
        (problem,) = made.problems()
        self.assertEqual((problem.app_id, problem.port_index, problem.fatal), ("/d", 0, True))
        self.assertIn("--min-serv-port-ip-per-task", problem.reason)
        self.assertIn("--max-serv-port-ip-per-task", problem.reason)

    def test_freed(self) -> None:
        """A port that becomes free is used again, and the oldest app stays where it is."""
        apps = [app(name, since=str(i)) for i, name in enumerate("abcd")]
        made = offers(*apps)
        before = ports(made)
        made.update({each.id: each for each in apps if each.id != "/b"}, ["/b"])
        after = ports(made)
        self.assertEqual((set(after), after["/a"]), ({"/a", "/c", "/d"}, before["/a"]))
        self.assertEqual(sorted(after.values()), sorted(before.values()))

    def test_off(self) -> None:
        """Where both ends are 0 no range is named as the remedy."""
        (problem,) = offers(app("a"), low=0, high=0).problems()
        self.assertNotIn("per-task", problem.reason)

    def test_fleet(self) -> None:
        """Instances that saw the apps in another order, or serve other groups, agree on every port."""
        apps = [app("a"), app("b", 0, 0), app("c", labels={"GROUP": "x"})]
        told = ports(offers(*apps, high=10059))
        for order in permutations(apps):
            self.assertEqual(ports(offers(*order, high=10059, one_by_one=True)), told)
        self.assertEqual(ports(offers(*apps, high=10059, groups=frozenset({"x"}))), {"/c": told["/c"]})

    def test_elder_first(self) -> None:
        """Where two fall on one port the older app keeps it, whoever came first."""
        names = [f"app{i}" for i in range(9)]
        alone = {name: ports(offers(app(name)))[f"/{name}"] for name in names}
        one, other = next((a, b) for a in names for b in names if a < b and alone[a] == alone[b])
        for old, new in ((one, other), (other, one)):
            for order in ((old, new), (new, old)):
                apps = [app(name, since="1" if name == old else "2") for name in order]
                told = ports(offers(*apps, one_by_one=True))
                self.assertEqual(told[f"/{old}"], alone[old])
                self.assertNotEqual(told[f"/{new}"], alone[new])


class AssignedPortTests(SynchronousTestCase):
    """Service ports for container ports that have none."""

    def test_in_range(self) -> None:
        """Each such port gets one of the range, no two the same, the same ones in every instance."""
        apps = {each.id: each for each in (inside("a", 0, 0), inside("b", 0), inside("c", 20000))}
        found = port_of(all_at_once(apps))
        self.assertEqual(found.pop(("/c", 0)), 20000)
        self.assertEqual(len(set(found.values())), 3)
        self.assertTrue(all(10050 <= port <= 10100 for port in found.values()))
        self.assertEqual(port_of(all_at_once(dict(reversed(apps.items())))) | {}, found | {("/c", 0): 20000})

    def test_older_keeps(self) -> None:
        """A newcomer changes nobody's port."""
        old = {f"/a{n}": inside(f"a{n}", 0, since="2020") for n in range(10)}
        new = {f"/b{n}": inside(f"b{n}", 0, since="2021") for n in range(10)}
        before, after = port_of(all_at_once(old)), port_of(all_at_once(old | new))
        self.assertEqual({key: after[key] for key in before}, before)
        self.assertEqual(len(set(after.values())), 20)

    def test_named_ports(self) -> None:
        """A port that an older app names, in Marathon or by a label, is given to nobody; a younger one takes none."""
        mine = inside("a", 0, since="2020")
        free = port_of(all_at_once({"/a": mine}))["/a", 0]
        for since in ("2019", "2021"):
            for named in ({"ports": (Port(free),)}, {"labels": {"0_PORT": str(free)}}):
                other = any_app("/b", config_changed_at=since, **named)
                made = default_offers()
                made.update({"/a": mine}, {"/a"})
                made.update({"/a": mine, "/b": other}, {"/b"})
                found = port_of(made)
                self.assertEqual(found["/b", 0], free)
                self.assertEqual(found["/a", 0] == free, since > "2020")

    def test_exhausted(self) -> None:
        """Where the range is used up, the youngest are a problem each."""
        apps = {f"/a{n}": inside(f"a{n}", 0, since=f"20{n}0") for n in range(4)}
        options = {"min_serv_port_ip_per_task": 10050, "max_serv_port_ip_per_task": 10052}
        made = all_at_once(apps, **options)
        self.assertEqual({key[0] for key in port_of(made)}, {"/a0", "/a1", "/a2"})
        self.assertEqual([problem.app_id for problem in made.problems()], ["/a3"])

    def test_off(self) -> None:
        """A range that ends at 0 assigns none, and a label's port needs none."""
        made = all_at_once(
            {"/a": inside("a", 0), "/b": inside("b", 0, labels={"0_PORT": "7000"})},
            max_serv_port_ip_per_task=0,
        )
        self.assertEqual(port_of(made), {("/b", 0): 7000})


class CopyTests(SynchronousTestCase):
    """A copy for the question of what a change would lead to."""

    def test_independent(self) -> None:
        """A change of a copy moves no port of the original, nor one of the original a port of the copy."""
        ports = AssignedPorts(LOW, HIGH)
        self.assertEqual({"/a"}, ports.update({"/a": app("a")}, ["/a"]))
        before = dict(ports.of("/a"))
        copy = ports.copy()
        self.assertEqual({"/b"}, copy.update({"/a": app("a"), "/b": app("b", since="2")}, ["/b"]))
        self.assertEqual((before, {}), (ports.of("/a"), ports.of("/b")))
        self.assertEqual(set(), ports.update({}, ["/a"]))
        self.assertEqual(({}, before), (ports.of("/a"), copy.of("/a")))

    def test_unchanged(self) -> None:
        """An update that changes no claim moves no port; one app's claim can move another's."""
        ports = AssignedPorts(LOW, LOW)
        young, old = app("young", since="2"), app("old", since="1")
        self.assertEqual({"/young"}, ports.update({"/young": young}, ["/young"]))
        self.assertEqual(set(), ports.update({"/young": young}, ["/young"]))
        self.assertEqual({"/old", "/young"}, ports.update({"/young": young, "/old": old}, ["/old"]))
        self.assertEqual(({0: LOW}, {}), (ports.of("/old"), ports.of("/young")))
