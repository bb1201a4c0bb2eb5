"""The fuzzer's reader against real HAProxies, and hostile apps beside plain ones that a real HAProxy checks."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from attrs import evolve

from marathonlb.config.templates.loader import load_templates
from tests.fuzz.clusters import Cluster, cluster
from tests.fuzz.reader import PIECE, entries
from tests.integration.haproxies import ask, free_port, on_each
from tests.integration.settling import settled

TEMPLATES = load_templates("/nonexistent", {})

CASES = 12
"""Hostile apps that each HAProxy checks."""

CONFIG = """\
defaults
  mode http
  timeout client 5s
  timeout connect 5s
  timeout server 5s
frontend f
  bind 127.0.0.1:{port}
  http-request return status 200 content-type text/plain lf-string "{answers}"
"""


class HostileMixin:
    """A class for each HAProxy names the binary."""

    binary = ""
    assertEqual: Any
    assertIn: Any
    addCleanup: Any

    def directory(self) -> Path:
        """A short directory that ends with the test."""
        made = Path(tempfile.mkdtemp(prefix="mlb-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, made, True)
        return made

    def test_map_lines(self) -> None:
        """HAProxy reads long lines of a map in the pieces that the fuzzer's reader reads them in."""
        directory, port = self.directory(), free_port()
        names = [f"n{length}.test/" for length in range(PIECE - 3, PIECE + 4)]
        lines = [f"{'x' * length}{name} {length}" for length, name in enumerate(names, PIECE - 3)]
        text = "\n".join([*lines, "last.test/ last"]) + "\n"
        (directory / "a.map").write_text(text)
        asked = [*names, *(name[1:] for name in names), "last.test/"]
        answers = "|".join(f"%[str({name}),map_str({directory}/a.map,none)]" for name in asked)
        (directory / "c.cfg").write_text(CONFIG.format(port=port, answers=answers))
        process = subprocess.Popen(
            [self.binary, "-db", "-f", str(directory / "c.cfg")], stderr=subprocess.DEVNULL
        )
        try:
            said = self.answer(port, process)
        finally:
            process.kill()
            process.wait()
        found = dict(entries(text))
        self.assertEqual(said, "|".join(found.get(name, "none") for name in asked))
        self.assertIn(str(PIECE), said)

    def answer(self, port: int, process: subprocess.Popen[bytes]) -> str:
        """Wait for a response, and return it."""
        deadline = time.monotonic() + 20
        while True:
            try:
                return ask(port)
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.02)

    def test_plain_apps_are_served(self) -> None:
        """HAProxy accepts a cluster with a hostile app after a few checks, and every plain app is in it."""
        for seed in range(CASES):
            case = self.case(seed)
            wanted, _ = settled(
                self.binary, self.directory(), case.settings, TEMPLATES, (*case.plain, case.hostile), most=60
            )
            served = {service.app_id for service in wanted.services}
            expected = {"/bank/colours" if "colours" in str(app.labels) else app.id for app in case.plain}
            self.assertEqual(expected - served, set(), f"seed {seed}")
            theirs = [p for p in wanted.problems if p.fatal and p.app_id in {app.id for app in case.plain}]
            self.assertEqual(theirs, [], f"seed {seed}")

    def case(self, seed: int) -> Cluster:
        """A case without the certificates that no file here holds."""
        found = cluster(seed)
        settings = evolve(
            found.settings,
            ssl_certs=(),
            group_https_by_vhost=False,
            state_dir="/tmp",
            bind_stats="127.0.0.1:9090",
        )
        plain = tuple(app for app in found.plain if app.id != "/bank/tls")
        return evolve(found, settings=settings, policy="none", plain=plain)


on_each(HostileMixin, globals())
