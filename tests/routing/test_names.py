"""The names of backends."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.names import backend_name, distinct_backend_name, plain_backend
from marathonlb.routing.services.model import Service


class BackendNameTests(SynchronousTestCase):
    """Names that no other service and no section of the load balancer has."""

    def test_forged(self) -> None:
        """No id makes the name that a digest has given, and a digest that was found by trying grows."""
        first = distinct_backend_name("a_b_80", ("/a_b", 0), ())
        self.assertNotIn(":", backend_name(f"/{first}", 80))
        longer = distinct_backend_name("a_b_80", ("/a_b", 0), {first})
        self.assertEqual((len(longer), plain_backend(longer)), (len("a_b:_80") + 64, "a_b_80"))

    def test_shared_names(self) -> None:
        """No service has the name of anything of the load balancer's, nor a frontend that of a backend."""
        ids = (
            "/marathon/http/in",
            "/marathon_http_in",
            "/stats",
            "/marathon/lb",
            "/marathon_lb/backend",
            "/x_80/in",
        )
        for app_id in ids:
            name = backend_name(app_id, 65535)
            self.assertRegex(name, r"_65535\Z")
            self.assertRegex(Service(app_id, 0, 65535, name, "http").frontend, r"_65535_in\Z")
