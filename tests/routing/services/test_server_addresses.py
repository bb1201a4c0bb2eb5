"""The addresses and ports of servers, from the JSON of Marathon: IP per task, IPv6 and pods."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.variables import server_variables
from marathonlb.marathon.parsing.apps import parse_apps
from marathonlb.marathon.parsing.pods import parse_pods
from marathonlb.routing.services.model import Service
from tests.routing.services.test_assigned_ports import app, offers, ports


def served(*wires: dict[str, Any], pods: bool = False, **more: Any) -> list[Service]:
    """The services of an answer of Marathon, by app and index."""
    body = json.dumps(list(wires) if pods else {"apps": list(wires)}).encode()
    parsed = parse_pods(body) if pods else parse_apps(body)
    assert not parsed.unreadable, parsed.unreadable
    made = offers(*parsed.apps, high=10099, **more)
    assert not [problem for problem in made.problems() if problem.fatal], made.problems()
    return sorted(made.services(), key=lambda service: service.key)


def places(service: Service) -> list[tuple[str, int]]:
    """Where a service's servers are."""
    return [(server.address, server.port) for server in service.servers]


class IPPerTask(SynchronousTestCase):
    """Tasks with addresses of their own."""

    APP = {
        "id": "/web",
        "networks": [{"mode": "container", "name": "dcos"}],
        "container": {"portMappings": [{"containerPort": 8080, "servicePort": 10001}]},
    }

    def task(self, *addresses: str | None, name: str = "web.1") -> dict[str, Any]:
        """A running task with these addresses."""
        told = [{"ipAddress": each, "protocol": "IPv4"} for each in addresses]
        return {"id": name, "host": "10.0.0.1", "ports": [], "ipAddresses": told, "state": "TASK_RUNNING"}

    def test_first_address(self) -> None:
        """Of several addresses the first is the one; an empty one is none."""
        for addresses, first in (
            (("9.0.1.2", "9.0.0.1"), "9.0.1.2"),
            (("fd01::2", "9.0.0.1"), "fd01::2"),
            ((None, "9.0.0.1"), "9.0.0.1"),
        ):
            (service,) = served({**self.APP, "tasks": [self.task(*addresses)]})
            self.assertEqual(places(service), [(first, 8080)])

    def test_ipv6(self) -> None:
        """An IPv6 address stands in brackets where HAProxy reads it, and its server has a clean name."""
        (service,) = served({**self.APP, "tasks": [self.task("fd01:b::1:2")]})
        (server,) = service.servers
        self.assertEqual((server.address, server.name), ("fd01:b::1:2", "fd01_b__1_2_8080"))
        self.assertEqual(server_variables(server, service)["host_ipv4"], "[fd01:b::1:2]")

    def test_ipv6_agent(self) -> None:
        """An agent whose host is an IPv6 address is served likewise."""
        task = {"id": "web.1", "host": "2001:db8::1", "ports": [31000]}
        (service,) = served({"id": "/web", "ports": [10001], "tasks": [task]})
        self.assertEqual(places(service), [("2001:db8::1", 31000)])
        self.assertEqual(server_variables(service.servers[0], service)["host_ipv4"], "[2001:db8::1]")

    def test_no_address_yet(self) -> None:
        """A task without an address is left out quietly, and no other."""
        (service,) = served({**self.APP, "tasks": [self.task(), self.task("9.0.0.1", name="web.2")]})
        self.assertEqual(places(service), [("9.0.0.1", 8080)])

    def test_every_version(self) -> None:
        """The shapes of all of Marathon's versions lead to the same server."""
        mapping = {"containerPort": 8080, "servicePort": 10001}
        shapes: tuple[dict[str, Any], ...] = (
            self.APP,
            {
                "id": "/web",
                "container": {"docker": {"network": "USER", "portMappings": [mapping]}},
                "ipAddress": {"networkName": "dcos"},
            },
            {"id": "/web", "ports": [10001], "ipAddress": {"discovery": {"ports": [{"number": 8080}]}}},
        )
        for shape in shapes:
            (service,) = served({**shape, "tasks": [self.task("9.0.0.1")]})
            self.assertEqual((service.service_port, places(service)), (10001, [("9.0.0.1", 8080)]), shape)

    def test_assigned(self) -> None:
        """Discovery ports for which Marathon names no service port get one of the range."""
        shape = {"id": "/web", "ipAddress": {"discovery": {"ports": [{"number": 8080}, {"number": 8081}]}}}
        found = served({**shape, "tasks": [self.task("9.0.0.1")]})
        self.assertEqual([places(service) for service in found], [[("9.0.0.1", 8080)], [("9.0.0.1", 8081)]])
        self.assertTrue(all(10050 <= service.service_port <= 10099 for service in found))


