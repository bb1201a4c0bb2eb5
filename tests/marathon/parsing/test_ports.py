"""The ports and networking modes of apps, in the JSON of every version of Marathon."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.model import Networking, Port
from marathonlb.marathon.parsing.apps import parse_apps
from marathonlb.marathon.parsing.ports import networking_of, port_name, protocol_of
from marathonlb.marathon.parsing.schema import Network


class PortsTests(SynchronousTestCase):
    """`ports_for` and `networking_for`, through the app that they belong to."""

    def check(self, networking: Networking, wanted: list[Port], /, **app: Any) -> None:
        """The definition has this mode and these ports."""
        (found,) = parse_apps(json.dumps({"apps": [{"id": "/a", **app}]}).encode()).apps
        self.assertEqual((found.networking, found.ports), (networking, tuple(wanted)))

    def test_ports(self) -> None:
        """The ``ports`` of Marathon up to 1.4 are service ports on the host."""
        self.check(Networking.HOST, [Port(10001), Port(10002)], ports=[10001, 10002], container=None)

    def test_port_definitions(self) -> None:
        """The ``portDefinitions`` win over ``ports``, and keep name and protocol."""
        self.check(
            Networking.HOST,
            [Port(10001, name="web"), Port(10002, protocol="udp,tcp"), Port(0, protocol="udp")],
            ports=[10001, 10002],
            portDefinitions=[
                {"port": 10001, "name": "web", "protocol": "tcp"},
                {"port": 10002, "protocol": "tcp,udp"},
                {"protocol": "UDP"},
            ],
            networks=[{"mode": "host"}],
        )

    def test_old_bridge(self) -> None:
        """Bridge mode up to 1.4 has its service ports in ``container.docker.portMappings``."""
        self.check(
            Networking.BRIDGE,
            [Port(10001, name="web")],
            ports=[10001],
            ipAddress=None,
            container={
                "docker": {
                    "network": "BRIDGE",
                    "portMappings": [
                        {"containerPort": 80, "hostPort": 0, "servicePort": 10001, "name": "web"}
                    ],
                }
            },
        )

    def test_new_bridge(self) -> None:
        """Bridge mode from 1.5 has them in ``container.portMappings``, and each takes a host port."""
        self.check(
            Networking.BRIDGE,
            [Port(10001), Port(10002)],
            networks=[{"mode": "container/bridge"}],
            container={
                "docker": {"image": "x"},
                "portMappings": [{"containerPort": 80, "servicePort": 10001}, {"servicePort": 10002}],
            },
        )

    def test_empty_mappings(self) -> None:
        """A bridge without a mapping has no ports; null counts as empty."""
        for mappings in ([], None):
            self.check(
                Networking.BRIDGE,
                [],
                networks=[{"mode": "container/bridge"}],
                container={"portMappings": mappings, "docker": {"portMappings": mappings}},
            )

    def test_new_container_network(self) -> None:
        """A mapping without ``hostPort`` takes no slot in the task's ports, one with ``hostPort`` 0 does."""
        self.check(
            Networking.CONTAINER,
            [
                Port(10001, container_port=80, on_host=False),
                Port(10002, container_port=81, on_host=True),
                Port(10003, container_port=None, on_host=False),
            ],
            networks=[{"mode": "container", "name": "dcos"}],
            container={
                "portMappings": [
                    {"containerPort": 80, "servicePort": 10001},
                    {"containerPort": 81, "hostPort": 0, "servicePort": 10002},
                    {"containerPort": 0, "hostPort": None, "servicePort": 10003},
                ]
            },
        )

    def test_network_without_mode(self) -> None:
        """An entry of ``networks`` without a mode is a container network."""
        self.check(
            Networking.CONTAINER,
            [Port(0, container_port=80, on_host=False)],
            networks=[{"name": "dcos"}],
            container={"portMappings": [{"containerPort": 80}]},
        )

    def test_old_container_network(self) -> None:
        """Docker's USER network is a container network."""
        self.check(
            Networking.CONTAINER,
            [Port(10001, container_port=80, on_host=False)],
            ports=[10001],
            ipAddress={"networkName": "calico"},
            container={"docker": {"network": "USER", "portMappings": [{"containerPort": 80}]}},
        )

    def test_discovery(self) -> None:
        """An IP per task without mappings offers its discovery ports; service ports come from ``ports``."""
        self.check(
            Networking.CONTAINER,
            [
                Port(10001, container_port=80, on_host=False, name="http"),
                Port(0, container_port=53, on_host=False, protocol="udp"),
            ],
            ports=[10001],
            ipAddress={
                "discovery": {
                    "ports": [
                        {"number": 80, "name": "http", "protocol": "tcp"},
                        {"number": 53, "protocol": "udp"},
                    ]
                }
            },
        )

    def test_both_generations(self) -> None:
        """Where a definition says ``docker.network`` and ``networks``, it was written for a 1.4, and that wins."""
        self.check(
            Networking.HOST,
            [Port(10300)],
            networks=[{"mode": "container/bridge"}],
            portDefinitions=[{"port": 10300}],
            container={"docker": {"network": "HOST"}, "portMappings": [{"containerPort": 80, "hostPort": 0}]},
        )

    def test_host_with_mappings_alone(self) -> None:
        """On the host network mappings count if there are no other ports."""
        self.check(
            Networking.HOST,
            [Port(10300)],
            container={"docker": {"portMappings": [{"containerPort": 80, "servicePort": 10300}]}},
        )


class WordTests(SynchronousTestCase):
    """`port_name`, `protocol_of` and `networking_of`."""

    def test_names(self) -> None:
        """A name that cannot be one word of a line is none."""
        for name, expected in (("web", "web"), (None, None), ("", None), ("a b", None), ("a\tb", None)):
            self.assertEqual(expected, port_name(name), name)

    def test_protocols(self) -> None:
        """Everything but UDP is TCP, in any spelling."""
        for text, expected in (
            (None, "tcp"),
            ("", "tcp"),
            ("http", "tcp"),
            ("UDP", "udp"),
            (" udp ,", "udp"),
            ("udp,tcp", "udp,tcp"),
            ("tcp, UDP", "udp,tcp"),
        ):
            self.assertEqual(expected, protocol_of(text), text)

    def test_modes(self) -> None:
        """A container network wins over the other modes; an unknown one is the host's."""
        for modes, expected in (
            ([], None),
            ([None], Networking.CONTAINER),
            (["container"], Networking.CONTAINER),
            (["container/bridge"], Networking.BRIDGE),
            (["host"], Networking.HOST),
            (["container/bridge", "container"], Networking.CONTAINER),
        ):
            self.assertIs(expected, networking_of([Network(mode=mode) for mode in modes]), modes)
        self.assertIsNone(networking_of(None))
