"""The services as data, and their cached list."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from marathonlb.haproxy.runtime.stats import CACHE_SECONDS
from marathonlb.web.api.services import SLICE, Catalogue
from tests.reconciling import cluster, web
from tests.web.contexts import STAT, PagesTestCase

AUTH = {"HAPROXY_0_AUTH": "realm:joe:$1$salt$hash"}


class ServicesTests(PagesTestCase):
    """``/api/services``."""

    def test_list(self) -> None:
        """Each service is one row with HAProxy's own numbers, and one question to HAProxy serves many."""
        self.serve(web("shop", tasks=3), web("cart", 10001, HAPROXY_GROUP="a,b", HAPROXY_0_GROUP=""))
        self.serve(web("shop", tasks=3), web("cart", 10001))
        row = "shop_10000,BACKEND,4,100,7,1,10,20,UP,3,2,0,1,2,3,4,60,99,"
        self.haproxy.answers["show stat -1 2 -1"] = f"{STAT}\n{row}\n\n"
        self.haproxy.asked.clear()
        said = self.get("/api/services")
        cart, shop = said["services"]
        self.assertEqual((shop["app_id"], shop["state"], shop["server_count"]), ("/shop", "degraded", 3))
        self.assertEqual(shop["hosts"], ["shop.example.com"])
        self.assertEqual(shop["haproxy"]["sessions"], 4)
        self.assertEqual((shop["haproxy"]["errors"], shop["haproxy"]["retries"]), (3, 7))
        self.assertEqual(shop["haproxy"]["responses"], {"2xx": 99})
        self.assertEqual((cart["state"], cart["haproxy"]), ("unknown", None))
        self.get("/api/services")
        self.assertEqual(self.haproxy.asked, ["show stat -1 2 -1"])

    def test_silent(self) -> None:
        """Without HAProxy the services are told all the same, and why there are no numbers."""
        self.serve(web("shop", tasks=0), web("cart", 10001))
        said = self.get("/api/services")
        self.assertIn("nobody listens", said["problem"])
        self.assertEqual([each["state"] for each in said["services"]], ["unknown", "empty"])

    def test_one(self) -> None:
        """One service has its servers with HAProxy's and Marathon's word, its rules, its text and its problems."""
        self.serve(web("shop", tasks=2, HAPROXY_0_VHOSTS="x", **AUTH))
        server = "127_0_0_1_41000"
        self.haproxy.answers["show stat shop_10000 6 -1"] = (
            f"{STAT}\nshop_10000,{server},1,2,3,0,5,6,UP,1,1,0,0,0,0,0,9,2,127.0.0.1:41000\n"
            "shop_10000,gone,1,2,3,0,5,6,MAINT,1,1,0,0,0,0,0,,2,127.0.0.1:1\n"
            "shop_10000,BACKEND,1,2,3,0,5,6,UP,1,1,0,0,0,0,0,9,2,\n"
        )
        said = self.get("/api/services/shop_10000")
        by_name = {each["name"]: each for each in said["servers"]}
        self.assertEqual(by_name[server]["haproxy"]["status"], "UP")
        self.assertEqual(by_name["127_0_0_1_41001"]["haproxy"], None)
        self.assertEqual(list(said["unexpected"]), ["gone"])
        self.assertIsNone(said["unexpected"]["gone"]["changed_seconds"])
        self.assertEqual(said["rules"][0]["key"], "shop.example.com")
        self.assertEqual([each["label"] for each in said["problems"]], ["HAPROXY_0_VHOSTS"])
        self.assertEqual([each["kind"] for each in said["text"]], ["userlist", "frontend", "backend"])
        text = self.applier.texts()
        assert text is not None
        for each in said["text"]:
            lines = "\n".join(text.text.split("\n")[each["line"] - 1 :])
            self.assertTrue(lines.startswith(each["text"]), each)

    def test_secrets(self) -> None:
        """Outside --admin-allow the text of a service has no hash."""
        self.serve(web("shop", **AUTH))
        self.client = "10.0.0.1"
        for path in ("/api/services/shop_10000", "/api/configurations/running", "/api/explain?q=/shop"):
            self.assertNotIn("hash", self.ask("GET", path)[1], path)

    def test_unknown(self) -> None:
        """A service that is not there is 404; before Marathon's answer there is none to ask for."""
        self.get("/api/services", 503)
        self.serve(web("shop"))
        self.assertIn("nothing", self.get("/api/services/nothing", 404)["error"])


class CatalogueTests(PagesTestCase):
    """The list of services that all clients share."""

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
