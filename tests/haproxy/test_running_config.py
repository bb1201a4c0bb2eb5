"""What HAProxy runs, and how that changes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.model import Config
from marathonlb.config.text.server_lines import parse
from marathonlb.haproxy.dynamic.backends import ReportedBackends
from marathonlb.haproxy.dynamic.capabilities import RuntimeCapabilities
from marathonlb.haproxy.dynamic.server_state import ReportedServer
from marathonlb.haproxy.dynamic.servers import READY
from marathonlb.haproxy.dynamic.update import (
    Trouble,
    UpdatePlan,
    UpdateResult,
    WorkerIdentity,
    WorkerObservation,
)
from marathonlb.haproxy.files.publish import Published
from marathonlb.haproxy.outcome import action_word, changes_of, explanation
from marathonlb.haproxy.reload_reason import (
    FIRST_START,
    NOT_RUNNING,
    UNCONFIRMED,
    UNKNOWN_STATE,
    WORKER_RESTARTED,
    ReasonKind,
    ReloadReason,
    sentence,
)
from marathonlb.haproxy.running_config import RunningConfig
from tests.haproxy.installation import InstallationCase, S, shops
from tests.haproxy.samples import backend, config, frontend


class PostponedTests(InstallationCase):
    """A reload that may not be now."""

    def test_postponed(self) -> None:
        """What takes a reload waits, and says why; what does not is done."""
        self.begin(S[1])
        wanted = config(
            frontend("new", "bind :1"), *shops(S[1], S[2]).sections[2:], backend("fresh", S[3]), a="fresh"
        )
        outcome = self.apply(wanted, may_reload=False)
        self.assertEqual(action_word(outcome), "postponed")
        self.assertEqual(
            explanation(outcome), "frontend new is new, backend fresh is new, map domain2backend.map differs"
        )
        self.assertEqual(dict(changes_of(outcome).counts), {"added": 1})
        self.assertIn("s2", self.worker.backends["shop"])
        self.assertTrue(self.installation.holds(shops(S[1], S[2])))
        self.assertEqual(self.reloads(), 1)
        again = self.apply(wanted, may_reload=False)
        self.assertEqual((action_word(again), dict(changes_of(again).counts)), ("postponed", {}))
        self.assertEqual(action_word(self.apply(wanted)), "reload")
        self.assertTrue(self.installation.serves(wanted))

    def test_changes_while_postponed(self) -> None:
        """While a reload is postponed each change costs what has changed; the reload does all that is left."""
        self.begin(S[1])
        shop, cart = shops(S[1]).sections[2:]
        wanted = config(shop, cart, backend("fresh", "balance roundrobin", S[3]), a="fresh")
        self.assertEqual(action_word(self.apply(wanted, may_reload=False)), "postponed")
        for place, section, counts in (
            (2, backend("shop", "balance roundrobin", S[1], S[2]), {"added": 1}),
            (4, backend("fresh", "balance roundrobin", S[3], S[4]), {}),
            (3, backend("cart", "balance source", S[9]), {}),
            (2, shop, {"removed": 1}),
            (3, cart, {}),
        ):
            wanted = wanted.replace({place: section})
            outcome = self.apply(wanted, may_reload=False)
            self.assertEqual((action_word(outcome), dict(changes_of(outcome).counts)), ("postponed", counts))
        self.assertEqual(explanation(outcome), "backend fresh is new, map domain2backend.map differs")
        outcome = self.apply(wanted)
        self.assertEqual(
            (action_word(outcome), explanation(outcome)),
            ("reload", "backend fresh is new, map domain2backend.map differs"),
        )
        self.assertTrue(self.installation.serves(wanted) and self.installation.holds(wanted))

    def test_distrusted(self) -> None:
        """A reload that was asked for is not forgotten when it is postponed."""
        self.begin(S[1])
        self.applier.distrust(ReloadReason(ReasonKind.REQUESTED, "SIGUSR1"))
        self.assertEqual(action_word(self.apply(shops(S[1]), may_reload=False)), "postponed")
        outcome = self.apply(shops(S[1]))
        self.assertEqual((action_word(outcome), explanation(outcome)), ("reload", "SIGUSR1"))
        self.assertEqual(action_word(self.apply(shops(S[1]))), "nothing")


DIRECTORY = "/etc/haproxy"
PID = 7


def files_of(wanted: Config) -> Published:
    return Published(wanted.parts(DIRECTORY), wanted.map_texts())


class TransitionTests(SynchronousTestCase):
    """What is known changes by transitions alone."""

    def setUp(self) -> None:
        self.running = RunningConfig(DIRECTORY)

    def plan(self, wanted: Config, *, is_serving: bool = True) -> UpdatePlan:
        return self.running.plan_for(wanted, is_serving=is_serving, as_of=None)

    def observed(self, wanted: Config) -> None:
        """Let a worker be known that holds what it has read."""
        servers = {
            section.name: {
                name: ReportedServer(line.address, line.port, line.weight, READY, "")
                for name, line in parse(section).servers.items()
            }
            for section in wanted.sections
            if section.kind == "backend"
        }
        identity = WorkerIdentity(PID, RuntimeCapabilities.of("2.8.1"))
        self.running.observed(WorkerObservation(identity, servers, {}, ReportedBackends()))

    def reloaded(self, wanted: Config) -> None:
        """Let a configuration be confirmed by a reload."""
        self.running.adopted(None, confirmed=False)
        plan = self.plan(wanted)
        self.running.publishing()
        after = self.running.reloaded(plan, None)
        self.running.met(WorkerIdentity(PID, RuntimeCapabilities.of("2.8.1")), after)
        self.running.worker.unsure.clear()

    def test_unknown(self) -> None:
        """At first nothing is known, and nothing can be foreseen."""
        self.assertIsNone(self.running.config)
        self.assertEqual(self.running.foresee(shops(S[1])), (UNKNOWN_STATE,))

    def test_first_start(self) -> None:
        """Where there is no file the reason is the first start, and the configuration is worth keeping."""
        self.running.adopted(None, confirmed=False)
        plan = self.plan(shops(S[1]))
        self.assertEqual((plan.reasons, plan.archive_reasons), ((FIRST_START,), (FIRST_START,)))

    def test_unconfirmed(self) -> None:
        """Files that HAProxy has not confirmed take a reload though they are what is wanted."""
        self.running.adopted(files_of(shops(S[1])), confirmed=False)
        self.assertEqual(self.plan(shops(S[1])).reasons, (UNCONFIRMED,))

    def test_not_running(self) -> None:
        """So does a HAProxy that does not run."""
        self.running.adopted(files_of(shops(S[1])), confirmed=True)
        self.assertEqual(self.plan(shops(S[1]), is_serving=False).reasons, (NOT_RUNNING,))

    def test_adopted_and_wanted(self) -> None:
        """Confirmed files that are what is wanted become what runs, and need not be written."""
        wanted = shops(S[1])
        self.running.adopted(files_of(wanted), confirmed=True)
        self.observed(wanted)
        self.assertIsNone(self.running.config)
        plan = self.plan(wanted)
        self.assertFalse(plan)
        self.assertEqual(self.running.stepped(plan, UpdateResult()), ())
        self.assertIs(self.running.config, wanted)
        self.assertIsNone(self.running.to_write)

    def test_adopted_white_space(self) -> None:
        """Files that differ in white space alone are written, and take a reload where the worker is not known."""
        wanted = shops(S[1])
        text = wanted.text(DIRECTORY).replace("\nbackend", "\n\nbackend", 1)
        self.running.adopted(Published(text, wanted.map_texts()), confirmed=True)
        self.assertTrue(sentence(self.plan(wanted).reasons).startswith("HAProxy was taken over: "))

    def test_stepped(self) -> None:
        """What an update has reached runs then, and the files have to follow until they are written."""
        self.reloaded(shops(S[1]))
        wanted = shops(S[1], S[2])
        plan = self.plan(wanted)
        self.running.begun(plan)
        self.assertEqual(self.running.worker.unsure, {"shop"})
        self.running.stepped(plan, UpdateResult(plan.steps, {"shop": ()}))
        self.assertEqual(self.running.worker.unsure, set())
        self.assertIs(self.running.config, wanted)
        self.assertIs(self.running.to_write, wanted)
        self.running.written(shops(S[1]))
        self.assertIs(self.running.to_write, wanted)
        self.running.written(wanted)
        self.assertIsNone(self.running.to_write)

    def test_broken_off(self) -> None:
        """An update of which no result is known leaves what ran, and its backends are read back next."""
        self.reloaded(before := shops(S[1]))
        self.running.begun(self.plan(shops(S[1], S[2])))
        self.assertIs(self.running.config, before)
        self.assertEqual(self.plan(shops(S[1], S[2])).unsure, ("shop",))

    def test_other_worker(self) -> None:
        """Another worker makes what runs unknown."""
        self.reloaded(shops(S[1]))
        plan = self.plan(shops(S[2]))
        self.running.begun(plan)
        result = UpdateResult(reasons=(WORKER_RESTARTED,), trouble=Trouble.OTHER_WORKER)
        self.assertEqual(self.running.stepped(plan, result), (WORKER_RESTARTED,))
        self.assertEqual(
            (self.running.config, self.running.text, self.running.worker.pid), (None, None, None)
        )

    def test_publishing(self) -> None:
        """From the change of the files to the confirmation nothing is written, and nothing is trusted."""
        self.reloaded(before := shops(S[1]))
        plan = self.plan(shops(S[2]))
        self.running.begun(plan)
        self.running.stepped(plan, UpdateResult(plan.steps, {"shop": ()}))
        self.running.publishing()
        self.assertEqual((self.running.to_write, self.running.confirmed), (None, False))
        self.assertEqual(self.plan(shops(S[2])).reasons, (UNCONFIRMED,))
        self.running.put_back()
        self.assertTrue(self.running.confirmed)
        self.assertIsNot(self.running.config, before)

    def test_requested(self) -> None:
        """A reload that was asked for is done once; one that is asked for meanwhile is kept."""
        self.reloaded(shops(S[1]))
        first, second = (ReloadReason(ReasonKind.REQUESTED, name) for name in ("SIGUSR1", "again"))
        self.running.request_reload(first)
        plan = self.plan(shops(S[1]))
        self.assertEqual(plan.reasons, (first,))
        self.running.request_reload(second)
        self.running.reloaded(plan, None)
        self.observed(shops(S[1]))
        plan = self.plan(shops(S[1]))
        self.assertEqual(plan.reasons, (second,))
        self.running.reloaded(plan, None)
        self.assertEqual(self.plan(shops(S[1])).reasons, ())

    def test_drained_over_a_reload(self) -> None:
        """The new worker has to drain what was drained after the state was asked for."""
        self.reloaded(shops(S[1], S[2]))
        self.assertEqual(self.running.drain([("shop", "s1")], 100.0), (("shop", "s1"),))
        after = self.running.reloaded(self.plan(shops(S[1], S[2], S[3])), 99.0)
        identity = WorkerIdentity(PID + 1, RuntimeCapabilities.of("2.8.1"))
        self.assertEqual(self.running.met(identity, after), (("shop", "s1"),))
        self.assertEqual(self.running.worker.unsure, {"shop"})
