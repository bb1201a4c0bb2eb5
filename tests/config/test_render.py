"""From services to text: order, memory, mistakes, and two files that a person can read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.render import Renderer
from marathonlb.config.rendered import Rendered
from marathonlb.config.templates.loader import Templates, load_templates
from marathonlb.config.templates.template import classic
from marathonlb.config.text.model import Section
from marathonlb.errors import TemplateError
from marathonlb.marathon.model import App, HealthCheck, Networking, Port
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.routing.apps import app, offered, service, task

GOLDEN = Path(__file__).parent / "golden"
DEFAULTS = load_templates("/nowhere", {})


def overriding(**texts: str) -> Templates:
    """The defaults, but for these texts of the operator's."""
    mine = {name: classic(name, text, f"environment HAPROXY_{name}") for name, text in texts.items()}
    return Templates({**DEFAULTS.shared, **mine}, DEFAULTS.defaults)


def renderer(templates: Templates = DEFAULTS, **options: Any) -> Renderer:
    """A renderer under these settings."""
    return Renderer(Settings(**{"ssl_certs": (), **options}), templates)


def services(*apps: App) -> list[Service]:
    """What apps offer."""
    return [each for made in apps for each in offered(made).services]


def section(rendered: Rendered, name: str) -> Section:
    """The section of this name."""
    (found,) = (each for each in rendered.config if each.name == name)
    return found


CLUSTER = (
    app(
        "/shop/web",
        {"0_VHOST": "shop.example.com,*.shop.example.com", "0_STICKY": "true", "0_USE_HSTS": "true"},
        tasks=(task(2), task(1), task(3, host="agent3.example.com")),
        health_checks=(HealthCheck(path="/up", interval_seconds=10, timeout_seconds=5),),
    ),
    app(
        "/shop/cart",
        {"0_VHOST": "shop.example.com", "0_PATH": "/cart /basket", "0_AUTH": 'The "cart":joe:$1$salt$hash'},
        ports=(Port(10001),),
    ),
    app("/secure", {"0_VHOST": "secure.example.com", "0_REDIRECT_TO_HTTPS": "true"}, ports=(Port(10002),)),
    app(
        "/echo",
        {"0_BACKEND_NETWORK_ALLOWED_ACL": "10.0.0.0/8", "0_BALANCE": "leastconn", "0_BIND_ADDR": "::1"},
        networking=Networking.CONTAINER,
        ports=(Port(10100, container_port=7, on_host=False),),
        tasks=(task(addresses=("fd00::7",)),),
    ),
    app(
        "/old",
        {
            "0_VHOST": "old.example.com",
            "0_BACKEND_WEIGHT": "7",
            "0_PATH": "-i /Old",
            "0_BACKEND_HEAD": "\nbackend {backend}\n  balance {balance}\n  mode {mode}\n  timeout server 1h",
            "0_HTTP_BACKEND_PROXYPASS_PATH": "/old",
            "0_HTTP_BACKEND_REVPROXY_PATH": "/old",
            "0_HTTP_BACKEND_REDIR": "/old/index.html",
            "1_PORT": "10008",
        },
        ports=(Port(10003), Port(10004)),
        tasks=(task(ports=(31005, 31006)),),
    ),
)


