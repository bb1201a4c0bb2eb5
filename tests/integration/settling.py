"""Finds the configuration that HAProxy accepts: render, run ``haproxy -c``, omit what it rejects, and repeat."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Coroutine, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from marathonlb.config.render import Renderer
from marathonlb.config.templates.loader import Templates
from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.config.text.model import Config
from marathonlb.controller.planned_config import PlannedConfig
from marathonlb.controller.planner import Planner
from marathonlb.controller.refusals.search import Search
from marathonlb.errors import InvalidConfiguration
from marathonlb.haproxy.diagnostics.messages import complaints
from marathonlb.marathon.model import App
from marathonlb.routing.offers import Offers
from marathonlb.settings import Settings
from tests.fakes.haproxy import FakeApplier


def settled(
    binary: str,
    directory: Path,
    settings: Settings,
    templates: Templates,
    apps: Iterable[App],
    most: int = 10,
) -> tuple[PlannedConfig, int]:
    """
    Return the configuration that HAProxy accepts for a cluster, and the number of checks.

    :param directory: the directory for the checked files.
    :param most: maximum number of checks.
    """
    planner = Planner(Offers(settings, PER_APP_NAMES, lambda host: host), Renderer(settings, templates))
    planner.suit(version(binary))
    by_id = {app.id: app for app in apps}
    planner.update(by_id, by_id)
    checks = _Checks(binary, directory)
    search = Search(planner, checks, Clock())
    while checks.checked < most:
        search.advance()
        wanted = planner.plan(0)
        checks.checked += 1
        output = refusal(binary, directory, wanted.rendered.config)
        if not output:
            planner.accepted(wanted)
            search.cleared()
            if search.under_way:
                continue
            return wanted, checks.checked
        found = complaints(output, wanted.rendered.config)
        error = InvalidConfiguration(complaints=found, output=output)
        if not _result(search.exclude(error, wanted, 0)):
            raise AssertionError(f"nobody is to blame for {output}")
    raise AssertionError(f"still refused after {checks.checked} checks: {output}")


class _Checks(FakeApplier):
    """
    An applier that runs nothing and checks with a real HAProxy.

    :ivar checked: number of checks.
    """

    def __init__(self, binary: str, directory: Path) -> None:
        super().__init__()
        self._binary = binary
        self._directory = directory

    def check(self, config: Config, *, control: bool = False) -> Deferred[str]:
        self.checked += 1
        said = refusal(self._binary, self._directory, config)
        return fail(InvalidConfiguration(output=said)) if said else succeed("")


@cache
def version(binary: str) -> tuple[int, ...]:
    """Return the first two numbers of a HAProxy's version."""
    said = subprocess.run([binary, "-v"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d+)\.(\d+)", said)
    assert found is not None, said
    return tuple(map(int, found.groups()))


def _result(search: Coroutine[Any, Any, bool]) -> bool:
    """Return the result of a coroutine that does not wait."""
    results: list[Any] = []
    Deferred.fromCoroutine(search).addBoth(results.append)
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return bool(results[0])


def refusal(binary: str, directory: Path, config: Config) -> str:
    """Return the output of ``haproxy -c`` if it rejects a file; empty if it accepts it."""
    (directory / "haproxy.cfg").write_text(config.text(str(directory)), encoding="utf-8")
    for name, text in config.map_texts().items():
        (directory / name).write_text(text, encoding="utf-8")
    command = [binary, "-c", "-f", str(directory / "haproxy.cfg")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
