"""The addresses and ports of tasks."""

from __future__ import annotations

import socket

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from minimarathon.definitions.parsing import parse
from minimarathon.tasks.addresses import Addresses, NoPort, bindable, port_addresses
from tests.minimarathon.clusters import app, task


class AddressTests(SynchronousTestCase):
    """`Addresses`."""

    def test_free_ports(self) -> None:
        """Ports that cannot be bound are passed over, those that were given back come again, and the end is said."""
        addresses = Addresses(first=5, last=7, free=lambda host, port: port != 6)
        two = parse({"id": "/web", "cmd": "x", "ports": [0, 0]})
        address, ports = addresses.take(two)
        self.assertEqual(("127.0.0.1", (5, 7)), (address, ports))
        self.assertRaises(NoPort, addresses.take, two)
        addresses.give_back(ports)
        self.assertEqual({5, 7}, set(addresses.take(two)[1]))

    def test_shared(self) -> None:
        """For tasks without processes the range begins again at its end."""
        addresses = Addresses(first=5, last=6, share=True)
        self.assertEqual([5, 6, 5], [addresses.take(app())[1][0] for _ in range(3)])

    def test_wanted_ports(self) -> None:
        """requirePorts and hostPort are given as they are, and a mapping without hostPort takes none."""
        addresses = Addresses()
        own = parse({"id": "/web", "cmd": "x", "ports": [8080], "requirePorts": True})
        self.assertEqual((8080,), addresses.take(own)[1])
        mapped = parse(
            {
                "id": "/web",
                "cmd": "x",
                "networks": [{"mode": "container"}],
                "container": {
                    "portMappings": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 8081}]
                },
            }
        )
        address, ports = addresses.take(mapped)
        self.assertEqual(("127.1.0.1", (8081,)), (address, ports))
        there = evolve(task("a"), address=address, ports=ports)
        self.assertEqual((("127.1.0.1", 80), ("127.0.0.1", 8081)), port_addresses(there, mapped))

    def test_bindable(self) -> None:
        """A port that somebody listens on is not free."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            self.assertFalse(bindable("127.0.0.1", port))
        self.assertTrue(bindable("127.0.0.1", port))
