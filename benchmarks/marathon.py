"""
A Marathon for benchmarks: a process that serves a `benchmarks.cluster.Cluster` over HTTP and counts requests.

Besides Marathon's API it has commands below ``/bench`` that change the cluster:

* ``/bench/replace?app=N``: replace a task of the nth app, and send its events;
* ``/bench/unchanged?count=N&apps=N&rate=N``: send events without changes at a rate, for each of these apps in turn;
* ``/bench/churn?first=N&rate=N&seconds=N``: replace tasks of one app after the other, at a rate;
* ``/bench/restart?first=N&apps=N&tasks=N&rate=N&grace=N``: replace the tasks of every other app from the first on as
  in a rolling restart, at a rate: a new task runs, an old one is killed and ends after its grace; only for apps whose
  tasks have separate places;
* ``/bench/arrive?count=N``: add new apps;
* ``/bench/counts``: return the numbers of requests and sent bytes, by endpoint.

Rates are per second. Times are seconds of the monotonic clock, which all processes of a machine share.
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

from benchmarks.cluster import BenchmarkApp, BenchmarkTask, Cluster, Replaced, Shape, server_sent
from benchmarks.responders import serve

PORT = 8080
ONE_APP = "/v2/apps/{id}"
"""The name under which responses about single apps are counted."""

UNTIL_HEALTHY = 0.2
"""Seconds from the start of a new task in a restart until an old one is killed."""

HEARTBEAT = 10.0
"""Seconds between two keep-alives of the event stream."""


class Marathon(Resource):
    """The HTTP resource: Marathon's API, and the commands below ``/bench``."""

    isLeaf = True

    def __init__(self, cluster: Cluster, reactor: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.cluster = cluster
        self.requests: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self._reactor = reactor
        self._streams: list[Request] = []
        self._keep_alive = LoopingCall(self._write, b"\r\n")
        self._keep_alive.clock = reactor
        self._keep_alive.start(HEARTBEAT, now=False)
        self._pages: dict[str, Callable[[], bytes]] = {
            "/v2/apps": cluster.all_apps,
            "/v2/pods::status": lambda: b"[]",
            "/v2/info": lambda: (
                b'{"name":"marathon","version":"1.5.15","elected":true,"leader":"127.0.0.1:8080"}'
            ),
            "/v2/leader": lambda: b'{"leader":"127.0.0.1:8080"}',
            "/ping": lambda: b"pong",
        }
        self._commands: dict[str, Callable[[dict[str, float]], object]] = {
            "/bench/counts": lambda _: {
                "requests": self.requests,
                "bytes": self.bytes,
                "streams": len(self._streams),
            },
            "/bench/replace": lambda parameters: self._described(*self._replace(int(parameters["app"]))),
            "/bench/unchanged": self._unchanged,
            "/bench/churn": self._churn,
            "/bench/restart": self._restart,
            "/bench/arrive": lambda parameters: [self._arrive() for _ in range(int(parameters["count"]))],
        }

    def render_GET(self, request: Request) -> bytes | int:
        """Respond to any path."""
        path = unquote(request.path.decode())
        request.setHeader(b"Content-Type", b"application/json")
        if path in self._commands:
            parameters = {name.decode(): float(values[0]) for name, values in request.args.items()}
            return self._respond(request, self._commands[path](parameters))
        if path == "/v2/events":
            return self._follow(request)
        page = self._pages.get(path)
        if page is not None:
            return self._count(path, page())
        app = self.cluster.one_app(path.removeprefix("/v2/apps")) if path.startswith("/v2/apps/") else None
        if app is not None:
            return self._count(ONE_APP, app)
        request.setResponseCode(404)
        message = (
            f"App '{path.removeprefix('/v2/apps')}' does not exist" if path.startswith("/v2/apps/") else path
        )
        return self._count("another page", msgspec.json.encode({"message": message}))

    def _count(self, endpoint: str, body: bytes) -> bytes:
        self.requests[endpoint] += 1
        self.bytes[endpoint] += len(body)
        return body

    def _respond(self, request: Request, result: object) -> bytes | int:
        if not isinstance(result, Deferred):
            return msgspec.json.encode(result)

        def finish(value: object) -> None:
            request.write(msgspec.json.encode(value))
            request.finish()

        result.addCallback(finish).addErrback(request.processingFailed)
        return NOT_DONE_YET

    # Events.

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
        """Write to every stream, and return the time."""
        now = monotonic()
        for stream in self._streams:
            stream.write(data)
        return now

    # Commands.

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

    def _described(self, replaced: Replaced, at: float) -> dict[str, object]:
        size = len(self.cluster.one_app(replaced.app.id) or b"")
        return {
            "at": at,
            "id": replaced.app.id,
            "host": replaced.app.host,
            "address": replaced.address,
            "document": size,
        }

    def _unchanged(self, parameters: dict[str, float]) -> Deferred[Any]:
        def send(number: int) -> float:
            return self._write(server_sent([self.cluster.unchanged(number % int(parameters["apps"]))]))

        return Deferred.fromCoroutine(self._paced(int(parameters["count"]), parameters["rate"], send))

    def _churn(self, parameters: dict[str, float]) -> Deferred[Any]:
        def replace(number: int) -> dict[str, object]:
            return self._described(*self._replace(int(parameters["first"]) + number))

        count = int(parameters["rate"] * parameters["seconds"])
        return Deferred.fromCoroutine(self._paced(count, parameters["rate"], replace))

    def _restart(self, parameters: dict[str, float]) -> Deferred[Any]:
        indices = [int(parameters["first"]) + 2 * number for number in range(int(parameters["apps"]))]
        apps = [self.cluster.apps[index] for index in indices]
        old = {app.id: tuple(app.tasks) for app in apps}
        count = len(apps) * int(parameters["tasks"])

        def begin(number: int) -> Deferred[Any]:
            app = apps[number % len(apps)]
            task = old[app.id][number // len(apps)]
            return Deferred.fromCoroutine(self._restart_task(app, task, parameters["grace"]))

        async def restart_all() -> int:
            for restart in await self._paced(count, parameters["rate"], begin):
                await restart
            return count

        return Deferred.fromCoroutine(restart_all())

    async def _restart_task(self, app: BenchmarkApp, old: BenchmarkTask, grace: float) -> None:
        new = self.cluster.add(app)
        await self._switch_task("begin", new)
        self._write(server_sent([self.cluster.event(app, new, "TASK_RUNNING")]))
        await deferLater(self._reactor, UNTIL_HEALTHY)
        self.cluster.remove(app, old)
        self._write(server_sent([self.cluster.event(app, old, "TASK_KILLING")]))
        await deferLater(self._reactor, grace)
        await self._switch_task("end", old)
        self._write(server_sent([self.cluster.event(app, old, "TASK_KILLED")]))

    async def _switch_task(self, command: str, task: BenchmarkTask) -> None:
        """Start or end a task in `benchmarks.responders`."""
        host, port = self.cluster.places[0]
        await treq.content(
            await treq.get(f"http://{host}:{port}/bench/{command}?{task.place}", persistent=False)
        )

    async def _paced(self, count: int, rate: float, act: Callable[[int], Any]) -> list[Any]:
        """Call `act` `count` times at `rate` calls per second, and return the results."""
        start, results = monotonic(), []
        for number in range(count):
            early = start + number / rate - monotonic()
            if early > 0:
                await deferLater(self._reactor, early)
            results.append(act(number))
        return results


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
