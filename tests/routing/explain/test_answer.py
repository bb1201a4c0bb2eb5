"""Which rule catches a request, who listens on a port, what becomes of an app, and why nothing does."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.render import Renderer
from marathonlb.config.templates.loader import load_templates
from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.config.text.model import Owner
from marathonlb.controller.planner import Planner
from marathonlb.errors import Complaint, InvalidConfiguration
from marathonlb.marathon.model import App, HealthCheck, Port
from marathonlb.routing.explain.answer import explain
from marathonlb.routing.explain.evidence import State
from marathonlb.routing.explain.model import Explanation, as_data, render
from marathonlb.routing.explain.question import AppQuestion, PortQuestion, UrlQuestion, question_of
from marathonlb.routing.offers import Offers
from marathonlb.routing.policy.file import policy_of
from marathonlb.routing.policy.prefixes import OPEN, Policy
from marathonlb.settings import Settings
from tests.routing.apps import app, task

TEMPLATES = load_templates("/nonexistent", {})
CHECK = HealthCheck("HTTP", port_index=0)


class Cluster:
    """Some apps, as the controller would see them."""

    def __init__(self, apps: Iterable[App], policy: Policy = OPEN, **settings: Any) -> None:
        self.settings = Settings(**settings)
        self.apps = {each.id: each for each in apps}
        resolve = {"nowhere": None}
        self.resolve = lambda host: resolve.get(host, host)
        offers = Offers(self.settings, PER_APP_NAMES, self.resolve, policy)
        self.planner = Planner(offers, Renderer(self.settings, TEMPLATES))
        self.planner.update(self.apps, self.apps)

    def state(self) -> State:
        return self.planner.state(self.planner.plan(0), self.apps, self.resolve)

    def refuse(self, app_id: str, label: str, words: str) -> None:
        """Let HAProxy refuse the label of an app's first port."""
        owner = Owner(app_id, 0, label.split("_", 2)[2], f"label {label}")
        error = InvalidConfiguration(complaints=(Complaint(message=words, line=1, owner=owner),))
        assert self.planner.blame(error, self.planner.plan(0), Clock())

    def explain(self, what: str) -> Explanation:
        return explain(question_of(what), self.state())


def shop(name: str, host: str, port: int, path: str = "", **more: Any) -> App:
    """An app with a virtual host, its own service port and an own agent."""
    labels = {"0_VHOST": host, **({"0_PATH": path} if path else {}), **more.pop("labels", {})}
    values = {"ports": (Port(port),), "tasks": (task(port % 250),), **more}
    return app(f"/{name}", labels, **values)


class QuestionTests(SynchronousTestCase):
    """What can be asked."""

    def test_understood(self) -> None:
        """A URL, an app id and a port are told apart by their looks."""
        for text, expected in (
            ("10100", PortQuestion(10100)),
            (":10100", PortQuestion(10100)),
            ("/shop/web", AppQuestion("/shop/web")),
            ("/shop/web/", AppQuestion("/shop/web")),
            ("/shop.v2", AppQuestion("/shop.v2")),
            ("web", AppQuestion("/web")),
            ("https://Shop.Example.com/Cart?x=1#y", UrlQuestion("https", "shop.example.com", None, "/Cart")),
            ("http://shop.example.com:8080", UrlQuestion("http", "shop.example.com", 8080, "/")),
            ("shop.example.com/cart", UrlQuestion("http", "shop.example.com", None, "/cart")),
            ("localhost:8080", UrlQuestion("http", "localhost", 8080, "/")),
            ("http://bücher.example/", UrlQuestion("http", "xn--bcher-kva.example", None, "/")),
            ("http://[::1]:80/x", UrlQuestion("http", "[::1]", 80, "/x")),
            ("http://Shop.example.com./a", UrlQuestion("http", "shop.example.com", None, "/a")),
            ("http://me:secret@shop.example.com/", UrlQuestion("http", "shop.example.com", None, "/")),
            ("http://a.test,b.test/", UrlQuestion("http", "a.test,b.test", None, "/")),
            ("http://a..test", UrlQuestion("http", "a..test", None, "/")),
            ("http://a.test/\u00fc%20", UrlQuestion("http", "a.test", None, "/%C3%BC%20")),
        ):
            self.assertEqual(expected, question_of(text), text)
            self.assertEqual(expected, question_of(str(expected).removeprefix("port ")))

    def test_refused(self) -> None:
        """Anything else is none of these."""
        for text in (
            "",
            " ",
            "0",
            "70000",
            "ftp://x/",
            "http://",
            "http:///x",
            "http://a b/",
            "http://*.x.com/",
        ):
            self.assertRaises(ValueError, question_of, text)
        for text in ("a b", "http://x:y/", "\n/x"):
            self.assertRaises(ValueError, question_of, text)


