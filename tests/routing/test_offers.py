"""What the cluster offers: step by step or all at once, and the ports that are assigned."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.marathon.model import App, Networking, Port
from marathonlb.routing.offers import Offers
from marathonlb.settings import Settings
from tests.routing.apps import app, changed, task


def offers(**options: Any) -> Offers:
    """Nothing is offered yet."""
    return Offers(Settings(**options), PER_APP_NAMES, lambda host: host)


def all_at_once(apps: dict[str, App], **options: Any) -> Offers:
    """What these apps offer."""
    made = offers(**options)
    made.update(apps, apps)
    return made


def inside(name: str, *ports: int, since: str = "2020", **more: Any) -> App:
    """An app in container networking with these service ports, 0 where Marathon gives none."""
    return app(
        f"/{name}",
        networking=Networking.CONTAINER,
        ports=tuple(Port(port, container_port=80, on_host=False) for port in ports),
        tasks=(task(addresses=("9.0.0.1",)),),
        config_changed_at=since,
        **more,
    )


def ports(made: Offers) -> dict[tuple[str, int], int]:
    """The service port of each service."""
    return {service.key: service.service_port for service in made.services()}


APPS = st.builds(
    lambda number, given, since, label: inside(
        f"app{number}", *given, since=since, labels={"0_PORT": label} if label else {}
    ),
    st.integers(0, 4),
    st.lists(st.sampled_from((0, 0, 10050, 10051, 20000)), min_size=1, max_size=3),
    st.sampled_from(("2020", "2021")),
    st.sampled_from((None, None, "10052", "x", "0")),
)
STEPS = st.lists(st.tuples(APPS, st.booleans()), max_size=12)


class StepTests(SynchronousTestCase):
    """Many small changes come to the same as one large one."""

    @settings(max_examples=150, deadline=None)
    @given(STEPS)
    def test_incremental(self, steps: list[tuple[App, bool]]) -> None:
        """After any changes the offer is that of the apps there are, as if nothing had been before."""
        options = {"min_serv_port_ip_per_task": 10050, "max_serv_port_ip_per_task": 10054}
        made, apps = offers(**options), dict[str, App]()
        for each, stays in steps:
            if stays:
                apps[each.id] = each
            else:
                apps.pop(each.id, None)
            made.update(apps, {each.id})
        whole = all_at_once(apps, **options)
        self.assertEqual(made.problems(), whole.problems())
        order = lambda service: service.key  # noqa: E731
        self.assertEqual(sorted(made.services(), key=order), sorted(whole.services(), key=order))

    def test_changes(self) -> None:
        """An update says what each touched app offered before and offers now."""
        made, first = offers(), app()
        ((before, after),) = made.update({first.id: first}, {first.id})
        self.assertEqual((before.services, len(after.services)), ((), 1))
        ((before, after),) = made.update({}, {first.id})
        self.assertEqual((len(before.services), after.services), (1, ()))

    def test_untouched(self) -> None:
        """An app that was not touched is not made anew."""
        one, two = app("/one"), app("/two", ports=(Port(10001),))
        made = all_at_once({"/one": one, "/two": two})
        before = {service.app_id: service for service in made.services()}
        made.update({"/one": changed(one, tasks=()), "/two": changed(two, tasks=())}, {"/one"})
        after = {service.app_id: service for service in made.services()}
        self.assertIs(after["/two"], before["/two"])
        self.assertEqual(after["/one"].servers, ())


class AssignedPortTests(SynchronousTestCase):
    """Service ports for container ports that have none."""

    def test_in_range(self) -> None:
        """Each such port gets one of the range, no two the same, the same ones in every instance."""
        apps = {each.id: each for each in (inside("a", 0, 0), inside("b", 0), inside("c", 20000))}
        found = ports(all_at_once(apps))
        self.assertEqual(found.pop(("/c", 0)), 20000)
        self.assertEqual(len(set(found.values())), 3)
        self.assertTrue(all(10050 <= port <= 10100 for port in found.values()))
        self.assertEqual(ports(all_at_once(dict(reversed(apps.items())))) | {}, found | {("/c", 0): 20000})

    def test_older_keeps(self) -> None:
        """A newcomer changes nobody's port."""
        old = {f"/a{n}": inside(f"a{n}", 0, since="2020") for n in range(10)}
        new = {f"/b{n}": inside(f"b{n}", 0, since="2021") for n in range(10)}
        before, after = ports(all_at_once(old)), ports(all_at_once(old | new))
        self.assertEqual({key: after[key] for key in before}, before)
        self.assertEqual(len(set(after.values())), 20)

    def test_named_ports(self) -> None:
        """A port that an older app names, in Marathon or by a label, is given to nobody; a younger one takes none."""
        mine = inside("a", 0, since="2020")
        free = ports(all_at_once({"/a": mine}))["/a", 0]
        for since in ("2019", "2021"):
            for named in ({"ports": (Port(free),)}, {"labels": {"0_PORT": str(free)}}):
                other = app("/b", config_changed_at=since, **named)
                made = offers()
                made.update({"/a": mine}, {"/a"})
                made.update({"/a": mine, "/b": other}, {"/b"})
                found = ports(made)
                self.assertEqual(found["/b", 0], free)
                self.assertEqual(found["/a", 0] == free, since > "2020")

    def test_exhausted(self) -> None:
        """Where the range is used up, the youngest are a problem each."""
        apps = {f"/a{n}": inside(f"a{n}", 0, since=f"20{n}0") for n in range(4)}
        options = {"min_serv_port_ip_per_task": 10050, "max_serv_port_ip_per_task": 10052}
        made = all_at_once(apps, **options)
        self.assertEqual({key[0] for key in ports(made)}, {"/a0", "/a1", "/a2"})
        self.assertEqual([problem.app_id for problem in made.problems()], ["/a3"])

    def test_off(self) -> None:
        """A range that ends at 0 assigns none, and a label's port needs none."""
        made = all_at_once(
            {"/a": inside("a", 0), "/b": inside("b", 0, labels={"0_PORT": "7000"})},
            max_serv_port_ip_per_task=0,
        )
        self.assertEqual(ports(made), {("/b", 0): 7000})
