"""A session of the script over a reactor in memory."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import react
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb import cli
from marathonlb.script import session
from marathonlb.script.terminal import Terminal
from marathonlb.settings import Settings


class Reactor(MemoryReactorClock):
    """A reactor in memory that ends `run` when it is told to stop, or when nothing is left to do."""

    def run(self) -> None:  # type: ignore[override]
        """Call what waits for the start; then, as a signal would, the triggers of the end."""
        for function, arguments, keywords in self.whenRunningHooks:
            function(*arguments, **keywords)
        for phase in ("before",):
            for function, arguments, keywords in self.triggers.get(phase, {}).get("shutdown", []):
                function(*arguments, **keywords)

    def stop(self) -> None:
        """Nothing: `run` ends by itself."""


class SessionTestCase(SynchronousTestCase):
    """Runs command lines; keeps standard output and standard error."""

    def setUp(self) -> None:
        self.seen: list[Settings] = []
        self.out, self.err = StringIO(), StringIO()
        self.service = Service()

        def forbidden(settings: Settings, reactor: Any) -> IService:
            raise AssertionError("a single run makes no service")

        self.world = session.World(
            once=self.once(succeed(0)),
            make_daemon=forbidden,
            react=lambda start, argv: react(start, argv, Reactor()),
            begin_logging=lambda observer: None,
        )

    def once(self, result: Deferred[int], text: str = "") -> Callable[..., Deferred[int]]:
        """A run that writes a text and comes to a result."""

        def run(settings: Settings, reactor: Any, terminal: Terminal) -> Deferred[int]:
            self.seen.append(settings)
            terminal.out.write(text)
            return result

        return run

    def run_main(self, line: str, **environ: str) -> int:
        """The exit status of a command line."""
        return cli.main(line.split(), environ, self.out, self.err, self.world)
