"""A Marathon and load balancers in memory, on a clock of the test's own, and deployments in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from io import StringIO
from typing import Any

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from zope.interface import implementer

from marathonlb.errors import SourceError
from marathonlb.marathon.api.auth import NoAuthorization
from marathonlb.marathon.api.request import Fetcher
from marathonlb.marathon.parsing.apps import parse_apps
from marathonlb.routing.deployments import join
from marathonlb.routing.names import group_id
from marathonlb.zdd.clients.balancers import IBalancers
from marathonlb.zdd.clients.hook import IHook
from marathonlb.zdd.clients.marathon import DeploymentCluster
from marathonlb.zdd.clients.statistics import ServerRow, View
from marathonlb.zdd.course import DeploymentRequest
from marathonlb.zdd.definition import Json, member, read
from marathonlb.zdd.deployment import Collaborators, Deployment, Ending
from marathonlb.zdd.errors import Failed
from marathonlb.zdd.progress import DeploymentProgress
from minimarathon.api.event_stream import Streams
from minimarathon.api.resource import ApiResource
from minimarathon.api.router import Api
from minimarathon.definitions.shapes import app_json, task_json
from minimarathon.model import App, Task
from minimarathon.tasks.health import AlwaysHealthy
from minimarathon.tasks.processes import NoProcesses
from tests.minimarathon import clusters

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def app_file(instances: int = 4, **more: Any) -> Json:
    """An app as its owner keeps it; `labels` are further ones, without ``HAPROXY_``."""
    labels = {"DEPLOYMENT_GROUP": "shop", "DEPLOYMENT_ALT_PORT": "10100", "0_VHOST": "shop.example.com"}
    labels |= more.pop("labels", {})
    return {
        "id": "/shop",
        "cmd": "sleep 100",
        "instances": instances,
        "portDefinitions": [{"port": 10000}],
        "labels": {f"HAPROXY_{name}": text for name, text in labels.items()},
        "healthChecks": [{"protocol": "HTTP", "path": "/health"}],
        **more,
    }


class Health(AlwaysHealthy):
    """
    Tasks are healthy at once, but for those of some apps.

    :ivar ill: parts of the ids of apps whose tasks never are.
    :ivar pace: so many seconds after the one before, the first one included.
    """

    ill: tuple[str, ...] = ()
    pace = 0.0
    watched = 0

    def watch(self, task: Task, app: App, report: Any) -> None:
        """Report that it is well, or nothing."""
        if any(part in app.id for part in self.ill):
            return
        if self.pace:
            self.watched += 1
            self.clock.callLater(self.watched * self.pace, super().watch, task, app, report)
        else:
            super().watch(task, app, report)


class Lingering(NoProcesses):
    """
    Tasks that take their time to end.

    :ivar linger: how many seconds.
    """

    linger = 0.0

    def kill(self, task_id: str, grace: float | None) -> None:
        """End it later."""
        self.clock.callLater(self.linger, super().kill, task_id, grace)  # type: ignore[attr-defined]


@implementer(IBalancers)
class FakeBalancers:
    """
    Load balancers that do what `marathonlb.routing` says, at once.

    :param apps: Marathon's ``/v2/apps``.
    :ivar held: sessions by the task's id, in the first load balancer.
    :ivar stuck: the rows that the second load balancer goes on showing, where it does not follow.
    :ivar problem: why the second one cannot be asked.
    :ivar workers: how many processes the first one has.
    """

    def __init__(self, apps: Callable[[], bytes]) -> None:
        self._apps = apps
        self.held: dict[str, int] = {}
        self.stuck: tuple[ServerRow, ...] | None = None
        self.problem = ""
        self.workers = 1
        self.unresolved = False

    def rows(self, first: bool = True) -> tuple[ServerRow, ...]:
        """The servers of all groups."""
        groups: dict[str, list[Any]] = {}
        for app in parse_apps(self._apps()).apps:
            group = group_id(app.id, app.labels["HAPROXY_DEPLOYMENT_GROUP"])
            groups.setdefault(group or app.id, []).append(member(app))
        return tuple(
            ServerRow(
                server.name,
                "DRAIN" if server.weight == 0 else "UP",
                100 if server.weight is None else server.weight,
                self.held.get(server.task_id, 0) if first else 0,
            )
            for name, members in sorted(groups.items())
            for service in join(name, name, members).offered.services
            for server in service.servers
        )

    def look(self) -> Deferred[tuple[View, ...]]:
        """See `IBalancers.look`."""
        if self.unresolved:
            return fail(SourceError(url="http://lb:9090", reason="its name cannot be resolved"))
        second = View("http://lb2", self.rows(False) if self.stuck is None else self.stuck)
        if self.problem:
            second = View("http://lb2", problem=self.problem)
        return succeed((View("http://lb1", self.rows(), self.workers), second))


@implementer(IHook)
class FakeHook:
    """Remembers what it was asked; refuses from the nth question on."""

    def __init__(self, refuse_at: int = 1000) -> None:
        self.asked: list[tuple[str, tuple[str, ...], str]] = []
        self._refuse_at = refuse_at

    def ask(self, ending: Json, tasks: Sequence[str], staying: Json) -> Deferred[None]:
        """See `IHook.ask`."""
        self.asked.append((ending["id"], tuple(tasks), staying["id"]))
        return fail(Failed("the hook says no")) if len(self.asked) >= self._refuse_at else succeed(None)


class World:
    """One Marathon, two load balancers, and what a deployment said."""

    def __init__(self, version: str = "1.5") -> None:
        self.marathon = clusters.Cluster(version)
        self.health = Health(self.marathon.clock, self.marathon.now)
        self.marathon.engine.health = self.health
        self.runner = self.marathon.engine.runner = Lingering(self.marathon.clock)
        self.tells_of_killing = True
        self.clock: Clock = self.marathon.clock
        state, bus = self.marathon.state, self.marathon.bus
        streams = Streams(bus, state.dialect, self.clock, state.announce.event, 10.0)
        self.away: Callable[[], bool] = lambda: False
        self.api = Api(self.marathon.engine, _NoSubscribers())
        self.agent = RequestTraversalAgent(Interrupted(ApiResource(self.api, streams), self))
        fetcher = Fetcher(["http://marathon:8080"], self.agent, NoAuthorization(), 1 << 20)
        self.cluster = DeploymentCluster(fetcher, ["http://marathon:8080"], self.clock)
        self.balancers = FakeBalancers(self._apps)
        self.hook = FakeHook()
        self.out = StringIO()
        self.over = False  # a Deferred that was cancelled says that it was called long before it ends
        self.confirmed = True
        self.hands = Collaborators(
            cluster=self.cluster,
            balancers=self.balancers,
            hook=self.hook,
            clock=self.clock,
            progress=DeploymentProgress(self.out, lambda: EPOCH, as_json=True),
            now=lambda: datetime.fromtimestamp(self.marathon.now(), UTC),
            confirm=lambda words: self.confirmed,
        )

    def _apps(self) -> bytes:

        state = self.marathon.state
        apps = [
            app_json(app, state.dialect)
            | {"tasks": [task_json(task, state.dialect) for task in state.tasks(app.id)]}
            for app in state.apps()
        ]
        return json.dumps({"apps": apps}).encode()

    def start(self, file: Json, **wish: Any) -> Deferred[Ending]:
        """Begin a deployment."""
        wanted = DeploymentRequest(**{"max_wait": 30, "step_interval": 1, **wish})
        self.over = False
        deployment = Deployment(read(json.dumps(file), "app.json"), wanted, self.hands)
        return Deferred.fromCoroutine(deployment.run()).addBoth(self._ended)

    def _ended(self, result: Any) -> Any:
        self.over = True
        return result

    def turn(self, seconds: float = 1, times: int = 1) -> None:
        """Let time pass."""
        for _ in range(times):
            self.clock.advance(seconds)
            self.marathon.rest()

    def finish(self, run: Deferred[Ending], seconds: int = 400) -> Deferred[Ending]:
        """Let time pass until a deployment has ended."""
        for _ in range(seconds):
            if self.over:
                break
            self.turn()
        return run

    def deploy(self, file: Json, **wish: Any) -> Deferred[Ending]:
        """A whole deployment."""
        return self.finish(self.start(file, **wish))

    def instances(self) -> dict[str, int]:
        """The apps, and how many instances each shall have."""
        return {app.id: app.instances for app in self.marathon.state.apps()}

    def tasks(self, app_id: str) -> list[str]:
        """The ids of an app's tasks."""
        return sorted(task.id for task in self.marathon.state.tasks(app_id))

    def said(self) -> list[dict[str, Any]]:
        """What was told."""
        return [json.loads(line) for line in self.out.getvalue().splitlines()]

    def events(self) -> list[str]:
        """The kinds of what was told, without what was waited for."""
        return [line["event"] for line in self.said() if line["event"] != "waiting"]

    def waited_for(self) -> str:
        """All that was waited for."""
        return "\n".join(line["message"] for line in self.said() if line["event"] == "waiting")


