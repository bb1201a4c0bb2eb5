"""Why nothing serves a URL or an app."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.marathon.model import App, HealthCheck, Port
from marathonlb.routing.explain.model import render
from marathonlb.routing.policy.file import policy_of
from tests.routing.apps import task
from tests.routing.explain.clusters import Cluster, shop

CHECK = HealthCheck("HTTP", port_index=0)


class WhyNotTests(SynchronousTestCase):
    """Why nothing serves a URL or an app; both are told the same."""

    def why(self, made: App, kind: str, words: str, cluster: Cluster | None = None, **settings: Any) -> None:
        cluster = cluster or Cluster([made], **settings)
        for what in ("http://x.example/", made.id):
            said = cluster.explain(what)
            self.assertFalse(said.served, what)
            self.assertIn(
                (kind, made.id), [(reason.kind, reason.app_id) for reason in said.reasons], render(said)
            )
            self.assertIn(words, render(said), what)

    def test_group(self) -> None:
        """An app of another group, or of none, is told whom this load balancer serves."""
        made = shop("x", "x.example", 10000, labels={"GROUP": "internal"})
        self.why(
            made, "selection", "is in the group internal, and this load balancer serves apps without a group"
        )
        self.why(made, "selection", "serves the group external", groups=frozenset({"external"}))
        self.why(shop("x", "x.example", 10000), "selection", "has no group", groups=frozenset({"external"}))

    def test_disabled(self) -> None:
        """A port that is switched off is told by which word."""
        made = shop("x", "x.example", 10000, labels={"0_ENABLED": "false"})
        self.why(made, "selection", "HAPROXY_0_ENABLED is false")
        self.why(shop("x", "x.example", 10000), "selection", "--strict-mode", strict_mode=True)

    def test_label(self) -> None:
        """A label that is wrong is named with its value."""
        made = shop("x", "x.example", 10000, labels={"0_STICKY": "perhaps"})
        self.why(made, "problem", "HAPROXY_0_STICKY='perhaps': is neither true nor false")

    def test_no_service_port(self) -> None:
        """A port without a service port is told so."""
        none = {"min_serv_port_ip_per_task": 0, "max_serv_port_ip_per_task": 0}
        self.why(shop("x", "x.example", 0), "problem", "no service port", **none)

    def test_udp(self) -> None:
        """A udp port is told so."""
        made = shop("x", "x.example", 10000, ports=(Port(10000, protocol="udp"),))
        self.why(made, "problem", "HAProxy balances TCP")

    def test_mode(self) -> None:
        """A service in mode tcp is not looked up by host."""
        made = shop("x", "x.example", 10000, labels={"0_MODE": "tcp"})
        said = Cluster([made]).explain("http://x.example/")
        self.assertIn("mode tcp", render(said))
        self.assertEqual({"/x"}, {reason.app_id for reason in said.reasons})

    def test_no_tasks(self) -> None:
        """A service without a task is caught, and has no server."""
        made = shop("x", "x.example", 10000, tasks=(), instances=2)
        self.why(made, "tasks", "no task runs; 2 are wanted")
        said = Cluster([made]).explain("http://x.example/")
        self.assertIsNotNone(said.rule)
        self.assertIn("HAProxy answers 503", said.verdict)

    def test_tasks(self) -> None:
        """Each task that is no server is told why."""
        tasks = (
            task(1, alive=False),
            task(2),
            task(3, state="TASK_STAGING"),
            task(4, host=None),
            task(5, ready=False),
            task(6, host="nowhere", alive=True),
            task(7, ports=(), alive=True),
        )
        made = shop("x", "x.example", 10000, tasks=tasks, health_checks=(CHECK,))
        self.why(made, "tasks", "its health checks fail (--health-check)", health_check=True)
        (service,) = Cluster([made], health_check=True).explain("/x").services
        reasons = {task.task_id: task.reason for task in service.left_out}
        for number, words in (
            (1, "its health checks fail"),
            (2, "no health check has said that it is alive yet"),
            (3, "its state is TASK_STAGING"),
            (4, "no host yet"),
            (5, "readiness"),
            (6, "nowhere, cannot be resolved"),
            (7, "no address or no port"),
        ):
            self.assertIn(words, reasons[f"task.{number}"])
        served = Cluster([made]).explain("/x").services[0].servers
        self.assertEqual(
            {"task.1": "not alive", "task.2": "unknown"}, {each.task_id: each.health for each in served}
        )

    def test_quarantined(self) -> None:
        """What HAProxy refused is told in HAProxy's words."""
        made = shop("x", "x.example", 10000, labels={"0_BACKEND_HTTP_OPTIONS": "  nonsense\n"})
        cluster = Cluster([made])
        cluster.refuse(
            "/x", "HAPROXY_0_BACKEND_HTTP_OPTIONS", "unknown keyword 'nonsense' in 'backend' section"
        )
        words = (
            "HAPROXY_0_BACKEND_HTTP_OPTIONS: HAProxy says: unknown keyword 'nonsense' in 'backend' section"
        )
        self.why(made, "quarantine", words, cluster)
        said = cluster.explain("10000")
        self.assertEqual(["quarantine"], [reason.kind for reason in said.reasons])

    def test_policy(self) -> None:
        """What the policy forbids is told with the policy's section."""
        made = shop("x", "x.example", 10000)
        by = policy_of('[apps."/x"]\nhosts = ["y.example"]\n', PER_APP_NAMES)
        self.why(made, "policy", 'apps."/x" allows the hosts y.example alone', Cluster([made], by))

    def test_path(self) -> None:
        """A host that is served below another path is told which."""
        made = shop("x", "x.example", 10000, "/api /v2")
        said = Cluster([made]).explain("http://x.example/")
        self.assertEqual(["path"], [reason.kind for reason in said.reasons])
        self.assertIn("it serves /api, /v2 of this host alone", said.reasons[0].words)

    def test_nobody(self) -> None:
        """A host that nobody claims brings up the nearest ones, whether they are served or not."""
        other = shop("off", "shop2.example.com", 10001, labels={"0_ENABLED": "no"})
        said = Cluster([shop("x", "shop.example.com", 10000), other]).explain("http://shpo.example.com/")
        self.assertEqual({"shop.example.com", "shop2.example.com"}, set(said.near))
        self.assertIn("no service claims the host shpo.example.com", said.verdict)

    def test_own_app(self) -> None:
        """The load balancer's own app is never served."""
        made = shop("x", "x.example", 10000)
        self.why(made, "own", "the load balancer itself", own_app_ids=frozenset({"/x"}))

    def test_switched_off(self) -> None:
        """An empty backend template switches a service off, and that is said."""
        made = shop("x", "x.example", 10000, labels={"0_BACKEND_HEAD": ""})
        self.why(made, "template", "HAPROXY_0_BACKEND_HEAD")
