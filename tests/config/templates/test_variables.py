"""The variables that years of overrides are written against: each in every template of a service, with its value."""

from __future__ import annotations

from itertools import product

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.render import Renderer
from marathonlb.config.templates.loader import load_templates
from marathonlb.config.templates.structure import OPENS
from marathonlb.config.templates.table import BY_NAME
from marathonlb.config.templates.template import OBJECTS, jinja
from marathonlb.marathon.model import HealthCheck
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.routing.apps import app, offered, task

VALUES = {
    "backend": "shop_web_10000",
    "frontend": "shop_web_10000_in",
    "bindAddr": "127.0.0.1",
    "servicePort": "10000",
    "balance": "leastconn",
    "sslCert": " ssl crt /own.pem",
    "sslCertOptions": " ssl crt /own.pem",
    "bindOptions": " name x",
    "appId": "/shop/web",
    "cleanedUpAppId": "shop_web",
    "proxypath": "/in",
    "rootpath": "/root",
    "redirpath": "/start",
    "network_allowed": "10.0.0.0/8",
    "haproxy_dir": "/etc/haproxy",
    "sslCerts": "crt /c.pem",
    "healthCheckPortIndex": "0",
    "healthCheckPort": "",
    "healthCheckPath": "/up",
    "healthCheckTimeoutSeconds": "2",
    "healthCheckIntervalSeconds": "5",
    "healthCheckGracePeriodSeconds": "300",
    "healthCheckMaxConsecutiveFailures": "3",
    "healthCheckFalls": "4",
    "healthCheckIgnoreHttp1xx": "false",
    "healthCheckPortOptions": "",
}
"""Those that are the same in every template of the services below, as the contract says what they are."""

OTHERS = (
    "mode", "hostname", "cleanedUpHostname", "path", "realm", "user", "passwd", "healthCheckProtocol",
)  # fmt: skip
"""Those that depend on what the template is for."""

SERVER = {
    "serverName": "10_0_0_1_31000",
    "host": "10.0.0.1",
    "host_ipv4": "10.0.0.1",
    "port": "31000",
    "cookieOptions": " check cookie 13d473d85a",
    "otherOptions": "",
}

LABELS = {
    "0_BIND_ADDR": "127.0.0.1", "0_BALANCE": "leastconn", "0_SSL_CERT": "/own.pem", "0_BIND_OPTIONS": "name x",
    "0_STICKY": "1", "0_USE_HSTS": "1", "0_HTTP_BACKEND_PROXYPASS_PATH": "/in", "0_CORS": "*", "0_MAINTENANCE": "1",
    "0_HTTP_BACKEND_REVPROXY_PATH": "/root", "0_HTTP_BACKEND_REDIR": "/start", "0_RATE_LIMIT": "5/s",
    "0_BACKEND_NETWORK_ALLOWED_ACL": "10.0.0.0/8", "0_TIMEOUT_SERVER": "5s",
}  # fmt: skip

KINDS = (
    {"0_VHOST": "a.test"},
    {"0_VHOST": "a.test,b.test"},
    {"0_VHOST": "a.test", "0_PATH": "/p"},
    {"0_VHOST": "a.test,b.test", "0_PATH": "/p"},
    {"0_MODE": "tcp"},
)
"""What decides which of the templates are used, with a password and without one."""


def text_of(name: str, names: list[str]) -> str:
    """A template that says what each variable holds, in a way that stands where it has to."""
    said = " ".join(f"{each}=<{{{each}}}>" for each in names)
    if name in OPENS:
        return f"{OPENS[name][0]} {{{'frontend' if name == 'FRONTEND_HEAD' else 'backend'}}}\n# @ {said}"
    return f"# @ {said}" if name == "BACKEND_SERVER_OPTIONS" or "SERVER" not in name else f" @ {said}"


DEFAULTS = load_templates("/nowhere", {})


class ObjectsTests(SynchronousTestCase):
    """What Jinja2 templates are given besides."""

    def made(self, tasks: int = 1, **more: str) -> Service:
        """The service of an app that was scaled to so many tasks."""
        labels = {"0_VHOST": "a.test", **more}
        running = tuple(map(task, range(1, tasks + 1)))
        (service,) = offered(
            app("/shop", labels, tasks=running, instances=tasks, version=str(tasks))
        ).services
        return service

    def test_objects(self) -> None:
        """The service, its app and the settings: a scaling changes no text of them, a label does."""
        text = "# {{ app.id }} {{ app.labels['HAPROXY_0_X'] }} {{ service.port_index }} {{ settings.bind_http }}\n"
        options = jinja("BACKEND_HTTP_OPTIONS", text, "file x")
        renderer = Renderer(
            Settings(), evolve(DEFAULTS, shared={**DEFAULTS.shared, "BACKEND_HTTP_OPTIONS": options})
        )
        one, two, other = self.made(**{"0_X": "a"}), self.made(2, **{"0_X": "a"}), self.made(**{"0_X": "b"})
        self.assertEqual((one.app, one), (two.app, evolve(two, servers=one.servers, since=one.since)))
        first = renderer.render([one])
        self.assertIn("\n# /shop a 0 *:80\n", first.config.template)
        scaled = renderer.render_servers(first, [(one, two)])
        assert scaled is not None
        self.assertIn("10_0_0_2_31000", scaled.config.template)
        self.assertIsNone(renderer.render_servers(scaled, [(two, other)]))
        self.assertIn("\n# /shop b 0 *:80\n", renderer.render([other]).config.template)
        self.assertFalse(DEFAULTS.read_app)

    def test_not_for_labels(self) -> None:
        """To classic templates these are no variables: a label does not write the controller's settings anywhere."""
        for name in OBJECTS:
            rendered = Renderer(Settings(), DEFAULTS).render(
                [self.made(**{"0_BACKEND_EXTRA": f"# {{{name}}}"})]
            )
            (problem,) = rendered.problems
            self.assertIn(f"has no variable {{{name}, an object of Jinja2 alone}}", problem.reason)


class VariablesTests(SynchronousTestCase):
    """Each template that a label can override and that is substituted."""

    def said(self, name: str, text: str) -> list[str]:
        """The lines that a label's text becomes in all kinds of services."""
        found = []
        for kind, check, auth in product(KINDS, ("HTTP", "TCP"), ({"0_AUTH": "r:u:$1$a$b"}, {})):
            redirect = {} if auth else {"0_REDIRECT_TO_HTTPS": "1"}
            checks = HealthCheck(check, "/up", 0, interval_seconds=5, timeout_seconds=2)
            made = app(
                "/shop/web",
                {**LABELS, **kind, **auth, **redirect, f"0_{name}": text},
                health_checks=(checks,),
            )
            settings = Settings(ssl_certs=("/c.pem",))
            rendered = Renderer(settings, DEFAULTS).render(offered(made, settings).services)
            self.assertEqual([str(each) for each in rendered.problems if each.fatal], [])
            found += [line for line in rendered.config.text("/etc/haproxy").split("\n") if " @ " in line]
        return found

    def test_each(self) -> None:
        """Every one holds every variable, and of those that are alike everywhere the value that it should."""
        for name in sorted(name for name, spec in BY_NAME.items() if spec.per_app and not spec.literal):
            values = {**VALUES, **(SERVER if "SERVER" in name else {})}
            if name == "HTTP_BACKEND_REDIR":  # the label is either its path or its text
                values["redirpath"] = ""
            lines = self.said(name, text_of(name, [*values, *OTHERS]))
            self.assertTrue(lines, name)
            for line in lines:
                for variable, value in values.items():
                    self.assertIn(f" {variable}=<{value}>", line, name)
