"""Apps in the JSON of Marathon's versions."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from minimarathon.definitions.parsing import parse
from minimarathon.definitions.shapes import app_json
from minimarathon.dialect import Dialect
from tests.minimarathon.definitions.test_parsing import BASE, NEW, OLD, mapped


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