class Pods(SynchronousTestCase):
    """Pods, from the status that Marathon tells to servers."""

    def pod(
        self, mode: str, count: int = 1, labels: dict[str, str] | None = None, **more: Any
    ) -> dict[str, Any]:
        """A pod with two endpoints in one container and a sidecar, scaled to so many instances."""
        endpoints: list[dict[str, Any]] = [{"name": "http", "labels": {"VIP_0": "x"}}, {"name": "admin"}]
        for number, endpoint in enumerate(endpoints):
            endpoint |= {} if mode == "host" else {"containerPort": 80 + number}
            endpoint |= {} if mode == "container" else {"hostPort": 0}
        check = {"http": {"endpoint": "http", "path": "/ping"}}
        return {
            "id": "/pod",
            "spec": {
                "labels": {"HAPROXY_0_VHOST": "pod.example.com", **(labels or {})},
                "networks": [{"mode": mode}],
                "scaling": {"kind": "fixed", "instances": count},
                "containers": [
                    {"name": "web", "endpoints": endpoints, "healthCheck": check},
                    {"name": "sidecar"},
                ],
                "version": "2026-01-01T00:00:00.000Z",
            },
            "instances": [self.instance(number, **more) for number in range(count)],
        }

    def instance(
        self, number: int, healthy: tuple[bool | None, ...] = (True,), status: str = "STABLE"
    ) -> dict[str, Any]:
        """The status of one instance; its containers and endpoints come in another order than in the spec."""
        endpoints = [
            {"name": "admin", "allocatedHostPort": 31001},
            {"name": "http", "allocatedHostPort": 31000, "healthy": healthy[number % len(healthy)]},
        ]
        return {
            "id": f"pod.instance-{number}",
            "status": status,
            "agentHostname": f"10.0.0.{number + 1}",
            "networks": [{"addresses": [f"9.0.0.{number + 1}", f"9.9.0.{number + 1}"]}],
            "containers": [
                {"name": "sidecar", "status": "TASK_RUNNING"},
                {"name": "web", "status": "TASK_RUNNING", "endpoints": endpoints},
            ],
        }

    def test_modes(self) -> None:
        """On the host and behind a bridge the agent's ports count, in a container network the pod's own."""
        labels = {"HAPROXY_0_PORT": "10001", "HAPROXY_1_PORT": "10002"}
        for mode, told in (
            ("host", [[("10.0.0.1", 31000)], [("10.0.0.1", 31001)]]),
            ("container/bridge", [[("10.0.0.1", 31000)], [("10.0.0.1", 31001)]]),
            ("container", [[("9.0.0.1", 80)], [("9.0.0.1", 81)]]),
        ):
            found = served(self.pod(mode, labels=labels), pods=True)
            self.assertEqual([places(service) for service in found], told, mode)
            self.assertEqual([service.backend for service in found], ["pod_10001", "pod_10002"])

    def test_labels(self) -> None:
        """The pod's labels count, by the order of its endpoints; its health check makes the mode."""
        first, second = served(self.pod("container"), pods=True)
        self.assertEqual((first.hosts, first.mode, second.mode), (("pod.example.com",), "http", "tcp"))
        assert first.health_check is not None
        self.assertEqual((first.health_check.path, second.health_check), ("/ping", None))

    def test_assigned(self) -> None:
        """A pod has no service ports, so the range gives them, whatever its network, if its labels speak to us."""
        for mode in ("host", "container/bridge", "container"):
            found = served(self.pod(mode), pods=True)
            self.assertEqual(len({service.service_port for service in found}), 2, mode)
            self.assertTrue(all(10050 <= service.service_port <= 10099 for service in found), mode)

    def test_not_assigned(self) -> None:
        """A pod on the host without a label for us takes nothing out of the range."""
        pod = self.pod("host")
        pod["spec"]["labels"] = {}
        (made,) = parse_pods(json.dumps([pod]).encode()).apps
        self.assertEqual(set(ports(offers(made, app("a"), app("b"), app("c")))), {"/a", "/b", "/c"})

    def test_scaled(self) -> None:
        """Each instance is one server."""
        first, _ = served(self.pod("container", 3), pods=True)
        self.assertEqual(places(first), [("9.0.0.1", 80), ("9.0.0.2", 80), ("9.0.0.3", 80)])

    def test_health(self) -> None:
        """With ``--health-check`` an instance needs a healthy endpoint, without it none."""
        pod = self.pod("container", 3, healthy=(True, False, None))
        for option, count in ((True, 1), (False, 3)):
            first, _ = served(pod, pods=True, health_check=option)
            self.assertEqual(len(places(first)), count)

    def test_states(self) -> None:
        """An instance that comes or goes is not served."""
        for status, count in (
            ("STABLE", 1),
            ("DEGRADED", 1),
            ("STAGING", 0),
            ("PENDING", 0),
            ("TERMINAL", 0),
        ):
            first, _ = served(self.pod("container", status=status), pods=True)
            self.assertEqual(len(first.servers), count, status)

    def test_blue_green(self) -> None:
        """Two pods of a deployment group are one service like two apps."""
        labels = {"HAPROXY_DEPLOYMENT_GROUP": "pod", "HAPROXY_0_PORT": "10001", "HAPROXY_1_PORT": "10002"}
        blue = self.pod("host", 2, labels=labels)
        green = self.pod("host", 1, labels={**labels, "HAPROXY_DEPLOYMENT_TARGET_INSTANCES": "2"})
        green["id"], green["spec"]["version"] = "/green", "2026-01-02T00:00:00.000Z"
        green["instances"][0] |= {"id": "green.instance-1", "agentHostname": "10.0.1.1"}
        first, _ = served(blue, green, pods=True)
        self.assertEqual(
            [(server.address, server.weight) for server in first.servers],
            [("10.0.0.1", 0), ("10.0.0.2", None), ("10.0.1.1", None)],
        )
