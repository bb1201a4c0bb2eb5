"""Pods are served like apps."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.model import HealthCheck, Networking, Port, Task
from marathonlb.marathon.parsing.apps import UnusableAnswer
from marathonlb.marathon.parsing.pods import parse_pod, parse_pods
from tests.paths import data

SPEC: dict[str, Any] = {
    "labels": {"HAPROXY_GROUP": "external", "team": "x"},
    "version": "v1",
    "networks": [{"mode": "container/bridge"}],
    "scaling": {"kind": "fixed", "instances": 2},
    "containers": [
        {
            "name": "web",
            "endpoints": [
                {"name": "http", "containerPort": 80, "hostPort": 0, "protocol": ["tcp"]},
                {"name": "inner", "containerPort": 81},
            ],
            "healthCheck": {
                "http": {"endpoint": "http", "path": "/h", "scheme": "https"},
                "intervalSeconds": 5,
            },
        },
        {
            "name": "dns",
            "endpoints": [{"name": "dns", "hostPort": 0, "protocol": ["udp", "tcp"]}],
            "healthCheck": {"tcp": {"endpoint": "dns"}},
        },
        {"name": "job", "healthCheck": {"exec": {"command": {"shell": "true"}}}},
    ],
}


def instance(**more: Any) -> dict[str, Any]:
    """An instance of the pod, all well."""
    return {
        "id": "pod.instance-1",
        "status": "STABLE",
        "agentHostname": "agent1",
        "networks": [{"name": "n", "addresses": ["10.1.0.2"]}],
        "specReference": "/v2/pods/pod::versions/v1",
        "containers": [
            {
                "name": "dns",
                "status": "TASK_RUNNING",
                "endpoints": [{"name": "dns", "allocatedHostPort": 31053, "healthy": False}],
            },
            {
                "name": "web",
                "status": "TASK_RUNNING",
                "endpoints": [
                    {"name": "http", "allocatedHostPort": 31080, "healthy": True},
                    {"name": "inner"},
                ],
            },
            {"name": "job", "status": "TASK_FINISHED"},
        ],
        **more,
    }


def task(**more: Any) -> Task:
    """The task of an instance that differs in this."""
    body = {"id": "/pod", "spec": SPEC, "instances": [instance(**more)]}
    return parse_pod(json.dumps(body).encode()).apps[0].tasks[0]


class Pods(SynchronousTestCase):
    """One port per endpoint, one task per instance."""

    def test_pod(self) -> None:
        """A pod has its labels, its endpoints in order, its checks and its instances."""
        parsed = parse_pods(json.dumps([{"id": "/pod", "spec": SPEC, "instances": [instance()]}]).encode())
        (app,) = parsed.apps
        self.assertEqual((app.id, app.labels, app.version), ("/pod", {"HAPROXY_GROUP": "external"}, "v1"))
        self.assertEqual(app.networking, Networking.BRIDGE)
        self.assertEqual(
            app.ports,
            (Port(name="http"), Port(name="inner", on_host=False), Port(name="dns", protocol="udp,tcp")),
        )
        self.assertEqual(
            app.health_checks,
            (
                HealthCheck("MESOS_HTTPS", "/h", 0, interval_seconds=5),
                HealthCheck("MESOS_TCP", None, 2),
                HealthCheck("COMMAND"),
            ),
        )
        self.assertEqual(app.instances, 2)
        self.assertEqual(
            app.tasks,
            (
                Task(
                    "pod.instance-1",
                    "agent1",
                    (31080, 31053),
                    ("10.1.0.2",),
                    "TASK_RUNNING",
                    alive=True,
                    version="v1",
                ),
            ),
        )

    def test_container_network(self) -> None:
        """In container networking the ports are those inside the pod."""
        spec = {**SPEC, "networks": [{"mode": "container", "name": "dcos"}]}
        (app,) = parse_pod(json.dumps({"id": "/pod", "spec": spec}).encode()).apps
        self.assertEqual(app.networking, Networking.CONTAINER)
        self.assertEqual([port.container_port for port in app.ports], [80, 81, None])

    def test_states(self) -> None:
        """What comes and goes is not served; a degraded instance is what its offering containers are."""
        web = instance()["containers"]
        lost = [{**each, "status": "TASK_UNREACHABLE"} for each in web]
        failed = [{**each, "status": "TASK_FAILED"} for each in web]
        for status, containers, state in (
            ("PENDING", [], "TASK_STAGING"),
            ("STAGING", web, "TASK_STAGING"),
            ("TERMINAL", web, "TASK_KILLING"),
            ("DEGRADED", web, "TASK_RUNNING"),
            ("DEGRADED", lost, "TASK_UNREACHABLE"),
            ("DEGRADED", failed, "TASK_FAILED"),
            ("DEGRADED", [], None),
        ):
            self.assertEqual(task(status=status, containers=containers).state, state, status)

    def test_ports_end_at_a_hole(self) -> None:
        """A port that is not known yet ends the list, since the next one would stand in its place."""
        self.assertEqual(task(containers=instance()["containers"][:1]).ports, ())

    def test_health(self) -> None:
        """Endpoints tell the health, else the condition of a container; else nothing is known."""
        for containers, alive in (
            ([], None),
            ([{"endpoints": [{"name": "http", "healthy": False}]}], False),
            ([{"conditions": [{"name": "healthy", "value": "true"}]}], True),
            (
                [{"conditions": [{"name": "healthy", "value": "false"}, {"name": "x", "value": "true"}]}],
                False,
            ),
        ):
            self.assertIs(task(containers=containers).alive, alive, containers)

    def test_mistakes(self) -> None:
        """A broken pod is one unreadable app, a broken instance is left out."""
        parsed = parse_pods(
            json.dumps(
                [
                    {"id": "/no-spec"},
                    {
                        "id": "/pod",
                        "spec": SPEC,
                        "instances": [{"id": 7}, instance(agentHostname="a b"), instance()],
                    },
                    7,
                ]
            ).encode()
        )
        self.assertEqual([each.app_id for each in parsed.unreadable], ["/no-spec", "#3"])
        self.assertEqual(
            [(each.app_id, each.task_id) for each in parsed.left_out], [("/pod", "#1"), ("/pod", "#2")]
        )
        self.assertEqual([each.id for each in parsed.apps[0].tasks], ["pod.instance-1"])

    def test_unusable(self) -> None:
        """What is no list of pods never means that there are none."""
        for body in (b"", b"{}", b"[", b"<html>", b'{"message": "x"}'):
            self.assertRaises(UnusableAnswer, parse_pods, body)


class PodAnswersTests(SynchronousTestCase):
    """Answers of a Marathon about its pods."""

    pods = data("answers", "pods-status@1.5.json")
    single = (data("answers", "pod-status@1.5.json"), data("answers", "pod-status-degraded@1.5.json"))

    def test_answers(self) -> None:
        """The status of all pods, of one, and of one that is degraded is understood."""
        for path in (self.pods, *self.single):
            body = path.read_bytes()
            parsed = parse_pods(body) if path == self.pods else parse_pod(body)
            self.assertEqual((len(parsed.apps), parsed.unreadable, parsed.left_out), (1, (), ()), path.name)
            self.assertEqual(parsed.apps[0].tasks[0].state, "TASK_RUNNING")
