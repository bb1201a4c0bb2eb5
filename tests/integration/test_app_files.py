"""App definitions in many shapes: HAProxy accepts what they come to, or a problem says which app is wrong and why."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from marathonlb.config.templates.loader import load_templates
from marathonlb.controller.planned_config import PlannedConfig
from marathonlb.marathon.model import App, Networking, Task
from marathonlb.marathon.parsing.apps import parse_apps
from marathonlb.settings import Settings
from tests.integration.haproxies import on_each
from tests.integration.settling import settled
from tests.marathon.parsing.test_apps import definitions
from tests.paths import data

KNOWN = (
    (r"'<[^']+' is no host name", "a placeholder that nobody filled in"),
    (r"is the load balancer's own \(--bind-http\)", "service port 80, which the HTTP frontend has"),
    (r"is claimed by /\S+ and /\S+; /\S+ goes first and keeps it", "two apps of one file want the same"),
    (r"unable to stat SSL certificate from file", "a certificate that is not on this machine"),
    (
        r"Couldn't open the ca-file '/mnt/mesos/sandbox",
        "an authority that is in the sandbox of another container",
    ),
    (r"could not resolve address '\S+\.thisdcos\.directory'", "a name of another network"),
)
"""What may be wrong with a definition, and why that is no fault of ours."""

TOGETHER = (
    (r"is claimed by", "everybody wants port 10000"),
    (r"is the group of", "many examples have one group"),
)


def running(path: Path, prefix: str = "") -> list[App]:
    """The apps of a file as a Marathon would run them: with service ports, and two tasks each where it tells none."""
    parsed = parse_apps(json.dumps({"apps": list(definitions(json.loads(path.read_bytes())))}).encode())
    return [_running(app, prefix) for app in parsed.apps]


def _running(app: App, prefix: str) -> App:
    ports = tuple(
        port
        if port.service_port or app.networking is Networking.CONTAINER
        else msgspec.structs.replace(port, service_port=20000 + sum(map(ord, app.id)) % 9000 + index)
        for index, port in enumerate(app.ports)
    )
    tasks = app.tasks or tuple(
        Task(
            f"task.{number}",
            host=f"10.0.0.{number}",
            ports=tuple(31000 + index for index in range(len(ports))),
            addresses=(f"9.0.0.{number}",),
            state="TASK_RUNNING",
        )
        for number in (1, 2)
    )
    return msgspec.structs.replace(app, id=prefix + app.id, ports=ports, tasks=tasks)


def offered(apps: Iterable[App]) -> set[tuple[str, int]]:
    """Return the ports that must be served; the older app of a deployment group shares the newer one's."""
    return {
        (app.id, index)
        for app in apps
        if "HAPROXY_DEPLOYMENT_GROUP" not in app.labels
        for index, port in enumerate(app.ports)
        if "tcp" in port.protocol and app.labels.get(f"HAPROXY_{index}_ENABLED", "true") == "true"
    }


class AppFilesMixin:
    """Each definition as a cluster of its own, and all of them together."""

    binary = ""
    directory_of_apps = data("apps")
    every_known_reason = True
    assertEqual: Any
    assertTrue: Any
    assertLess: Any
    fail: Any
    addCleanup: Any

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="mlb-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.settings = Settings(ssl_certs=(), groups=frozenset("*"), state_dir=str(self.directory))
        self.templates = load_templates("/nowhere", {})

    def settled(self, apps: Iterable[App]) -> tuple[PlannedConfig, int]:
        """Return the configuration that HAProxy accepts, and the number of checks."""
        return settled(self.binary, self.directory, self.settings, self.templates, apps)

    def unexplained(self, wanted: PlannedConfig, more: tuple[tuple[str, str], ...] = ()) -> list[str]:
        """The problems that take a service out for a reason that is not known."""
        known = re.compile("|".join(words for words, _ in (*KNOWN, *more)))
        return [str(each) for each in wanted.problems if each.fatal and not known.search(each.reason)]

    def test_each(self) -> None:
        """Each definition is served by every HAProxy, or has a problem that is known and no fault of ours."""
        files = sorted(self.directory_of_apps.iterdir())
        served = 0
        reasons: list[str] = []
        for path in files:
            apps = running(path)
            wanted, checks = self.settled(apps)
            self.assertEqual(self.unexplained(wanted), [], path.name)
            self.assertLess(checks, 4, path.name)
            reasons += [each.reason for each in wanted.problems if each.fatal]
            served += len(wanted.services)
            there = {service.key for service in wanted.services}
            there |= {(each.app_id, each.port_index or 0) for each in wanted.problems if each.fatal}
            self.assertEqual(offered(apps) - there, set(), path.name)
        self.assertTrue(served >= len(files), served)
        for words, meaning in KNOWN if self.every_known_reason else ():
            self.assertTrue(any(re.search(words, reason) for reason in reasons), meaning)

    def test_together(self) -> None:
        """All of them in one cluster are served, but for what they take from each other, after a few checks."""
        apps = [
            app
            for number, path in enumerate(sorted(self.directory_of_apps.iterdir()))
            for app in running(path, f"/f{number}")
        ]
        wanted, checks = self.settled(apps)
        self.assertEqual(self.unexplained(wanted, TOGETHER), [])
        self.assertLess(checks, 8)  # of those who wait for one port each comes to its own mistake in turn
        self.assertTrue(len(wanted.services) > 0.9 * len(apps), (len(wanted.services), len(apps)))


on_each(AppFilesMixin, globals())
