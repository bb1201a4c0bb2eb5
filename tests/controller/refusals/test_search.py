"""A failure that names no line: its cause is searched, and the others are served meanwhile."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from msgspec import structs
from twisted.internet.defer import Deferred

from marathonlb.config.text.model import Config, Owner
from marathonlb.controller.status import RED_AFTER
from marathonlb.errors import Complaint, HAProxyUnavailable, ReloadFailed
from marathonlb.haproxy.outcome import Reloaded, Stepped
from marathonlb.marathon.model import App, Port
from marathonlb.problem_kinds.running import SERVICE_FAILS
from marathonlb.routing.quarantine.suspects import MAX_RUNS, RETRY
from marathonlb.web.api.problems import view
from tests.fakes.haproxy import FakeApplier
from tests.reconciling import EVERYTHING, ReconcilerTestCase, cluster, evolve_host, web

HANG = "hang-it"


def spoiled(name: str, port: int, word: str = HANG, **more: str) -> App:
    """An app with a word in its backend that HAProxy does not take."""
    return web(name, port, **{"HAPROXY_0_BACKEND_HTTP_OPTIONS": f"  # {word}\n", **more})


def changed(name: str, port: int) -> App:
    """An app with another text than `web` gives it, and nothing wrong with it."""
    return spoiled(name, port, "another text")


class SearchTestCase(ReconcilerTestCase):
    """A cluster in which some changes make HAProxy fail without a word."""

    def change(self, *apps: App, seconds: int = 30) -> None:
        """Let the cluster be this one, and the search come to its end."""
        self.marathon.set(*apps)
        self.reconciler.poke(EVERYTHING)
        self.clock.pump([1] * seconds)

    def text(self) -> str:
        """What HAProxy runs."""
        return self.applier.running.template if self.applier.running else ""

    def reasons(self, app_id: str) -> list[str]:
        """The reasons of an app's problems."""
        return [problem.reason for problem in self.reconciler.problems if problem.app_id == app_id]

    def attempts(self, word: str = HANG) -> int:
        """How often HAProxy was given a text with a word in it."""
        return sum(word in config.template for config in self.applier.wanted)


