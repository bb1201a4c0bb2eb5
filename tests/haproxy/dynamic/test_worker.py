"""The worker that takes new connections: known, and unknown."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from marathonlb.config.text.diff import differences
from marathonlb.config.text.model import Config
from marathonlb.haproxy.dynamic.capabilities import RuntimeCapabilities
from marathonlb.haproxy.dynamic.update import (
    Comparison,
    Deletions,
    UpdateResult,
    WorkerIdentity,
)
from marathonlb.haproxy.dynamic.worker import IWorker, KnownWorker, UnknownWorker
from marathonlb.haproxy.reload_reason import ReasonKind, ReloadReason, sentence
from tests.haproxy.installation import S, shops

IDENTITY = WorkerIdentity(7, RuntimeCapabilities.of("2.8.1"))
DEMANDED = (ReloadReason(ReasonKind.REQUESTED, "SIGUSR1"),)


def compared(running: Config, wanted: Config) -> Comparison:
    return Comparison(running, wanted, differences(running, wanted))


class UnknownWorkerTests(SynchronousTestCase):
    """A worker of which nothing is known."""

    def setUp(self) -> None:
        self.worker = UnknownWorker()
        self.running, self.wanted = shops(S[1]), shops(S[1], S[2])
        self.comparison = compared(self.running, self.wanted)

    def test_interface(self) -> None:
        """It provides the interface, has no process id, and nothing of it has to be read back."""
        self.assertTrue(verifyObject(IWorker, self.worker))
        self.assertEqual((self.worker.pid, self.worker.has_to_be_read), (None, False))

    def test_plan(self) -> None:
        """A reload does everything, for what differs or, where nothing does, for what was asked for."""
        plan = self.worker.plan(self.wanted, self.comparison, DEMANDED, None)
        self.assertFalse(plan)
        self.assertEqual(sentence(plan.reasons), "backend shop differs")
        same = compared(self.running, self.running)
        self.assertEqual(self.worker.plan(self.running, same, DEMANDED, None).reasons, DEMANDED)
        self.assertEqual(self.worker.plan(self.running, same, (), None).reasons, ())
        self.assertEqual(sentence(self.worker.foresee(self.wanted, self.comparison)), "backend shop differs")

    def test_no_servers(self) -> None:
        """It has no servers to drain or to delete, and takes note of nothing."""
        self.assertEqual(self.worker.drain(self.running, [("shop", "s1")], 1.0), [])
        self.worker.doubt(["shop"])
        self.worker.deleted(Deletions({("shop", "s1"): True}, ()))
        self.assertEqual((self.worker.drained_since(0.0), self.worker.deletable(9)), ({}, ((), ())))
        plan = self.worker.plan(self.wanted, self.comparison, (), None)
        self.worker.begun(plan)
        self.worker.updated(plan, UpdateResult(reasons=plan.reasons))
        self.assertFalse(self.worker.has_to_be_read)

    def test_place(self) -> None:
        """Places of backends are found without an index."""
        self.worker.index(self.running)
        self.assertEqual(self.running.sections[self.worker.place("cart", self.running) or 0].name, "cart")
        self.assertIsNone(self.worker.place("other", self.running))

    def test_read(self) -> None:
        """It becomes known by what it has read."""
        worker = self.worker.read(self.running, IDENTITY)
        self.assertEqual((worker.pid, worker.capabilities), (7, IDENTITY.capabilities))
        self.assertIs(self.worker.forgotten(), self.worker)


class KnownWorkerTests(SynchronousTestCase):
    """A worker of which it is known what it holds."""

    def setUp(self) -> None:
        self.running, self.wanted = shops(S[1]), shops(S[1], S[2])
        self.worker = KnownWorker(self.running, IDENTITY)
        self.comparison = compared(self.running, self.wanted)

    def test_interface(self) -> None:
        """It provides the interface."""
        self.assertTrue(verifyObject(IWorker, self.worker))

    def test_plan(self) -> None:
        """The runtime API does what it can, unless a reload was asked for."""
        plan = self.worker.plan(self.wanted, self.comparison, (), None)
        self.assertEqual((plan.steps.changes().counts, plan.reasons), ({"added": 1}, ()))
        self.assertEqual(self.worker.foresee(self.wanted, self.comparison), ())
        plan = self.worker.plan(self.wanted, self.comparison, DEMANDED, None)
        self.assertEqual((bool(plan), plan.reasons), (False, DEMANDED))

    def test_doubt(self) -> None:
        """What is in doubt is read back before anything else."""
        self.worker.doubt(["shop"])
        self.assertTrue(self.worker.has_to_be_read)
        self.assertEqual(self.worker.plan(self.wanted, self.comparison, (), None).unsure, ("shop",))

    def test_forgotten(self) -> None:
        """Where it is forgotten the capabilities stay, and the next worker holds nothing but what it has read."""
        self.worker.drain(shops(S[1], S[2]), [("cart", "s9")], 1.0)
        self.worker.doubt(["shop"])
        unknown = self.worker.forgotten()
        self.assertEqual((unknown.pid, unknown.capabilities), (None, IDENTITY.capabilities))
        known = unknown.read(self.wanted, IDENTITY)
        self.assertEqual((known.has_to_be_read, known.drained_since(0.0)), (False, {}))
        self.assertIs(known.parsed, self.worker.parsed)
