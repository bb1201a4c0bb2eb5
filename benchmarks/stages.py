"""
Stages of the one-shot run, and references for them, each in a separate process that prints one JSON object.

So the peak memory belongs to that stage alone, and earlier imports and caches have no influence.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, process_time
from typing import Any


class Stopwatch:
    """Measures blocks of code: wall-clock seconds and CPU seconds of this process."""

    wall = 0.0
    cpu = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Add the time of a ``with`` block."""
        wall, cpu = monotonic(), process_time()
        yield
        self.wall += monotonic() - wall
        self.cpu += process_time() - cpu

    def result(self) -> dict[str, float]:
        """Return the seconds by kind."""
        return {"wall": self.wall, "cpu": self.cpu}


def peak() -> float:
    """
    Return the peak memory of this process, in MB.

    getrusage(2) is not used, since it includes the memory from before the exec of this program.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no peak memory (VmHWM)")


def bytes_to_text(apps: str, directory: str) -> dict[str, Any]:
    """
    Measure the way from the bytes of ``/v2/apps`` to the text of haproxy.cfg, and to a file that is synced to disk.

    As in the script, garbage collection is off (`marathonlb.cli`).
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
    text, file = Stopwatch(), Stopwatch()
    peak_before = peak()
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
        write_synced(directory, {"haproxy.cfg": config, **wanted.rendered.config.map_texts()})
    return {
        "text": text.result(),
        "file": file.result(),
        "peak": peak(),
        "before": peak_before,
        "servers": wanted.servers,
        "problems": len(wanted.problems),
    }


def write_synced(directory: str, texts: Mapping[str, str]) -> None:
    """Write files by name, and sync each to disk."""
    for name, text in texts.items():
        with open(os.path.join(directory, name), "w", encoding="utf-8") as output:
            output.write(text)
            output.flush()
            os.fsync(output.fileno())


def json_loads(apps: str) -> dict[str, Any]:
    """Measure the standard library's parser on the same bytes."""
    body = Path(apps).read_bytes()
    watch = Stopwatch()
    with watch.running():
        document = json.loads(body)
    return {**watch.result(), "peak": peak(), "apps": len(document["apps"])}


def treq_requests(url: str, count: str) -> dict[str, Any]:
    """Measure plain treq requests for one page, one at a time on one connection, each response read completely."""
    import treq.client
    from twisted.internet import reactor
    from twisted.internet.task import react
    from twisted.web.client import Agent, HTTPConnectionPool

    result: dict[str, Any] = {}

    async def request() -> None:
        pool = HTTPConnectionPool(reactor)
        client = treq.client.HTTPClient(Agent(reactor, pool=pool))
        watch, durations = Stopwatch(), []
        for number in range(int(count) + 20):
            start = monotonic()
            if number < 20:  # warm up
                await treq.content(await client.get(url))
                continue
            with watch.running():
                await treq.content(await client.get(url))
            durations.append(monotonic() - start)
        result.update(wall=statistics.median(durations), cpu=watch.cpu / len(durations))
        await pool.closeCachedConnections()

    try:
        react(lambda _: _deferred(request()))
    except SystemExit as done:
        if done.code:
            raise
    return result


def _deferred(coroutine: Any) -> Any:
    from twisted.internet.defer import Deferred

    return Deferred.fromCoroutine(coroutine)


def script(path: str, *arguments: str) -> dict[str, Any]:
    """Run a Python program in this process until it ends."""
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