class CauseTests(SearchTestCase):
    """The culprit alone pays, whether it makes a check or a reload fail."""

    def fails(self, *words: str) -> list[list[set[str]]]:
        """Both ways in which HAProxy may fail with texts that hold all these words."""
        return [[set(words)], []], [[], [set(words)]]  # type: ignore[return-value]

    def each(self, *words: str) -> Any:
        """A new controller for each way to fail."""
        for hangs, breaks in self.fails(*words):
            self.applier = FakeApplier()
            self.make(self.settings)
            yield lambda hangs=hangs, breaks=breaks: self.fail_from_now(hangs, breaks)

    def fail_from_now(self, hangs: list[set[str]], breaks: list[set[str]]) -> None:
        """Let HAProxy fail from now on."""
        self.applier.hangs, self.applier.breaks = hangs, breaks

    def test_one_of_ten(self) -> None:
        """Of ten that change one is to blame: it keeps its last good text, the nine are served as they are wanted."""
        for fail in self.each(HANG):
            self.begin(*cluster(10))
            fail()
            apps = [changed(f"app{n}", 10000 + n) for n in range(10)]
            apps[7] = spoiled("app7", 10007)
            self.change(*apps)
            self.assertEqual(self.text().count("# another text"), 9)
            self.assertEqual(len(self.served()), 10)
            self.assertNotIn(HANG, self.text())
            (problem,) = self.reconciler.problems
            self.assertEqual((problem.app_id, problem.port_index, problem.fatal), ("/app7", 0, False))
            self.assertIn("last good text stays in use", problem.reason)
            shown = view(problem, None)
            self.assertEqual(shown.kind, "quarantine")
            self.assertIn(
                shown.haproxy,
                ("haproxy -c did not end within 5 s", "reload failed: HAProxy answered Success=0"),
            )
            self.assertIsNone(self.reconciler.status.blocked)

    def test_new_app(self) -> None:
        """One that comes with it is left out, and says what happened; an app that changes later is not delayed."""
        for fail in self.each(HANG):
            self.begin(*cluster(3))
            fail()
            self.change(*cluster(3), spoiled("bad", 10009), seconds=5)
            self.assertEqual(len(self.served()), 3)
            self.assertIn("HAProxy fails with it: ", self.reasons("/bad")[0])
            before = self.attempts()
            self.change(changed("app0", 10000), *cluster(3)[1:], spoiled("bad", 10009), seconds=1)
            self.assertIn("# another text", self.text())
            self.assertEqual(self.attempts(), before)

    def test_two_culprits(self) -> None:
        """Two are found in one search."""
        for fail in self.each(HANG):
            self.begin(*cluster(10))
            fail()
            apps = [changed(f"app{n}", 10000 + n) for n in range(10)]
            apps[2], apps[3] = spoiled("app2", 10002), spoiled("app3", 10003)
            self.change(*apps)
            self.assertEqual(self.text().count("# another text"), 8)
            self.assertEqual({problem.app_id for problem in self.reconciler.problems}, {"/app2", "/app3"})

    def test_only_together(self) -> None:
        """Where two fail together only, the younger one pays."""
        for fail in self.each("one half", "other half"):
            self.begin(*cluster(6))
            fail()
            apps = [changed(f"app{n}", 10000 + n) for n in range(6)]
            apps[1], apps[4] = spoiled("app1", 10001, "other half"), spoiled("app4", 10004, "one half")
            apps[1] = structs.replace(apps[1], version="2026-02-01T00:00:00.000Z")
            self.change(*apps)
            self.assertEqual({problem.app_id for problem in self.reconciler.problems}, {"/app1"})
            self.assertIn("one half", self.text())

    def test_many_ports(self) -> None:
        """An app with many ports is one culprit: it costs as many attempts as one with a single port."""
        for fail in self.each("big_30100"):
            self.begin(*cluster(10))
            fail()
            apps: list[App] = [changed(f"app{n}", 10000 + n) for n in range(10)]
            big = web("big", 30000)
            big = App(
                big.id, big.labels, ports=tuple(Port(30000 + n) for n in range(200)), version=big.version
            )
            self.change(*apps, big)
            self.assertEqual(self.text().count("# another text"), 10)
            self.assertEqual(len(self.served()), 10)
            self.assertLess(self.attempts("big_30100"), 20)

    def test_one_port_of_few(self) -> None:
        """Of an app with few ports the one that is to blame is told."""
        for fail in self.each(HANG):
            self.begin(*cluster(2))
            fail()
            labels = {"HAPROXY_2_VHOST": "few.example.com", "HAPROXY_2_BACKEND_HTTP_OPTIONS": f"  # {HANG}\n"}
            few = App("/few", labels, ports=tuple(Port(30000 + n) for n in range(4)), version="2026")
            self.change(*cluster(2), few)
            self.assertEqual([problem.port_index for problem in self.reconciler.problems], [2])
            self.assertIn("few_30003", self.served())

    def test_tasks_meanwhile(self) -> None:
        """While the cause is searched tasks come and go, and what has changed since is tried in its turn."""
        for fail in self.each(HANG):
            self.begin(*cluster(8))
            fail()
            apps = [spoiled(f"app{n}", 10000 + n, HANG if n % 2 else "another text") for n in range(8)]
            self.marathon.set(*apps)
            self.reconciler.poke(EVERYTHING)
            self.assertTrue(self.reconciler._planner.suspects.searching)
            self.marathon.set(evolve_host(apps[0], "127.0.0.9"), *apps[1:], web("late", 11000))
            self.reconciler.poke(EVERYTHING)
            self.clock.pump([1] * 3)
            self.assertIn("127.0.0.9", self.text())
            self.assertIn("late_11000", self.served())
            self.clock.pump([1] * 40)
            self.assertEqual(self.text().count("# another text"), 4)

    def test_went_back(self) -> None:
        """The text before is served at once; another one is tried when its time has come."""
        for fail in self.each(HANG):
            self.begin(*cluster(3))
            fail()
            self.change(spoiled("app0", 10000), *cluster(3)[1:], seconds=5)
            self.assertEqual(len(self.reasons("/app0")), 1)
            self.change(*cluster(3), seconds=1)
            self.assertEqual(self.reconciler.problems, ())
            self.change(spoiled("app0", 10000, HANG + " again"), *cluster(3)[1:], seconds=5)
            self.change(changed("app0", 10000), *cluster(3)[1:], seconds=5)
            self.assertNotIn("# another text", self.text())
            self.clock.pump([1] * int(4 * RETRY))
            self.assertIn("# another text", self.text())
            self.assertEqual(self.reconciler.problems, ())

    def test_led_there_by_steps(self) -> None:
        """A text that HAProxy was led to while it ran was never read: it is suspected when the next reload fails."""
        self.begin(*cluster(4))
        self.applier.outcome = Stepped
        self.change(spoiled("app0", 10000), *cluster(4)[1:], seconds=1)
        self.assertIn(HANG, self.text())
        self.applier.outcome, self.applier.breaks = Reloaded, [{HANG}]
        self.change(spoiled("app0", 10000), changed("app1", 10001), *cluster(4)[2:], seconds=10)
        self.assertEqual({problem.app_id for problem in self.reconciler.problems}, {"/app0"})
        self.assertIn("# another text", self.text())


