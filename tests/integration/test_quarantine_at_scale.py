"""Few services among many that HAProxy refuses: found at once, told why, and everybody else is served."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from marathonlb.config.render import Renderer
from marathonlb.config.templates.loader import load_templates
from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.controller.planner import Planner
from marathonlb.controller.reconciler import Reconciler
from marathonlb.haproxy.factory import make_applier
from marathonlb.marathon.gatherer import Gatherer
from marathonlb.marathon.model import App, Port
from marathonlb.routing.offers import Offers
from marathonlb.settings import Settings
from tests.coroutines import coroutine
from tests.fakes.marathon import FakeMarathon
from tests.integration.haproxies import WHEEL
from tests.reconciling import NoHosts
from tests.routing.apps import app, task

SERVICES = int(os.environ.get("MARATHON_LB_TEST_SERVICES", "10000"))
"""The number of services."""

REFUSED = {
    "0_BACKEND_HEAD": "backend {backend}\n  mode http\n  nonsense\n",
    "0_BIND_OPTIONS": "nonsense",
    "0_BACKEND_HTTP_OPTIONS": "  reqrep ^a b\n",
    "0_SERVER_EXTRA": "nonsense",
    "0_FRONTEND_EXTRA": "  acl\n",
}
"""Labels that HAProxy's parser refuses, each in another way."""


def cluster(size: int) -> list[App]:
    """Return apps with a virtual host and a task, with the bad ones distributed among them."""
    bad = {(number + 1) * size // (len(REFUSED) + 1): label for number, label in enumerate(REFUSED)}
    made = []
    for number in range(size):
        label = bad.get(number)
        labels = {"0_VHOST": f"a{number}.test"} | ({label: REFUSED[label]} if label else {})
        ports = (Port(10_000 + number),)
        made.append(app(f"/a{number:05}", labels, ports=ports, tasks=(task(number % 250 + 1),)))
    return made


class QuarantineAtScaleTests(TestCase):
    """A controller over a real ``haproxy -c``, whose runs are counted."""

    skip = None if WHEEL else "this HAProxy is not installed"
    timeout = 480

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="mlb-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.haproxy = self.directory / "haproxy"
        self.haproxy.write_text(
            f'#!/bin/sh\ncase "$1" in -c) echo >> {self.directory}/checks;; esac\nexec {WHEEL} "$@"\n'
        )
        self.haproxy.chmod(self.haproxy.stat().st_mode | stat.S_IXUSR)

    def checks(self) -> int:
        """Return the number of checks by HAProxy."""
        return len((self.directory / "checks").read_text().splitlines())

    @coroutine
    async def test_five_of_many(self) -> None:
        """Three runs of ``haproxy -c`` at most, five problems with HAProxy's words, and all others are served."""
        settings = Settings(
            ssl_certs=(),
            haproxy=str(self.haproxy),
            haproxy_config=str(self.directory / "haproxy.cfg"),
            state_dir=str(self.directory / "state"),
            command="true",
        )
        marathon = FakeMarathon()
        marathon.set(*cluster(SERVICES))
        offers = Offers(settings, PER_APP_NAMES, lambda host: host)
        planner = Planner(offers, Renderer(settings, load_templates("/nowhere", {})))
        gatherer = Gatherer(marathon, reactor, max_shrink=50, weigh=offers.count)  # type: ignore[arg-type]
        applier = make_applier(settings, reactor)
        reconciler = Reconciler(settings, gatherer, planner, applier, NoHosts(), reactor)  # type: ignore[arg-type]
        await reconciler.once()
        assert reconciler.planned is not None
        self.assertLessEqual(self.checks(), 3)
        self.assertEqual(len(reconciler.planned.services), SERVICES - len(REFUSED))
        problems = {problem.label: problem.reason for problem in reconciler.planned.problems}
        self.assertEqual(set(problems), {f"HAPROXY_{label}" for label in REFUSED})
        for reason in problems.values():
            self.assertTrue(reason.startswith("HAProxy says: "), reason)
        text = (self.directory / "haproxy.cfg").read_text()
        self.assertEqual(text.count("\nbackend "), SERVICES - len(REFUSED))
        before = self.checks()
        await reconciler.once()
        self.assertEqual(self.checks(), before)
