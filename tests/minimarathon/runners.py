"""The contract tests of `IRunner`, for the real runner and the one without processes."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from minimarathon.definitions.parsing import parse
from minimarathon.model import App, Task
from minimarathon.tasks.processes import Exit, IRunner
from tests.minimarathon.clusters import task

SLEEP = parse({"id": "/web", "cmd": "sleep 1000"})


class Story:
    """Records the callbacks of a runner for one task."""

    def __init__(self, name: str = "a") -> None:
        self.task: Task = evolve(task(name), id=f"task-{name}")
        self.said: list[object] = []
        self.runs: Deferred[None] = Deferred()
        self.over: Deferred[Exit] = Deferred()

    def running(self) -> None:
        self.said.append("running")
        self.runs.callback(None)

    def ended(self, outcome: Exit) -> None:
        self.said.append(outcome)
        self.over.callback(outcome)


class RunnerContract:
    """A mixin for a `TestCase` with a `runner`, and a `turn` that advances its clock."""

    runner: Any

    def turn(self) -> Deferred[None]:
        """Let pending calls run."""
        return succeed(None)

    def started(self: Any, name: str = "a", app: App = SLEEP) -> Story:
        story = Story(name)
        self.runner.start(story.task, app, story.running, story.ended)
        return story

    def test_interface(self: Any) -> None:
        """It is an `IRunner`."""
        self.assertTrue(verifyObject(IRunner, self.runner))

    async def test_runs_and_is_killed(self: Any) -> None:
        """A task runs, and when it is killed it ends, once; neither is said from within the call."""
        story = self.started()
        self.assertEqual([], story.said)
        self.turn()
        await story.runs
        self.runner.kill(story.task.id, 5)
        self.runner.kill(story.task.id, 5)
        self.assertEqual(["running"], story.said)
        self.turn()
        outcome = await story.over
        self.assertIsNone(outcome.code)
        self.assertIn("SIGTERM", outcome.reason)
        self.runner.kill(story.task.id, None)
        self.turn()
        self.assertEqual(2, len(story.said))

    def test_kill_of_an_unknown_task(self: Any) -> None:
        """A task nobody knows is killed without complaint."""
        self.assertIsNone(self.runner.kill("nobody", 1))

    async def test_stop_is_silent(self: Any) -> None:
        """At the stop everything ends, and nobody is told of it."""
        stories = [self.started("a"), self.started("b")]
        self.turn()
        for story in stories:
            await story.runs
        await self.runner.stop()
        self.turn()
        self.assertEqual([["running"], ["running"]], [story.said for story in stories])


class Async(TestCase):
    """A `TestCase` whose tests may be coroutines."""
