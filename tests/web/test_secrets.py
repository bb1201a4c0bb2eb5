"""Secrets that people write into labels reach nobody, whatever he asks for."""

from __future__ import annotations

from marathonlb.haproxy.files.publish import Published
from tests.base.test_redaction import LINES, SECRET
from tests.reconciling import web
from tests.web.contexts import NOW, PagesTestCase
from tests.web.dashboard.reading import PATHS

UNKNOWN = ("0_AUHT", "0_BASIC_AUTH", "0_HTPASSWD", "AUTH", "0_LOGIN", "0_USERLIST_HAED")

QUESTIONS = (
    "/_haproxy_getconfig",
    "/_haproxy_getvhostmap",
    "/_haproxy_getappmap",
    "/metrics?scope=controller",
    "/api/status",
    "/api/services",
    "/api/services/shop_10000",
    "/api/problems",
    "/api/timeline",
    "/api/health/ready",
    "/api/configurations",
    "/api/configurations/running",
    "/api/configurations/1",
    "/api/difference?from=1",
    "/api/explain?q=http://shop.example.com/",
    "/api/explain?q=/shop",
    "/api/explain?q=10000",
    "/api/explain?q=/wrong",
    *PATHS,
)


class SecretsTests(PagesTestCase):
    """The API and the pages."""

    def plant(self) -> None:
        """Serve apps with a secret in every label, known, misspelt or wrong."""
        good = "\n".join(
            line
            for line in LINES
            if line.lstrip().startswith(("http-request", "http-check", "option", "acl", "stats auth admin"))
        )
        labels = {
            "HAPROXY_0_AUTH": f"realm:joe:$1$salt${SECRET}",
            "HAPROXY_0_BACKEND_HTTP_OPTIONS": good,
            "HAPROXY_0_USERLIST_HEAD": f"userlist user_{{backend}}\n  user joe insecure-password {SECRET}\n",
        }
        wrong = {f"HAPROXY_{name}": f"realm:joe:{SECRET}hunt" for name in UNKNOWN}
        wrong |= {f"HAPROXY_0_UNKNOWN{number}": line for number, line in enumerate(LINES)}
        wrong |= {
            "HAPROXY_0_PATH": f"realm:joe:$1$salt${SECRET}",
            "HAPROXY_0_BACKEND_HEAD": f'backend {{backend}}\n  "${{X}}"\n  user joe password {SECRET}\n',
        }
        auth = {"HAPROXY_0_AUTH": f"realm:joe:$6$rounds=999999${SECRET}$x"}
        self.serve(web("shop", **labels), web("wrong", 10001, **wrong), web("costly", 10002, **auth))
        self.assertIn(SECRET, self.applier.running.template)
        published = self.applier.texts()
        self.archive.add(Published(f"{published.text}# x\n", published.maps), reason="first", seconds=NOW)
        self.assertGreater(len(self.reconciler.problems), len(LINES))

    def test_pages(self) -> None:
        """No page shows one to somebody outside --admin-allow, and the problems show none to anybody."""
        self.plant()
        self.assertNotIn(SECRET, self.ask("GET", "/api/problems")[1] + self.ask("GET", "/problems")[1])
        self.client = "10.0.0.1"
        for path in QUESTIONS:
            code, text, _ = self.ask("GET", path)
            self.assertNotIn(SECRET, text, f"{path}: {code}")