class Interrupted(Resource):
    """A Marathon that is away at times, or of a version that does not tell which tasks are about to end."""

    isLeaf = True

    def __init__(self, face: ApiResource, world: World) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._face = face
        self._world = world

    def render(self, request: Any) -> Any:
        """Its answer, or none."""
        if self._world.away():
            request.setResponseCode(503)
            return b'{"message": "no leader"}'
        answer = self._face.render(request)
        if isinstance(answer, bytes) and not self._world.tells_of_killing:
            answer = answer.replace(b"TASK_KILLING", b"TASK_RUNNING")
        return answer


class _NoSubscribers:
    def urls(self) -> list[str]:
        return []

    def add(self, url: str) -> None:
        """Nobody is told."""

    def remove(self, url: str) -> None:
        """Nobody was told."""


class WorldTestCase(SynchronousTestCase):
    """A test with a world."""

    def setUp(self) -> None:
        self.world = World()

    def assertEnds(self, ending: Ending, run: Deferred[Ending]) -> None:
        """A deployment ends so."""
        self.assertTrue(self.world.over, self.world.out.getvalue())
        self.assertEqual(ending, self.successResultOf(run), self.world.out.getvalue())

    def first(self, instances: int = 4, **more: Any) -> None:
        """A first version is there."""
        self.assertEnds(Ending.DONE, self.world.deploy(app_file(instances, **more)))
        self.world.out.truncate(0)
        self.world.out.seek(0)
