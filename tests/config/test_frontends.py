"""The shared frontends."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base import limits
from marathonlb.config.frontends import written_ports
from marathonlb.config.templates.variables import shared_variables
from marathonlb.settings import Settings
from tests.config.clusters import DEFAULTS, overriding, renderer
from tests.routing.apps import service


class WrittenPortsTests(SynchronousTestCase):
    """`written_ports`."""

    def ports(self, head: str = "", **texts: str) -> dict[int, list[tuple[str, str]]]:
        settings = Settings(ssl_certs=("/x",))
        return written_ports(overriding(**texts), settings, shared_variables(settings), head)

    def test_defaults(self) -> None:
        """The defaults bind what the options say, which is known elsewhere."""
        self.assertEqual(self.ports("listen x\n  bind :9\n"), {})

    def test_operator(self) -> None:
        """The ports of the operator's templates are found, each with its template."""
        found = self.ports(
            "listen x\n  bind 10.0.0.1:9\n",
            HEAD="overridden",
            HTTP_FRONTEND_HEAD="frontend marathon_http_in\n  bind :81\n",
        )
        self.assertEqual([where for _, where in found[9]], ["HAPROXY_HEAD"])
        self.assertEqual([where for _, where in found[81]], ["HAPROXY_HTTP_FRONTEND_HEAD"])


class SharedFrontendsTests(SynchronousTestCase):
    """`SharedFrontends`, in a whole configuration."""

    def names(self, templates: object = DEFAULTS, **options: object) -> list[str]:
        made = renderer(templates, **options).render([service("a", 1, hosts=("a.test",))])  # type: ignore[arg-type]
        return [section.name for section in made.config if section.name.startswith("marathon_")]

    def test_sections(self) -> None:
        """There are the http frontend, the one by app id and, with certificates, the https frontend."""
        self.assertEqual(self.names(), ["marathon_http_in", "marathon_http_appid_in"])
        self.assertEqual(self.names(ssl_certs=("/x",))[-1], "marathon_https_in")
        self.assertEqual(self.names(dont_bind_http_https=True), ["marathon_http_appid_in"])

    def test_closed(self) -> None:
        """A frontend whose template is closed is left out, and the others stay."""
        template = evolve(DEFAULTS.shared["HTTP_FRONTEND_HEAD"], closed="is closed", source="file x")
        closed = DEFAULTS.put({"HTTP_FRONTEND_HEAD": template})
        self.assertEqual(self.names(closed), ["marathon_http_appid_in"])

    def test_refused(self) -> None:
        """A service with a wrong rule template is left out of the whole configuration."""
        wrong = service("b", 2, hosts=("b.test",), overrides={"HTTP_FRONTEND_ACL": "  {nope}"})
        made = renderer().render([service("a", 1, hosts=("a.test",)), wrong])
        self.assertEqual([one.app_id for one in made.services], ["/a"])
        self.assertNotIn("b_2", made.config.template + "".join(made.config.map_texts().values()))

    def test_too_much(self) -> None:
        """A service whose label writes too much into all rules together is left out."""
        hosts = tuple(f"h{number}.test" for number in range(200))
        text = "  # " + "x" * (limits.RULES // 150) + "\n"
        wrong = service("b", 2, hosts=hosts, overrides={"HTTPS_FRONTEND_ACL": text})
        made = renderer(ssl_certs=("/x",)).render([wrong])
        (problem,) = made.problems
        self.assertIn("in all rules of the shared frontends", problem.reason)
        self.assertEqual(made.services, ())
