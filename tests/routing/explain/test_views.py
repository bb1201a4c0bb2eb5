"""Services and rules as explanations show them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.explain.views import current, seen
from tests.routing.explain.clusters import Cluster, shop


class ViewTests(SynchronousTestCase):
    """`seen` and `current`."""

    def test_service(self) -> None:
        """A service is shown with its bind, its rules in their order, and its servers."""
        state = Cluster([shop("web", "a.test,*.b.test", 10001)]).state()
        (service,) = state.services
        view = seen(service, state)
        self.assertEqual(("*:10001", "web_10001", ("/web",)), (view.bind, view.backend, view.apps))
        self.assertEqual(["a.test", ".b.test", "/web"], [rule.key for rule in view.rules])
        self.assertEqual(["unknown"], [server.health for server in view.servers])
        self.assertFalse(view.servers[0].drained)

    def test_remarks(self) -> None:
        """A redirect is a remark on http requests alone, and a password on https ones."""
        labels = {"0_REDIRECT_TO_HTTPS": "true", "0_AUTH": "r:u:$1$abcdefgh$abcdefghijklmnopqrstuv"}
        state = Cluster([shop("web", "a.test", 10001, labels=labels)]).state()
        (service,) = state.services
        self.assertIn("redirect to https", " ".join(seen(service, state, https=False).remarks))
        https = " ".join(seen(service, state, https=True).remarks)
        self.assertNotIn("redirect to https", https)
        self.assertIn("a user and a password", https)

    def test_current(self) -> None:
        """A rule's service is shown with the servers that it has now."""
        state = Cluster([shop("web", "a.test", 10001)]).state()
        older = Cluster([shop("web", "a.test", 10001, tasks=())]).state().services[0]
        self.assertEqual((), older.servers)
        self.assertEqual(1, len(current(older, state).servers))
