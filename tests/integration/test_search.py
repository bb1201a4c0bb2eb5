"""HAProxies that hang, are killed, die silently or cannot start: the cause is found, and the others are served."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Any

from attrs import evolve
from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from marathonlb.base.limits import PORTS
from marathonlb.config.render import Renderer
from marathonlb.config.templates.loader import load_templates
from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.controller.planner import Planner
from marathonlb.controller.reconciler import Reconciler
from marathonlb.haproxy.factory import make_applier
from marathonlb.marathon.gatherer import Gatherer
from marathonlb.marathon.model import App, Port
from marathonlb.routing.offers import Offers
from tests.coroutines import coroutine
from tests.fakes.marathon import FakeMarathon
from tests.integration.haproxies import Place, free_port, on_each
from tests.integration.minimarathons import until
from tests.reconciling import EVERYTHING, NoHosts, web

GOOD = "another text"

WRAPPER = """\
#!/bin/sh
words() {{ grep -q "$1" {directory}/.haproxy.cfg.staged/haproxy.cfg; }}
if [ "$1" = -c ]; then
  [ -p {directory}/late ] && words {directory}/late && echo 192.0.2.1 > {directory}/late &
  [ -e {directory}/broken ] && exit 1
  words hang-it && exec sleep 600
  words kill-it && kill -9 $$
  words abort-it && kill -ABRT $$
  words silent && exit 1
