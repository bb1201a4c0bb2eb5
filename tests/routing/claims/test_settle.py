"""The decision of all collisions: backend names, who is contested, and any order of services."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.claims.settle import Settled, settle
from marathonlb.routing.names import backend_name, plain_backend
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.routing.apps import service


def settled(*services: Service, **options: Any) -> Settled:
    """The outcome under these settings."""
    return settle(services, Settings(**options))


class BackendNameTests(SynchronousTestCase):
    """Backends of one name."""

    def test_alike(self) -> None:
        """Of services whose backends would have one name the oldest has it, and the others a digest; all are served."""
        made = [
            Service(app_id, index, 80, backend_name(app_id, 80), "http", since=since)
            for app_id, index, since in (
                ("/a_b", 0, "2021"), ("/a/b", 0, "2020"), ("/a~b", 0, "2022"), ("/a/b", 1, "2020"),
                ("//a/b", 0, "2023"), ("a__b:/x", 0, "1"), ("/a//b/x", 0, "2"),
            )
        ]  # fmt: skip
        outcome = settled(*made, bind_http="*:8080")
        names = {each.key: each.backend for each in outcome.services}
        self.assertEqual(len(set(names.values())), len(made))
        self.assertEqual(names["/a/b", 0], "a_b_80")
        for key in (("/a_b", 0), ("/a~b", 0), ("/a/b", 1), ("//a/b", 0)):
            self.assertRegex(names[key], r"\Aa_b:[0-9a-f]{8}_80\Z")
            self.assertEqual(plain_backend(names[key]), "a_b_80")
            self.assertEqual(outcome.renamed[key], names[key])
        told = [each for each in outcome.problems if each.value == "a_b_80"]
        self.assertEqual({(each.app_id, each.fatal) for each in told} - {("/a/b", False)}, {
            ("/a_b", False), ("/a~b", False), ("//a/b", False),
        })  # fmt: skip


class ContestedTests(SynchronousTestCase):
    """The services that are concerned."""

    def test_contested(self) -> None:
        """Both sides of every collision are contested."""
        outcome = settled(service("a", 1, hosts=("x",)), service("b", 2, hosts=("x",)), service("c", 80))
        self.assertEqual(outcome.contested, {("/a", 0), ("/b", 0), ("/c", 0)})


MANY = st.lists(
    st.builds(
        lambda number, port, host, path, since, weight: service(
            f"app{number}", port, hosts=(host,), paths=path, since=since, weight=weight
        ),
        st.integers(0, 5),
        st.sampled_from((80, 10000, 10001)),
        st.sampled_from(("a.com", "b.com", "*.com")),
        st.sampled_from(((), ("/a",), ("/a", "/b"))),
        st.sampled_from(("2020", "2021")),
        st.sampled_from((None, 0, 3)),
    ),
    unique_by=lambda each: each.key,
    max_size=6,
)


class OrderTests(SynchronousTestCase):
    """Invariants."""

    @settings(max_examples=100, deadline=None)
    @given(MANY, st.randoms())
    def test_any_order(self, services: list[Service], chance: Any) -> None:
        """The outcome is the same in whatever order the services come."""
        first = settle(services, Settings())
        chance.shuffle(services)
        self.assertEqual(settle(services, Settings()), first)

    @settings(max_examples=100, deadline=None)
    @given(MANY)
    def test_one_owner(self, services: list[Service]) -> None:
        """Each host and path has one owner, each address and port too, and every loss has its problem."""
        outcome = settle(services, Settings())
        won = [
            (host, path)
            for each in outcome.services
            for host in each.hosts
            for path in each.paths or ("",)
            if (host, path) not in outcome.lost.get(each.key, frozenset())
        ]
        self.assertEqual(len(won), len(set(won)))
        names = [each.backend for each in outcome.services]
        self.assertEqual((len(set(names)), len(names)), (len(services), len(services)))
        ports = [each.service_port for each in outcome.services if each.binds_port]
        self.assertEqual(len(ports), len(set(ports)))
        losses = sum(not each.binds_port for each in outcome.services) + sum(map(len, outcome.lost.values()))
        self.assertEqual(losses, sum(problem.fatal for problem in outcome.problems))
