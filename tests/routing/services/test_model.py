"""The values of services."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.model import HealthCheck
from marathonlb.routing.services.files import ServiceFiles
from tests.routing.apps import service


class ServiceTests(SynchronousTestCase):
    """What follows from a service's fields."""

    def test_key(self) -> None:
        """A service's key is its app's id and the index of its port."""
        self.assertEqual(("/shop", 2), service("shop", port_index=2).key)

    def test_frontend(self) -> None:
        """The name of its frontend is not that of its backend."""
        made = service("shop")
        self.assertEqual(f"{made.backend}_in", made.frontend)

    def test_files(self) -> None:
        """HAProxy gets the labels' own files until there are copies, and then the copies alone."""
        made = service("shop", ssl_certs=("/c.pem",), bind_options="ca-file /a", backend_ssl="/b")
        self.assertEqual(ServiceFiles(("/c.pem",), "ca-file /a", "/b"), made.files)
        copies = ServiceFiles(("/copy.pem",), "", "")
        self.assertEqual(copies, service("shop", ssl_certs=("/c.pem",), copied_files=copies).files)

    def test_checks_http(self) -> None:
        """Only a check of HTTP or HTTPS, by Marathon or Mesos, speaks HTTP."""
        self.assertFalse(service("shop").checks_http)
        for protocol, expected in (("HTTP", True), ("MESOS_HTTPS", True), ("TCP", False), ("COMMAND", False)):
            check = HealthCheck(protocol=protocol)
            self.assertEqual(expected, service("shop", health_check=check).checks_http, protocol)

    def test_app_is_no_part(self) -> None:
        """Services are equal whatever app they come from, if their fields are: it is for templates alone."""
        made = service("shop")
        self.assertEqual("/shop", made.app.id)
        self.assertEqual(made, service("shop", app=service("other").app))
