"""The rules for every request before it is routed."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.requests import guards, network_lines
from marathonlb.config.text.model import Chunk, Owner
from marathonlb.settings import Settings


class GuardsTests(SynchronousTestCase):
    """`guards`."""

    def text(self, head: str = "frontend x\n", routed: bool = True, **options: object) -> str:
        return guards(Chunk(head, Owner()), Settings(**options), routed=routed).text  # type: ignore[arg-type]

    def test_host(self) -> None:
        """A malformed Host header is refused where it decides the routing."""
        self.assertIn("deny deny_status 400", self.text())
        self.assertNotIn("deny_status", self.text(routed=False))

    def test_always(self) -> None:
        """An upgrade to HTTP/2 without TLS and headers with an underscore are removed everywhere."""
        for routed in (True, False):
            self.assertIn("del-header Upgrade", self.text(routed=routed))
            self.assertIn("del-header x_forwarded -m beg", self.text(routed=routed))

    def test_scheme(self) -> None:
        """Headers about the scheme are removed, unless the frontend's own text sets X-Forwarded-Proto."""
        self.assertIn("del-header x-forwarded-proto -m beg\n", self.text())
        self.assertNotIn(
            "Front-End-Https", self.text("frontend x\n  http-request set-header X-Forwarded-Proto https\n")
        )

    def test_trusted(self) -> None:
        """A trusted proxy may name the scheme."""
        text = self.text(trusted_proxies=("10.0.0.0/8",))
        self.assertIn("  acl marathon_lb_trusted_proxy src 10.0.0.0/8\n", text)
        self.assertIn("del-header Forwarded if !marathon_lb_trusted_proxy\n", text)

    def test_lines(self) -> None:
        """Many networks take several lines, none of which is too long for HAProxy."""
        networks = [f"10.{number}.0.0/16" for number in range(45)]
        lines = network_lines(networks)
        self.assertEqual(" ".join(lines).split(), networks)
        self.assertEqual([len(line.split()) for line in lines], [20, 20, 5])
