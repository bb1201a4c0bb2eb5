"""The operator's templates between the planner, the reconciler and HAProxy."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.loader import load_templates
from marathonlb.config.templates.overrides import AGAIN
from marathonlb.config.templates.template import Template
from marathonlb.config.text.model import Config
from marathonlb.controller.planner import Planner
from marathonlb.errors import InvalidConfiguration
from marathonlb.marathon.model import Port
from marathonlb.settings import Settings
from tests.controller.test_planner import planner, refused
from tests.reconciling import EVERYTHING, ReconcilerTestCase, web
from tests.routing.apps import app

EXTRA = "  # {backend}\n  odd\n"


class PlannerTests(SynchronousTestCase):
    """`Planner` and the operator's templates."""

    a = app("/a", {"0_MODE": "http", "0_BALANCE": "source"}, ports=(Port(1),))
    b = app("/b", {"0_MODE": "http", "0_BALANCE": "source"}, ports=(Port(2),))

    def reconsidered(self, made: Planner, now: float, *, good: bool) -> bool:
        """Whether a refused text is good now."""

        async def passes(config: Config) -> bool:
            return good

        found: bool = self.successResultOf(Deferred.fromCoroutine(made.reconsider(now, passes)))
        return found

    def test_something_else_has_changed(self) -> None:
        """Where services that are as they were are refused, it is no app's doing, and nothing is given up."""
        made = planner(self.a, self.b, BACKEND_EXTRA=EXTRA)
        made.accepted(made.plan(0))
        c = app("/c", ports=(Port(3),))
        made.update({"/a": self.a, "/b": self.b, "/c": c}, {"/c"})
        wanted = made.plan(0)
        self.assertFalse(made.blame(refused(wanted, "odd"), wanted, Clock(), running=True))
        self.assertEqual(len(made.quarantine), 0)
        (problem,) = made.problems_with(wanted)
        self.assertIn("HAProxy keeps running with its configuration", problem.reason)
        error = made.texts.explained(InvalidConfiguration())
        self.assertIn("HAPROXY_BACKEND_EXTRA", str(error))
        made.accepted(wanted)
        self.assertEqual(made.problems_with(made.plan(0)), ())

    def test_an_app_beside(self) -> None:
        """Where HAProxy takes the services that are as they were, what has changed is to blame."""
        made = planner(self.a, self.b, BACKEND_EXTRA=EXTRA)
        made.accepted(made.plan(0))
        made.update({"/a": self.a, "/b": self.b, "/c": app("/c", ports=(Port(3),))}, {"/c"})
        wanted = made.plan(0)
        tried: list[bool] = []

        async def without_c(config: Config) -> bool:
            tried.append("c_3" in config.template)
            return not tried[-1]

        async def never(config: Config) -> bool:
            return False

        for passes, found in ((never, False), (without_c, True)):
            self.assertFalse(made.blame(refused(wanted, "odd"), wanted, Clock(), running=True))
            self.assertEqual(len(made.texts.overrides.held), 1)
            looked = self.successResultOf(Deferred.fromCoroutine(made.is_of_changes(wanted, passes)))
            self.assertEqual((looked, made.texts.overrides.held == ()), (found, found))
        self.assertEqual(tried, [False])

    def test_variables_of_many(self) -> None:
        """Apps that put something into a template that HAProxy refuses are left out, however many they are."""
        bad = [app(f"/x{n}", {"0_BALANCE": "hdr"}, ports=(Port(10 + n),)) for n in range(9)]
        head = "backend {backend}\n  mode {mode}\n  balance {balance}\n  http-request deny if TRUE\n"
        made = planner(self.a, *bad, BACKEND_HEAD=head)
        wanted = made.plan(0)
        self.assertTrue(made.blame(refused(wanted, "balance hdr"), wanted, Clock()))
        wanted = made.plan(0)
        self.assertEqual([each.app_id for each in wanted.services], ["/a"])
        self.assertIn("  http-request deny if TRUE\n", wanted.rendered.config.template)
        self.assertEqual(made.texts.overrides.problems, ())

    def test_good_again(self) -> None:
        """A text that is good again serves at once, and whoever was refused meanwhile is tried again."""
        made = planner(self.a, self.b, BACKEND_EXTRA=EXTRA)
        wanted = made.plan(0)
        self.assertTrue(made.blame(refused(wanted, "odd"), wanted, Clock()))
        self.assertEqual(len(made.plan(0).services), 0)
        self.assertFalse(self.reconsidered(made, 0, good=True))
        self.assertFalse(self.reconsidered(made, AGAIN, good=False))
        self.assertFalse(self.reconsidered(made, AGAIN, good=True))
        self.assertTrue(self.reconsidered(made, 3 * AGAIN, good=True))
        wanted = made.plan(0)
        self.assertEqual((len(wanted.services), wanted.problems), (2, ()))

    def test_read_anew(self) -> None:
        """A text that cannot be rendered leaves the last good one in its place, for every service."""
        made = planner(self.a, self.b, BACKEND_EXTRA="  # good\n")
        made.accepted(made.plan(0))
        made.take(load_templates("/no", {"HAPROXY_BACKEND_EXTRA": "  # {nothing}\n"}))
        wanted = made.plan(0)
        self.assertEqual(len(wanted.services), 2)
        self.assertIn("  # good\n", wanted.rendered.config.template)
        (problem,) = wanted.problems
        self.assertIn("; its last good text is used", problem.reason)
        made.take(load_templates("/no", {"HAPROXY_BACKEND_EXTRA": "  # better\n"}))
        wanted = made.plan(0)
        self.assertIn("  # better\n", wanted.rendered.config.template)
        self.assertEqual(wanted.problems, ())

    def test_frontends(self) -> None:
        """A frontend whose template is refused is missing, and nothing leads into it; the rest is served."""
        heads: Mapping[str, tuple[str, ...]] = {
            "HTTP_FRONTEND_HEAD": ("frontend marathon_http_in", "frontend marathon_http_in\n  odd\n"),
            "HTTP_FRONTEND_APPID_HEAD": (
                "frontend marathon_http_appid_in",
                "frontend marathon_http_appid_in\n  odd\n",
            ),
            "MAP_HTTP_FRONTEND_ACL": ("frontend marathon_http_in", "  odd\n"),
            "MAP_HTTP_FRONTEND_APPID_ACL": ("frontend marathon_http_appid_in", "  odd\n"),
        }
        for name, (section, text) in heads.items():
            made = planner(self.a, self.b, **{name: text})
            wanted = made.plan(0)
            self.assertIn(section, wanted.rendered.config.template, name)
            self.assertTrue(made.blame(refused(wanted, "odd"), wanted, Clock()), name)
            wanted = made.plan(0)
            self.assertNotIn(section, wanted.rendered.config.template, name)
            self.assertEqual(len(wanted.services), 2, name)
            self.assertEqual([each.label for each in wanted.problems], [f"HAPROXY_{name}"])

    def test_head(self) -> None:
        """In place of a head that is refused stands one whose statistics nobody sees, with what it said of rights."""
        head = "global\n  user nobody\n  odd\nlisten stats\n  bind *:9090\n  stats enable\n"
        made = planner(self.a, HEAD=head)
        wanted = made.plan(0)
        self.assertTrue(made.blame(refused(wanted, "odd"), wanted, Clock()))
        text = made.plan(0).rendered.config.sections[0].text
        self.assertNotIn("9090", text)
        self.assertNotIn("odd", text)
        self.assertIn("  user nobody\n", text.partition("\ndefaults ")[0])
        binds = [line.split()[1] for line in text.split("\n") if line.lstrip().startswith("bind ")]
        self.assertTrue(binds and all(bind.startswith("unix@/") for bind in binds), binds)

    def test_restricted(self) -> None:
        """A controller that begins while a good text is refused keeps the servers of what runs up to date."""
        good = load_templates("/no", {"HAPROXY_BACKEND_EXTRA": EXTRA}).shared

        class Texts:
            def read(self) -> Mapping[str, Template]:
                return {"BACKEND_EXTRA": good["BACKEND_EXTRA"]}

            def write(self, templates: Mapping[str, Template]) -> None:
                pass

        runs = frozenset({("backend", "a_1"), ("frontend", "a_1_in"), ("backend", "b_2")})
        c = app("/c", ports=(Port(3),))
        made = planner(self.a, self.b, c, BACKEND_EXTRA=EXTRA, kept=Texts())
        wanted = made.plan(0)
        self.assertFalse(made.restrict(runs))
        self.assertFalse(made.blame(refused(wanted, "odd"), wanted, Clock(), running=True))
        self.assertFalse(made.restrict(frozenset()))
        self.assertTrue(made.restrict(runs))
        wanted = made.plan(0)
        served = [(each.backend, each.binds_port) for each in wanted.services]
        self.assertEqual(served, [("a_1", True), ("b_2", False)])
        self.assertIn(("/c", True), [(each.app_id, each.fatal) for each in wanted.problems])
        self.assertFalse(made.restrict(runs))  # that was refused, too
        self.assertEqual(len(made.plan(0).services), 3)
        made.restrict(runs)
        made.accepted(made.plan(0))
        self.assertEqual((made.restricted, len(made.plan(0).services)), (False, 3))


