"""A Marathon behind its HTTP resource, in memory."""

from __future__ import annotations

from typing import Any

from treq.client import HTTPClient
from treq.testing import RequestTraversalAgent, StubTreq
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from minimarathon.api.callbacks import Callbacks
from minimarathon.api.event_stream import Streams
from minimarathon.api.resource import ApiResource
from minimarathon.api.router import Api
from tests.minimarathon.clusters import Cluster

WEB = {"id": "/shop/web", "cmd": "sleep 100", "labels": {"tier": "front"}}


class ServedMarathon:
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


class ResourceTestCase(SynchronousTestCase):
    """A test with a resource; `ask` sends a request and returns the response."""

    def setUp(self) -> None:
        self.use(ServedMarathon())

    def use(self, served: ServedMarathon) -> None:
        self.served, self.cluster = served, served.cluster

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
        return self.served.agent.request(method, f"http://marathon{path}", **json, **more)

    def header(self, name: str) -> str:
        return ", ".join(self.response.headers.getRawHeaders(name, []))
