"""
A Marathon that only answers: a process that serves a `benchmarks.cluster.Cluster` over HTTP and counts what it serves.

What is asked of it beyond Marathon's API, all under ``/bench``, moves the cluster:

* ``/bench/replace?app=N``: a task of the nth app is replaced, and its events are told;
* ``/bench/unchanged?count=N&apps=N&rate=N``: events that tell what was so before, at that rate, round these apps;
* ``/bench/churn?first=N&rate=N&seconds=N``: tasks of one app after the other are replaced, at that rate;
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
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from benchmarks.cluster import Cluster, Replaced, Shape, server_sent
from benchmarks.responders import serve

PORT = 8080
ONE_APP = "/v2/apps/{id}"
"""How the answers about single apps are counted."""

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
    """``python -m benchmarks.marathon APPS TASKS SEED NETWORK``."""
    from twisted.internet import reactor

    apps, tasks, seed, network = sys.argv[1:]
    shape = Shape(int(apps), int(tasks), int(seed), network)
    site = Site(Marathon(Cluster(shape), reactor))
    site.noisy = False
    serve(reactor, [(site, f"{network}.2", PORT)])


if __name__ == "__main__":
    main()