class RefusedTests(ReconcilerTestCase):
    """The reconciler, with a template of the operator's in each backend."""

    settings = Settings(
        ssl_certs=(), min_reload_interval=0, environment={"HAPROXY_BACKEND_EXTRA": "  guarded\n"}
    )

    def test_at_the_start(self) -> None:
        """What is refused at the start is closed, and opened without a hint once HAProxy takes it."""
        self.applier.refused.add("guarded")
        self.marathon.set(web("a"))
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(1)
        self.assertEqual((len(self.applier.applied), self.served()), (1, set()))
        self.assertEqual(self.reconciler.status.failures, 0)
        self.clock.pump([1] * 8)
        self.assertEqual(self.served(), set())
        self.applier.refused.discard("guarded")
        self.clock.pump([1] * 20)
        self.assertEqual(self.served(), {"a_10000"})
        self.assertEqual(self.reconciler.problems, ())

    def test_while_it_runs(self) -> None:
        """What is refused later keeps HAProxy as it runs, and is tried again; the failure names the template."""
        self.begin(web("a"))
        self.applier.refused.add("guarded")
        self.marathon.set(web("a"), web("b", 10001))
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(1)
        self.assertEqual(self.served(), {"a_10000"})
        self.assertIn("HAPROXY_BACKEND_EXTRA", self.reconciler.status.failure)
        self.assertTrue(self.reconciler.problems)
        self.applier.refused.discard("guarded")
        self.clock.pump([1] * 20)
        self.assertEqual(self.served(), {"a_10000", "b_10001"})
        self.assertEqual(self.reconciler.problems, ())
