"""The program that runs before tasks are ended."""

from __future__ import annotations

import json

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.zdd.clients.hook import Hook
from marathonlb.zdd.errors import Failed
from tests.fakes.processes import FakeSpawner, Unable


class HookTests(SynchronousTestCase):
    """`Hook`."""

    def setUp(self) -> None:
        self.spawner, self.clock, self.said = FakeSpawner(), Clock(), list[str]()
        self.hook = Hook("/hook", self.spawner, self.clock, 60, self.said.append)

    def ask(self) -> Deferred[None]:
        """Ask about a task."""
        return self.hook.ask({"id": "/a", "tasks": [{"id": "a1"}]}, ["a1"], {"id": "/b"})

    def test_asked(self) -> None:
        """It gets three arguments in JSON; status 0 means go on, and what it says is told."""
        asked = self.ask()
        (process,) = self.spawner.processes
        self.assertEqual("/hook", process.argv[0])
        self.assertEqual(
            [{"id": "/a"}, ["a1"], {"id": "/b"}], [json.loads(each) for each in process.argv[1:]]
        )
        process.say("fine\n")
        process.end(0)
        self.assertIsNone(self.successResultOf(asked))
        self.assertEqual(["fine"], self.said)

    def test_no(self) -> None:
        """Any other end means no, and so does no end."""
        asked = self.ask()
        self.spawner.processes[0].end(3)
        self.assertIn("status 3", str(self.failureResultOf(asked, Failed).value))
        asked = self.ask()
        self.clock.advance(60)
        self.assertIn("did not end in time", str(self.failureResultOf(asked, Failed).value))

    def test_cannot_be_run(self) -> None:
        """A program that cannot be executed, such as a script of an interpreter that is not there, means no as well."""
        self.hook = Hook("/hook", Unable(), self.clock, 60, self.said.append)
        self.assertIn("so no task is ended", str(self.failureResultOf(self.ask(), Failed).value))
        self.assertEqual(["Exec format error: /hook"], self.said)

    def test_too_big(self) -> None:
        """An app that is no argument any more is told before the program is run."""
        asked = self.hook.ask({"id": "x" * (1 << 17)}, [], {})
        self.assertIn("too big", str(self.failureResultOf(asked, Failed).value))
        self.assertEqual([], self.spawner.processes)

    def test_interrupted(self) -> None:
        """A question that is broken off ends the program."""
        asked = self.ask()
        asked.addErrback(lambda _: None)
        asked.cancel()
        self.assertEqual(["KILL"], self.spawner.processes[0].signals)
