"""What comes out of Marathon's JSON is as long and as many as HAProxy's lines and the reactor bear."""

from __future__ import annotations

import json
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.parsing.apps import Parsed, parse_apps
from marathonlb.marathon.parsing.pods import parse_pods


def apps(**app: Any) -> Parsed:
    """What an answer with this app says."""
    return parse_apps(json.dumps({"apps": [{"id": "/a", **app}]}).encode())


def pods(**pod: Any) -> Parsed:
    """What an answer with this pod says."""
    return parse_pods(json.dumps([{"id": "/a", "spec": {}, **pod}]).encode())


class NameTests(SynchronousTestCase):
    """Names that reach HAProxy's configuration."""

    def test_ids(self) -> None:
        """An app or pod whose id is too long is unreadable, alone, and is named by the beginning of its id."""
        for parse in (apps, pods):
            for name in ("/" + "a" * 511, "/" + "é" * 255 + "a"):
                self.assertEqual([name], [app.id for app in parse(id=name).apps])
                found = parse(id=name + "b")
                self.assertEqual((), found.apps)
                self.assertIn("513 bytes; the maximum is 512", found.unreadable[0].reason)
            found = parse(id="/" + "a" * 100_000)
            self.assertLess(len(found.unreadable[0].app_id + found.unreadable[0].reason), 1000)

    def test_hosts(self) -> None:
        """A task on a host with too long a name, or with too long an id, is left out, alone."""
        host = ".".join(["a" * 62] * 4)
        task = {"id": "a.1", "host": "agent1", "ports": [31000]}
        for bad in ({"host": host + "abc"}, {"host": "a b"}, {"id": "i" * 1025}, {"host": "a" * 100_000}):
            found = apps(tasks=[task, {**task, "id": "a.2", "host": host}, {**task, "id": "a.3", **bad}])
            self.assertEqual(["a.1", "a.2"], [each.id for each in found.apps[0].tasks])
            self.assertLess(len(found.left_out[0].task_id + found.left_out[0].reason), 2000)
            (left,) = pods(instances=[{"id": "a.3", "agentHostname": "x", **_instance(bad)}]).left_out
            self.assertLess(len(left.reason), 2000)

    def test_addresses(self) -> None:
        """An address that is none is not one of the task's."""
        addresses = ["10.0.0.1 id 7", "10.0.0.2\nbackend x", "1" * 254, "10.0.0.3"]
        listed = [{"ipAddress": address} for address in addresses]
        found = apps(tasks=[{"id": "a.1", "host": "h", "ipAddresses": listed}])
        self.assertEqual(("10.0.0.3",), found.apps[0].tasks[0].addresses)
        found = pods(instances=[{"id": "a.1", "agentHostname": "h", "networks": [{"addresses": addresses}]}])
        self.assertEqual(("10.0.0.3",), found.apps[0].tasks[0].addresses)

    def test_names_of_ports(self) -> None:
        """The name of a port is a name or nothing, since an operator's template may write it."""
        names = ["web", "a b", "a\nb", "n" * 256, "n" * 255]
        found = apps(portDefinitions=[{"port": 1, "name": name} for name in names])
        self.assertEqual(["web", None, None, None, "n" * 255], [port.name for port in found.apps[0].ports])


def _instance(bad: dict[str, str]) -> dict[str, str]:
    return {"agentHostname" if name == "host" else name: text for name, text in bad.items()}


class CountTests(SynchronousTestCase):
    """Lists of ports and checks."""

    def test_ports(self) -> None:
        """Of very many ports those are kept that are served, and one more by which that shows."""
        mappings = [{"containerPort": 80, "hostPort": 0}] * 5000
        endpoints = [{"name": f"e{number}", "hostPort": 0} for number in range(5000)]
        for found in (
            apps(ports=[1] * 5000),
            apps(portDefinitions=[{"port": 1}] * 5000),
            apps(container={"portMappings": mappings}, networks=[{"mode": "container/bridge"}]),
            apps(ipAddress={"discovery": {"ports": [{"number": 80}] * 5000}}),
            pods(spec={"containers": [{"endpoints": endpoints}]}),
        ):
            self.assertEqual(1001, len(found.apps[0].ports))

    def test_checks(self) -> None:
        """Of very many checks the first thousand count; those of a pod are found by the names of its endpoints."""
        self.assertEqual(1000, len(apps(healthChecks=[{"protocol": "TCP"}] * 5000).apps[0].health_checks))
        containers = [
            {
                "endpoints": [{"name": f"e{number}", "hostPort": 0}],
                "healthCheck": {"tcp": {"endpoint": f"e{number}"}},
            }
            for number in range(5000)
        ]
        begun = time.process_time()
        (found,) = pods(spec={"containers": containers}).apps
        self.assertLess(time.process_time() - begun, 1)
        self.assertEqual(list(range(1000)), [check.port_index for check in found.health_checks])
