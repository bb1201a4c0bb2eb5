"""The HTTP resource: treq in memory with the real resource."""

from __future__ import annotations

import base64
from typing import Any

from treq.client import HTTPClient
from treq.testing import RequestTraversalAgent, StubTreq
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.resource import IResource
from zope.interface.verify import verifyObject

from minimarathon.api.callbacks import Callbacks
from minimarathon.api.event_stream import GAP, Streams
from minimarathon.api.resource import ApiResource
from minimarathon.api.router import Api
from minimarathon.tasks.processes import Exit
from tests.minimarathon.clusters import Cluster

WEB = {"id": "/shop/web", "cmd": "sleep 100", "labels": {"tier": "front"}}


class Faces:
    """A Marathon behind its resource."""

    def __init__(self, version: str = "1.5", credentials: str | None = None) -> None:
        self.cluster = Cluster(version)
        state = self.cluster.state
        announce = state.announce.event
        self.streams = Streams(self.cluster.bus, state.dialect, self.cluster.clock, announce, 10.0)
        callbacks = Callbacks(self.cluster.bus, HTTPClient(RequestTraversalAgent(_Nowhere())), Clock())
        self.resource = ApiResource(Api(self.cluster.engine, callbacks), self.streams, credentials)
        self.agent = StubTreq(self.resource)


class _Nowhere:
    """A resource without requests."""

    isLeaf = True

    def render(self, request: Any) -> bytes:
        return b""


class FaceTestCase(SynchronousTestCase):
    """A test with a resource; `ask` sends a request and returns the response."""

    def setUp(self) -> None:
        self.use(Faces())

    def use(self, faces: Faces) -> None:
        self.faces, self.cluster = faces, faces.cluster

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        """A request's status and its JSON, or its text where it is none."""
        self.response = self.successResultOf(self.send(method, path, body, **more))
        kind = self.response.headers.getRawHeaders("content-type", [""])[0]
        read = (
            self.response.json
            if kind == "application/json" and self.response.code != 204
            else self.response.text
        )
        if self.response.length == 0:
            return self.response.code, None
        return self.response.code, self.successResultOf(read())

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        json = {} if body is None else {"json": body}
        return self.faces.agent.request(method, f"http://marathon{path}", **json, **more)

    def header(self, name: str) -> str:
        return ", ".join(self.response.headers.getRawHeaders(name, []))


