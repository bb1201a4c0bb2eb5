"""Counters that survive a reload."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config import counters
from tests.config.clusters import DEFAULTS, overriding, renderer, section
from tests.routing.apps import service


class SectionsTests(SynchronousTestCase):
    """The sections with tables."""

    def test_counters(self) -> None:
        """Where requests are counted the old worker hands its counters over, unless somebody's head may bar its way."""
        limited, free = service("one", 1, rate_limit=("5", "1s")), service("two", 2)
        rendered = renderer(state_dir="/run/lb").render([limited, free])
        self.assertIn(" unix@/run/lb/peers.sock mode 600\n", section(rendered, "marathon_lb").text)
        self.assertIn("store http_req_rate(1s) peers marathon_lb\n", section(rendered, "one_1").text)
        self.assertNotIn("peers", section(rendered, "two_2").text)
        asking = service("three", 3, hosts=("a.com",), auth=("r", "u", "$1$a$b"))
        rendered = renderer(state_dir="/run/lb").render([asking, free])
        self.assertIn(" unix@/run/lb/peers.sock mode 600\n", section(rendered, "marathon_lb").text)
        self.assertIn("gpc0_rate(10s) peers marathon_lb\n", section(rendered, "marathon_lb_auth").text)
        head = overriding(HEAD="global\n  chroot /var/empty\n")
        self.assertIn(
            "gpc0_rate(10s)\n", section(renderer(head).render([asking, free]), "marathon_lb_auth").text
        )
        for made in (
            renderer().render([free, service("tcp", 3, mode="tcp", rate_limit=("5", "1s"))]),
            renderer(overriding(HEAD="global\n  chroot /var/empty\n")).render([limited, free]),
        ):
            self.assertNotIn("peers", made.config.template)


class GuardedTests(SynchronousTestCase):
    """`guarded`."""

    def test_rules(self) -> None:
        """The backend's own frontends are exempt, and wrong passwords are counted before a hash is computed."""
        rules = counters.guarded("shop_1", "shop_1 shop_1_in", '"realm"').splitlines()
        self.assertTrue(all(rule.startswith("  http-request ") for rule in rules))
        self.assertIn("!{ fe_name -m str shop_1 shop_1_in }", rules[1])
        denial = next(place for place, rule in enumerate(rules) if "deny_status 429" in rule)
        password = next(place for place, rule in enumerate(rules) if "http_auth(user_shop_1)" in rule)
        self.assertLess(denial, password)
        self.assertIn('auth realm "realm"', rules[-1])
        self.assertNotIn("x-forwarded-for", "".join(rules))

    def test_trusted(self) -> None:
        """Only a trusted proxy names the client's address."""
        text = counters.guarded("shop_1", "shop_1", '"r"', ("10.0.0.0/8", "fd00::/8"))
        self.assertIn("req.hdr_ip(x-forwarded-for,-1),ipmask(32,64) if", text)
        self.assertIn("{ src 10.0.0.0/8 fd00::/8 }", text)

    def test_peers(self) -> None:
        """Tables are passed on with our HAPROXY_HEAD alone."""
        self.assertEqual(counters.peers(DEFAULTS), " peers marathon_lb")
        self.assertEqual(counters.peers(overriding(HEAD="global\n")), "")