class UrlTests(SynchronousTestCase):
    """URLs that a rule catches."""

    APPS = (
        shop("shop/web", "shop.example.com", 10001),
        shop("shop/cart", "shop.example.com", 10002, "/cart"),
        shop("all", "*.example.com", 10003),
        shop("late", "shop.example.com", 10004, config_changed_at="2024-01-01T00:00:00.000Z"),
    )

    def test_map(self) -> None:
        """The entry that catches a URL is named, with the rules that it goes before and why."""
        said = Cluster(self.APPS).explain("http://Shop.example.com/cart/1?x=y")
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
            cluster = Cluster(self.APPS, haproxy_map=maps)
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
        said = Cluster(self.APPS, haproxy_map=False).explain("http://shop.example.com/cart")
        assert said.rule is not None
        self.assertEqual(("", "shop.example.com with /cart"), (said.rule.map, said.rule.key))
        self.assertEqual(["/shop/web", "/all"], [rule.app_id for rule in said.beaten])
        self.assertIn("the ACL of shop.example.com with /cart catches it", said.verdict)

    def test_weight(self) -> None:
        """A rule that a weight puts first is explained by its weight."""
        heavy = shop("heavy", "*.example.com", 10005, "/cart", labels={"0_BACKEND_WEIGHT": "7"})
        said = Cluster([*self.APPS, heavy]).explain("http://shop.example.com/cart")
        assert said.rule is not None
        self.assertEqual("/heavy", said.rule.app_id)
        self.assertEqual("the larger weight goes first (7, not 1)", said.beaten[0].order)

    def test_loser(self) -> None:
        """Who wanted the same host and lost it to an older app is told."""
        said = Cluster(self.APPS).explain("http://shop.example.com/")
        (reason,) = said.reasons
        self.assertEqual("/late", reason.app_id)
        self.assertIn("/shop/web is older and keeps it", reason.words)

    def test_another_case(self) -> None:
        """Who lost a path that differs in case alone is told, where somebody serves it and where nobody does."""
        late = shop(
            "caseless", "shop.example.com", 10005, "-i /Cart", config_changed_at="2024-01-01T00:00:00.000Z"
        )
        cluster = Cluster([*self.APPS[1:2], late])
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
        for text in (plain, secure, json.dumps(as_data(cluster.explain("/x")))):
            self.assertNotIn("secret", text)
            self.assertNotIn("someone", text)

    def test_ports(self) -> None:
        """A port in the URL picks the frontend; a service's own frontend does not look at the host."""
        cluster = Cluster(self.APPS, bind_http="*:8000", bind_https="*:8443")
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
            said = Cluster(self.APPS, **more).explain(url)
            self.assertFalse(said.served)
            self.assertEqual(["frontend"], [reason.kind for reason in said.reasons])
            self.assertIn(words, said.reasons[0].words)
        self.assertTrue(Cluster(self.APPS, ssl_certs=()).explain("http://shop.example.com/").served)

    def test_stale_rules(self) -> None:
        """After a change of tasks alone the servers are today's."""
        cluster = Cluster(self.APPS)
        cluster.state()
        cluster.apps["/all"] = shop("all", "*.example.com", 10003, tasks=(task(77),))
        cluster.planner.update(cluster.apps, ["/all"])
        said = cluster.explain("http://x.example.com/")
        self.assertEqual(["task.77"], [server.task_id for server in said.services[0].servers])