class AppTests(FaceTestCase):
    """``/v2/apps``."""

    def test_interface(self) -> None:
        """The face is a resource."""
        self.assertTrue(verifyObject(IResource, self.faces.resource))

    def test_create(self) -> None:
        """POST answers 201 with the app, its deployment and where it is."""
        status, body = self.ask("POST", "/v2/apps", WEB)
        self.assertEqual(201, status)
        self.assertEqual(("/shop/web", 0), (body["id"], body["tasksRunning"]))
        self.assertEqual(self.header("Marathon-Deployment-Id"), body["deployments"][0]["id"])
        self.assertEqual("/v2/apps/shop/web", self.header("Location"))
        self.assertEqual("http://127.0.0.1:8080", self.header("X-Marathon-Leader"))
        self.assertEqual("no-cache, no-store, must-revalidate", self.header("Cache-Control"))
        status, body = self.ask("POST", "/v2/apps", WEB)
        self.assertEqual((409, {"message": "An app with id [/shop/web] already exists."}), (status, body))

    def test_refusals(self) -> None:
        """What is wrong is said in Marathon's words, with the status of its kind."""
        rows = [
            ("POST", "/v2/apps", {"id": "/web"}, 422, "Object is not valid"),
            ("POST", "/v2/apps", {"id": "/web", "cmd": 5}, 400, "Invalid JSON"),
            ("POST", "/v2/apps", [], 400, "Invalid JSON"),
            ("PUT", "/v2/apps", {}, 400, "Invalid JSON"),
            ("PATCH", "/v2/apps", [{}], 400, "Invalid JSON"),
            ("PATCH", "/v2/apps", [{"id": "/no"}], 404, "App '/no' does not exist"),
            ("GET", "/v2/apps/no/app", None, 404, "App '/no/app' does not exist"),
            ("DELETE", "/v2/apps/no", None, 404, "App '/no' does not exist"),
            ("GET", "/v2/apps/no/tasks", None, 404, "App '/no' does not exist"),
            ("GET", "/v2/apps/no/versions", None, 404, "App '/no' does not exist"),
            ("POST", "/v2/apps/no/restart", None, 404, "App '/no' does not exist"),
            ("GET", "/v2/groups/no", None, 404, "Group '/no' does not exist"),
            ("DELETE", "/v2/deployments/no", None, 404, "DeploymentPlan no does not exist"),
            ("POST", "/v2/tasks/delete", {}, 400, "Invalid JSON"),
            ("GET", "/v2/apps?label=((", None, 400, "Can not parse label selector '((' at '(('"),
            ("GET", "/v2/nothing", None, 404, "URI not found: /v2/nothing"),
        ]
        for method, path, body, status, message in rows:
            answer = self.ask(method, path, body)
            self.assertEqual((status, message), (answer[0], answer[1]["message"]), (method, path))

    def test_no_json(self) -> None:
        """A body that is no JSON is 400 with a text for details."""
        status, body = self.ask("POST", "/v2/apps", data=b"{")
        self.assertEqual(400, status)
        self.assertIsInstance(body["details"], str)

    def test_details(self) -> None:
        """Each mistake is named with its path."""
        _, body = self.ask("POST", "/v2/apps", {**WEB, "upgradeStrategy": {"minimumHealthCapacity": 2}})
        self.assertEqual(
            [{"path": "/upgradeStrategy/minimumHealthCapacity", "errors": ["is greater than 1"]}],
            body["details"],
        )

    def test_unknown_path_of_later_versions(self) -> None:
        """Later Marathons call an unknown path an error of their own."""
        self.use(Faces("1.11"))
        self.assertEqual((500, {"message": "URI not found"}), self.ask("GET", "/v2/nothing"))

    def test_embed(self) -> None:
        """Tasks come when they are asked for, under any prefix; counts and deployments always."""
        self.ask("POST", "/v2/apps", WEB)
        self.cluster.rest()
        (app,) = self.ask("GET", "/v2/apps")[1]["apps"]
        self.assertNotIn("tasks", app)
        self.assertEqual((1, []), (app["tasksRunning"], app["deployments"]))
        for name in ("tasks", "apps.tasks", "app.tasks", "group.apps.tasks", "apps.failures"):
            (app,) = self.ask("GET", f"/v2/apps?embed={name}")[1]["apps"]
            self.assertEqual("TASK_RUNNING", app["tasks"][0]["state"], name)
        app = self.ask("GET", "/v2/apps//shop/web")[1]["app"]
        self.assertEqual(1, len(app["tasks"]))

    def test_filters(self) -> None:
        """id, cmd and label narrow the list."""
        self.ask("POST", "/v2/apps", WEB)
        for query, count in (
            ("id=shop", 1),
            ("id=other", 0),
            ("cmd=sleep", 1),
            ("cmd=run", 0),
            ("label=tier==front", 1),
            ("label=tier!=front", 0),
        ):
            self.assertEqual(count, len(self.ask("GET", f"/v2/apps?{query}")[1]["apps"]), query)

    def test_group_listing(self) -> None:
        """``/v2/apps/group/*`` lists what is in a group."""
        self.ask("POST", "/v2/apps", WEB)
        self.ask("POST", "/v2/apps", {**WEB, "id": "/other"})
        self.assertEqual(["/shop/web"], [app["id"] for app in self.ask("GET", "/v2/apps/shop/*")[1]["*"]])
        self.assertEqual(2, len(self.ask("GET", "/v2/apps/*")[1]["*"]))

    def test_put(self) -> None:
        """PUT makes what is not there, changes what is, and is locked while it does."""
        self.assertEqual(201, self.ask("PUT", "/v2/apps/web", {"cmd": "x"})[0])
        status, body = self.ask("PUT", "/v2/apps/web", {"instances": 2})
        self.assertEqual(409, status)
        self.assertEqual(list(self.cluster.state.underway), [one["id"] for one in body["deployments"]])
        self.assertEqual(200, self.ask("PUT", "/v2/apps/web?force=true", {"instances": 2})[0])
        self.cluster.rest()
        self.assertEqual(
            ("x", 2), (self.cluster.state.app("/web").cmd, len(self.cluster.state.tasks("/web")))
        )

    def test_put_whole(self) -> None:
        """With partialUpdate=false what the body leaves out is gone."""
        self.ask("POST", "/v2/apps", WEB)
        self.cluster.rest()
        self.ask("PUT", "/v2/apps/shop/web?partialUpdate=false", {"cmd": "y"})
        self.assertEqual({}, dict(self.cluster.state.app("/shop/web").labels))

    def test_list(self) -> None:
        """PUT of a list makes and changes in one deployment."""
        self.ask("POST", "/v2/apps", WEB)
        self.cluster.rest()
        status, body = self.ask(
            "PUT", "/v2/apps", [{"id": "/shop/web", "instances": 2}, {"id": "/new", "cmd": "x"}]
        )
        self.assertEqual((200, {"version", "deploymentId"}), (status, set(body)))
        (deployment,) = self.ask("GET", "/v2/deployments")[1]
        self.assertEqual(["/new", "/shop/web"], deployment["affectedApps"])
        self.assertEqual((1, 2) if deployment["currentStep"] == 1 else (2, 2),
                         (deployment["currentStep"], deployment["totalSteps"]))  # fmt: skip
        self.cluster.rest()
        self.assertEqual(2, len(self.cluster.state.tasks("/shop/web")))

    def test_tasks(self) -> None:
        """Tasks are listed everywhere alike, as JSON and as the old text, and one that is killed is answered."""
        self.ask("POST", "/v2/apps", WEB)
        self.cluster.rest()
        (task,) = self.ask("GET", "/v2/tasks")[1]["tasks"]
        self.assertEqual([task], self.ask("GET", "/v2/apps/shop/web/tasks")[1]["tasks"])
        self.assertEqual([], self.ask("GET", "/v2/tasks?status=staging")[1]["tasks"])
        _, text = self.ask("GET", "/v2/tasks", headers={"Accept": "text/plain"})
        self.assertEqual("shop_web\t10000\t127.0.0.1:31000\n", text)
        _, body = self.ask("DELETE", f"/v2/apps/shop/web/tasks/{task['id']}")
        self.assertEqual(task["id"], body["task"]["id"])
        status, body = self.ask("DELETE", "/v2/apps/shop/web/tasks/no")
        self.assertEqual((404, "Task 'no' does not exist"), (status, body["message"]))

    def test_queue(self) -> None:
        """What waits after a failure is in the queue, until its delay is taken away."""
        self.ask("POST", "/v2/apps", {**WEB, "backoffSeconds": 100})
        self.cluster.rest()
        self.cluster.runner.finish(self.cluster.state.tasks("/shop/web")[0].id, Exit(1, "died"))
        self.cluster.rest()
        (row,) = self.ask("GET", "/v2/queue")[1]["queue"]
        self.assertEqual((1, {"timeLeftSeconds": 100, "overdue": False}), (row["count"], row["delay"]))
        self.assertEqual((204, None), self.ask("DELETE", "/v2/queue//shop/web/delay"))
        self.cluster.rest()
        self.assertEqual([], self.ask("GET", "/v2/queue")[1]["queue"])
        app = self.ask("GET", "/v2/apps/shop/web")[1]["app"]
        self.assertEqual("died", app["lastTaskFailure"]["message"])

    def test_the_rest(self) -> None:
        """Groups, info, leader, ping and pods answer."""
        self.ask("POST", "/v2/apps", WEB)
        root = self.ask("GET", "/v2/groups")[1]
        self.assertEqual("/shop/web", root["groups"][0]["apps"][0]["id"])
        self.assertEqual("/shop", self.ask("GET", "/v2/groups/shop")[1]["id"])
        self.assertEqual("1.5.15", self.ask("GET", "/v2/info")[1]["version"])
        self.assertEqual({"leader": "127.0.0.1:8080"}, self.ask("GET", "/v2/leader")[1])
        self.assertEqual((200, "pong\n"), self.ask("GET", "/ping"))
        self.assertEqual((200, []), self.ask("GET", "/v2/pods::status"))

    def test_wrong_method(self) -> None:
        """A method that a path does not know is 405, as a page."""
        status, body = self.ask("POST", "/v2/info")
        self.assertEqual((405, "GET"), (status, self.header("Allow")))
        self.assertIn("<html>", body)


