"""
A Marathon that only answers: a process that serves a `benchmarks.cluster.Cluster` over HTTP and counts what it serves.

What is asked of it beyond Marathon's API, all under ``/bench``, moves the cluster:

* ``/bench/replace?app=N``: a task of the nth app is replaced, and its events are told;
* ``/bench/unchanged?count=N&apps=N&rate=N``: events that tell what was so before, at that rate, round these apps;
* ``/bench/churn?first=N&rate=N&seconds=N``: tasks of one app after the other are replaced, at that rate;
* ``/bench/restart?first=N&apps=N&tasks=N&rate=N&grace=N``: tasks of every other app from the first on are replaced as
  in a rolling restart, so many a second: a new one runs, an old one is told to end and does so after its grace; only
  for apps whose tasks have places of their own;
* ``/bench/arrive?count=N``: so many new apps run;
* ``/bench/counts``: how many requests came and how many bytes went out, by endpoint.

Times are seconds of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from time import monotonic
from typing import Any
from urllib.parse import unquote

import msgspec
import treq
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from benchmarks.cluster import App, Cluster, Replaced, Shape, Task, server_sent
from benchmarks.responders import serve

PORT = 8080
ONE_APP = "/v2/apps/{id}"
"""How the answers about single apps are counted."""

GETS_WELL = 0.2
"""Seconds from the start of a task in a restart until Marathon tells an old one to end."""

HEARTBEAT = 10.0
"""Seconds between two of Marathon's signs of life."""


