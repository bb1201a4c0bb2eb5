"""What a policy allows."""

from __future__ import annotations

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.marathon.model import App, Networking, Port
from marathonlb.routing.offers import Offers
from marathonlb.routing.policy.prefixes import (
    FORBIDDEN,
    OPEN,
    Policy,
    address_allowed,
    host_allowed,
    network_allowed,
)
from marathonlb.settings import Settings
from tests.routing.apps import app, offered, task
from tests.routing.policy.policies import policy


class AppliedTests(SynchronousTestCase):
    """What becomes of an app under a policy."""

    def said(self, made: App, by: Policy | None = None) -> list[str]:
        """The policy's problems, each as label and value; none where the app's services are offered."""
        before = offered(made)
        after = (by or policy()).applied(made, before)
        new = [problem for problem in after.problems if problem not in before.problems]
        self.assertEqual(not new, after.services == before.services, new)
        self.assertTrue(all(problem.fatal and problem.reason.startswith(FORBIDDEN) for problem in new), new)
        return [f"{problem.label}={problem.value}" for problem in new]

    def test_hosts(self) -> None:
        """An app may have the hosts of its section, below its wildcards too, and no others."""
        for host, allowed in (
            ("shop.example.com", True),
            ("eu.shop.example.com", True),
            ("*.eu.shop.example.com", True),
            ("*.shop.example.com", True),
            ("*.example.com", False),
            ("example.com", False),
            ("evilshop.example.com", False),
            ("bank.example.com", False),
        ):
            said = self.said(app("/shop/web", {"0_VHOST": host}))
            self.assertEqual([] if allowed else [f"HAPROXY_0_VHOST={host}"], said, host)

    def test_one_host_of_several(self) -> None:
        """One host that is forbidden takes the service out and is the one that is named."""
        said = self.said(app("/shop", {"0_VHOST": "shop.example.com,bank.example.com"}))
        self.assertEqual(["HAPROXY_0_VHOST=bank.example.com"], said)

    def test_one_service_of_several(self) -> None:
        """A port that claims what it may not leaves the app's other ports alone."""
        ports = (Port(10000), Port(10001))
        made = app("/shop", {"0_VHOST": "bank.example.com"}, ports=ports, tasks=(task(ports=(1, 2)),))
        after = policy().applied(made, offered(made))
        self.assertEqual([1], [service.port_index for service in after.services])

    def test_prefix(self) -> None:
        """The longest prefix that ends at a slash wins; what it leaves open is taken from the defaults."""
        by = policy()
        for app_id, section in (
            ("/shop", 'apps."/shop"'),
            ("/shop/web/v2", 'apps."/shop"'),
            ("/shopping", "defaults"),
            ("/shop/internal", 'apps."/shop/internal/"'),
            ("/shop/internal/x", 'apps."/shop/internal/"'),
            ("/", "defaults"),
        ):
            self.assertEqual(section, by.grant(app_id).section, app_id)
        self.assertEqual(((10000, 10999), (8080, 8080)), by.grant("/shop/internal").ports)
        self.assertEqual((), by.grant("/shop/internal").deployment_groups)
        self.assertIsNone(by.grant("/platform").hosts)

    def test_root(self) -> None:
        """The prefix / covers every app."""
        by = policy('[apps."/"]\nhosts = []\n')
        self.assertEqual(["HAPROXY_0_VHOST=a.example"], self.said(app("/x/y", {"0_VHOST": "a.example"}), by))

    def test_templates(self) -> None:
        """Labels that hold text for HAProxy are allowed by name, by pattern, or not at all."""
        for label, allowed in (
            ("0_BACKEND_HTTP_OPTIONS", True),
            ("0_HTTP_BACKEND_REVPROXY_GLUE", True),
            ("0_BACKEND_HEAD", False),
            ("00_BACKEND_HEAD", True),  # which is no label
            ("0_BIND_OPTIONS", False),
        ):
            said = self.said(app("/shop", {label: "  # nothing" if "OPTIONS" not in label else "ssl"}))
            self.assertEqual([] if allowed else [f"HAPROXY_0_{label.partition('_')[2]}="], said, label)
        self.assertEqual([], self.said(app("/platform", {"0_BACKEND_HEAD": "x"})))

    def test_harmless_lines(self) -> None:
        """Instead of names, a section may allow every line that concerns the service alone; others decide anew."""
        text = '[defaults]\ntemplates = "lines"\n[apps."/none"]\ntemplates = []\n[apps."/any"]\ntemplates = ["*"]\n'
        by = policy(f'{text}[apps."/same"]\nhosts = []\n')
        fine, bad = "  timeout server 1h", "  http-request return status 200 file /etc/passwd"
        for app_id, line, allowed in (
            ("/x", fine, True),
            ("/x", bad, False),
            ("/same", fine, True),
            ("/same", bad, False),
            ("/none", fine, False),
            ("/any", bad, True),
        ):
            want = [] if allowed else ["HAPROXY_0_BACKEND_EXTRA="]
            self.assertEqual(want, self.said(app(app_id, {"0_BACKEND_EXTRA": line}), by), (app_id, line))
        made = app("/x", {"0_BACKEND_EXTRA": bad, "0_BIND_OPTIONS": "interface eth0"})
        reasons = [problem.reason for problem in by.applied(made, offered(made)).problems]
        self.assertEqual(
            [
                f"{FORBIDDEN}: defaults allows harmless lines alone: line 1: the action 'return' is not allowed",
                f"{FORBIDDEN}: defaults allows harmless lines alone: 'interface' is not among the words of a bind "
                "line that are allowed",
            ],
            reasons,
        )

    def test_path_that_has_a_template_s_name(self) -> None:
        """A path to redirect to is no text for HAProxy, though a template has the label's name."""
        by = policy("[defaults]\ntemplates = []")
        self.assertEqual([], self.said(app("/a", {"0_VHOST": "a.test", "0_HTTP_BACKEND_REDIR": "/home"}), by))
        text = "  http-request redirect location /home"
        said = self.said(app("/a", {"0_VHOST": "a.test", "0_HTTP_BACKEND_REDIR": text}), by)
        self.assertEqual(["HAPROXY_0_HTTP_BACKEND_REDIR="], said)

    def test_templates_of_another_port(self) -> None:
        """A template of a port that is not offered is nobody's claim."""
        self.assertEqual([], self.said(app("/shop", {"7_BACKEND_HEAD": "x"})))

    def test_ports(self) -> None:
        """A service port out of the ranges is forbidden, whoever chose it but this load balancer."""
        for port, allowed in ((10000, True), (10999, True), (11000, False), (8080, True), (8081, False)):
            want = [] if allowed else [f"HAPROXY_0_PORT={port}"]
            self.assertEqual(want, self.said(app("/shop", ports=(Port(port),))), port)
            self.assertEqual(want, self.said(app("/shop", {"0_PORT": str(port)})), port)

    def test_assigned_port(self) -> None:
        """A port that the load balancer assigned itself is no claim."""
        made = app(
            "/shop",
            ports=(Port(0, container_port=80, on_host=False),),
            networking=Networking.CONTAINER,
            tasks=(task(addresses=("10.9.0.1",)),),
        )
        before = offered(made, assigned={0: 20000})
        self.assertEqual(1, len(before.services))
        self.assertIs(before, policy().applied(made, before))

    def test_addresses(self) -> None:
        """A bind address must be among those allowed; every address at once takes whole networks."""
        allowed = (ip_network("10.1.0.0/16"), "lb1")
        for address, expected in (
            ("10.1.2.3", True),
            ("lb1", True),
            ("10.2.0.1", False),
            ("lb2", False),
            ("*", False),
            ("0.0.0.0", False),
            ("[::1]", False),
            ("[::ffff:10.1.2.3]", True),
        ):
            self.assertEqual(expected, address_allowed(address, allowed), address)
        everywhere = (ip_network("0.0.0.0/0"), ip_network("::/0"))
        for address in ("*", "0.0.0.0", "[::]", "10.1.2.3"):
            self.assertTrue(address_allowed(address, everywhere), address)
        self.assertFalse(address_allowed("0.0.0.0", (ip_network("0.0.0.0/8"),)))
        self.assertFalse(address_allowed("[::]", (ip_network("::/0"), ip_network("10.0.0.0/8"))))

    def test_networks(self) -> None:
        """Where clients are restricted, a service names some of them; without the label it lets everybody in."""
        for value, allowed in (
            ("10.1.0.0/16 fd00:1::/32", True),
            ("10.2.3.4", True),
            ("192.168.0.1 10.2.3.4", False),
        ):
            made = app("/shop/internal", {"0_BACKEND_NETWORK_ALLOWED_ACL": value, "0_BIND_ADDR": "10.1.0.1"})
            want = [] if allowed else ["HAPROXY_0_BACKEND_NETWORK_ALLOWED_ACL=192.168.0.1"]
            self.assertEqual(want, self.said(made), value)
        made = app("/shop/internal", {"0_BIND_ADDR": "10.1.0.1"})
        self.assertEqual(["HAPROXY_0_BACKEND_NETWORK_ALLOWED_ACL="], self.said(made))

    def test_deployment_groups(self) -> None:
        """An app joins no group of another team's."""
        self.assertEqual([], self.said(app("/shop", {"DEPLOYMENT_GROUP": "shop-web"})))
        said = self.said(app("/other", {"DEPLOYMENT_GROUP": "shop-web"}))
        self.assertEqual(["HAPROXY_DEPLOYMENT_GROUP=shop-web"], said)

    def test_words(self) -> None:
        """The owner reads which section allows what."""
        made = app("/shop", {"0_VHOST": "bank.example.com"})
        (problem,) = policy().applied(made, offered(made)).problems
        self.assertEqual(
            "MLB-802 /shop port 0: HAPROXY_0_VHOST='bank.example.com': the policy forbids it: "
            'apps."/shop" allows the hosts shop.example.com, *.shop.example.com alone',
            str(problem),
        )
        made = app("/x", {"0_VHOST": "bank.example.com"})
        (problem,) = policy().applied(made, offered(made)).problems
        self.assertIn("defaults allows no hosts", problem.reason)

    def test_without_a_policy(self) -> None:
        """Without a policy, and under an empty one, everything is allowed."""
        made = app("/x", {"0_VHOST": "bank.example.com", "0_BACKEND_HEAD": "x", "0_PORT": "22"})
        for by in (OPEN, policy(""), policy("[defaults]\n")):
            self.assertEqual([], self.said(made, by))

    def test_offers(self) -> None:
        """What the policy forbids is not offered, and is a problem of the cluster like any other."""
        offers = Offers(Settings(), PER_APP_NAMES, lambda host: host, policy())
        apps = {each.id: each for each in (app("/shop"), app("/evil", {"0_VHOST": "shop.example.com"}))}
        offers.update(apps, apps)
        self.assertEqual(["/shop"], [service.app_id for service in offers.services()])
        self.assertEqual(["/evil"], [problem.app_id for problem in offers.problems()])

    def test_predicates(self) -> None:
        """A wildcard covers no sibling, and a network no larger one."""
        self.assertFalse(host_allowed("*.com", ("*.example.com",)))
        self.assertFalse(host_allowed("anything.at.all", ()))
        self.assertFalse(network_allowed(ip_network("10.0.0.0/7"), (ip_network("10.0.0.0/8"),)))
        self.assertFalse(network_allowed(ip_network("::/0"), (ip_network("0.0.0.0/0"),)))

    def test_mapped_networks(self) -> None:
        """An IPv6 network that lets IPv4 clients in, as HAProxy compares them, claims these too."""
        four, six, private = (ip_network(each) for each in ("0.0.0.0/0", "::/0", "10.0.0.0/8"))
        mapped = ip_network("::ffff:0:0/96")
        for network, allowed, expected in (
            (six, (six,), False),
            (six, (four, six), True),
            (six, (private, six), False),
            (ip_network("::/80"), (six,), False),
            (mapped, (six,), False),
            (mapped, (four,), True),
            (ip_network("::ffff:10.1.0.0/112"), (private,), True),
            (ip_network("::ffff:11.1.0.0/112"), (private, six), False),
            (ip_network("fd00::/8"), (six,), True),
            (private, (mapped,), True),
        ):
            self.assertEqual(expected, network_allowed(network, allowed), (network, allowed))
