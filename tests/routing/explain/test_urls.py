"""Which rule catches a URL, and where it leads."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.explain.model import render
from tests.routing.apps import task
from tests.routing.explain.clusters import SHOPS, Cluster, shop


class UrlTests(SynchronousTestCase):
    """URLs that a rule catches."""

    def test_map(self) -> None:
        """The entry that catches a URL is named, with the rules that it goes before and why."""
        said = Cluster(SHOPS).explain("http://Shop.example.com/cart/1?x=y")
        assert said.rule is not None
        self.assertEqual(("path2backend.map", "shop.example.com/cart"), (said.rule.map, said.rule.key))
        self.assertEqual(
            ("/shop/cart", 0, "shop_cart_10002"), (said.rule.app_id, said.rule.port_index, said.rule.backend)
        )
        self.assertEqual(
            [
                ("domain2backend.map", "/shop/web", "the longer path goes first"),
                ("wildcard2backend.map", "/all", "an exact name goes before a wildcard"),
            ],
            [(rule.map, rule.app_id, rule.order) for rule in said.beaten],
        )
        (service,) = said.services
        self.assertEqual(("http", "roundrobin", "*:10002"), (service.mode, service.balance, service.bind))
        (server,) = service.servers
        self.assertEqual(("10.0.0.2", 31000, "task.2"), (server.address, server.port, server.task_id))
        self.assertEqual(("unknown", False), (server.health, server.drained))
        self.assertTrue(said.served)

    def test_odd_hosts(self) -> None:
        """A dot at the end changes nothing; what HAProxy answers 400 is said to be answered 400."""
        for maps in (True, False):
            cluster = Cluster(SHOPS, haproxy_map=maps)
            plain, dotted = (
                cluster.explain(f"http://{host}/cart")
                for host in ("shop.example.com", "Shop.example.com.:80")
            )
            self.assertEqual(plain.rule, dotted.rule)
            self.assertEqual("/all", cluster.explain("http://a..example.com/").services[0].app_id)
            for host in ("shop.example.com,all.example.com", "shop.example.com\\x", "a<b.example.com"):
                said = cluster.explain(f"http://{host}/")
                self.assertEqual(
                    (False, "the Host header is refused: HAProxy answers 400"), (said.served, said.verdict)
                )

    def test_acl(self) -> None:
        """Without maps the ACL that catches it is named."""
        said = Cluster(SHOPS, haproxy_map=False).explain("http://shop.example.com/cart")
        assert said.rule is not None
        self.assertEqual(("", "shop.example.com with /cart"), (said.rule.map, said.rule.key))
        self.assertEqual(["/shop/web", "/all"], [rule.app_id for rule in said.beaten])
        self.assertIn("the ACL of shop.example.com with /cart catches it", said.verdict)

    def test_weight(self) -> None:
        """A rule that a weight puts first is explained by its weight."""
        heavy = shop("heavy", "*.example.com", 10005, "/cart", labels={"0_BACKEND_WEIGHT": "7"})
        said = Cluster([*SHOPS, heavy]).explain("http://shop.example.com/cart")
        assert said.rule is not None
        self.assertEqual("/heavy", said.rule.app_id)
        self.assertEqual("the larger weight goes first (7, not 1)", said.beaten[0].order)

    def test_loser(self) -> None:
        """Who wanted the same host and lost it to an older app is told."""
        said = Cluster(SHOPS).explain("http://shop.example.com/")
        (reason,) = said.reasons
        self.assertEqual("/late", reason.app_id)
        self.assertIn("/shop/web is older and keeps it", reason.words)

    def test_another_case(self) -> None:
        """Who lost a path that differs in case alone is told, where somebody serves it and where nobody does."""
        late = shop(
            "caseless", "shop.example.com", 10005, "-i /Cart", config_changed_at="2024-01-01T00:00:00.000Z"
        )
        cluster = Cluster([*SHOPS[1:2], late])
        for path, kind in (("/cart", "problem"), ("/CART", "problem"), ("/other", "path")):
            said = cluster.explain(f"http://shop.example.com{path}")
            self.assertEqual(path == "/cart", said.served)
            found = {reason.app_id: reason for reason in said.reasons}
            self.assertEqual(kind, found["/caseless"].kind, path)
            self.assertEqual(kind == "problem", "/shop/cart is older" in found["/caseless"].words, path)

    def test_own_text(self) -> None:
        """Where a label replaces the rule's text, it is named, since it may say something else."""
        own = shop("own", "own.example", 10006, labels={"0_HTTP_FRONTEND_ACL": "  use_backend {backend}\n"})
        said = Cluster([own]).explain("http://own.example/")
        assert said.rule is not None
        self.assertEqual("HAPROXY_0_HTTP_FRONTEND_ACL", said.rule.own)
        self.assertIn("may say something else", render(said))

    def test_remarks(self) -> None:
        """Redirect, password and networks are told, and the password's hash is not."""
        labels = {
            "0_REDIRECT_TO_HTTPS": "true",
            "0_AUTH": "realm:someone:$1$secret",
            "0_BACKEND_NETWORK_ALLOWED_ACL": "10.0.0.0/8",
        }
        cluster = Cluster([shop("x", "x.example", 10007, labels=labels)])
        plain = render(cluster.explain("http://x.example/"))
        self.assertIn("redirect to https", plain)
        self.assertIn("10.0.0.0/8", plain)
        secure = render(cluster.explain("https://x.example/"))
        self.assertNotIn("redirect", secure)
        self.assertIn("password", secure)
        for text in (plain, secure, msgspec.json.encode(cluster.explain("/x")).decode()):
            self.assertNotIn("secret", text)
            self.assertNotIn("someone", text)

    def test_ports(self) -> None:
        """A port in the URL picks the frontend; a service's own frontend does not look at the host."""
        cluster = Cluster(SHOPS, bind_http="*:8000", bind_https="*:8443")
        for url, caught in (
            ("http://shop.example.com/", True),
            ("http://shop.example.com:80/", True),
            ("http://shop.example.com:8000/", True),
            ("https://shop.example.com:8443/", True),
            ("http://shop.example.com:9091/", False),
            ("http://shop.example.com:10003/", False),
        ):
            self.assertEqual(caught, cluster.explain(url).rule is not None, url)
        said = cluster.explain("http://shop.example.com:10003/")
        self.assertEqual(["/all"], [service.app_id for service in said.services])
        self.assertIn("the host is not looked at", said.verdict)

    def test_closed(self) -> None:
        """Where a frontend is switched off, that is the reason."""
        for more, url, words in (
            ({"dont_bind_http_https": True}, "http://shop.example.com/", "--dont-bind-http-https"),
            ({"ssl_certs": ()}, "https://shop.example.com/", "--ssl-certs"),
        ):
            said = Cluster(SHOPS, **more).explain(url)
            self.assertFalse(said.served)
            self.assertEqual(["frontend"], [reason.kind for reason in said.reasons])
            self.assertIn(words, said.reasons[0].words)
        self.assertTrue(Cluster(SHOPS, ssl_certs=()).explain("http://shop.example.com/").served)

    def test_stale_rules(self) -> None:
        """After a change of tasks alone the servers are today's."""
        cluster = Cluster(SHOPS)
        cluster.state()
        cluster.apps["/all"] = shop("all", "*.example.com", 10003, tasks=(task(77),))
        cluster.planner.update(cluster.apps, ["/all"])
        said = cluster.explain("http://x.example.com/")
        self.assertEqual(["task.77"], [server.task_id for server in said.services[0].servers])