class Marathon(Resource):
    """Both faces: Marathon's API, and what moves the cluster."""

    isLeaf = True

    def __init__(self, cluster: Cluster, reactor: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.cluster = cluster
        self.requests: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self._reactor = reactor
        self._streams: list[Request] = []
        self._heart = LoopingCall(self._write, b"\r\n")
        self._heart.clock = reactor
        self._heart.start(HEARTBEAT, now=False)
        self._pages: dict[str, Callable[[], bytes]] = {
            "/v2/apps": cluster.all_apps,
            "/v2/pods::status": lambda: b"[]",
            "/v2/info": lambda: (
                b'{"name":"marathon","version":"1.5.15","elected":true,"leader":"127.0.0.1:8080"}'
            ),
            "/v2/leader": lambda: b'{"leader":"127.0.0.1:8080"}',
            "/ping": lambda: b"pong",
        }
        self._moves: dict[str, Callable[[dict[str, float]], object]] = {
            "/bench/counts": lambda _: {
                "requests": self.requests,
                "bytes": self.bytes,
                "streams": len(self._streams),
            },
            "/bench/replace": lambda told: self._told(*self._replace(int(told["app"]))),
            "/bench/unchanged": self._unchanged,
            "/bench/churn": self._churn,
            "/bench/restart": self._restart,
            "/bench/arrive": lambda told: [self._arrive() for _ in range(int(told["count"]))],
        }

    def render_GET(self, request: Request) -> bytes | int:
        """Any page."""
        path = unquote(request.path.decode())
        request.setHeader(b"Content-Type", b"application/json")
        if path in self._moves:
            told = {name.decode(): float(values[0]) for name, values in request.args.items()}
            return self._answer(request, self._moves[path](told))
        if path == "/v2/events":
            return self._follow(request)
        page = self._pages.get(path)
        if page is not None:
            return self._count(path, page())
        app = self.cluster.one_app(path.removeprefix("/v2/apps")) if path.startswith("/v2/apps/") else None
        if app is not None:
            return self._count(ONE_APP, app)
        request.setResponseCode(404)
        missing = (
            f"App '{path.removeprefix('/v2/apps')}' does not exist" if path.startswith("/v2/apps/") else path
        )
        return self._count("another page", msgspec.json.encode({"message": missing}))

    def _count(self, endpoint: str, body: bytes) -> bytes:
        self.requests[endpoint] += 1
        self.bytes[endpoint] += len(body)
        return body

    def _answer(self, request: Request, answer: object) -> bytes | int:
        if not isinstance(answer, Deferred):
            return msgspec.json.encode(answer)

        def finish(result: object) -> None:
            request.write(msgspec.json.encode(result))
            request.finish()

        answer.addCallback(finish).addErrback(request.processingFailed)
        return NOT_DONE_YET

    # events

    def _follow(self, request: Request) -> int:
        request.setHeader(b"Content-Type", b"text/event-stream;charset=UTF-8")
        self.requests["/v2/events"] += 1
        request.notifyFinish().addErrback(lambda _: self._streams.remove(request))
        self._streams.append(request)
        request.write(
            b"event: event_stream_attached\r\n"
            b'data: {"remoteAddress":"127.0.0.1","eventType":"event_stream_attached"}\r\n\r\n'
        )
        return NOT_DONE_YET

    def _write(self, data: bytes) -> float:
        """Write to every stream. Returns when."""
        now = monotonic()
        for stream in self._streams:
            stream.write(data)
        return now

    # moves

    def _replace(self, index: int) -> tuple[Replaced, float]:
        replaced = self.cluster.replace(index)
        return replaced, self._write(server_sent(replaced.events))

    def _arrive(self) -> dict[str, object]:
        arrived = self.cluster.arrive()
        return {
            "at": self._write(server_sent(arrived.events)),
            "host": arrived.app.host,
            "port": arrived.port,
        }

    def _told(self, replaced: Replaced, at: float) -> dict[str, object]:
        size = len(self.cluster.one_app(replaced.app.id) or b"")
        return {
            "at": at,
            "id": replaced.app.id,
            "host": replaced.app.host,
            "address": replaced.address,
            "document": size,
        }

    def _unchanged(self, told: dict[str, float]) -> Deferred[Any]:
        def tell(number: int) -> float:
            return self._write(server_sent([self.cluster.unchanged(number % int(told["apps"]))]))

        return Deferred.fromCoroutine(self._paced(int(told["count"]), told["rate"], tell))

    def _churn(self, told: dict[str, float]) -> Deferred[Any]:
        def move(number: int) -> dict[str, object]:
            return self._told(*self._replace(int(told["first"]) + number))

        count = int(told["rate"] * told["seconds"])
        return Deferred.fromCoroutine(self._paced(count, told["rate"], move))

    def _restart(self, told: dict[str, float]) -> Deferred[Any]:
        indices = [int(told["first"]) + 2 * number for number in range(int(told["apps"]))]
        apps = [self.cluster.apps[index] for index in indices]
        old = {app.id: tuple(app.tasks) for app in apps}
        count = len(apps) * int(told["tasks"])

        def begin(number: int) -> Deferred[Any]:
            app = apps[number % len(apps)]
            task = old[app.id][number // len(apps)]
            return Deferred.fromCoroutine(self._restart_task(app, task, told["grace"]))

        async def all_of_them() -> int:
            for each in await self._paced(count, told["rate"], begin):
                await each
            return count

        return Deferred.fromCoroutine(all_of_them())

    async def _restart_task(self, app: App, old: Task, grace: float) -> None:
        new = self.cluster.add(app)
        await self._task_is_to("begin", new)
        self._write(server_sent([self.cluster.event(app, new, "TASK_RUNNING")]))
        await deferLater(self._reactor, GETS_WELL)
        self.cluster.remove(app, old)
        self._write(server_sent([self.cluster.event(app, old, "TASK_KILLING")]))
        await deferLater(self._reactor, grace)
        await self._task_is_to("end", old)
        self._write(server_sent([self.cluster.event(app, old, "TASK_KILLED")]))

    async def _task_is_to(self, do: str, task: Task) -> None:
        """Have a task begin or end."""
        host, port = self.cluster.places[0]
        await treq.content(await treq.get(f"http://{host}:{port}/bench/{do}?{task.place}", persistent=False))

    async def _paced(self, count: int, rate: float, act: Callable[[int], Any]) -> list[Any]:
        """Act so often, so many times a second, and tell what came of each."""
        began, came = monotonic(), []
        for number in range(count):
            early = began + number / rate - monotonic()
            if early > 0:
                await deferLater(self._reactor, early)
            came.append(act(number))
        return came


def main() -> None:
    """``python -m benchmarks.marathon APPS TASKS SEED NETWORK MORTAL``."""
    from twisted.internet import reactor

    apps, tasks, seed, network, mortal = sys.argv[1:]
    shape = Shape(int(apps), int(tasks), int(seed), network, int(mortal))
    site = Site(Marathon(Cluster(shape), reactor))
    site.noisy = False
    serve(reactor, [(site, f"{network}.2", PORT)])


if __name__ == "__main__":
    main()