class SubscriptionTests(FaceTestCase):
    """``/v2/eventSubscriptions``."""

    def test_until_1_4(self) -> None:
        """1.4 takes and drops subscribers, and tells everybody of both."""
        self.use(Faces("1.4"))
        url = "http://lb:8081/"
        status, body = self.ask("POST", f"/v2/eventSubscriptions?callbackUrl={url}")
        self.assertEqual((200, "subscribe_event", url), (status, body["eventType"], body["callbackUrl"]))
        self.assertEqual([url], self.ask("GET", "/v2/eventSubscriptions")[1]["callbackUrls"])
        self.assertEqual([url], self.ask("GET", "/v2/info")[1]["event_subscriber"]["http_endpoints"])
        self.ask("DELETE", f"/v2/eventSubscriptions?callbackUrl={url}")
        self.assertEqual([], self.ask("GET", "/v2/eventSubscriptions")[1]["callbackUrls"])
        self.assertEqual(["subscribe_event", "unsubscribe_event"], self.cluster.kinds())
        self.assertEqual(422, self.ask("POST", "/v2/eventSubscriptions?callbackUrl=nonsense")[0])

    def test_since_1_5(self) -> None:
        """1.5 does not know the path."""
        status, body = self.ask("GET", "/v2/eventSubscriptions")
        self.assertEqual((404, "URI not found: /v2/eventSubscriptions"), (status, body["message"]))


