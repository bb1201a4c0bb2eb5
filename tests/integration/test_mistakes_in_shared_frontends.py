"""A mistake in a rule of the frontends that are everybody's is its app's alone, and the operator's text stays."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from marathonlb.config.templates.loader import load_templates
from marathonlb.marathon.model import Port
from marathonlb.settings import Settings
from tests.integration.haproxies import on_each
from tests.integration.settling import settled
from tests.routing.apps import app, task

FRONTEND = (
    "\nfrontend marathon_http_in\n  bind *:80\n  mode http\n  http-request deny if { path_beg /secret }\n"
)
BACKEND = (
    "\nbackend {backend}\n  balance {balance}\n  mode {mode}\n  http-request deny if {{ path_beg /secret }}\n"
)

MISTAKES = (
    ({"HTTP_FRONTEND_ACL": "  http-request track-sc0 src table none\n"}, "HTTP_FRONTEND_ACL"),
    ({"HTTP_FRONTEND_ACL": "  stick-table type ip size 1k peers none\n"}, "HTTP_FRONTEND_ACL"),
    ({"HTTP_FRONTEND_ACL": "  http-request cache-use none\n"}, "HTTP_FRONTEND_ACL"),
    ({"HTTP_FRONTEND_ACL": "  filter cache none\n"}, "HTTP_FRONTEND_ACL"),
    ({"HTTP_FRONTEND_ACL": "  http-request do-resolve(txn.x,none) str(x)\n"}, "HTTP_FRONTEND_ACL"),
    ({"HTTP_FRONTEND_ACL": "  http-request return errorfiles none status 503\n"}, "HTTP_FRONTEND_ACL"),
    (
        {"HTTP_FRONTEND_ACL": "  http-request deny if { src_conn_rate(none) gt 1 } { nbsrv(none) gt 1 }\n"},
        "HTTP_FRONTEND_ACL",
    ),
    ({"HTTP_FRONTEND_ACL": "  use_backend tcp_10001 if TRUE\n"}, "HTTP_FRONTEND_ACL"),
    ({"FRONTEND_BACKEND_GLUE": "  default_backend tcp_10001\n"}, "FRONTEND_BACKEND_GLUE"),
    ({"BACKEND_WEIGHT": "1", "BACKEND_EXTRA": "  mode tcp\n"}, "BACKEND_EXTRA"),
)
"""An app's labels, and the one that is to blame."""


class MistakesMixin:
    """Each mistake, on each HAProxy."""

    binary = ""
    assertEqual: Any
    assertLessEqual: Any
    assertIn: Any
    addCleanup: Any

    def settled(
        self, template: str, text: str, *mistaken: dict[str, str]
    ) -> tuple[set[str], list[tuple[str, str]], int, str]:
        """Return the served apps, the problems, the number of checks, and the text."""
        directory = Path(tempfile.mkdtemp(prefix="mlb-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, directory)
        settings = Settings(ssl_certs=(), state_dir=str(directory))
        apps = [
            app("/shop", {"0_VHOST": "shop.test", "0_BACKEND_WEIGHT": "2"}),
            app("/tcp", {"0_BACKEND_HEAD": "backend {backend}\n  mode tcp\n"}, ports=(Port(10001),)),
        ]
        for number, labels in enumerate(mistaken):
            more = {f"0_{label}": value for label, value in labels.items()}
            more["0_VHOST"] = f"bad{number}.test"
            apps.append(app(f"/bad{number}", more, ports=(Port(10100 + number),), tasks=(task(2),)))
        templates = load_templates("/nowhere", {f"HAPROXY_{template}": text})
        wanted, checks = settled(self.binary, directory, settings, templates, apps)
        problems = [(problem.app_id, problem.label) for problem in wanted.problems]
        return {each.app_id for each in wanted.services}, problems, checks, wanted.config.template

    def test_each(self) -> None:
        """Whoever is refused is told which label it is, by one check more; nobody else is, and nothing gives way."""
        for labels, label in MISTAKES:
            served, problems, checks, text = self.settled("HTTP_FRONTEND_HEAD", FRONTEND, labels)
            self.assertEqual(({"/shop", "/tcp"}, 2), (served, checks), labels)
            self.assertEqual([("/bad0", f"HAPROXY_0_{label}")], problems, labels)
            self.assertIn("/secret", text)

    def test_few_of_many(self) -> None:
        """What some apps put into the variables of an operator's template does not take it from the others."""
        bad = {"BALANCE": "hdr"}
        good = {"BALANCE": "leastconn"}
        served, problems, checks, text = self.settled("BACKEND_HEAD", BACKEND, bad, bad, good, good)
        self.assertEqual(({"/shop", "/tcp", "/bad2", "/bad3"}, 2), (served, checks))
        self.assertEqual([(f"/bad{n}", "HAPROXY_0_BALANCE") for n in range(2)], problems)
        self.assertIn("/secret", text)

    def test_operators_own(self) -> None:
        """What is wrong with the operator's own text is the operator's, whatever apps write beside it."""
        rule = {"HTTP_FRONTEND_ACL": "  use_backend {backend} if { hdr(host) bad0.test }\n"}
        for line in ("  http-request track-sc0 src table none\n", "  filter bwlim-out x\n"):
            served, problems, *_ = self.settled("HTTP_FRONTEND_HEAD", FRONTEND + line, rule)
            self.assertEqual({"/shop", "/tcp", "/bad0"}, served, line)
            self.assertEqual([("", "HAPROXY_HTTP_FRONTEND_HEAD")], problems, line)


on_each(MistakesMixin, globals())
