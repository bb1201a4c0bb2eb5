"""Apps as JSON: in every shape that Marathon took, back out in the shape of each version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from minimarathon.definitions.parsing import absolute, parse, update
from minimarathon.definitions.shapes import app_json
from minimarathon.dialect import Dialect
from minimarathon.errors import Refused
from minimarathon.model import Networking, Port
from tests.paths import data

OLD, NEW = Dialect((1, 4)), Dialect((1, 5))
BASE = {"id": "/web", "cmd": "x"}


def mapped(**docker: Any) -> dict[str, Any]:
    return {**BASE, "container": {"type": "DOCKER", "docker": {"image": "nginx", **docker}}}


class ParseTests(SynchronousTestCase):
    """`parse`."""

    def test_ports(self) -> None:
        """Ports and networking come out of every generation of fields."""
        mapping = {"containerPort": 80, "hostPort": 0, "servicePort": 10001, "name": "http"}
        bridge = (Port(container_port=80, service_port=10001, name="http"),)
        address = {"discovery": {"ports": [{"number": 80, "name": "http", "protocol": "tcp"}]}}
        rows = [
            ("nothing", BASE, Networking.HOST, (Port(),)),
            ("ports", {**BASE, "ports": [10001, 0]}, Networking.HOST, (Port(service_port=10001), Port())),
            ("no ports", {**BASE, "ports": []}, Networking.HOST, ()),
            (
                "portDefinitions",
                {**BASE, "portDefinitions": [{"port": 10001, "name": "http", "labels": {"a": "b"}}]},
                Networking.HOST,
                (Port(service_port=10001, name="http", labels={"a": "b"}),),
            ),
            ("bridge to 1.4", mapped(network="BRIDGE", portMappings=[mapping]), Networking.BRIDGE, bridge),
            (
                "bridge from 1.5",
                {
                    **BASE,
                    "networks": [{"mode": "container/bridge"}],
                    "container": {"type": "MESOS", "portMappings": [mapping]},
                },
                Networking.BRIDGE,
                bridge,
            ),
            (
                "container",
                {
                    **BASE,
                    "networks": [{"mode": "container", "name": "dcos"}],
                    "container": {"portMappings": [{"containerPort": 80}]},
                },
                Networking.CONTAINER,
                (Port(container_port=80, host_port=None),),
            ),
            (
                "ipAddress",
                {**BASE, "ipAddress": address},
                Networking.CONTAINER,
                (Port(container_port=80, host_port=None, name="http"),),
            ),
            ("host by docker", mapped(network="HOST", portMappings=None), Networking.HOST, (Port(),)),
        ]
        for name, body, networking, ports in rows:
            app = parse(body)
            self.assertEqual((networking, ports), (app.networking, app.ports), name)

    def test_refused(self) -> None:
        """Wrong types are 400, impossible values 422, each with its path; all of a document at once."""
        rows: list[tuple[dict[str, Any], int, list[str]]] = [
            ({"cmd": "x"}, 422, ["/id"]),
            ({"id": "/Web", "cmd": "x"}, 422, ["/id"]),
            ({"id": "/a/tasks", "cmd": "x"}, 422, ["/id"]),
            ({"id": "/web"}, 422, ["/"]),
            ({**BASE, "instances": -1}, 422, ["/instances"]),
            ({**BASE, "instances": "3"}, 400, ["/instances"]),
            ({**BASE, "instances": 1.5}, 400, ["/instances"]),
            ({**BASE, "instances": True}, 400, ["/instances"]),
            ({**BASE, "labels": {"a": {}}}, 400, ["/labels/a"]),
            ({**BASE, "labels": []}, 400, ["/labels"]),
            ({**BASE, "args": [1]}, 400, ["/args"]),
            ({**BASE, "requirePorts": "no"}, 400, ["/requirePorts"]),
            ({**BASE, "ports": [70000]}, 422, ["/ports/0"]),
            ({**BASE, "portDefinitions": [{"port": "a"}]}, 400, ["/portDefinitions(0)/port"]),
            ({**BASE, "portDefinitions": [1]}, 400, ["/portDefinitions(0)"]),
            ({**BASE, "portDefinitions": 1}, 400, ["/portDefinitions"]),
            ({**BASE, "healthChecks": [{"portIndex": 1}]}, 422, ["/healthChecks(0)/portIndex"]),
            ({**BASE, "healthChecks": [{"protocol": "COMMAND"}]}, 422, ["/healthChecks(0)/command"]),
            ({**BASE, "healthChecks": [{"protocol": "X"}]}, 422, ["/healthChecks(0)/protocol"]),
            ({**BASE, "killSelection": "X", "backoffFactor": 0.5}, 422, ["/backoffFactor", "/killSelection"]),
        ]
        for body, status, paths in rows:
            with self.assertRaises(Refused) as caught:
                parse(body)
            found = sorted(one["path"] for one in caught.exception.body["details"])
            self.assertEqual((status, paths), (caught.exception.status, found), body)

    def test_ids(self) -> None:
        """An id is absolute, or lies in its group."""
        for text, base, expected in (
            ("web", "/", "/web"),
            ("web", "/shop", "/shop/web"),
            ("//a//b/", "/x", "/a/b"),
        ):
            self.assertEqual(expected, absolute(text, base))

    def test_values_of_labels(self) -> None:
        """Labels are texts: numbers and booleans become some, null is left out."""
        app = parse({**BASE, "labels": {"a": 1, "b": True, "c": None, "d": "x"}})
        self.assertEqual({"a": "1", "b": "true", "d": "x"}, app.labels)

    def test_what_is_not_understood_is_kept(self) -> None:
        """Fields that mean nothing here come back as they were, in every version."""
        extra = {"constraints": [["hostname", "UNIQUE"]], "cpus": 0.3, "fetch": [{"uri": "http://x/y"}]}
        for dialect in (OLD, NEW):
            shown = app_json(parse({**BASE, **extra, "version": "old", "tasksRunning": 5}), dialect)
            self.assertEqual(extra, {name: shown[name] for name in extra})
            self.assertNotIn("tasksRunning", shown)


class UpdateTests(SynchronousTestCase):
    """`update`."""

    def test_fields_that_exclude_each_other(self) -> None:
        """What is given pushes out what says the same in another way; what is null is not given."""
        app = parse({**BASE, "portDefinitions": [{"port": 10001, "name": "http"}]})
        self.assertEqual((Port(service_port=10002),), update(app, {"ports": [10002]}).ports)
        changed = update(app, {"args": ["a"], "labels": None})
        self.assertEqual((None, ("a",)), (changed.cmd, changed.args))
        self.assertEqual("y", update(changed, {"cmd": "y"}).cmd)
        bridged = update(app, mapped(network="BRIDGE", portMappings=[{"containerPort": 80}]))
        self.assertEqual((Networking.BRIDGE, 80), (bridged.networking, bridged.ports[0].container_port))
        self.assertEqual(Networking.CONTAINER, update(bridged, {"ipAddress": {}}).networking)

    def test_versions_stay(self) -> None:
        """An update says nothing of versions: those are the state's."""
        app = update(parse(BASE), {"instances": 3, "version": "x"})
        self.assertEqual((3, ""), (app.instances, app.version))


class DefinitionFilesTests(SynchronousTestCase):
    """Definitions in the shapes that people keep them in."""

    directory = data("apps")
    least_good, most_bad = 34, 2

    def bodies(self, document: Any) -> Iterator[dict[str, Any]]:
        if isinstance(document, list):
            for one in document:
                yield from self.bodies(one)
        elif isinstance(document, dict) and ("apps" in document or "groups" in document):
            yield from self.bodies(document.get("apps") or [])
            yield from self.bodies(document.get("groups") or [])
        elif isinstance(document, dict) and "id" in document:
            yield document

    def test_round_trip(self) -> None:
        """Nearly every one is understood, and what is shown of it today is understood the same way again."""
        good = bad = 0
        for file in self.directory.glob("*.json"):
            for body in self.bodies(json.loads(file.read_text())):
                try:
                    app = parse(body)
                except Refused:
                    bad += 1
                    continue
                good += 1
                again = parse(app_json(app, NEW))
                self.assertEqual((app.ports, app.networking), (again.ports, again.networking), file.name)
                self.assertEqual(app, update(app, {}), file.name)
        self.assertGreaterEqual(good, self.least_good)
        self.assertLessEqual(bad, self.most_bad)
