"""The list of all services, made once for all who ask."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from marathonlb.haproxy.runtime.stats import CACHE_SECONDS
from marathonlb.web.api.services import SLICE, Catalogue
from tests.reconciling import cluster, web
from tests.web.contexts import STAT, PagesTestCase


class Shared(PagesTestCase):
    """What is asked twice is made once."""

    def ask_catalogue(self) -> Deferred[Any]:
        """All services, in the end."""
        return Deferred.fromCoroutine(self.catalogue.services())

    def setUp(self) -> None:
        super().setUp()
        self.catalogue = Catalogue(self.context)
        self.haproxy.answers["show stat -1 2 -1"] = f"{STAT}\n"

    def test_same(self) -> None:
        """While nothing changes, everybody is given the same list."""
        self.serve(web("shop"))
        first = self.successResultOf(self.ask_catalogue())
        self.assertIs(self.successResultOf(self.ask_catalogue()), first)

    def test_changed(self) -> None:
        """A change of an app, and newer numbers of HAProxy's, make it anew."""
        self.serve(web("shop"))
        first = self.successResultOf(self.ask_catalogue())
        self.serve(web("shop", tasks=2))
        second = self.successResultOf(self.ask_catalogue())
        self.assertEqual([s.server_count for s in (*first.services, *second.services)], [1, 2])
        self.clock.advance(CACHE_SECONDS)
        self.haproxy.answers["show stat -1 2 -1"] = (
            f"{STAT}\nshop_10000,BACKEND,4,0,0,0,0,0,UP,2,2,0,0,0,0,0,9,0,\n"
        )
        third = self.successResultOf(self.ask_catalogue())
        self.assertEqual((third.services[0].state, third.services[0].haproxy.sessions), ("up", 4))

    def test_silence(self) -> None:
        """A HAProxy that stops answering is said, though nothing else has changed."""
        self.serve(web("shop"))
        self.successResultOf(self.ask_catalogue())
        self.clock.advance(CACHE_SECONDS)
        self.haproxy.answers.clear()
        self.assertIn("nobody listens", self.successResultOf(self.ask_catalogue()).problem)

    def test_slices(self) -> None:
        """Many services are made a slice at a time, and whoever asks meanwhile waits for the same list."""
        self.serve(*cluster(2 * SLICE))
        first, second = self.ask_catalogue(), self.ask_catalogue()
        self.assertNoResult(first)
        self.clock.advance(0)
        found = self.successResultOf(first)
        self.assertEqual(len(found.services), 2 * SLICE)
        self.assertIs(self.successResultOf(second), found)

    def test_left(self) -> None:
        """One who leaves in the middle does not keep the next one waiting."""
        self.serve(*cluster(SLICE))
        first, second = self.ask_catalogue(), self.ask_catalogue()
        first.addErrback(lambda _: None)
        first.cancel()
        self.clock.advance(0)
        self.assertEqual(len(self.successResultOf(second).services), SLICE)