class CredentialTests(FaceTestCase):
    """Basic authentication."""

    def test_credentials(self) -> None:
        """Without the right credentials every path is 401 with a page and a realm; the resource shows none."""
        self.use(Faces(credentials="user:secret"))
        for headers in ({}, {"Authorization": "Basic " + base64.b64encode(b"user:wrong").decode()}):
            for path in ("/v2/apps", "/ping", "/v2/events"):
                status, body = self.ask("GET", path, headers=headers)
                self.assertEqual((401, 'basic realm="Mesosphere"'), (status, self.header("WWW-Authenticate")))
                self.assertIn("<html>", body)
        good = {"Authorization": "Basic " + base64.b64encode(b"user:secret").decode()}
        self.assertEqual(200, self.ask("GET", "/v2/apps", headers=good)[0])
        self.assertNotIn("secret", repr(self.faces.resource))


class StreamTests(FaceTestCase):
    """``/v2/events``."""

    ACCEPT = {"Accept": "text/event-stream"}

    def listen(self, query: str = "") -> list[bytes]:
        """Open a stream; return the list to which received data is added."""
        sending = self.send("GET", f"/v2/events{query}", headers=self.ACCEPT)
        self.faces.agent.flush()
        self.response = self.successResultOf(sending)
        pieces: list[bytes] = []
        self.over = self.response.collect(pieces.append)
        self.flush()
        return pieces

    def flush(self) -> None:
        self.cluster.rest()
        self.faces.agent.flush()

    def kinds_of(self, pieces: list[bytes]) -> list[str]:
        lines = b"".join(pieces).split(b"\r\n")
        return [line.partition(b": ")[2].decode() for line in lines if line.startswith(b"event: ")]

    def test_framing(self) -> None:
        """The head has neither length nor chunks, and the first event is the stream's own attachment."""
        pieces = self.listen()
        self.assertEqual("text/event-stream;charset=UTF-8", self.header("Content-Type"))
        self.assertEqual("", self.header("Transfer-Encoding") + self.header("Content-Length"))
        self.assertRegex(
            b"".join(pieces), rb'^event: event_stream_attached\r\ndata: \{"remoteAddress":.*\}\r\n\r\n$'
        )

    def test_accept(self) -> None:
        """Anything but the exact Accept is 405, as a page."""
        for headers in ({}, {"Accept": "text/event-stream, */*"}, {"Accept": "*/*"}):
            status, body = self.ask("GET", "/v2/events", headers=headers)
            self.assertEqual(405, status)
            self.assertIn("HTTP method GET is not supported by this URL", body)

    def test_filter(self) -> None:
        """event_type, given several times, lets those types through and nothing else."""
        pieces = self.listen("?event_type=deployment_success&event_type=api_post_event")
        self.ask("POST", "/v2/apps", WEB)
        self.flush()
        self.assertEqual(["api_post_event", "deployment_success"], self.kinds_of(pieces))

    def test_light_plans(self) -> None:
        """plan-format=light leaves the cluster out of deployments."""
        heavy, light = self.listen(), self.listen("?plan-format=light")
        self.ask("POST", "/v2/apps", WEB)
        self.flush()
        self.assertIn(b'"original"', b"".join(heavy))
        self.assertNotIn(b'"original"', b"".join(light))

    def test_keep_alive(self) -> None:
        """Every ten seconds come a CR and a LF, in pieces of their own, and nothing comes between them."""
        pieces = self.listen()
        del pieces[:]
        self.cluster.clock.advance(10)
        self.faces.agent.flush()
        self.assertEqual([b"\r"], pieces)
        self.cluster.bus.publish([self.cluster.state.announce.event("app_terminated_event", appId="/x")])
        self.faces.agent.flush()
        self.assertEqual([b"\r"], pieces)
        self.cluster.clock.advance(GAP)
        self.flush()
        self.assertTrue(pieces[1].startswith(b"\nevent: "), pieces)
        self.assertEqual(["app_terminated_event"], self.kinds_of(pieces))
        self.cluster.clock.advance(10)
        self.flush()
        self.cluster.clock.advance(GAP)
        self.flush()
        self.assertEqual([b"\r", b"\n"], pieces[-2:])

    def test_others_hear_of_it(self) -> None:
        """Every other stream hears of an attachment."""
        first = self.listen()
        self.listen()
        self.flush()
        self.assertEqual(["event_stream_attached"] * 2, self.kinds_of(first))

    def test_slow_clients(self) -> None:
        """A client that does not read loses events until 1.7, and its connection from 1.8 on."""
        for version, closed in (("1.4", False), ("1.8", True)):
            self.use(Faces(version))
            self.listen()
            (stream,) = self.faces.streams.open
            stream.pauseProducing()
            limit = self.cluster.state.dialect.max_outstanding
            event = self.cluster.state.announce.event("app_terminated_event", appId="/x")
            self.cluster.bus.publish([event] * limit)
            self.assertTrue(stream.open)
            self.cluster.bus.publish([event])
            self.assertEqual(closed, not stream.open)

    def test_close(self) -> None:
        """A Marathon that stops ends its streams."""
        self.listen()
        self.faces.streams.close()
        self.flush()
        self.successResultOf(self.over.addErrback(lambda failure: failure.trap(ResponseDone)))
        self.assertEqual({}, self.faces.streams.open)
