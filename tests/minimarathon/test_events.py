"""Events: their fields, compared with real ones, and their listeners."""

from __future__ import annotations

import json
from typing import Any

from treq.testing import StringStubbingResource, StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from minimarathon.api.callbacks import Callbacks
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


class Silent:
    """A client whose posts never get a response."""

    def __init__(self) -> None:
        self.posts: list[Deferred[None]] = []

    def post(self, url: str, **more: Any) -> Deferred[None]:
        self.posts.append(Deferred())
        return self.posts[-1]


class CallbackTests(SynchronousTestCase):
    """`Callbacks`."""

    def setUp(self) -> None:
        self.clock, self.bus = Clock(), Bus()
        self.statuses: list[int] = []
        self.posted: list[tuple[bytes, dict[str, Any]]] = []
        self.stub = StubTreq(StringStubbingResource(self.respond))
        self.callbacks = Callbacks(self.bus, self.stub, self.clock)
        self.callbacks.add("http://lb:8081/x")
        self.event = Cluster().state.announce.event("app_terminated_event", appId="/web")

    def respond(
        self, method: bytes, url: str, params: Any, headers: dict[bytes, list[bytes]], body: bytes
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        self.assertEqual(b"POST", method)
        self.assertEqual([b"application/json"], headers[b"Accept"])
        self.posted.append((url.encode() if isinstance(url, str) else url, json.loads(body)))
        return (self.statuses.pop(0) if self.statuses else 200, {}, b"")

    def tell(self) -> int:
        """Publish an event; how many times it was posted."""
        before = len(self.posted)
        self.bus.publish([self.event])
        self.stub.flush()
        return len(self.posted) - before

    def test_posts(self) -> None:
        """A subscriber gets each event as JSON, once however often it subscribed, until it unsubscribes."""
        self.callbacks.add("http://lb:8081/x")
        self.assertEqual(1, self.tell())
        self.assertEqual("/web", self.posted[0][1]["appId"])
        self.callbacks.remove("http://lb:8081/x")
        self.callbacks.remove("http://lb:8081/x")
        self.assertEqual(0, self.tell())

    def test_failing_subscriber(self) -> None:
        """A failure is never repeated; the next events are lost for 2, then 4 seconds, and a success forgives."""
        self.statuses = [500, 500, 200, 500]
        for pause in (2, 4):
            self.assertEqual(1, self.tell())
            self.clock.advance(pause - 0.1)
            self.assertEqual(0, self.tell())
            self.clock.advance(0.2)
        self.assertEqual(1, self.tell())
        self.assertEqual(1, self.tell())
        self.clock.advance(2.1)
        self.assertEqual(1, self.tell())

    def test_slow_subscriber(self) -> None:
        """An answer that takes more than ten seconds is a failure, and a stop waits for nobody."""
        silent = Silent()
        callbacks = Callbacks(self.bus, silent, self.clock)
        callbacks.add("http://slow/")
        self.callbacks.remove("http://lb:8081/x")
        for seconds, posts in ((0, 1), (9.9, 2), (0.2, 2), (2.1, 3)):
            self.clock.advance(seconds)
            self.bus.publish([self.event])
            self.assertEqual(posts, len(silent.posts))
        self.assertIsNone(self.successResultOf(callbacks.stop()))
        self.assertEqual(([], []), (callbacks.urls(), self.clock.getDelayedCalls()))