class GoldenTests(SynchronousTestCase):
    """Whole files. After a change that is meant: ``REGENERATE=1 trial tests.config.test_render``, and read the diff."""

    def check(self, name: str, more: tuple[App, ...] = (), **options: Any) -> None:
        rendered = renderer(
            **{"ssl_certs": ("/etc/ssl/site.pem",), "state_dir": "/run/mlb", **options}
        ).render(services(*CLUSTER, *more))
        self.assertEqual(rendered.problems, ())
        text = rendered.config.text("/etc/haproxy")
        for map_name, entries in rendered.config.map_texts().items():
            text += f"\n# ---- {map_name}\n{entries}"
        path = GOLDEN / name
        if os.environ.get("REGENERATE"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.assertEqual(text.splitlines(), path.read_text(encoding="utf-8").splitlines())

    def test_maps(self) -> None:
        """A small cluster, its hosts in map files."""
        self.check("maps.cfg")

    def test_acls(self) -> None:
        """The same cluster without map files."""
        self.check("acls.cfg", haproxy_map=False, ssl_certs=("/etc/ssl/a.pem", "/etc/ssl/b.pem"))

    def test_groups(self) -> None:
        """The same cluster with TLS per virtual host, and a host whose TLS is passed through."""
        own = {"0_VHOST": "own.example.com", "0_SSL_CERT": "/etc/ssl/own.pem", "0_BIND_ADDR": "127.0.0.1"}
        more = (
            app(
                "/own",
                {**own, "0_BIND_OPTIONS": "ca-file /etc/ssl/ca.pem verify required"},
                ports=(Port(10200),),
            ),
            app("/pass", {"0_VHOST": "*.example.com", "0_TLS_PASSTHROUGH": "true"}, ports=(Port(10201),)),
            app(
                "/inner",
                {"0_VHOST": "inner.example.com", "0_BACKEND_SSL": "/etc/ssl/ca.pem", "0_BACKEND_PROTO": "h2"},
                ports=(Port(10202),),
                health_checks=(HealthCheck("HTTPS", path="/up"),),
            ),
        )
        self.check("groups.cfg", more, group_https_by_vhost=True)


class OrderTests(SynchronousTestCase):
    """The same services, the same bytes."""

    @hypothesis_settings(max_examples=30, deadline=None)
    @given(st.permutations(services(*CLUSTER)), st.booleans())
    def test_any_order(self, some: list[Service], maps: bool) -> None:
        """The order in which services come changes nothing in the text, the maps or the problems."""
        ordered = services(*CLUSTER)
        rival = evolve(ordered[0], app_id="/rival", backend="rival_10000")
        first = renderer(haproxy_map=maps).render([*ordered, rival])
        again = renderer(haproxy_map=maps).render([rival, *some])
        self.assertEqual(again.config.template, first.config.template)
        self.assertEqual(again.config.map_texts(), first.config.map_texts())
        self.assertEqual(again.problems, first.problems)
        self.assertTrue(first.problems)


class CacheTests(SynchronousTestCase):
    """A change of one app renders one app."""

    def test_unchanged(self) -> None:
        """The section of a service that is as it was is the same object; that of another one is not."""
        mine, cluster = renderer(), services(*CLUSTER)
        before = mine.render(cluster)
        changed = [evolve(each, servers=()) if each.app_id == "/shop/web" else each for each in cluster]
        after = mine.render(changed)
        for each in cluster:
            same = section(before, each.backend) is section(after, each.backend)
            self.assertEqual(same, each.app_id != "/shop/web", each.backend)

    def test_equal_services(self) -> None:
        """Services that were made anew but are equal cost nothing either."""
        mine = renderer()
        before, after = mine.render(services(*CLUSTER)), mine.render(services(*CLUSTER))
        self.assertIs(section(before, "secure_10002"), section(after, "secure_10002"))

    def test_servers_alone(self) -> None:
        """A change of tasks alone gives the text that rendering everything gives."""
        mine, cluster = renderer(), services(*CLUSTER)
        before = mine.render(cluster)
        moved = evolve(cluster[0], servers=cluster[0].servers[1:])
        quick = mine.render_servers(before, [(cluster[0], moved)])
        assert quick is not None
        whole = renderer().render([moved, *cluster[1:]])
        self.assertEqual(quick.config.template, whole.config.template)
        self.assertEqual(quick.services, whole.services)


class MistakeTests(SynchronousTestCase):
    """What is wrong costs one service, or says so at once."""

    def test_label(self) -> None:
        """An unknown variable in an app's label costs that service alone, whichever template it is."""
        good = service("good", 1, hosts=("a.com",))
        for name in (
            "BACKEND_HEAD",
            "BACKEND_SERVER_OPTIONS",
            "HTTP_FRONTEND_ACL",
            "HTTP_FRONTEND_APPID_ACL",
        ):
            bad = service("bad", 2, hosts=("b.com",), servers=good.servers, overrides={name: "x {nope}\n"})
            if name == "BACKEND_SERVER_OPTIONS":
                bad = evolve(bad, servers=services(app())[0].servers)
            rendered = renderer().render([bad, good])
            (problem,) = rendered.problems
            self.assertEqual((problem.app_id, problem.label), ("/bad", f"HAPROXY_0_{name}"))
            self.assertIn("{nope}", problem.reason)
            self.assertNotIn("nope", rendered.config.template)
            self.assertIn("backend good_1", rendered.config.template)

    def test_shared(self) -> None:
        """An operator's template with an unknown variable keeps out whoever uses it; one of nobody's is an error."""
        for name in ("HEAD", "HTTPS_FRONTEND_HEAD", "MAP_HTTP_FRONTEND_ACL"):
            directory = Path(self.mktemp())
            directory.mkdir()
            (directory / f"HAPROXY_{name}.j2").write_text("x {{ nope }}\n")
            mine = Renderer(Settings(ssl_certs=("/x",)), load_templates(str(directory), {}))
            error = self.assertRaises(TemplateError, mine.render, services(*CLUSTER))
            self.assertEqual((error.template, "nope" in error.reason), (name, True))
        for name in ("BACKEND_HEAD", "HTTP_FRONTEND_ACL", "HTTP_FRONTEND_APPID_ACL"):
            mine = renderer(overriding(**{name: "x {nope}\n"}), ssl_certs=("/x",))
            rendered = mine.render(services(*CLUSTER))
            out = {(problem.app_id, problem.port_index) for problem in rendered.problems}
            self.assertTrue(out, name)
            self.assertEqual({problem.label for problem in rendered.problems}, {f"HAPROXY_{name}"})
            self.assertEqual(list(rendered.wrong), [name])
            served = {service.key for service in rendered.services}
            self.assertEqual(out, {service.key for service in services(*CLUSTER)} - served, name)
            backends = {service.backend for service in services(*CLUSTER) if service.key in out}
            words = set(rendered.config.template.split())
            self.assertTrue(backends.isdisjoint(words), name)  # nothing leads there, either

    def test_owners(self) -> None:
        """Every line of a service's own knows it, its template and where that came from."""
        rendered = renderer().render(services(*CLUSTER))
        lines = rendered.config.template.split("\n")
        place = rendered.config.locate(lines.index("  timeout server 1h") + 1)
        assert place is not None
        owner = place[1].owner
        self.assertEqual((owner.app_id, owner.port_index, owner.template), ("/old", 0, "BACKEND_HEAD"))
        self.assertEqual(owner.source, "label HAPROXY_0_BACKEND_HEAD")


class SwitchTests(SynchronousTestCase):
    """Empty templates and other ways to say less."""

    def test_empty(self) -> None:
        """An empty template switches its part off: of one service by a label, of all by the operator."""
        one = service("one", 1, hosts=("a.com",), use_hsts=True, overrides={"BACKEND_HSTS_OPTIONS": ""})
        two = service("two", 2, hosts=("b.com",), use_hsts=True)
        rendered = renderer().render([one, two])
        self.assertNotIn("Strict", section(rendered, "one_1").text)
        self.assertIn("Strict", section(rendered, "two_2").text)
        rendered = renderer(overriding(BACKEND_HSTS_OPTIONS="", HTTP_FRONTEND_APPID_HEAD="\n")).render(
            [one, two]
        )
        self.assertNotIn("Strict", rendered.config.template)
        self.assertNotIn("appid", rendered.config.template)

    def test_frontend(self) -> None:
        """Without a frontend's head there is no frontend, and its service is reached by its hosts."""
        rendered = renderer().render([service("one", 1, hosts=("a.com",), overrides={"FRONTEND_HEAD": " "})])
        self.assertEqual(
            [each.name for each in rendered.config if each.kind == "frontend"][-1:],
            ["marathon_http_appid_in"],
        )
        self.assertIn("a.com one_1\n", rendered.config.map_texts()["domain2backend.map"])

    def test_backend(self) -> None:
        """Without a backend's head there is no service at all, and nothing leads to it."""
        rendered = renderer().render([service("one", 1, hosts=("a.com",), overrides={"BACKEND_HEAD": ""})])
        self.assertEqual(rendered.services, ())
        self.assertNotIn("one_1", rendered.config.template + "".join(rendered.config.map_texts().values()))

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

    def test_last_newline(self) -> None:
        """An override without a newline at its end does not run into the next line."""
        overrides = {"BACKEND_HEAD": "backend {backend}", "BACKEND_HTTP_OPTIONS": "  option forwardfor"}
        rendered = renderer().render([service("one", 1, overrides=overrides)])
        self.assertEqual(section(rendered, "one_1").text, "backend one_1\n  option forwardfor\n")

    def test_one_server_for_all(self) -> None:
        """A server line that names no task stands once, however many tasks there are."""
        overrides = {"BACKEND_SERVER_OPTIONS": "  timeout server 1h\n  server all all.example.com:80"}
        tasks = services(app(tasks=(task(1), task(2))))[0].servers
        rendered = renderer().render([service("one", 1, servers=tasks, overrides=overrides)])
        self.assertEqual(section(rendered, "one_1").text.count("server all "), 1)

    def test_weights(self) -> None:
        """A draining server has weight 0; a plain one names none."""
        (server,) = services(app())[0].servers
        drained = type(server)(
            **{name: getattr(server, name) for name in server.__struct_fields__} | {"weight": 0}
        )
        text = section(renderer().render([service("one", 1, servers=(drained,))]), "one_1").text
        self.assertIn(f" id {server.id} weight 0\n", text)
        self.assertNotIn(
            "weight", section(renderer().render([service("one", 1, servers=(server,))]), "one_1").text
        )
