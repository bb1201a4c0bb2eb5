"""Events: their fields, compared with real ones, and their listeners."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from minimarathon.events import Bus
from tests.minimarathon.clusters import Cluster, app
from tests.paths import data

CHECKED = {"healthChecks": [{"protocol": "HTTP", "path": "/"}]}


class EventShapeTests(SynchronousTestCase):
    """Emitted events beside events in the shape of a Marathon 1.5."""

    directory = data("events")
    name_of_1_5 = "{kind}@1.5{condition}.json"
    alive_of_1_4 = "health_status_changed_event@1.4.json"
    healthy_of_1_5 = "instance_health_changed_event@1.5.json"

    def read(self, name: str) -> dict[str, Any]:
        """The event of a file."""
        body = json.loads((self.directory / name).read_text())
        assert isinstance(body, dict)
        return body

    def of_1_5(self, kind: str) -> dict[str, Any]:
        """The event of a type as a Marathon 1.5 sends it."""
        condition = "-running" if kind == "instance_changed_event" else ""
        return self.read(self.name_of_1_5.format(kind=kind, condition=condition))

    def test_fields(self) -> None:
        """Each event has exactly the fields of the real one of its type, of the same JSON types."""
        cluster = Cluster()
        cluster.engine.deploy({"/web": app(**CHECKED)}, posted=("10.0.0.1", "/v2/apps"))
        cluster.rest()
        cluster.engine.deploy({"/web": None})
        cluster.rest()
        told = {event.kind: json.loads(event.json()) for event in cluster.heard}
        for kind in (
            "deployment_info",
            "deployment_step_success",
            "deployment_success",
            "group_change_success",
            "api_post_event",
            "status_update_event",
            "instance_changed_event",
            "app_terminated_event",
        ):
            self.assertEqual(_types(self.of_1_5(kind)), _types(told[kind]), kind)
        real = self.read(self.alive_of_1_4)
        self.assertEqual(_types(real), _types(told["health_status_changed_event"]))
        real = self.read(self.healthy_of_1_5)
        self.assertEqual(_types(real), _types(told["instance_health_changed_event"]))

    def test_plan(self) -> None:
        """A plan holds groups and steps as the real one does."""
        real = self.of_1_5("deployment_success")["plan"]
        cluster = Cluster()
        cluster.deploy(app())
        ours = json.loads(cluster.heard[-1].json())["plan"]
        self.assertEqual(_types(real), _types(ours))
        self.assertEqual(_types(real["target"]), _types(ours["target"]))
        self.assertEqual(
            [[action["action"] for action in step["actions"]] for step in real["steps"]],
            [[action["action"] for action in step["actions"]] for step in ours["steps"]],
        )


def _types(body: dict[str, Any]) -> dict[str, str]:
    return {name: type(value).__name__ for name, value in body.items()}


class BusTests(SynchronousTestCase):
    """`Bus`."""

    def test_listeners(self) -> None:
        """Everybody hears everything in order until he stops; stopping twice is nothing."""
        cluster, one, two = Cluster(), [], []
        bus = Bus()
        stop = bus.listen(one.append)
        bus.listen(two.append)
        first, second = (cluster.state.announce.event(kind) for kind in ("a", "b"))
        bus.publish([first])
        stop()
        stop()
        bus.publish([second])
        self.assertEqual(([first], [first, second]), (one, two))
