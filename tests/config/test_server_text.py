"""The text of a service's ``server`` lines."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.server_text import ServerLines
from marathonlb.config.templates.loader import Templates
from marathonlb.config.templates.template import classic
from marathonlb.config.templates.variables import service_variables
from marathonlb.errors import TemplateError
from marathonlb.marathon.model import HealthCheck
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.config.clusters import DEFAULTS, overriding, services
from tests.routing.apps import app, task


class ServerLinesTests(SynchronousTestCase):
    """`ServerLines`."""

    def lines(self, made: Service, templates: Templates = DEFAULTS, check: str = "HTTP") -> ServerLines:
        """The lines of a service; without a health check where `check` is empty."""
        name = f"BACKEND_SERVER_{check}_HEALTHCHECK_OPTIONS"
        return ServerLines(
            made,
            templates.get("BACKEND_SERVER_OPTIONS", made),
            templates.get("SERVER_EXTRA", made),
            templates.get(name, made) if check else None,
            service_variables(made, Settings()),
        )

    def tasks(self, count: int = 2, **more: object) -> Service:
        """A service with tasks."""
        (made,) = services(
            app(tasks=tuple(map(task, range(1, count + 1))), health_checks=(HealthCheck(path="/"),))
        )
        return evolve(made, **more)

    def test_one_per_server(self) -> None:
        """Each server has a line with its check, and none without a health check."""
        text = self.lines(self.tasks(3)).text()
        self.assertEqual(text.count("\n"), 3)
        self.assertEqual(text.count(" check inter "), 3)
        self.assertNotIn("check", self.lines(self.tasks(3), check="").text())
        self.assertEqual(self.lines(evolve(self.tasks(), servers=())).text(), "")

    def test_check_of_each(self) -> None:
        """A check that reads a server's variables is rendered for each server."""
        overrides = {"BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS": "check addr {host_ipv4}"}
        text = self.lines(self.tasks(overrides=overrides)).text()
        self.assertIn(" check addr 10.0.0.1", text)
        self.assertIn(" check addr 10.0.0.2", text)

    def test_extra(self) -> None:
        """Extra words come to the end of each line of a server, and of no other one."""
        overrides = {
            "SERVER_EXTRA": "on-error\n mark-down",
            "BACKEND_SERVER_OPTIONS": "  # x\n  server a {host}:1\n",
        }
        text = self.lines(self.tasks(1, overrides=overrides)).text()
        self.assertEqual(text, "  # x\n  server a 10.0.0.1:1 on-error  mark-down\n")

    def test_author(self) -> None:
        """The lines belong to a label if one has written words of them, else to the operator, else to us."""
        mine = overriding(SERVER_EXTRA="on-error mark-down")
        self.assertEqual(self.lines(self.tasks()).author.name, "BACKEND_SERVER_OPTIONS")
        self.assertEqual(self.lines(self.tasks(), mine).author.name, "SERVER_EXTRA")
        own = self.tasks(overrides={"BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS": "check"})
        self.assertEqual(
            self.lines(own, mine).author.source, "label HAPROXY_0_BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS"
        )

    def test_too_long(self) -> None:
        """A label whose lines become too long with all servers is refused."""
        long = classic("BACKEND_SERVER_OPTIONS", "  server a b:1 # " + "x" * 60_000, "label HAPROXY_0_X")
        made = self.tasks(50)
        lines = ServerLines(
            made, long, DEFAULTS.get("SERVER_EXTRA"), None, service_variables(made, Settings())
        )
        error = self.assertRaises(TemplateError, lines.text)
        self.assertIn("comes to too much text", error.reason)
