"""Work beside the reactor."""

from __future__ import annotations

from threading import current_thread, main_thread

from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from marathonlb.web.threads import in_thread
from tests.coroutines import coroutine


class Aside(TestCase):
    """Where work is done."""

    @coroutine
    async def test_thread(self) -> None:
        """The reactor's thread is free meanwhile."""
        self.assertIsNot(await in_thread(reactor, current_thread), main_thread())

    @coroutine
    async def test_clock(self) -> None:
        """A clock has no threads."""
        self.assertIs(await in_thread(Clock(), current_thread), main_thread())

    @coroutine
    async def test_failure(self) -> None:
        """What goes wrong there is told here."""
        with self.assertRaises(ZeroDivisionError):
            await in_thread(reactor, lambda: 1 // 0)