fi
{limit}
exec {binary} "$@"
"""
"""A HAProxy that rejects some words."""


class SearchMixin:
    """A controller between a Marathon of this process and a real HAProxy."""

    binary = ""
    timeout = 300

    def begin(self: Any, limit: str = "", command: str = "", patience: float = 60, **options: object) -> None:
        """A controller; with a reload command for a HAProxy that is not its own."""
        self.place = Place(self.binary, min_reload_interval=0.1, ssl_certs=(), **self.binds(), **options)
        self.addCleanup(self.place.clean)
        wrapper = f"{self.place.directory}/haproxy"
        with open(wrapper, "w", encoding="utf-8") as file:
            file.write(WRAPPER.format(directory=self.place.directory, binary=self.binary, limit=limit))
            os.fchmod(file.fileno(), stat.S_IRWXU)
        settings = evolve(self.place.settings, haproxy=wrapper)
        if command:
            settings = evolve(settings, command=command.format(settings.haproxy_config), manage_haproxy=False)
        self.marathon = FakeMarathon()
        offers = Offers(settings, PER_APP_NAMES, lambda host: host)
        planner = Planner(offers, Renderer(settings, load_templates("/nowhere", {})))
        gatherer = Gatherer(self.marathon, reactor, max_shrink=50, weigh=offers.count)
        self.applier = make_applier(settings, reactor, patience=patience)
        self.reconciler = Reconciler(settings, gatherer, planner, self.applier, NoHosts(), reactor)
        self.ports = [free_port() for _ in range(10)]

    def binds(self: Any) -> dict[str, str]:
        """Addresses for the shared frontends."""
        return {f"bind_{name}": f"127.0.0.1:{free_port()}" for name in ("http", "https", "appid", "stats")}

    def app(self: Any, number: int, options: str) -> App:
        """One of the ten, with this in its backend."""
        labels = {"HAPROXY_0_BIND_ADDR": "127.0.0.1", "HAPROXY_0_BACKEND_HTTP_OPTIONS": f"  {options}\n"}
        return web(f"app{number}", self.ports[number], **labels)

    async def serve(self: Any) -> None:
        """Have the ten served."""
        self.applier.service.startService()
        self.addCleanup(self.applier.service.stopService)
        await self.applier.recover()
        self.reconciler.startService()
        self.addCleanup(self.reconciler.stopService)
        self.wants(*(self.app(n, "# the first text") for n in range(10)))
        await until(lambda: self.text().count("# the first text") == 10, 60)

    def wants(self: Any, *apps: App) -> None:
        """Let Marathon run these apps."""
        self.marathon.set(*apps)
        self.reconciler.poke(EVERYTHING)

    def text(self: Any) -> str:
        """Return the text of the running configuration."""
        return self.applier.running.template if self.applier.running is not None else ""

    def blamed(self: Any) -> set[str]:
        """The apps that have a problem."""
        return {problem.app_id for problem in self.reconciler.problems}

    def settled(self: Any, goods: int) -> Callable[[], bool]:
        """Return whether this number of the ten apps is served as defined, and the search has ended."""
        return lambda: (
            self.text().count(f"# {GOOD}") == goods
            and self.reconciler.status.converged == self.reconciler.status.generation
        )

    async def one_of_ten(self: Any, options: str, words: str) -> None:
        """Of ten changes one makes HAProxy fail."""
        self.wants(*(self.app(n, options if n == 7 else f"# {GOOD}") for n in range(10)))
        await until(self.settled(9), 120)
        self.assertEqual(self.blamed(), {"/app7"})
        (problem,) = self.reconciler.problems
        self.assertEqual((problem.port_index, problem.fatal), (0, False))
        self.assertIn(words, problem.reason)
        self.assertIn("# the first text", self.text())
        self.assertIsNone(self.reconciler.status.blocked)

    async def mended(self: Any) -> None:
        """The tenth goes back to its last good text, and the problem is gone at once."""
        self.wants(*(self.app(n, "# the first text" if n == 7 else f"# {GOOD}") for n in range(10)))
        await until(lambda: not self.reconciler.problems, 10)


class ChecksMixin(SearchMixin):
    """``haproxy -c`` comes to no verdict."""

    @coroutine
    async def test_hangs(self: Any) -> None:
        """A text that makes HAProxy wait for ever, for a named pipe that nobody writes, costs its owner alone."""
        self.begin()
        await self.serve()
        pipe = f"{self.place.directory}/pipe"
        os.mkfifo(pipe)
        await self.one_of_ten(f"acl slow src -f {pipe}", "haproxy -c did not end within 5 s")
        await self.mended()

    @coroutine
    async def test_killed_or_silent(self: Any) -> None:
        """So do one that has HAProxy killed, one that makes it abort, and one with which it ends without a word."""
        self.begin()
        await self.serve()
        for word, words in (
            ("kill-it", "killed by signal 9"),
            ("abort-it", "killed by signal 6"),
            ("silent", "ended with status 1 without any output"),
        ):
            await self.one_of_ten(f"# {word}", f"haproxy -c {'was ' * ('signal' in words)}{words}")
            await self.mended()
            self.wants(*(self.app(n, "# the first text") for n in range(10)))
            await until(lambda: self.text().count("# the first text") == 10, 60)

    @coroutine
    async def test_the_machine(self: Any) -> None:
        """Where HAProxy fails with whatever it is given, nobody is blamed; red after some attempts, and green again."""
        self.begin(max_backoff=2)
        await self.serve()
        broken = f"{self.place.directory}/broken"
        with open(broken, "w", encoding="utf-8"):
            self.wants(*(self.app(n, f"# {GOOD}") for n in range(10)))
        await until(
            lambda: self.reconciler.status.blocked is not None and self.reconciler.status.blocked.red, 60
        )
        self.assertEqual(self.reconciler.problems, ())
        self.assertIn("none of them is to blame", self.reconciler.status.failure)
        os.unlink(broken)
        await until(self.settled(10), 60)
        self.assertEqual((self.reconciler.problems, self.reconciler.status.blocked), ((), None))


class ReloadsMixin(SearchMixin):
    """``haproxy -c`` accepts, and HAProxy does not load it."""

    @coroutine
    async def test_too_many_ports(self: Any) -> None:
        """An app with more ports than HAProxy may open files is left out; what else changed is served."""
        self.begin("ulimit -n 1000")
        await self.serve()
        before = await self.applier.pids()
        big = App("/big", {}, ports=tuple(Port(20_000 + n) for n in range(PORTS)), version="2026")
        self.wants(*(self.app(n, f"# {GOOD}") for n in range(10)), big)
        await until(self.settled(10), 180)
        self.assertEqual(self.blamed(), {"/big"})
        self.assertNotIn("big_2", self.text())
        self.assertNotEqual(await self.applier.pids(), before)
        self.assertIsNone(self.reconciler.status.blocked)

    @coroutine
    async def test_too_many_ports_at_the_start(self: Any) -> None:
        """At the first start the same app keeps nobody out."""
        self.begin("ulimit -n 1000")
        big = App("/big", {}, ports=tuple(Port(20_000 + n) for n in range(PORTS)), version="2026")
        self.marathon.set(big)
        self.applier.service.startService()
        self.addCleanup(self.applier.service.stopService)
        self.reconciler.startService()
        self.addCleanup(self.reconciler.stopService)
        self.wants(*(self.app(n, f"# {GOOD}") for n in range(10)), big)
        await until(self.settled(10), 180)
        self.assertEqual(self.blamed(), {"/big"})

    @coroutine
    async def test_never_ready(self: Any) -> None:
        """A text that HAProxy accepts and never ends loading: what hangs is ended, and its owner alone pays."""
        self.begin(patience=5)
        await self.serve()
        pipe = f"{self.place.directory}/late"
        os.mkfifo(pipe)
        await self.one_of_ten(f"acl late src -f {pipe}", "did not")
        self.assertEqual(len(await self.applier.pids()), 1)
        await self.mended()

    @coroutine
    async def test_command(self: Any) -> None:
        """A reload command that fails without a word over one app's text, too, however often it is to be repeated."""
        self.begin(command="! grep -q spoilt {}")
        await self.serve()
        await self.one_of_ten("# spoilt", "no output")
        await self.mended()


on_each(ChecksMixin, globals(), TestCase)
on_each(ReloadsMixin, globals(), TestCase)