class WhyNotTests(SynchronousTestCase):
    """Why nothing serves a URL or an app; both are told the same."""

    def why(self, made: App, kind: str, words: str, cluster: Cluster | None = None, **settings: Any) -> None:
        cluster = cluster or Cluster([made], **settings)
        for what in ("http://x.example/", made.id):
            said = cluster.explain(what)
            self.assertFalse(said.served, what)
            self.assertIn(
                (kind, made.id), [(reason.kind, reason.app_id) for reason in said.reasons], render(said)
            )
            self.assertIn(words, render(said), what)

    def test_group(self) -> None:
        """An app of another group, or of none, is told whom this load balancer serves."""
        made = shop("x", "x.example", 10000, labels={"GROUP": "internal"})
        self.why(
            made, "selection", "of the group internal, and this load balancer serves apps without a group"
        )
        self.why(made, "selection", "serves the group external", groups=frozenset({"external"}))
        self.why(shop("x", "x.example", 10000), "selection", "has no group", groups=frozenset({"external"}))

    def test_disabled(self) -> None:
        """A port that is switched off is told by which word."""
        made = shop("x", "x.example", 10000, labels={"0_ENABLED": "false"})
        self.why(made, "selection", "HAPROXY_0_ENABLED is false")
        self.why(shop("x", "x.example", 10000), "selection", "--strict-mode", strict_mode=True)

    def test_label(self) -> None:
        """A label that is wrong is named with its value."""
        made = shop("x", "x.example", 10000, labels={"0_STICKY": "perhaps"})
        self.why(made, "problem", "HAPROXY_0_STICKY='perhaps': is neither true nor false")

    def test_no_service_port(self) -> None:
        """A port without a service port is told so."""
        none = {"min_serv_port_ip_per_task": 0, "max_serv_port_ip_per_task": 0}
        self.why(shop("x", "x.example", 0), "problem", "no service port", **none)

    def test_udp(self) -> None:
        """A udp port is told so."""
        made = shop("x", "x.example", 10000, ports=(Port(10000, protocol="udp"),))
        self.why(made, "problem", "HAProxy balances TCP")

    def test_mode(self) -> None:
        """A service in mode tcp is not looked up by host."""
        made = shop("x", "x.example", 10000, labels={"0_MODE": "tcp"})
        said = Cluster([made]).explain("http://x.example/")
        self.assertIn("mode tcp", render(said))
        self.assertEqual({"/x"}, {reason.app_id for reason in said.reasons})

    def test_no_tasks(self) -> None:
        """A service without a task is caught, and has no server."""
        made = shop("x", "x.example", 10000, tasks=(), instances=2)
        self.why(made, "tasks", "no task runs; 2 are wanted")
        said = Cluster([made]).explain("http://x.example/")
        self.assertIsNotNone(said.rule)
        self.assertIn("HAProxy answers 503", said.verdict)

    def test_tasks(self) -> None:
        """Each task that is no server is told why."""
        tasks = (
            task(1, alive=False),
            task(2),
            task(3, state="TASK_STAGING"),
            task(4, host=None),
            task(5, ready=False),
            task(6, host="nowhere", alive=True),
            task(7, ports=(), alive=True),
        )
        made = shop("x", "x.example", 10000, tasks=tasks, health_checks=(CHECK,))
        self.why(made, "tasks", "its health checks fail (--health-check)", health_check=True)
        (service,) = Cluster([made], health_check=True).explain("/x").services
        reasons = {task.task_id: task.reason for task in service.left_out}
        for number, words in (
            (1, "its health checks fail"),
            (2, "no health check has said that it is alive yet"),
            (3, "its state is TASK_STAGING"),
            (4, "no host yet"),
            (5, "readiness"),
            (6, "nowhere, cannot be resolved"),
            (7, "no address or no port"),
        ):
            self.assertIn(words, reasons[f"task.{number}"])
        served = Cluster([made]).explain("/x").services[0].servers
        self.assertEqual(
            {"task.1": "not alive", "task.2": "unknown"}, {each.task_id: each.health for each in served}
        )

    def test_quarantined(self) -> None:
        """What HAProxy refused is told in HAProxy's words."""
        made = shop("x", "x.example", 10000, labels={"0_BACKEND_HTTP_OPTIONS": "  nonsense\n"})
        cluster = Cluster([made])
        cluster.refuse(
            "/x", "HAPROXY_0_BACKEND_HTTP_OPTIONS", "unknown keyword 'nonsense' in 'backend' section"
        )
        words = (
            "HAPROXY_0_BACKEND_HTTP_OPTIONS: HAProxy says: unknown keyword 'nonsense' in 'backend' section"
        )
        self.why(made, "quarantine", words, cluster)
        said = cluster.explain("10000")
        self.assertEqual(["quarantine"], [reason.kind for reason in said.reasons])

    def test_policy(self) -> None:
        """What the policy forbids is told with the policy's section."""
        made = shop("x", "x.example", 10000)
        by = policy_of('[apps."/x"]\nhosts = ["y.example"]\n', PER_APP_NAMES)
        self.why(made, "policy", 'apps."/x" allows the hosts y.example alone', Cluster([made], by))

    def test_path(self) -> None:
        """A host that is served below another path is told which."""
        made = shop("x", "x.example", 10000, "/api /v2")
        said = Cluster([made]).explain("http://x.example/")
        self.assertEqual(["path"], [reason.kind for reason in said.reasons])
        self.assertIn("it serves /api, /v2 of this host alone", said.reasons[0].words)

    def test_nobody(self) -> None:
        """A host that nobody claims brings up the nearest ones, whether they are served or not."""
        other = shop("off", "shop2.example.com", 10001, labels={"0_ENABLED": "no"})
        said = Cluster([shop("x", "shop.example.com", 10000), other]).explain("http://shpo.example.com/")
        self.assertEqual({"shop.example.com", "shop2.example.com"}, set(said.near))
        self.assertIn("no service claims the host shpo.example.com", said.verdict)

    def test_own_app(self) -> None:
        """The load balancer's own app is never served."""
        made = shop("x", "x.example", 10000)
        self.why(made, "own", "the load balancer itself", own_app_ids=frozenset({"/x"}))

    def test_switched_off(self) -> None:
        """An empty backend template switches a service off, and that is said."""
        made = shop("x", "x.example", 10000, labels={"0_BACKEND_HEAD": ""})
        self.why(made, "template", "HAPROXY_0_BACKEND_HEAD")


