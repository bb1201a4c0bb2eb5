"""``--pre-kill-hook``: a program that is asked before tasks are ended."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorProcess, IReactorTime
from zope.interface import Interface, implementer

from marathonlb.haproxy.process.binary import run_program
from marathonlb.zdd.definition import Json
from marathonlb.zdd.errors import Failed

MOST = 1 << 17
"""Bytes that Linux allows one argument to have."""


class IHook(Interface):
    """Who is asked before tasks are ended."""

    def ask(ending: Json, tasks: Sequence[str], staying: Json) -> Deferred[None]:
        """
        Ask.

        :param ending: the app whose tasks are to end, as Marathon tells it, without its tasks.
        :param staying: the other one.

        Fails with `marathonlb.zdd.errors.Failed` where the answer is no. Cancelling ends the question.
        """


@implementer(IHook)
class NoHook:
    """Nobody is asked."""

    def ask(self, ending: Json, tasks: Sequence[str], staying: Json) -> Deferred[None]:
        """Everything is well."""
        well: Deferred[None] = Deferred()
        well.callback(None)
        return well


@implementer(IHook)
class Hook:
    """
    A program with three arguments, each JSON: the app whose tasks end, the ids of the tasks, the other app.

    Its exit status 0 means go on. What it prints is passed on.

    :param timeout: seconds that it may take.
    :param say: takes what it printed.
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
        arguments = [json.dumps(each) for each in (_plain(ending), list(tasks), _plain(staying))]
        if max(map(len, arguments)) >= MOST:
            raise Failed(f"{self._path}: one of the apps is too big to be its argument")
        argv = [self._path, *arguments]
        ended = await run_program(self._spawner, self._clock, argv, timeout=self._timeout, env=os.environ)
        if ended.output.strip():
            self._say(ended.output.strip())
        if ended.status != 0:
            raise Failed(f"--pre-kill-hook {self._path} {ended.ending}, so no task is ended")


def _plain(app: Json) -> Json:
    return {name: value for name, value in app.items() if name != "tasks"}
