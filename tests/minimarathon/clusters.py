"""A Marathon for tests, without sockets and processes, on a `Clock`."""

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
    """Return an app with the command ``sleep``."""
    return parse({"id": app_id, "cmd": "sleep 100", **fields})


def task(
    name: str, version: str = "1", state: str = "TASK_RUNNING", health: tuple[Health | None, ...] = ()
) -> Task:
    """Return a task; its name determines its age: ``a`` is older than ``b``."""
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
    """A Marathon on a `Clock`; `heard` has all events since the start."""

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
        """Deploy apps, and run all immediate calls."""
        self.engine.deploy({one.id: one for one in apps}, **how)
        self.rest()

    def rest(self) -> None:
        """Run all immediate calls."""
        for _ in range(20):
            self.clock.advance(0)

    def kinds(self) -> list[str]:
        """Return the types of the events."""
        return [event.kind for event in self.heard]

    def states(self, app_id: str = "/web") -> list[str]:
        """Return the states of an app's tasks."""
        return [one.state for one in self.state.tasks(app_id)]