class AppTests(SynchronousTestCase):
    """Apps."""

    def test_rules(self) -> None:
        """An app's services come with the rules that lead to them."""
        said = Cluster([shop("x", "x.example,*.y.example", 10000, "/a")]).explain("/x")
        self.assertEqual(
            {("path2backend.map", "x.example/a"), ("", "*.y.example with /a"), ("app2backend.map", "/x")},
            {(rule.map, rule.key) for rule in said.services[0].rules},
        )
        self.assertEqual("its port is served", said.verdict)

    def test_some_ports(self) -> None:
        """Of several ports each is told by itself."""
        ports = (Port(10000), Port(10001), Port(10002))
        made = app("/x", {"1_ENABLED": "no"}, ports=ports, tasks=(task(ports=(1, 2, 3)),))
        said = Cluster([made]).explain("/x")
        self.assertEqual([0, 2], [service.port_index for service in said.services])
        self.assertEqual([("selection", 1)], [(reason.kind, reason.port_index) for reason in said.reasons])
        self.assertTrue(said.served)

    def test_unknown(self) -> None:
        """An app that Marathon does not run brings up its kin."""
        said = Cluster([app("/shop/web"), app("/bank/web"), app("/shop/web2")]).explain("/web")
        self.assertEqual(["marathon"], [reason.kind for reason in said.reasons])
        self.assertEqual({"/shop/web", "/bank/web"}, set(said.near[:2]))
        self.assertEqual(
            ("/shop/web", "/shop/web2"),
            Cluster([app("/shop/web"), app("/shop/web2")]).explain("/shop").near[:2],
        )

    def test_deployment_group(self) -> None:
        """The two apps of a deployment group lead to the one service that they share, drained servers marked."""
        labels = {"DEPLOYMENT_GROUP": "shop"}
        made = [
            shop(
                name,
                "x.example",
                port,
                labels=labels,
                tasks=(task(port - 9999),),
                instances=1,
                config_changed_at=date,
            )
            for name, port, date in (("blue", 10000, "2020"), ("green", 10001, "2021"))
        ]
        cluster = Cluster(made)
        for what in ("/blue", "/green", "/shop", "http://x.example/", "10000"):
            (service,) = cluster.explain(what).services
            self.assertEqual(("/blue", "/green"), service.apps, what)
            self.assertEqual(
                {"task.1": True, "task.2": False}, {each.task_id: each.drained for each in service.servers}
            )
            self.assertEqual((), service.left_out)
        self.assertIn("port 0, which is /blue and /green:", render(cluster.explain("/blue")))
        self.assertIn("drained", render(cluster.explain("/blue")))


