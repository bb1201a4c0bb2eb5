"""What an operator writes wrong closes what it may guard, and the default never serves, with every HAProxy."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from marathonlb.config.templates.loader import load_templates
from marathonlb.controller.planned_config import PlannedConfig
from marathonlb.marathon.model import App, HealthCheck, Port
from marathonlb.settings import Settings
from tests.integration.haproxies import on_each
from tests.integration.settling import settled
from tests.integration.worlds import certificate
from tests.routing.apps import app, task

MISTAKES = (
    ("BACKEND_HTTP_OPTIONS", "  http-request set-header X a if nothing\n"),
    ("BACKEND_HTTP_OPTIONS", "  http-response add-header X-Via %[env\\(HOSTNAME\\)]\n"),
    ("BACKEND_HTTP_OPTIONS", "  http-request use-service lua.nothing\n"),
    ("BACKEND_HTTP_OPTIONS", "  option nothing\n"),
    ("BACKEND_HTTP_OPTIONS", "  http-request track-sc0 src table nothing\n"),
    ("BACKEND_HTTP_OPTIONS", "  use-server nothing if TRUE\n"),
    ("BACKEND_HTTP_OPTIONS", "  default-server resolvers nothing\n"),
    (
        "BACKEND_HEAD",
        "backend {backend}\n  mode {mode}\n  stick-table type ip size 1m store gpc0 peers nothing\n",
    ),
    ("FRONTEND_BACKEND_GLUE", "  use_backend nothing\n"),
    ("HTTP_FRONTEND_ACL", "  use_backend {backend} if nothing\n"),
    (
        "HTTPS_FRONTEND_ACL",
        "  http-request deny if nothing\n  use_backend {backend} if {{ ssl_fc_sni {hostname} }}\n",
    ),
    ("BACKEND_SERVER_OPTIONS", "  server {serverName} {host_ipv4}:{port} nothing\n"),
    ("BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS", "check nothing"),
    ("SERVER_EXTRA", "nothing"),
)
"""A template and what is wrong with it; some HAProxies give up at the first line of these, others tell all."""


def cluster() -> tuple[App, ...]:
    """Apps that use each template in question, and one without a label."""
    hosts = (
        app(
            f"/web/{number}",
            {"0_VHOST": f"{number}.test"},
            ports=(Port(10000 + number),),
            tasks=(task(1), task(2)),
            health_checks=(HealthCheck("HTTP", path="/"),),
        )
        for number in range(6)
    )
    return (*hosts, app("/plain", ports=(Port(11000),), tasks=(task(1),)))


class TemplateMistakesMixin:
    """Each mistake as the operator's; a class for each HAProxy names the binary."""

    binary = ""
    assertEqual: Any
    assertIn: Any
    assertLess: Any
    addCleanup: Any

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="mlb-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.certificate = certificate(self.directory / "site.pem", "0.test")

    def settled(self, apps: tuple[App, ...], **overrides: str) -> tuple[PlannedConfig, int]:
        """Return the configuration that HAProxy accepts for these templates, and the number of checks."""
        environment = {f"HAPROXY_{name}": text for name, text in overrides.items()}
        settings = Settings(
            ssl_certs=(self.certificate,), state_dir=str(self.directory), environment=environment
        )
        return settled(self.binary, self.directory, settings, load_templates("/nowhere", environment), apps)

    def test_each(self) -> None:
        """After a few checks no app is served that uses it, and the problem names the template and the line."""
        apps = cluster()
        for name, text in MISTAKES:
            wanted, checks = self.settled(apps, **{name: text})
            served = {service.app_id for service in wanted.services}
            self.assertLess(checks, 5, text)
            problem, *others = wanted.problems
            self.assertEqual((problem.app_id, problem.label), ("", f"HAPROXY_{name}"), text)
            self.assertIn("(line ", problem.reason)
            self.assertIn("; until it is good, the services that use it are closed", problem.reason)
            self.assertEqual({each.label for each in others}, {f"HAPROXY_{name}"}, text)
            self.assertEqual({each.app_id for each in others}, {each.id for each in apps} - served, text)
            sources = {
                chunk.owner.source
                for section in wanted.rendered.config
                for chunk in section.chunks
                if chunk.owner.template == name
            }
            self.assertFalse(sources, text)  # neither the default nor the text

    def test_no_line(self) -> None:
        """Where HAProxy names no line it is found by trying."""
        apps = cluster()
        wanted, checks = self.settled(apps, HEAD="global\nprogram other\n  command /bin/true\n")
        self.assertEqual(len(wanted.services), len(apps))
        self.assertLess(checks, 5)
        (problem,) = wanted.problems
        self.assertEqual((problem.app_id, problem.label), ("", "HAPROXY_HEAD"))

    def test_label(self) -> None:
        """The same mistakes in a label cost its app, and the problem names the label."""
        good = cluster()
        for name, text in MISTAKES:
            bad = app(
                "/bad",
                {"0_VHOST": "bad.test", f"0_{name}": text},
                ports=(Port(12000),),
                tasks=(task(1),),
                health_checks=(HealthCheck("HTTP", path="/"),),
            )
            wanted, checks = self.settled((*good, bad))
            self.assertEqual(len(wanted.services), len(good), text)
            self.assertLess(checks, 5, text)
            (problem,) = wanted.problems
            self.assertEqual((problem.app_id, problem.label), ("/bad", f"HAPROXY_0_{name}"), text)


on_each(TemplateMistakesMixin, globals())
