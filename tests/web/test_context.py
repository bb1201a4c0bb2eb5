"""What pages derive from the controller's parts."""

from __future__ import annotations

from attrs import evolve
from twisted.internet.defer import Deferred

from marathonlb.errors import PublishFailed
from marathonlb.web.page import Refusal
from tests.reconciling import web
from tests.web.contexts import NOW, SETTINGS, PagesTestCase


class ContextTests(PagesTestCase):
    """`WebContext`."""

    def test_nothing_yet(self) -> None:
        """Before Marathon's first answer there is no configuration, which is a 503 and not a defect."""
        for question in (self.context.wanted, self.context.state, self.context.published):
            error = self.assertRaises(Refusal, question)
            self.assertEqual(error.status, 503)
        self.assertIsNone(self.context.staleness())

    def test_present(self) -> None:
        """After it the planned configuration and the texts of the running one are there."""
        self.serve(web("shop"))
        self.assertEqual([each.app_id for each in self.context.wanted().services], ["/shop"])
        self.assertIn("backend shop_10000", self.context.published().text)
        self.assertEqual((self.context.directory, self.context.now()), ("/etc/haproxy", NOW + 1))

    def test_unreadable(self) -> None:
        """Texts that cannot be read are a 503 with the reason."""

        def texts() -> None:
            raise PublishFailed(path="/etc/haproxy", reason="permission denied")

        self.applier.texts = texts  # type: ignore[method-assign]
        error = self.assertRaises(Refusal, self.context.published)
        self.assertEqual(error.status, 503)
        self.assertIn("permission denied", str(error))

    def test_staleness(self) -> None:
        """The staleness counts from the last full comparison, of one cluster and of all."""
        self.serve(web("shop"))
        self.clock.advance(9)
        self.assertEqual(self.context.staleness(), 10)
        self.assertEqual(self.context.staleness(self.context.clusters[0]), 10)

    def test_workers(self) -> None:
        """A HAProxy that does not answer has no workers."""
        self.serve(web("shop"))
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(self.context.workers())), (101,))
        self.applier.unavailable = True
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(self.context.workers())), ())

    def test_draining(self) -> None:
        """All workers but one drain; of a HAProxy that is not managed this is unknown."""
        self.assertEqual([self.context.draining(pids) for pids in ((), (1,), (1, 2, 3))], [0, 0, 2])
        self.make(evolve(SETTINGS, manage_haproxy=False))
        self.assertIsNone(self.context.draining((1, 2)))
