"""What HAProxy accepts in the end: render, ask ``haproxy -c``, leave out what it refuses, and again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from twisted.internet.task import Clock

from marathonlb.config.render import Renderer
from marathonlb.config.sources import Templates
from marathonlb.config.templates import PER_APP_NAMES
from marathonlb.config.text import Config
from marathonlb.errors import InvalidConfiguration
from marathonlb.haproxy.diagnose import complaints
from marathonlb.marathon.model import App
from marathonlb.routing.offers import Offers
from marathonlb.settings import Settings
from marathonlb.wanted import Planner, Wanted


def settled(
    binary: str,
    directory: Path,
    settings: Settings,
    templates: Templates,
    apps: Iterable[App],
    most: int = 10,
) -> tuple[Wanted, int]:
    """
    What HAProxy accepts of a cluster, and how many checks that took.

    :param directory: for the files that are checked.
    :param most: so many checks at most.
    """
    planner = Planner(Offers(settings, PER_APP_NAMES, lambda host: host), Renderer(settings, templates))
    by_id = {app.id: app for app in apps}
    planner.update(by_id, by_id)
    for checks in range(1, most + 1):
        wanted = planner.wanted(0)
        output = refusal(binary, directory, wanted.rendered.config)
        if not output:
            return wanted, checks
        found = complaints(output, wanted.rendered.config)
        error = InvalidConfiguration(complaints=found, output=output)
        if not planner.blame(error, wanted, Clock()):
            raise AssertionError(f"nobody is to blame for {output}")
    raise AssertionError(f"still refused: {output}")


def refusal(binary: str, directory: Path, config: Config) -> str:
    """What ``haproxy -c`` says where it refuses; nothing where it accepts."""
    (directory / "haproxy.cfg").write_text(config.text(str(directory)), encoding="utf-8")
    for name, text in config.map_texts().items():
        (directory / name).write_text(text, encoding="utf-8")
    command = [binary, "-c", "-f", str(directory / "haproxy.cfg")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
