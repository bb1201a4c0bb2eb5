"""Apps, tasks and services for tests, each with what matters there and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec

from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.marathon.model import App, Port, Task
from marathonlb.routing.services.build import services_of
from marathonlb.routing.services.model import AppServices, Service
from marathonlb.settings import Settings


def task(number: int = 1, **more: Any) -> Task:
    """A running task on an agent of its own."""
    values: dict[str, Any] = {"host": f"10.0.0.{number}", "ports": (31000,), "state": "TASK_RUNNING", **more}
    return Task(f"task.{number}", **values)


def app(app_id: str = "/shop", labels: dict[str, str] | None = None, **more: Any) -> App:
    """An app with one service port and one task; labels are named without ``HAPROXY_``."""
    values: dict[str, Any] = {
        "ports": (Port(10000),),
        "tasks": (task(),),
        "config_changed_at": "2020-01-01T00:00:00.000Z",
        **more,
    }
    return App(app_id, {f"HAPROXY_{name}": text for name, text in (labels or {}).items()}, **values)


def offered(made: App, settings: Settings | None = None, **more: Any) -> AppServices:
    """What an app offers; hosts are taken for addresses."""
    return services_of(made, settings or Settings(), PER_APP_NAMES, lambda host: host, **more)


def service(name: str = "shop", port: int = 10000, **more: Any) -> Service:
    """A service by hand."""
    values: dict[str, Any] = {"mode": "http", "since": "2020", **more}
    return Service(f"/{name}", values.pop("port_index", 0), port, f"{name}_{port}", **values)


def changed(made: App, **more: Any) -> App:
    """The same app with other fields."""
    return msgspec.structs.replace(made, **more)
