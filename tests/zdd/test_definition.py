"""The app file, and the apps of the pair that are made of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.zdd.definition import Build, Json, build, check, read
from marathonlb.zdd.errors import Refused
from tests.zdd.worlds import app_file

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def parsed(**more: Any) -> Any:
    """An app file that was read."""
    return read(json.dumps(app_file(**more)), "app.json")


def shapes(*ports: int) -> list[tuple[str, Json]]:
    """The ways in which an app says its ports, and how the service ports are found in each."""
    return [
        ("ports", {"ports": list(ports), "portDefinitions": None}),
        ("portDefinitions", {"portDefinitions": [{"port": port, "protocol": "tcp"} for port in ports]}),
        (
            "docker",
            {
                "container": {
                    "docker": {"portMappings": [{"containerPort": 80, "servicePort": p} for p in ports]}
                }
            },
        ),
        (
            "container",
            {"container": {"portMappings": [{"containerPort": 80, "servicePort": p} for p in ports]}},
        ),
    ]


class Reading(SynchronousTestCase):
    """What is an app file."""

    def test_read(self) -> None:
        """An id becomes absolute, an app without instances has one."""
        file = read(json.dumps({**app_file(), "id": "shop/web", "instances": 1}), "x")
        self.assertEqual(
            ("/shop/web", "shop", 1, (10000,), 10100),
            (file.id, file.group, file.instances, file.ports, file.alternate),
        )

    def test_ports(self) -> None:
        """The service ports are found in every shape."""
        for name, shape in shapes(10000, 10010):
            self.assertEqual((10000, 10010), parsed(**shape).ports, name)
        self.assertEqual((0, 10010), parsed(portDefinitions=[{}, {"port": 10010}]).ports)

    def test_refused(self) -> None:
        """A file that is not an app, or lacks something that a pair needs, is refused with the reason."""
        without = app_file()
        del without["labels"]["HAPROXY_DEPLOYMENT_GROUP"]
        for text, words in (
            ("{", "not JSON"),
            ("[]", "not an app"),
            ('{"id": 3}', "not an app"),
            ('{"id": "/"}', "not an app"),
            (json.dumps(without), "HAPROXY_DEPLOYMENT_GROUP is missing"),
            (json.dumps(app_file(labels={"DEPLOYMENT_GROUP": "a b"})), "'a b', which is no name"),
            (
                json.dumps(app_file(labels={"DEPLOYMENT_GROUP": "/bank/shop"})),
                "a group of another parent group",
            ),
            (json.dumps(app_file(0)), "the minimum is 1"),
            (json.dumps({**app_file(), "instances": "3"}), "instances is '3'"),
            (json.dumps({**app_file(), "instances": True}), "instances is True"),
            (json.dumps({**app_file(), "ports": [{}], "portDefinitions": None}), "shape"),
            (json.dumps({**app_file(), "portDefinitions": [3]}), "shape"),
            (json.dumps(app_file(labels={"DEPLOYMENT_ALT_PORT": ""})), "second app's service port"),
            (json.dumps(app_file(labels={"DEPLOYMENT_ALT_PORT": "65536"})), "second app's service port"),
            (
                json.dumps(app_file(labels={"DEPLOYMENT_ALT_PORT": "10000"})),
                "10000 would be a service port of both",
            ),
            (
                json.dumps(app_file(portDefinitions=[{"port": 10000}, {"port": 10101}])),
                "10101 would be a service port of both",
            ),
        ):
            error = self.assertRaises(Refused, read, text, "app.json")
            self.assertIn(words, str(error))
            self.assertTrue(str(error).startswith("app.json: "))

    def test_alternative_is_not_needed(self) -> None:
        """Where Marathon chooses the service ports, nobody has to name a second one."""
        self.assertIsNone(parsed(portDefinitions=[{}], labels={"DEPLOYMENT_ALT_PORT": ""}).alternate)


class Building(SynchronousTestCase):
    """An app of the pair."""

    def test_first(self) -> None:
        """The first app is the file's but for its id, its instances and its labels; the file stays as it is."""
        file = parsed()
        body = build(file, Build("blue", 2, NOW))
        self.assertEqual(app_file(), file.body)
        labels = {
            **app_file()["labels"],
            "HAPROXY_0_PORT": "10000",
            "HAPROXY_DEPLOYMENT_COLOUR": "blue",
            "HAPROXY_DEPLOYMENT_STARTED_AT": "2026-01-02T03:04:05+00:00",
            "HAPROXY_DEPLOYMENT_TARGET_INSTANCES": "4",
        }
        self.assertEqual({**app_file(), "id": "/shop-blue", "instances": 2, "labels": labels}, body)

    def test_alternatives(self) -> None:
        """Where the app that is there has the ports, each has another one, in every shape."""
        for name, shape in shapes(10000, 10010):
            file = parsed(**shape)
            body = build(file, Build("green", 1, NOW, frozenset({10010}), {}))
            again = read(
                json.dumps({**body, "labels": app_file()["labels"] | {"HAPROXY_DEPLOYMENT_ALT_PORT": "1"}}),
                "x",
            )
            self.assertEqual((10100, 10101), again.ports, name)
            self.assertEqual(
                ("10000", "10010"), (body["labels"]["HAPROXY_0_PORT"], body["labels"]["HAPROXY_1_PORT"])
            )

    def test_known_port(self) -> None:
        """A port that Marathon chose once is kept for clients; the owner's own word holds before all."""
        file = parsed(portDefinitions=[{}, {"port": 10010}], labels={"1_PORT": "443"})
        labels = build(file, Build("green", 1, NOW, frozenset({10007}), {0: 10007, 1: 443}))["labels"]
        self.assertEqual(("10007", "443"), (labels["HAPROXY_0_PORT"], labels["HAPROXY_1_PORT"]))

    def test_no_split_of_its_own(self) -> None:
        """What the file says of a deployment that is over is not posted."""
        file = parsed(labels={"DEPLOYMENT_NEW_INSTANCES": "1", "DEPLOYMENT_COLOUR": "red"})
        labels = build(file, Build("blue", 1, NOW))["labels"]
        self.assertNotIn("HAPROXY_DEPLOYMENT_NEW_INSTANCES", labels)
        self.assertEqual("blue", labels["HAPROXY_DEPLOYMENT_COLOUR"])

    def test_checked(self) -> None:
        """An app that a load balancer would not serve is told before it is posted."""
        check(build(parsed(portDefinitions=[{}]), Build("blue", 1, NOW)))
        for words, more in (
            ("HAPROXY_0_PORT", {"labels": {"0_PORT": "many"}}),
            ("no port of it would be served", {"portDefinitions": []}),
            ("/shop-blue", {"labels": {"DEPLOYMENT_ALT_PORT": "7", "0_BACKEND_WEIGHT": "heavy"}}),
            ("/shop-blue: ", {"healthChecks": 3}),
        ):
            error = self.assertRaises(Refused, check, build(parsed(**more), Build("blue", 1, NOW)))
            self.assertIn(words, str(error))
