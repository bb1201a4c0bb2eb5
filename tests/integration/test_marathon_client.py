"""The real client, over real sockets, against a Marathon that does everything wrong."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase

from marathonlb.errors import SourceError
from marathonlb.marathon.api.agent import make_agent
from marathonlb.marathon.api.auth import BasicAuthorization, FileAuthorization, IAuthorization
from marathonlb.marathon.api.client import MarathonClient
from marathonlb.marathon.model import App
from marathonlb.settings import Settings
from tests.fakes import http_marathon as http
from tests.fakes.http_marathon import Connection, HTTPMarathon, Request
from tests.marathon.contract import MarathonContract

AUTH = BasicAuthorization("lb", "s3cret")
BASIC = "Basic bGI6czNjcmV0"
APPS = {"apps": [{"id": "/a", "tasks": [{"id": "a.1"}], "tasksRunning": 1}]}
FAST = 5.0


class Base(TestCase):
    """Servers and clients that end with the test."""

    timeout = 80

    async def server(self, **scripts: http.Script) -> HTTPMarathon:
        """A Marathon that listens; scripts are given by the page's last word."""
        server = HTTPMarathon()
        for name, script in scripts.items():
            server.scripts["/v2/" + name] = script
        await server.start(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        return server

    def client(
        self, *servers: HTTPMarathon | str, auth: IAuthorization | None = None, **more: Any
    ) -> MarathonClient:
        """A client of these."""
        urls = [server if isinstance(server, str) else server.url for server in servers]
        agent = make_agent(Settings(), reactor, connect_timeout=FAST)  # type: ignore[arg-type]
        return MarathonClient(urls, agent, reactor, auth, **{"timeout": FAST, **more})  # type: ignore[arg-type]

    async def refused(self, asked: Deferred[Any]) -> SourceError:
        """The error that a question ends with."""
        with self.assertRaises(SourceError) as caught:
            await asked
        return caught.exception


class Contract(MarathonContract, Base):
    """The contract, by the real client."""

    async def setUp(self) -> None:
        self._server = await self.server(info=http.json_body({"elected": True, "leader": "x:8080"}))
        self._apps: list[dict[str, Any]] = []
        self.marathon = self.client(self._server)

    def has(self, *apps: App) -> None:
        self._apps = [_document(app) for app in apps]
        self._publish()

    def garbles(self, app_id: str) -> None:
        self._apps.append({"id": app_id, "ports": [99999]})
        self._publish()

    def _publish(self) -> None:
        scripts = {
            "/v2/info": self._server.scripts["/v2/info"],
            "/v2/apps": http.json_body({"apps": self._apps}),
        }
        for app in self._apps:
            scripts["/v2/apps" + app["id"]] = http.json_body({"app": app})
        self._server.scripts = scripts
        self._server.unknown = _unknown

    def fails(self) -> None:
        self._server.scripts = {}
        self._server.unknown = http.html(503)

    def has_no_leader(self) -> None:
        self._server.scripts["/v2/info"] = http.json_body({"elected": False, "leader": None})


def _unknown(connection: Connection, request: Request) -> None:
    """Marathon's two kinds of 404."""
    if request.path.startswith("/v2/apps/"):
        app_id = request.path.removeprefix("/v2/apps")
        http.message(404, f"App '{app_id}' does not exist")(connection, request)
    else:
        http.message(404, "URI not found: " + request.path)(connection, request)


def _document(app: App) -> dict[str, Any]:
    """The JSON that becomes this app."""
    return {
        "id": app.id,
        "labels": app.labels,
        "ports": [port.service_port for port in app.ports],
        "instances": app.instances,
        "version": app.version,
        "tasks": [
            {"id": task.id, "host": task.host, "ports": list(task.ports), "state": task.state}
            for task in app.tasks
        ],
    }


class BadInput(Base):
    """Each thing that goes wrong is an error that says what to do, and the next Marathon is asked."""

    CASES: tuple[tuple[str, http.Script, int | None, str], ...] = (
        ("unauthorized", http.html(401), 401, "--auth-credentials"),
        ("forbidden", http.message(403, "Not Authorized to perform this action!"), 403, "right to view"),
        ("not found", http.html(404), 404, "check that --marathon"),
        ("no such URI", http.message(404, "URI not found"), 404, "URI not found"),
        ("internal", http.message(500, "boom"), 500, "boom"),
        ("bad gateway", http.html(502), 502, "cannot reach its leader"),
        ("no leader", http.html(503), 503, "knows no leader"),
        ("leader is slow", http.html(504), 504, "does not answer"),
        ("teapot", http.html(418), 418, "not expected"),
        ("a page", http.html(200), None, "HTML"),
        ("empty", http.body(b""), None, "empty"),
        ("text", http.body(b"pong"), None, "not JSON"),
        ("no apps", http.json_body({"message": "x"}), None, "apps"),
        ("null apps", http.json_body({"apps": None}), None, "apps"),
        ("half the JSON", http.body(json.dumps(APPS).encode()[:-5]), None, "breaks off"),
        ("half of what was promised", http.cut_off(b'{"apps": []}', 100), None, "broke off"),
        ("half without a promise", http.cut_off(b'{"apps": [', None), None, "breaks off"),
        (
            "half a chunk",
            http.cut_off(b'ff\r\n{"apps": [', None, "Transfer-Encoding: chunked"),
            None,
            "broke off",
        ),
        ("no gzip", http.body(json.dumps(APPS).encode(), 200, "Content-Encoding: gzip"), None, "no gzip"),
        (
            "packed twice",
            http.body(gzip.compress(gzip.compress(b"x")), 200, "Content-Encoding: gzip, gzip"),
            None,
            "more than once",
        ),
        (
            "packed in two ways",
            http.body(gzip.compress(b"x"), 200, "Content-Encoding: gzip", "Content-Encoding: br"),
            None,
            "more than once",
        ),
        ("a reset", http.hang_up, None, "onnection"),
        ("not HTTP", lambda connection, _: (connection.write(b"220 smtp\r\n"), connection.close()), None, ""),
        ("redirect to itself", http.redirect(302, "/v2/apps"), None, "redirects more than"),
        ("redirect to nowhere", http.redirect(302, "gopher://x/"), 302, "not to an HTTP URL"),
        (
            "without tasks",
            http.json_body({"apps": [{"id": "/a", "tasksRunning": 1}]}),
            None,
            "without their tasks",
        ),
    )

    async def test_everything(self) -> None:
        """Alone, each is an error with its address, its status and what to do; none means that there are no apps."""
        for name, script, status, word in self.CASES:
            server = await self.server(apps=script)
            error = await self.refused(self.client(server).apps())
            self.assertEqual(error.status, status, (name, error))
            self.assertIn(word, error.reason, name)
            self.assertIn(server.url, error.url, name)

    async def test_next(self) -> None:
        """Where another Marathon answers, it is believed, and asked first from then on."""
        good = await self.server(apps=http.json_body(APPS))
        for name, script, _, _ in self.CASES:
            bad = await self.server(apps=script)
            client = self.client(bad, good)
            answer = await client.apps()
            self.assertEqual([app.id for app in answer.apps], ["/a"], name)
            self.assertEqual((answer.url, client.preferred), (good.url, good.url), name)
            asked = len(bad.requests)
            await client.apps()
            self.assertEqual(len(bad.requests), asked, name)

    async def test_one(self) -> None:
        """For one app only Marathon's own words mean that it is gone."""
        for name, script, _, _ in self.CASES:
            if name in ("without tasks", "null apps", "redirect to itself"):
                continue
            server = await self.server(**{"apps/a": script})
            await self.refused(self.client(server).app("/a"))
        for script in (
            http.json_body({"app": {"id": "/b", "tasks": []}}),
            http.json_body({"app": {"id": "/a", "tasksRunning": 2}}),
            http.json_body({"*": []}),
            http.json_body({"apps": []}),
        ):
            server = await self.server(**{"apps/a": script})
            await self.refused(self.client(server).app("/a"))

    async def test_silence(self) -> None:
        """A Marathon that falls silent, also in the middle, is an error after a time, and its connection ends."""
        for script in (http.silence, lambda connection, _: connection.head(200, length=100)):
            server = await self.server(apps=script)
            error = await self.refused(self.client(server, timeout=0.05).apps())
            self.assertIn("within 0.05 seconds", error.reason)
            await _until(lambda server=server: not server.connections)

    async def test_nobody(self) -> None:
        """A closed port and an unknown name are different errors."""
        gone = await self.server()
        url = gone.url
        await gone.stop()
        self.assertIn("refused; check --marathon", (await self.refused(self.client(url).apps())).reason)
        error = await self.refused(self.client("http://nobody.invalid:8080").apps())
        self.assertIn("name is not known", error.reason)

    async def test_all(self) -> None:
        """Where all fail the error names each."""
        one, two = await self.server(apps=http.html(401)), await self.server(apps=http.html(200))
        said = str(await self.refused(self.client(one, two).apps()))
        for word in (one.url, two.url, "--auth-credentials", "HTML"):
            self.assertIn(word, said)

    async def test_too_long(self) -> None:
        """An answer past the limit is an error."""
        server = await self.server(apps=http.body(b'{"apps": [' + b" " * 100_000 + b"]}"))
        error = await self.refused(self.client(server, max_body=1000).apps())
        self.assertIn("longer than 1000 bytes", error.reason)

    async def test_cancel(self) -> None:
        """A cancelled request ends its connection, and no other Marathon is asked."""
        silent, other = await self.server(apps=http.silence), await self.server(apps=http.json_body(APPS))
        asked = self.client(silent, other).apps()
        await _until(lambda: bool(silent.requests))
        asked.cancel()
        with self.assertRaises(CancelledError):
            await asked
        await _until(lambda: not silent.connections)
        self.assertEqual(other.requests, [])


async def _until(true: Callable[[], bool]) -> None:
    """Let the reactor turn until something is true."""
    for _ in range(1000):
        if true():
            return
        turn: Deferred[None] = Deferred()
        reactor.callLater(0.002, turn.callback, None)  # type: ignore[attr-defined]
        await turn
    raise AssertionError("it never came true")


class Answers(Base):
    """Requests, and the interpretation of the responses."""

    async def test_questions(self) -> None:
        """The list is requested with tasks and readiness, tasks first for Marathons that read only the first."""
        server = await self.server(
            apps=http.json_body(APPS), **{"apps/a": http.json_body({"app": APPS["apps"][0]})}
        )
        client = self.client(server)
        await client.apps()
        await client.app("/a")
        apps, pods, app = server.requests
        self.assertEqual((apps.path, apps.query), ("/v2/apps", {"embed": ["apps.tasks", "apps.readiness"]}))
        self.assertEqual(pods.path, "/v2/pods::status")
        self.assertEqual((app.path, app.query), ("/v2/apps/a", {"embed": ["app.tasks", "app.readiness"]}))
        self.assertEqual(apps.headers["accept"], ["application/json"])
        self.assertNotIn("authorization", apps.headers)

    async def test_gzip(self) -> None:
        """Compressed answers are asked for and understood."""
        server = await self.server(apps=http.zipped(APPS))
        answer = await self.client(server).apps()
        self.assertIn("gzip", server.requests[0].headers["accept-encoding"])
        self.assertEqual(answer.size, len(json.dumps(APPS)))

    async def test_gzip_bomb(self) -> None:
        """An answer that is small only while it is packed is refused past the limit of an answer."""
        bomb = gzip.compress(b" " * (64 << 20))
        server = await self.server(apps=http.body(bomb, 200, "Content-Encoding: gzip"))
        error = await self.refused(self.client(server, max_body=1 << 20).apps())
        self.assertIn("longer than 1048576 bytes", error.reason)

    async def test_old_embed(self) -> None:
        """A Marathon that compares ``embed`` as a whole is asked in its way."""

        def old(connection: Connection, request: Request) -> None:
            tasks = {} if request.query["embed"] != ["apps.tasks"] else {"tasks": [{"id": "a.1"}]}
            http.json_body({"apps": [{"id": "/a", "tasksRunning": 1, **tasks}]})(connection, request)

        answer = await self.client(await self.server(apps=old)).apps()
        self.assertEqual([task.id for task in answer.apps[0].tasks], ["a.1"])

    async def test_whole_without_length(self) -> None:
        """An answer that ends with its connection is whole when its JSON is."""
        server = await self.server(apps=http.cut_off(json.dumps(APPS).encode(), None))
        self.assertEqual(len((await self.client(server).apps()).apps), 1)

    async def test_quoting(self) -> None:
        """An id from an event is no more than one page's name."""
        server = await self.server()
        server.unknown = http.message(404, "App does not exist")
        await self.client(server).app("/a?force=true#x/é*")
        self.assertTrue(server.requests[0].path.startswith("/v2/apps/a%3Fforce%3Dtrue%23x/%C3%A9%2A"))

    async def test_avoid(self) -> None:
        """A second answer comes from another Marathon if there is one."""
        one, two = await self.server(apps=http.json_body(APPS)), await self.server(apps=http.json_body(APPS))
        client = self.client(one, two)
        self.assertEqual((await client.apps()).url, one.url)
        self.assertEqual((await client.apps(avoid=one.url)).url, two.url)


class Pods(Base):
    """Pods are asked for where there are any."""

    POD = {"id": "/pod", "spec": {"containers": []}, "instances": []}

    async def test_pods(self) -> None:
        """Pods come with the apps, and one of them is asked for as a pod."""
        server = await self.server(
            apps=http.json_body(APPS),
            **{"pods::status": http.json_body([self.POD]), "pods/pod::status": http.json_body(self.POD)},
        )
        client = self.client(server)
        self.assertEqual([app.id for app in (await client.apps()).apps], ["/a", "/pod"])
        self.assertEqual([app.id for app in (await client.app("/pod")).apps], ["/pod"])
        self.assertEqual(server.paths()[2:], ["/v2/pods/pod::status"])

    async def test_new_pod(self) -> None:
        """What is no app may be a pod that was not known."""
        server = await self.server(
            **{
                "pods/pod::status": http.json_body(self.POD),
                "apps/pod": http.message(404, "App '/pod' does not exist"),
            }
        )
        self.assertEqual([app.id for app in (await self.client(server).app("/pod")).apps], ["/pod"])

    async def test_gone(self) -> None:
        """A pod that is gone is an empty answer."""
        gone = http.message(404, "App '/pod' does not exist")
        server = await self.server(
            **{"pods/pod::status": http.message(404, "Pod '/pod' does not exist"), "apps/pod": gone}
        )
        self.assertEqual((await self.client(server).app("/pod")).apps, ())

    async def test_none(self) -> None:
        """A Marathon without pods, which old ones say with 404 and new ones with 500, is asked for them once."""
        for status in (404, 500):
            server = await self.server(
                apps=http.json_body(APPS), **{"pods::status": http.message(status, "URI not found")}
            )
            client = self.client(server)
            await client.apps()
            await client.apps()
            self.assertEqual(server.paths().count("/v2/pods::status"), 1)

    async def test_failure(self) -> None:
        """Pods that cannot be had make the whole answer one that cannot be had, so that none vanishes."""
        server = await self.server(apps=http.json_body(APPS), **{"pods::status": http.json_body([self.POD])})
        client = self.client(server)
        await client.apps()
        for script in (http.html(503), http.html(404), http.message(500, "boom"), http.html(200)):
            server.scripts["/v2/pods::status"] = script
            await self.refused(client.apps())


class Leader(Base):
    """Redirects and credentials."""

    async def test_redirect(self) -> None:
        """A redirect to the leader is followed, whatever its kind."""
        leader = await self.server(apps=http.json_body(APPS))
        for status in (301, 302, 303, 307, 308):
            standby = await self.server(apps=http.redirect(status, leader.url + "/v2/apps?{query}"))
            answer = await self.client(standby).apps()
            self.assertEqual((len(answer.apps), answer.url), (1, standby.url))
        self.assertEqual(leader.requests[0].query["embed"], ["apps.tasks", "apps.readiness"])

    async def test_listed(self) -> None:
        """A leader that is of the list gets the credentials."""
        leader = await self.server(apps=http.json_body(APPS))
        standby = await self.server(apps=http.redirect(307, leader.url + "/v2/apps"))
        await self.client(standby, leader, auth=AUTH).apps()
        self.assertEqual(leader.requests[0].headers["authorization"], [BASIC])

    async def test_named(self) -> None:
        """A leader that a listed Marathon names, in a header or when asked, gets the credentials."""
        leader = await self.server(apps=http.json_body(APPS))
        host = leader.url.removeprefix("http://")
        for scripts in (
            {"apps": http.redirect(302, leader.url + "/v2/apps", f"X-Marathon-Leader: {leader.url}")},
            {
                "apps": http.redirect(302, leader.url + "/v2/apps"),
                "leader": http.json_body({"leader": host}),
            },
        ):
            leader.requests.clear()
            await self.client(await self.server(**scripts), auth=AUTH).apps()
            self.assertEqual(leader.requests[0].headers["authorization"], [BASIC])

    async def test_foreign(self) -> None:
        """A redirect to another host is followed without the credentials, whatever that host claims."""
        foreign = await self.server(apps=http.html(401))
        foreign.scripts["/v2/apps"] = http.json_body({}, 401, f"X-Marathon-Leader: {foreign.url}")
        for leader in (
            http.json_body({"leader": "another:8080"}),
            http.message(404, "There is no leader"),
            http.redirect(302, foreign.url + "/v2/leader"),
            http.html(200),
        ):
            standby = await self.server(apps=http.redirect(302, foreign.url + "/v2/apps"), leader=leader)
            error = await self.refused(self.client(standby, auth=AUTH).apps())
            self.assertIn("add it to --marathon", error.reason)
        self.assertEqual([r for r in foreign.requests if "authorization" in r.headers], [])

    async def test_chain(self) -> None:
        """A leader that was named cannot name another one."""
        foreign = await self.server(apps=http.html(401))
        leader = await self.server(
            apps=http.redirect(302, foreign.url + "/v2/apps", f"X-Marathon-Leader: {foreign.url}"),
            leader=http.json_body({"leader": foreign.url.removeprefix("http://")}),
        )
        standby = await self.server(
            apps=http.redirect(302, leader.url + "/v2/apps", f"X-Marathon-Leader: {leader.url}")
        )
        await self.refused(self.client(standby, auth=AUTH).apps())
        self.assertEqual(leader.requests[0].headers["authorization"], [BASIC])
        self.assertNotIn("authorization", foreign.requests[0].headers)

    async def test_userinfo(self) -> None:
        """Credentials in a redirect reach no error."""
        bad = await self.server(apps=http.html(503))
        standby = await self.server(
            apps=http.redirect(302, bad.url.replace("//", "//u:hunter2@") + "/v2/apps")
        )
        self.assertNotIn("hunter2", str(await self.refused(self.client(standby).apps())))


class Credentials(Base):
    """Credentials."""

    async def test_basic(self) -> None:
        """Credentials go with each request, and reach no error."""
        server = await self.server(apps=http.html(401))
        error = await self.refused(self.client(server, auth=AUTH).apps())
        self.assertEqual(server.requests[0].headers["authorization"], [BASIC])
        self.assertNotIn("s3cret", str(error) + repr(error) + repr(AUTH))

    async def test_file(self) -> None:
        """The file's credentials are read again when it changes."""
        path = self.mktemp()
        _write(path, "lb:old\n")
        server = await self.server(apps=http.json_body(APPS))
        client = self.client(server, auth=FileAuthorization(path))
        await client.apps()
        _write(path, "lb:s3cret\n")
        await client.apps()
        first, *_, last = server.requests
        self.assertEqual(
            (first.headers["authorization"], last.headers["authorization"]), (["Basic bGI6b2xk"], [BASIC])
        )

    async def test_refused(self) -> None:
        """A 401 reads the file once more, and asks once more where it holds something else."""
        path = self.mktemp()
        _write(path, "lb:old\n")

        def door(connection: Connection, request: Request) -> None:
            if request.headers.get("authorization") == [BASIC]:
                http.json_body(APPS)(connection, request)
            else:
                _write(path, "lb:s3cret\n")
                http.html(401)(connection, request)

        answer = await self.client(await self.server(apps=door), auth=FileAuthorization(path)).apps()
        self.assertEqual(len(answer.apps), 1)

    async def test_bad_file(self) -> None:
        """A missing or unusable file is an error that names it and the option, until it is corrected."""
        server = await self.server(apps=http.json_body(APPS))
        path = self.mktemp()
        client = self.client(server, auth=FileAuthorization(path))
        for content in (None, "", "nocolon", "a:b\nc:d", "\udcff"):
            if content is not None:
                _write(path, content)
            reason = (await self.refused(client.apps())).reason
            self.assertIn(path, reason)
            self.assertIn("--marathon-auth-credential-file", reason)
        _write(path, "lb:s3cret")
        await client.apps()
        os.unlink(path)
        await client.apps()
        self.assertEqual(server.requests[-1].headers["authorization"], [BASIC])


def _write(path: str, content: str) -> None:
    with open(path + ".new", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(content)
    os.replace(path + ".new", path)


class Stream(Base):
    """The event stream's connection."""

    async def follow(
        self, server: HTTPMarathon, auth: IAuthorization | None = None
    ) -> tuple[list[str], bytes]:
        """Follow the stream to its end, and return its URL and bytes."""
        opened: list[str] = []
        received: list[bytes] = []
        await self.client(server, auth=auth).event_stream(server.url, opened.append, received.append)
        return opened, b"".join(received)

    async def test_follow(self) -> None:
        """The bytes come as they are, and the end is reported."""
        server = await self.server(events=http.stream(b"data: 1\r\n", b"\r\n", end=True))
        self.assertEqual(await self.follow(server), ([server.url], b"data: 1\r\n\r\n"))

    async def test_question(self) -> None:
        """It is asked for lightly, filtered, with exactly the one Accept that Marathon wants, and not compressed."""
        server = await self.server(events=http.stream(end=True))
        await self.follow(server, AUTH)
        (request,) = server.requests
        self.assertEqual(request.headers["accept"], ["text/event-stream"])
        self.assertEqual(request.headers["authorization"], [BASIC])
        self.assertNotIn("accept-encoding", request.headers)
        self.assertEqual(request.query["plan-format"], ["light"])
        self.assertIn("status_update_event", request.query["event_type"])

    async def test_redirect(self) -> None:
        """The leader's stream is followed, with the credentials it deserves and the same filter."""
        leader = await self.server(events=http.stream(b"x", end=True))
        standby = await self.server(
            events=http.redirect(302, leader.url + "/v2/events?{query}", f"X-Marathon-Leader: {leader.url}")
        )
        self.assertEqual(await self.follow(standby, AUTH), ([leader.url], b"x"))
        self.assertEqual(leader.requests[0].headers["authorization"], [BASIC])
        self.assertIn("status_update_event", leader.requests[0].query["event_type"])

    async def test_refusals(self) -> None:
        """What is no stream is an error that says what to do."""
        for script, word in (
            (http.html(401), "--auth-credentials"),
            (http.html(405), "header Accept"),
            (http.message(404, "URI not found: /v2/events"), "--mode=poll"),
            (http.html(404), "check that --marathon"),
            (http.html(503), "no leader"),
            (http.html(200), "text/html"),
            (http.body(b""), "instead of an event stream"),
            (http.hang_up, ""),
        ):
            server = await self.server(events=script)
            opened: list[str] = []
            asked = self.client(server).event_stream(server.url, opened.append, opened.append)  # type: ignore[arg-type]
            self.assertIn(word, (await self.refused(asked)).reason)
            self.assertEqual(opened, [])
            await _until(lambda server=server: not server.connections)

    async def test_reset(self) -> None:
        """A stream that is torn down has ended, since its body ends with its connection anyway."""
        server = await self.server(events=http.stream(b"data: 1\r\n"))
        received: list[bytes] = []
        asked = self.client(server).event_stream(server.url, lambda url: None, received.append)
        await _until(lambda: bool(received))
        server.connections[0].abort()
        await asked

    async def test_cancel(self) -> None:
        """A cancelled stream is closed."""
        server = await self.server(events=http.stream(b"data: 1\r\n"))
        received: list[bytes] = []
        asked = self.client(server).event_stream(server.url, lambda url: None, received.append)
        await _until(lambda: bool(received))
        asked.cancel()
        with self.assertRaises(CancelledError):
            await asked
        await _until(lambda: not server.connections)

    async def test_no_head(self) -> None:
        """A stream whose head never comes is an error; a quiet stream is not."""
        server = await self.server(events=http.silence)
        asked = self.client(server, timeout=0.05).event_stream(
            server.url, lambda url: None, lambda data: None
        )
        self.assertIn("within 0.05 seconds", (await self.refused(asked)).reason)


class Subscriptions(Base):
    """The callback's registration."""

    async def test_steps(self) -> None:
        """Callbacks are listed, registered and taken away."""
        server = await self.server(eventSubscriptions=http.json_body({"callbackUrls": ["http://a/"]}))
        client = self.client(server)
        self.assertEqual(await client.subscriptions(), ("http://a/",))
        await client.subscribe("http://lb:8081/?a=b&c")
        await client.unsubscribe("http://lb:8081/")
        self.assertEqual([request.method for request in server.requests], ["GET", "POST", "DELETE"])
        self.assertEqual(server.requests[1].query, {"callbackUrl": ["http://lb:8081/?a=b&c"]})

    async def test_refusals(self) -> None:
        """A Marathon that posts no events says so in words that lead on."""
        for script, word in (
            (http.message(404, "URI not found: /v2/eventSubscriptions"), "--mode=sse"),
            (http.html(404), "--mode=sse"),
            (http.message(500, "URI not found"), "--mode=sse"),
            (
                http.message(400, "http event callback system is not running on this Marathon"),
                "--event_subscriber",
            ),
            (http.message(422, "Object is not valid"), "--callback-url"),
            (http.message(500, "boom"), "its log"),
            (http.html(401), "--auth-credentials"),
        ):
            client = self.client(await self.server(eventSubscriptions=script))
            for asked in (
                client.subscriptions(),
                client.subscribe("http://lb/"),
                client.unsubscribe("http://lb/"),
            ):
                self.assertIn(word, (await self.refused(asked)).reason)
        client = self.client(await self.server(eventSubscriptions=http.json_body({})))
        self.assertIn("no list", (await self.refused(client.subscriptions())).reason)
