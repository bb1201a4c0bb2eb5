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
from marathonlb.config.templates.loader import load_templates
from marathonlb.errors import TemplateError
from marathonlb.marathon.model import App, HealthCheck, Port
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.config.clusters import CLUSTER, overriding, renderer, section, services
from tests.routing.apps import app, service

GOLDEN = Path(__file__).parent / "golden"


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
