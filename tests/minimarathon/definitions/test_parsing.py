"""Apps as JSON: in every shape that Marathon took, back out in the shape of each version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from minimarathon.api.selectors import parse_selector
from minimarathon.definitions.app_file import SAMPLE, load
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


class ShapeTests(SynchronousTestCase):
    """`app_json`."""

    def test_to_1_4(self) -> None:
        """The old shape has ports, portDefinitions, docker.network and nulls, and no networks."""
        shown = app_json(
            parse(mapped(network="BRIDGE", portMappings=[{"containerPort": 80, "servicePort": 10001}])), OLD
        )
        self.assertEqual(([10001], None), (shown["ports"], shown["ipAddress"]))
        self.assertEqual("BRIDGE", shown["container"]["docker"]["network"])
        self.assertEqual(10001, shown["container"]["docker"]["portMappings"][0]["servicePort"])
        self.assertNotIn("networks", shown)
        self.assertIsNone(app_json(parse(mapped()), OLD)["container"]["docker"]["portMappings"])

    def test_from_1_5(self) -> None:
        """The new shape has networks and container.portMappings, and neither ports nor docker.network."""
        shown = app_json(parse(mapped(network="BRIDGE", portMappings=[{"containerPort": 80}])), NEW)
        self.assertEqual([{"mode": "container/bridge"}], shown["networks"])
        self.assertEqual(80, shown["container"]["portMappings"][0]["containerPort"])
        self.assertNotIn("network", shown["container"]["docker"])
        self.assertFalse({"ports", "portDefinitions", "ipAddress"} & shown.keys())
        self.assertEqual("*", app_json(parse(BASE), Dialect((1, 9)))["role"])


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


class SelectorTests(SynchronousTestCase):
    """`parse_selector`."""

    def test_table(self) -> None:
        """Each selector, and whether it means an app with the labels a=x and b=y z."""
        labels = {"a": "x", "b": "y z"}
        rows = [
            ("a", True),
            ("c", False),
            ("a==x", True),
            ("a == y", False),
            ("a!=y", True),
            ("c!=y", False),
            (r"b==y\ z", True),
            ("a in (w, x)", True),
            ("a in (w)", False),
            ("a notin (w)", True),
            ("c notin (w)", False),
            ("a, b", True),
            ("a, c", False),
            ("a in (x), b, a!=w", True),
        ]
        for text, expected in rows:
            self.assertEqual(expected, parse_selector(text)(labels), text)

    def test_nonsense(self) -> None:
        """What is no selector is 400."""
        for text in ("((", "a=", "a in x", "a==x b"):
            with self.assertRaises(Refused) as caught:
                parse_selector(text)
            self.assertEqual(400, caught.exception.status, text)


class FileTests(SynchronousTestCase):
    """`load`."""

    def file(self, text: str) -> Path:
        path = Path(self.mktemp())
        path.write_text(text)
        return path

    def test_shapes(self) -> None:
        """A group, a list, apps in an object and one app are all taken; relative ids lie in their group."""
        app = '{"id": "web", "cmd": "x"}'
        for text, expected in (
            (app, {"/web"}),
            (f"[{app}]", {"/web"}),
            (f'{{"apps": [{app}]}}', {"/web"}),
            (f'{{"id": "/", "groups": [{{"id": "shop", "apps": [{app}]}}]}}', {"/shop/web"}),
        ):
            self.assertEqual(expected, set(load(self.file(text))), text)

    def test_sample(self) -> None:
        """The sample has what make run promises."""
        apps = load(SAMPLE)
        self.assertEqual({"/shop/web", "/shop/cart", "/sticky", "/secure", "/echo"}, set(apps))
        self.assertEqual((10100,), apps["/echo"].service_ports)

    def test_errors(self) -> None:
        """A file that cannot be used is named, with the reason."""
        for text in ("{", "5", '{"id": "/web"}'):
            path = self.file(text)
            error = self.assertRaises((ValueError, Refused), load, path)
            self.assertIn(str(path) if text != "5" else "Invalid JSON", str(error))
        self.assertIn("cannot be read", str(self.assertRaises(ValueError, load, Path("/nowhere"))))
