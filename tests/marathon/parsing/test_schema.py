"""The shapes of Marathon's JSON."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.parsing import schema
from marathonlb.marathon.parsing.schema import Wire, WireApp, WireInstance, WirePod, WireTask


def decode(kind: type[Any], document: Any) -> Any:
    """Decode a document as its kind."""
    return msgspec.json.decode(msgspec.json.encode(document), type=kind)


class SchemaTests(SynchronousTestCase):
    """The structs of `marathonlb.marathon.parsing.schema`."""

    def test_optional(self) -> None:
        """Every field but ids and the frame's own may be missing or null, since some version of Marathon omits it."""
        required = {"id", "spec", "number", "app", "apps"}
        for kind in _all_kinds(Wire):
            for field in msgspec.structs.fields(kind):
                self.assertEqual(field.name in required, field.required, (kind, field.name))

    def test_camel_case(self) -> None:
        """Names are those of Marathon's JSON."""
        app = decode(
            WireApp,
            {
                "id": "/a",
                "portDefinitions": [{"port": 1}],
                "healthChecks": [{"ignoreHttp1xx": True, "maxConsecutiveFailures": 2}],
                "versionInfo": {"lastConfigChangeAt": "v"},
                "tasks": [{"id": "a.1", "ipAddresses": [{"ipAddress": "10.0.0.1"}]}],
            },
        )
        (check,) = app.health_checks
        self.assertEqual((True, 2), (check.ignore_http1xx, check.max_consecutive_failures))
        self.assertEqual(("v", 1), (app.version_info.last_config_change_at, app.port_definitions[0].port))
        self.assertEqual("10.0.0.1", app.tasks[0].ip_addresses[0].ip_address)

    def test_missing_tasks(self) -> None:
        """Tasks that are missing are distinguished from null and from none."""
        self.assertIs(UNSET, decode(WireApp, {"id": "/a"}).tasks)
        self.assertIsNone(decode(WireApp, {"id": "/a", "tasks": None}).tasks)
        self.assertEqual((), decode(WireApp, {"id": "/a", "tasks": []}).tasks)

    def test_unknown_fields(self) -> None:
        """Fields that are not used may hold anything."""
        for kind, more in ((WireApp, {}), (WireTask, {}), (WirePod, {"spec": {}}), (WireInstance, {})):
            self.assertEqual("x", decode(kind, {"id": "x", "fetch": [{"uri": 7}], "cmd": {}, **more}).id)

    def test_ports(self) -> None:
        """A port is a number from 0 to 65535."""
        for port in (0, 65535):
            self.assertEqual((port,), decode(WireTask, {"id": "a", "ports": [port]}).ports)
        for port in (-1, 65536, "80", 1.5, True):
            with self.assertRaises(msgspec.ValidationError):
                decode(WireTask, {"id": "a", "ports": [port]})

    def test_labels(self) -> None:
        """A label is a string, a boolean, a number or null."""
        labels = {"a": "x", "b": True, "c": 1, "d": 1.5, "e": None}
        self.assertEqual(labels, decode(WireApp, {"id": "/a", "labels": labels}).labels)
        with self.assertRaises(msgspec.ValidationError):
            decode(WireApp, {"id": "/a", "labels": {"a": []}})


def _all_kinds(base: type[Wire]) -> list[type[Wire]]:
    kinds = [kind for kind in base.__subclasses__() if kind.__module__ == schema.__name__]
    return kinds + [deeper for kind in kinds for deeper in _all_kinds(kind)]