class BoundTests(SearchTestCase):
    """A search costs little, and one who makes many of them costs others little."""

    def test_verdict_is_remembered(self) -> None:
        """Events and resyncs cost no further attempt before the time that the verdict names."""
        self.begin(*cluster(3))
        self.applier.hangs = [{HANG}]
        self.change(spoiled("app0", 10000), *cluster(3)[1:], seconds=3)
        before = self.attempts()
        for _ in range(20):
            self.reconciler.poke(EVERYTHING)
            self.clock.advance(1)
        self.assertEqual(self.attempts(), before)

    def test_another_text_each_second(self) -> None:
        """An app that changes its text each second is tried ever more rarely, and the others' changes are served."""
        self.begin(*cluster(3))
        self.applier.hangs = [{HANG}]
        for second in range(1000):
            others = [spoiled(f"app{n}", 10000 + n, f"text of {second // 10}") for n in (1, 2)]
            self.marathon.set(spoiled("app0", 10000, f"{HANG} {second}"), *others)
            self.reconciler.poke(EVERYTHING)
            self.clock.advance(1)
        self.assertLess(self.attempts(), 12)
        self.assertEqual(self.text().count("# text of 99"), 2)

    def test_new_culprits_for_ever(self) -> None:
        """Apps that come with a new id each second do not keep others' changes away, nor have them blamed."""
        self.make(evolve(self.settings, min_reload_interval=2))
        self.begin(*cluster(8))
        self.applier.hangs = [{HANG}]
        for second in range(60):
            bad = [spoiled(f"bad{n}", 20000 + n) for n in range(second)]
            good = [(changed if second >= 5 * n else web)(f"app{n}", 10000 + n) for n in range(8)]
            self.marathon.set(*good, *bad)
            self.reconciler.poke(EVERYTHING)
            self.clock.advance(1)
            blamed = [p.app_id for p in self.reconciler.problems if p.kind is SERVICE_FAILS]
            self.assertEqual([], [app_id for app_id in blamed if "app" in app_id])
        self.assertEqual(self.text().count("# another text"), 8)
        self.assertEqual([], self.said("none of them is to blame"))

    def test_many_culprits(self) -> None:
        """A search ends after some attempts; who is left is held, and the next one goes on among these."""
        self.begin(*cluster(3))
        self.applier.hangs = [{HANG}]
        bad = [spoiled(f"bad{n}", 20000 + n) for n in range(100)]
        self.change(*cluster(3), *bad, web("good", 30000), seconds=20)
        self.assertLessEqual(self.attempts(), 2 * MAX_RUNS)
        self.assertIn("the search ended after", " ".join(str(p) for p in self.reconciler.problems))
        self.change(*cluster(2), changed("app2", 10002), *bad, web("good", 30000), seconds=2)
        self.assertIn("# another text", self.text())
        self.clock.pump([1] * 400)
        self.assertIn("good_30000", self.served())


class Worsening(FakeApplier):
    """Takes the first text that it is to check by itself, and no other one after that."""

    def check(self, config: Config, *, control: bool = False) -> Deferred[str]:
        if self.checked:
            self.hangs = [{"global"}]
        return super().check(config, control=control)


