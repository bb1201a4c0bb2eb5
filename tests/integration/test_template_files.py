"""Template overrides of operators: every HAProxy uses each, or a problem names the line and how to correct it."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from marathonlb.config.templates.legacy import LUA
from marathonlb.config.templates.loader import load_templates
from marathonlb.config.templates.table import BY_NAME
from marathonlb.controller.planned_config import PlannedConfig
from marathonlb.marathon.model import App, HealthCheck, Port
from marathonlb.settings import Settings
from tests.integration.haproxies import on_each
from tests.integration.settling import settled
from tests.integration.worlds import certificate
from tests.paths import data
from tests.routing.apps import app, task

ADVISED = re.compile(
    r"\(line \d+: `.+`\)[^;]*;|Use '|please just remove|did you mean|^line \d+, `.+`, is in no section.* has to be"
)
"""A problem shows the line with our advice behind it, or HAProxy's own words hold the advice."""

UNSEEN = ("HTTP_FRONTEND_APPID_ACL", "BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS")
"""Templates whose words are in lines with another owner, or in no line of this cluster."""

CLUSTER: tuple[App, ...] = (
    app(
        "/web",
        {
            "0_VHOST": "web.test",
            "0_PATH": "/a",
            "0_STICKY": "true",
            "0_AUTH": "r:u:$1$a$b",
            "0_USE_HSTS": "true",
        },
        ports=(Port(10001),),
        tasks=(task(1), task(2)),
        health_checks=(HealthCheck("HTTP", path="/up"),),
    ),
    app("/several", {"0_VHOST": "a.test,b.test", "0_REDIRECT_TO_HTTPS": "true"}, ports=(Port(10002),)),
    app("/wild", {"0_VHOST": "*.test"}, ports=(Port(10003),)),
    app("/tcp", ports=(Port(10004),), health_checks=(HealthCheck("TCP"),)),
)


def directories(parent: Path) -> Iterator[Path]:
    """The directories below one that an operator would name by ``--templates``."""
    for path in sorted(parent.rglob("*")):
        if path.is_dir() and any(each.name.startswith("HAPROXY_") for each in path.iterdir()):
            yield path


class TemplateFilesMixin:
    """Each directory as the operator's."""

    binary = ""
    parent = data("templates")
    least_used, least_heads, least_lua = 19, 4, 2
    assertEqual: Any
    assertIn: Any
    assertLess: Any
    assertLessEqual: Any
    assertTrue: Any
    assertRegex: Any
    addCleanup: Any

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="mlb-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.certificate = certificate(self.directory / "site.pem", "web.test")

    def settled(self, templates: Path) -> PlannedConfig:
        """Return the configuration that HAProxy accepts for these templates; assert a small number of checks."""
        settings = Settings(
            ssl_certs=(self.certificate,),
            state_dir=str(self.directory),
            manage_haproxy=True,
            groups=frozenset("*"),
        )
        made, checks = settled(
            self.binary, self.directory, settings, load_templates(str(templates), {}), CLUSTER, most=5
        )
        self.assertLess(checks, 5, templates)
        return made

    def test_each(self) -> None:
        """Each file is in what HAProxy accepts, or a problem tells the line, the remedy and what is closed."""
        used = heads = lua = 0
        for directory in directories(self.parent):
            wanted = self.settled(directory)
            problems = {each.label: each for each in wanted.problems if not each.app_id and each.fatal}
            for problem in problems.values():
                self.assertRegex(problem.reason.removeprefix("HAProxy says: "), ADVISED, problem.value)
                self.assertIn("; until it is good, ", problem.reason)
            closed = {each.app_id for each in wanted.problems if each.app_id}
            labels = {each.label for each in wanted.problems if each.app_id}
            self.assertLessEqual(labels, set(problems), directory)
            switched_off = _is_empty(directory / "HAPROXY_BACKEND_HEAD")
            served = {each.app_id for each in wanted.services}
            self.assertEqual(
                served, set() if switched_off else {app.id for app in CLUSTER} - closed, directory
            )
            sources = {chunk.owner.source for section in wanted.rendered.config for chunk in section.chunks}
            for path in directory.iterdir():
                name = path.name.removeprefix("HAPROXY_")
                if path.is_dir() or path.name in problems:
                    continue
                self.assertIn(name, BY_NAME, path)
                if not switched_off and not closed and not _is_empty(path) and name not in UNSEEN:
                    self.assertIn(f"file {path}", sources, path)
                used += 1
                if name == "HEAD":
                    heads += 1
                    lua += self.asks_the_controller(wanted.rendered.config.sections[0].text)
        self.assertTrue(lua >= self.least_lua, lua)
        self.assertTrue(used >= self.least_used, used)
        self.assertTrue(heads >= self.least_heads, heads)

    def asks_the_controller(self, head: str) -> bool:
        """Return whether a HAPROXY_HEAD has Lua services; they are ours and use the controller's socket."""
        if "use-service lua." not in head:
            return False
        self.assertIn(f"lua-load {LUA}/getpids.lua", head)
        self.assertIn(f"setenv MARATHON_LB_WEB_SOCKET {self.directory}/web.sock", head)
        return True


def _is_empty(path: Path) -> bool:
    """Return whether a template exists and contains only comments."""
    return path.exists() and all(line.strip()[:1] in ("", "#") for line in path.read_text().splitlines())


on_each(TemplateFilesMixin, globals())
