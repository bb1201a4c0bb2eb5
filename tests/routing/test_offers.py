"""The services of all apps: step by step or all at once."""

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
