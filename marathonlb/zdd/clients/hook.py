"""``--pre-kill-hook``: a program that runs before tasks are ended, and can prevent that."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorProcess, IReactorTime
from zope.interface import Interface, implementer

from marathonlb.haproxy.process.binary import run_program
from marathonlb.zdd.definition import Json
from marathonlb.zdd.errors import Failed

MOST = 1 << 17
"""Maximum bytes of one argument of a program on Linux."""


class IHook(Interface):
    """Decides whether tasks may be ended."""

    def ask(ending: Json, tasks: Sequence[str], staying: Json) -> Deferred[None]:
        """
        Ask whether these tasks may be ended.

        :param ending: the tasks' app in Marathon's JSON.
        :param staying: the other app.

        Fails with `marathonlb.zdd.errors.Failed` if they may not. Cancelling stops the question.
        """


@implementer(IHook)
class NoHook:
    """Allows everything."""

    def ask(self, ending: Json, tasks: Sequence[str], staying: Json) -> Deferred[None]:
        """See `IHook.ask`."""
        return succeed(None)


@implementer(IHook)
class Hook:
    """
    Runs a program with three arguments in JSON: the app whose tasks end, the ids of the tasks, the other app.

    The apps come without their tasks. Exit status 0 allows it.

    :param timeout: maximum seconds of a run.
    :param say: gets the program's output.
    """

    def __init__(
        self,
        path: str,
        spawner: IReactorProcess,
        clock: IReactorTime,
        timeout: float,
        say: Callable[[str], object],
    ) -> None:
        self._path = path
        self._spawner = spawner
        self._clock = clock
        self._timeout = timeout
        self._say = say

    def ask(self, ending: Json, tasks: Sequence[str], staying: Json) -> Deferred[None]:
        """See `IHook.ask`."""
        return Deferred.fromCoroutine(self._ask(ending, tasks, staying))

    async def _ask(self, ending: Json, tasks: Sequence[str], staying: Json) -> None:
        arguments = [
            json.dumps(value) for value in (_without_tasks(ending), list(tasks), _without_tasks(staying))
        ]
        if max(map(len, arguments)) >= MOST:
            raise Failed(f"{self._path}: one of the apps is too big for an argument")
        argv = [self._path, *arguments]
        ended = await run_program(self._spawner, self._clock, argv, timeout=self._timeout, env=os.environ)
        if ended.output.strip():
            self._say(ended.output.strip())
        if ended.status != 0:
            raise Failed(f"--pre-kill-hook {self._path} {ended.ending}, so no task is ended")


def _without_tasks(app: Json) -> Json:
    return {name: value for name, value in app.items() if name != "tasks"}