class PortTests(SynchronousTestCase):
    """Ports."""

    def test_bound(self) -> None:
        """A service port leads to its service."""
        said = Cluster([shop("x", "x.example", 10000)]).explain(":10000")
        self.assertEqual(("/x", "x_10000"), (said.services[0].app_id, said.services[0].backend))
        self.assertIn("the frontend x_10000_in listens there for /x port 0", said.verdict)

    def test_lost(self) -> None:
        """Who lost the port to an older app is told beside the one that has it."""
        late = app("/late", ports=(Port(10000),), config_changed_at="2024")
        said = Cluster([app("/early"), late]).explain("10000")
        self.assertEqual(["/early"], [service.app_id for service in said.services])
        self.assertEqual(["/late"], [reason.app_id for reason in said.reasons])
        self.assertIn("/early is older and keeps it", said.reasons[0].words)

    def test_own(self) -> None:
        """The load balancer's own ports are told as such, with who would have liked them."""
        said = Cluster([app("/x", ports=(Port(9090),))]).explain("9090")
        self.assertIn("--bind-stats", said.verdict)
        self.assertEqual(["/x"], [reason.app_id for reason in said.reasons])

    def test_not_served(self) -> None:
        """A port of a service that is not served brings up the reason."""
        said = Cluster(
            [
                app("/x", {"0_ENABLED": "no"}),
                app("/y", {"0_PORT": "10000", "0_STICKY": "?"}, ports=(Port(1),)),
            ]
        )
        reasons = {(reason.kind, reason.app_id) for reason in said.explain("10000").reasons}
        self.assertEqual({("selection", "/x"), ("problem", "/y")}, reasons)

    def test_nobody(self) -> None:
        """A port that nobody wants brings up the nearest ones."""
        cluster = Cluster([shop("x", "x.example", 10000), shop("y", "y.example", 10009)])
        self.assertEqual(("10009", "10000"), cluster.explain("10007").near)


class ShapeTests(SynchronousTestCase):
    """The answer as data and as text."""

    def test_data(self) -> None:
        """Every answer is plain data, which JSON takes as it is."""
        cluster = Cluster(UrlTests.APPS)
        for what in ("http://shop.example.com/cart", "http://nobody/", "/shop/web", "/none", "10001", "9090"):
            data = as_data(cluster.explain(what))
            self.assertEqual(data, json.loads(json.dumps(data)), what)

    def test_text(self) -> None:
        """People read the verdict first, then what it rests on."""
        said = render(Cluster(UrlTests.APPS).explain("shop.example.com/cart"))
        self.assertEqual(
            """\
http://shop.example.com/cart: the entry shop.example.com/cart of path2backend.map catches it and leads to \
/shop/cart port 0
  rule    path2backend.map: shop.example.com/cart → shop_cart_10002 (/shop/cart port 0)
  before  domain2backend.map: shop.example.com → shop_web_10001 (/shop/web port 0): the longer path goes first
  before  wildcard2backend.map: .example.com → all_10003 (/all port 0): an exact name goes before a wildcard
  service /shop/cart port 0: listens on *:10002
  backend shop_cart_10002, mode http, balance roundrobin
  server  10_0_0_2_31000 at 10.0.0.2:31000, unknown
""",
            said,
        )
