"""A complete minimarathon on a real port, in the test process."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import treq
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from minimarathon.dialect import Dialect
from minimarathon.service import Config, MiniMarathon
from tests.integration.reserved import task_ports


def alive(pid: int) -> bool:
    """Return whether a process runs and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pids_of(marker: str) -> set[int]:
    """Return the ids of the processes whose environment contains `marker`."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                environ = (entry / "environ").read_bytes()
            except OSError:
                continue
            if marker.encode() in environ and alive(int(entry.name)):
                found.add(int(entry.name))
    return found


PATIENCE = 4
"""Factor for timeouts: how much slower than an idle machine a busy one may be."""


async def until(true: Callable[[], Any], seconds: float = 15.0, every: float = 0.05) -> Any:
    """
    Wait for a true value and return it; the function may be a coroutine function.

    :param seconds: the timeout on an idle machine.
    :raise AssertionError: if the timeout expired.
    """
    last = reactor.seconds() + PATIENCE * seconds
    while True:
        value = true()
        if hasattr(value, "__await__"):
            value = await value
        if value:
            return value
        if reactor.seconds() > last:
            raise AssertionError(
                f"it did not become true within {PATIENCE * seconds} s: {true}, last {value!r}"
            )
        await deferLater(reactor, every)


class MarathonTestCase(TestCase):
    """A test with a Marathon: `marathon` starts it, and the end of the test stops it."""

    timeout = 60 * PATIENCE

    def marathon(self, version: str = "1.5", **config: Any) -> MiniMarathon:
        """Start a Marathon on a free port."""
        work_dir = Path(self.mktemp())
        service = MiniMarathon(
            reactor,
            Config(
                dialect=Dialect.parse(version), port=0, work_dir=work_dir, task_ports=task_ports(), **config
            ),
        )
        service.startService()
        self.addCleanup(service.stopService)
        return service

    async def ask(self, service: MiniMarathon, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Send a request; return the status and the JSON of the response."""
        json = {} if body is None else {"json": body}
        response = await treq.request(method, service.url + path, persistent=False, **json, **more)
        text = await treq.text_content(response)
        return response.code, (await treq.json_content(response) if text.startswith(("{", "[")) else text)

    async def tasks(self, service: MiniMarathon, app_id: str) -> list[dict[str, Any]]:
        """Return an app's tasks from the API."""
        _, body = await self.ask(service, "GET", f"/v2/apps{app_id}/tasks")
        return body.get("tasks", [])


def stopped(service: MiniMarathon) -> Deferred[None]:
    """Stop a Marathon."""
    return service.stopService()
