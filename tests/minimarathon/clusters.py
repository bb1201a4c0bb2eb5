"""What the tests of minimarathon build on: a Marathon without sockets and processes, on a clock of the test's own."""

from __future__ import annotations

import itertools
from typing import Any

from twisted.internet.task import Clock

from minimarathon.definitions.parsing import parse
from minimarathon.dialect import Dialect
from minimarathon.engine import Engine
from minimarathon.events import Bus, Event
from minimarathon.model import App, Health, Task
from minimarathon.state import State
from minimarathon.tasks.addresses import Addresses
from minimarathon.tasks.health import AlwaysHealthy, IHealth
from minimarathon.tasks.processes import NoProcesses

EPOCH = 1_600_000_000.0


def app(app_id: str = "/web", **fields: Any) -> App:
    """An app that sleeps."""
    return parse({"id": app_id, "cmd": "sleep 100", **fields})


def task(
    name: str, version: str = "1", state: str = "TASK_RUNNING", health: tuple[Health | None, ...] = ()
) -> Task:
    """A task whose age is told by its name: ``a`` is older than ``b``."""
    return Task(
        id=name,
        instance_id=f"i-{name}",
        app_id="/web",
        version=version,
        host="127.0.0.1",
        address="127.0.0.1",
        state=state,
        staged_at=float(ord(name[0])),
        health=health,
    )


class Cluster:
    """A Marathon on a `Clock`; `heard` is every event since the start."""

    def __init__(self, version: str = "1.5", health: IHealth | None = None) -> None:
        self.clock = Clock()
        ids = itertools.count(1)
        dialect = Dialect.parse(version)
        self.state = State(dialect, self.now, lambda: f"id{next(ids)}")
        self.bus = Bus()
        self.runner = NoProcesses(self.clock)
        addresses = Addresses(free=lambda host, port: True)
        checks = health or AlwaysHealthy(self.clock, self.now)
        self.engine = Engine(self.state, self.bus, self.runner, checks, addresses, self.clock)
        self.heard: list[Event] = []
        self.bus.listen(self.heard.append)

    def now(self) -> float:
        return EPOCH + self.clock.seconds()

    def deploy(self, *apps: App, **how: Any) -> None:
        """Want these apps, and let everything come to rest."""
        self.engine.deploy({one.id: one for one in apps}, **how)
        self.rest()

    def rest(self) -> None:
        """Let everything happen that waits for no time."""
        for _ in range(20):
            self.clock.advance(0)

    def kinds(self) -> list[str]:
        """The types of what was heard."""
        return [event.kind for event in self.heard]

    def states(self, app_id: str = "/web") -> list[str]:
        """The states of an app's tasks."""
        return [one.state for one in self.state.tasks(app_id)]
