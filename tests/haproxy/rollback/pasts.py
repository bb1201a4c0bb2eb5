"""Configurations of the past and of today, for tests of the rollback."""

from __future__ import annotations

import msgspec

from marathonlb.config.text.model import Config
from marathonlb.haproxy.files.publish import Published
from marathonlb.marathon.model import App, Task
from tests.controller.test_planner import planner

HERE = "/etc/haproxy"


def wanted(*apps: App, **overrides: str) -> Config:
    """What is wanted for these apps."""
    return planner(*apps, **overrides).plan(0).rendered.config


def then(*apps: App, directory: str = HERE, **overrides: str) -> Published:
    """The texts of a configuration of the past."""
    config = wanted(*apps, **overrides)
    return Published(config.text(directory), config.map_texts())


def nobody(backend: str, address: str, port: int) -> bool:
    return False


def moved(app: App, *ports: int) -> App:
    """The app with other tasks."""
    tasks = tuple(Task(f"{app.id}.{port}", host="127.0.0.1", ports=(port,)) for port in ports)
    return msgspec.structs.replace(app, tasks=tasks)


def labelled(app: App, **labels: str) -> App:
    """The app with more labels."""
    return msgspec.structs.replace(app, labels={**app.labels, **labels})


def backend(config: Config, name: str) -> str:
    """The text of a backend."""
    return next(each.text for each in config if (each.kind, each.name) == ("backend", name))


def servers(config: Config, name: str) -> list[str]:
    """The addresses in a backend."""
    return [line.split()[2] for line in backend(config, name).splitlines() if line.startswith("  server ")]


def line_of(config: Config, number: int) -> str:
    """A line, counted from 1; empty past the end."""
    return dict(enumerate(config.template.split("\n"), 1)).get(number, "")