class NobodyTests(SearchTestCase):
    """Where no service is to blame none is condemned."""

    def test_the_machine(self) -> None:
        """A check that fails with whatever it is given is nobody's fault: red after some attempts, and green again."""
        for hangs, breaks in (([{"global"}], []), ([], [{"global"}])):
            self.applier = FakeApplier()
            self.make(self.settings)
            self.begin(*cluster(3))
            self.applier.hangs, self.applier.breaks = hangs, breaks
            self.change(changed("app0", 10000), *cluster(3)[1:], seconds=1)
            self.assertEqual(self.reconciler.problems, ())
            self.clock.pump([1] * 30)
            blocked = self.reconciler.status.blocked
            assert blocked is not None
            self.assertGreaterEqual(blocked.attempts, RED_AFTER)
            self.assertTrue(blocked.red)
            self.assertIn("none of them is to blame", blocked.reason)
            self.assertEqual(len(self.served()), 3)
            self.applier.hangs, self.applier.breaks = [], []
            self.clock.pump([1] * 300)
            self.assertIn("# another text", self.text())
            self.assertIsNone(self.reconciler.status.blocked)

    def test_during_the_search(self) -> None:
        """A machine that fails while somebody is on trial convicts nobody."""
        self.applier = Worsening()
        self.make(self.settings)
        self.begin(*cluster(4))
        self.applier.hangs = [{HANG}]
        self.change(*(spoiled(f"app{n}", 10000 + n) for n in range(4)))
        self.assertEqual(self.reconciler.problems, ())
        self.assertIn("none of them is to blame", self.reconciler.status.failure)
        self.applier.hangs = []
        self.clock.pump([1] * 300)
        self.assertEqual(self.text().count(f"# {HANG}"), 4)

    def test_a_passing_fault(self) -> None:
        """A fault that is gone when it is tried again costs nobody anything."""
        self.begin(*cluster(4))
        self.applier.fail_next(ReloadFailed(reason="killed"))
        self.change(*(changed(f"app{n}", 10000 + n) for n in range(4)), seconds=10)
        self.assertEqual((self.text().count("# another text"), self.reconciler.problems), (4, ()))

    def test_haproxy_is_away(self) -> None:
        """Where HAProxy cannot even be asked to take the rest, nobody is suspected any more."""
        self.begin(*cluster(4))
        self.applier.fail_next(ReloadFailed(reason="killed"), HAProxyUnavailable(reason="no answer"))
        self.change(changed("app0", 10000), *cluster(4)[1:], seconds=0)
        self.assertEqual(self.reconciler.problems, ())
        self.assertIn("killed", self.reconciler.status.failure)

    def test_only_a_deletion(self) -> None:
        """Where nothing has changed but an app that is gone, nobody is suspected."""
        self.begin(*cluster(4))
        self.applier.fail_next(ReloadFailed(reason="killed"))
        self.change(*cluster(3), seconds=0)
        self.assertEqual(self.reconciler.problems, ())
        self.assertIn("killed", self.reconciler.status.failure)

    def test_too_many_files(self) -> None:
        """HAProxy points to a line of HEAD where it may open too few files; it is the app that wants them."""
        head = {"HAPROXY_HEAD": "global\n  maxconn 500\n"}
        self.make(evolve(self.settings, environment=head))
        self.begin(*cluster(3))
        owner = Owner(template="HEAD", source="environment HAPROXY_HEAD")
        complaint = Complaint(message="Cannot raise FD limit to 10238, limit is 4096.", line=2, owner=owner)
        self.applier.broken = ReloadFailed(reason="no", complaints=(complaint,), refused=True)
        self.applier.breaks = [{"big_20000"}]
        self.change(web("big", 20000), *cluster(3), seconds=5)
        self.assertIn("HAProxy fails with it", self.reasons("/big")[0])
        self.assertIn("maxconn 500", self.text())


class ColdTests(SearchTestCase):
    """A controller that has only begun."""

    def test_nothing_runs(self) -> None:
        """Where nothing is served yet the search starts from nothing, and each half that passes is served at once."""
        for hangs, breaks in (([{HANG}], []), ([], [{HANG}])):
            self.applier = FakeApplier()
            self.make(self.settings)
            self.applier.hangs, self.applier.breaks = hangs, breaks
            self.change(*cluster(9), spoiled("bad", 20000))
            self.assertEqual(len(self.served()), 9)
            self.assertEqual({problem.app_id for problem in self.reconciler.problems}, {"/bad"})

    def test_nothing_is_taken_away(self) -> None:
        """What a HAProxy serves that was adopted is served while the cause is searched, and afterwards."""
        for hangs, breaks in (([{HANG}], []), ([], [{HANG}])):
            self.applier = FakeApplier()
            self.make(self.settings)
            self.begin(*cluster(9))
            self.make(self.settings)
            self.applier.hangs, self.applier.breaks = hangs, breaks
            before = len(self.applier.applied)
            self.change(*cluster(8), changed("app8", 10008), spoiled("bad", 20000))
            for config in self.applier.applied[before:]:
                self.assertEqual(sum(s.kind == "backend" for s in config), 9)
            self.assertIn("# another text", self.text())
            self.assertEqual({problem.app_id for problem in self.reconciler.problems}, {"/bad"})

    def test_once(self) -> None:
        """A run that ends when HAProxy runs what is wanted goes on until the cause is found."""
        self.applier.hangs = [{HANG}]
        self.reconciler.stopService()
        self.marathon.set(*cluster(9), spoiled("bad", 20000))
        running = Deferred.fromCoroutine(self.reconciler.once())
        self.clock.pump([1] * 30)
        self.successResultOf(running)
        self.assertEqual(len(self.served()), 9)
