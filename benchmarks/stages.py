"""
Parts of the way, and references for them, each in a process of its own that prints one JSON object.

So the peak of memory is that part's alone, and nothing that was imported or kept before helps it.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, process_time
from typing import Any


class Watch:
    """Seconds of a part: of the clock on the wall, and of this process's CPU."""

    wall = 0.0
    cpu = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Add what passes in this block."""
        wall, cpu = monotonic(), process_time()
        yield
        self.wall += monotonic() - wall
        self.cpu += process_time() - cpu

    def told(self) -> dict[str, float]:
        """Return the result."""
        return {"wall": self.wall, "cpu": self.cpu}


def peak() -> float:
    """
    Return the largest memory that this process has had, in MB.

    Not of getrusage(2), which also counts what the process was before it became this program.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("this system does not tell the peak of memory")


def bytes_to_text(apps: str, directory: str) -> dict[str, Any]:
    """
    From the bytes of ``/v2/apps`` to the text of haproxy.cfg, and from there to a file that is safe on disk.

    As in the script nothing is collected on the way (`marathonlb.cli`).
    """
    from benchmarks.cluster import GROUP
    from benchmarks.world import CHECKOUT
    from marathonlb.config.render import Renderer
    from marathonlb.config.templates.loader import load_templates
    from marathonlb.config.templates.table import PER_APP_NAMES
    from marathonlb.controller.planner import Planner
    from marathonlb.marathon.cluster import ClusterState
    from marathonlb.marathon.parsing.apps import parse_apps
    from marathonlb.routing.offers import Offers
    from marathonlb.settings import Settings

    body = Path(apps).read_bytes()
    text, file = Watch(), Watch()
    empty = peak()
    gc.disable()
    with text.running():
        settings = Settings(
            groups=frozenset([GROUP]), health_check=True, templates=str(CHECKOUT / "templates"), ssl_certs=()
        )
        offers = Offers(settings, PER_APP_NAMES, lambda host: host)
        planner = Planner(offers, Renderer(settings, load_templates(settings.templates, {})))
        cluster = ClusterState()
        parsed = parse_apps(body)
        change = cluster.replace_all(parsed.apps, parsed.unreadable)
        planner.update(cluster.apps, change.touched)
        wanted = planner.plan(0.0)
        config = wanted.rendered.config.text(directory)
    with file.running():
        for name, content in {"haproxy.cfg": config, **wanted.rendered.config.map_texts()}.items():
            with open(os.path.join(directory, name), "w", encoding="utf-8") as output:
                output.write(content)
                output.flush()
                os.fsync(output.fileno())
    return {
        "text": text.told(),
        "file": file.told(),
        "peak": peak(),
        "before": empty,
        "servers": wanted.servers,
        "problems": len(wanted.problems),
    }


def json_loads(apps: str) -> dict[str, Any]:
    """Read the same bytes with the standard library."""
    body = Path(apps).read_bytes()
    watch = Watch()
    with watch.running():
        read = json.loads(body)
    return {**watch.told(), "peak": peak(), "apps": len(read["apps"])}


def treq_requests(url: str, count: str) -> dict[str, Any]:
    """Bare requests with treq for one page, one after the other on one connection, each read whole."""
    import treq.client
    from twisted.internet import reactor
    from twisted.internet.task import react
    from twisted.web.client import Agent, HTTPConnectionPool

    told: dict[str, Any] = {}

    async def ask() -> None:
        pool = HTTPConnectionPool(reactor)
        client = treq.client.HTTPClient(Agent(reactor, pool=pool))
        watch, took = Watch(), []
        for number in range(int(count) + 20):
            began = monotonic()
            if number < 20:  # what is slow once
                await treq.content(await client.get(url))
                continue
            with watch.running():
                await treq.content(await client.get(url))
            took.append(monotonic() - began)
        told.update(wall=statistics.median(took), cpu=watch.cpu / len(took))
        await pool.closeCachedConnections()

    try:
        react(lambda _: _deferred(ask()))
    except SystemExit as done:
        if done.code:
            raise
    return told


def _deferred(coroutine: Any) -> Any:
    from twisted.internet.defer import Deferred

    return Deferred.fromCoroutine(coroutine)


def script(path: str, *arguments: str) -> dict[str, Any]:
    """Run a program in Python to its end, in this process."""
    sys.argv = [path, *arguments]
    status: object = 0
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as ended:
        status = ended.code or 0
    return {"peak": peak(), "cpu": process_time(), "status": status}


STAGES: dict[str, Callable[..., dict[str, Any]]] = {
    "text": bytes_to_text,
    "json": json_loads,
    "treq": treq_requests,
    "script": script,
}


if __name__ == "__main__":
    print(json.dumps(STAGES[sys.argv[1]](*sys.argv[2:])))
