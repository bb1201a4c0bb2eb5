"""Problems as data: their kinds follow from where they are made, never from their sentences."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.problem_kinds.apps import LABEL_VALUE
from marathonlb.routing.claims.settle import settle
from marathonlb.routing.problems import Problem
from marathonlb.routing.quarantine.refused import QuarantineVerdict
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from marathonlb.web.api.problems import ProblemView, kind_of, view
from tests.fakes.haproxy import NONSENSE
from tests.reconciling import web
from tests.routing.apps import service
from tests.web.contexts import NOW, PagesTestCase

OLD, NEW = {"since": "2020"}, {"since": "2021"}


def views(services: Iterable[Service]) -> list[ProblemView]:
    """Return the problems of the collisions between services."""
    return [view(problem, None) for problem in settle(services, Settings()).problems]


class CollisionTests(SynchronousTestCase):
    """Every collision is one, whatever its sentence says."""

    def kinds(self, *services: Service) -> set[tuple[str, str, str]]:
        """Return the app, the kind and the code of each problem between services."""
        return {(each.app_id, each.kind, each.code) for each in views(services)}

    def test_port(self) -> None:
        """A port that an older app has, and one that is the load balancer's own."""
        self.assertEqual(
            {("/b", "collision", "MLB-302")},
            self.kinds(service("a", 10000, **OLD), service("b", 10000, **NEW)),
        )
        self.assertEqual({("/c", "collision", "MLB-301")}, self.kinds(service("c", 9090)))

    def test_host(self) -> None:
        """A path of a host that an older app has names that app as its rival."""
        first = service("a", 10000, hosts=("x.test",), **OLD)
        second = service("b", 10001, hosts=("x.test",), **NEW)
        self.assertEqual({("/b", "collision", "MLB-303")}, self.kinds(first, second))
        (problem,) = settle((first, second), Settings()).problems
        self.assertEqual("/a", problem.rival)

    def test_name(self) -> None:
        """A backend's name that an older app has was called a label's problem."""
        first, second = service("a", 10000, **OLD), service("b", 10001, **NEW)
        alike = evolve(second, backend=first.backend)
        self.assertEqual({("/b", "collision", "MLB-304")}, self.kinds(first, alike))

    def test_weight(self) -> None:
        """A weight that would take from an older app of another owner was called a label's problem."""
        wide = service("x/a", 10000, hosts=("*.test",), weight=99, **NEW)
        narrow = service("y/b", 10001, hosts=("b.test",), **OLD)
        self.assertIn(("/x/a", "collision", "MLB-305"), self.kinds(wide, narrow))

    def test_passed_through(self) -> None:
        """A host whose TLS is passed through to an older app was called a label's problem."""
        passing = service("a", 10000, passthrough=("x.test",), mode="tcp", **OLD)
        served = service("b", 10001, hosts=("x.test",), **NEW)
        self.assertIn(("/b", "collision", "MLB-306"), self.kinds(passing, served))


class HAProxyTests(SynchronousTestCase):
    """HAProxy's words are a field of their own."""

    def test_refused(self) -> None:
        """The words of a service that HAProxy refuses are given without what becomes of the service."""
        words = "unknown keyword 'x; y': z"
        bad = service("a")
        for verdict, code in (
            (
                QuarantineVerdict(refused=bad, fallback=bad, label="HAPROXY_0_BALANCE", message=words),
                "MLB-701",
            ),
            (
                QuarantineVerdict(refused=bad, fallback=None, label="", message=words, silent=True, until=5),
                "MLB-702",
            ),
            (
                QuarantineVerdict(
                    refused=bad, fallback=None, label="", message=words, silent=True, suspected=True
                ),
                "MLB-703",
            ),
        ):
            found = view(verdict.problem, 7.0)
            self.assertEqual(
                ("quarantine", code, words, 7.0), (found.kind, found.code, found.haproxy, found.since)
            )
            self.assertIn(words, found.reason)

    def test_sentences_decide_nothing(self) -> None:
        """A sentence that begins like another kind's changes neither kind nor HAProxy's words."""
        for reason in (
            "HAProxy says: no",
            "HAProxy fails with it: no",
            "the policy forbids it: no",
            "is claimed by /a and /b",
            "is refused by HAProxy: no",
        ):
            problem = Problem("/a", 0, "HAPROXY_0_MODE", "x", reason, kind=LABEL_VALUE)
            self.assertEqual("label", kind_of(problem))
            self.assertEqual(("MLB-101", ""), (view(problem, None).code, view(problem, None).haproxy))


class ProblemsPageTests(PagesTestCase):
    """``/api/problems``."""

    def test_kinds(self) -> None:
        """Each problem has its kind, its owner, when it came, and HAProxy's words where they are HAProxy's."""
        self.serve(
            web("bad", 10001, HAPROXY_0_MODE="x"),
            web("late", 10000, HAPROXY_0_BALANCE="first"),
            web("broken", 10002, HAPROXY_0_BACKEND_HEAD=f"backend {{backend}}\n  {NONSENSE}\n"),
            msgspec.structs.replace(web("shop", 10000), config_changed_at="2025"),
        )
        self.clock.advance(5)
        found = {each["app_id"]: each for each in self.get("/api/problems")["problems"]}
        self.assertEqual(
            {app_id: each["kind"] for app_id, each in found.items()},
            {"/bad": "label", "/late": "collision", "/broken": "quarantine"},
        )
        self.assertTrue(found["/broken"]["haproxy"].startswith(f"unknown keyword {NONSENSE!r}"))
        self.assertEqual(found["/bad"]["since"], NOW)
        self.assertEqual(len(self.get("/api/problems?app=/bad")["problems"]), 1)

    def test_mended(self) -> None:
        """What is mended is gone, and the timeline has both."""
        self.serve(web("shop", HAPROXY_0_MODE="x"))
        self.serve(web("shop"))
        self.assertEqual(self.get("/api/problems"), {"problems": []})
        kinds = [each["kind"] for each in self.get("/api/timeline")["entries"]]
        self.assertEqual([kind for kind in kinds if kind in ("problem", "mended")], ["problem", "mended"])
