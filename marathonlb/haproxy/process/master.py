"""
HAProxy's master process: what it says of its workers, and a reload that is confirmed.

``reload`` differs by version (HAProxy management guide, "master CLI"): 2.6 says nothing and hangs up, so ``show proc``
is asked until there is a new worker or the count of failures rose; 2.8 answers when it is done, ``Success=1`` or ``0``
and the log. Here both end with ``show proc``: a reload is confirmed when a worker that was not there before serves.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress

from twisted.internet.interfaces import IReactorTime

from marathonlb.config.text.model import Config
from marathonlb.errors import HAProxyUnavailable, ReloadFailed
from marathonlb.haproxy.diagnostics import messages
from marathonlb.haproxy.diagnostics.hints import in_one_line
from marathonlb.haproxy.runtime.connection import NO_TARGET, RuntimeSocket
from marathonlb.haproxy.runtime.processes import HAProxyProcesses, parse_processes
from marathonlb.timers import pause

RELOAD_TIMEOUT = 60.0
"""Seconds until a reload or a start without a result has failed; 100,000 servers take about 4."""

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
"""Seconds between two questions whether it is done."""

_PID = re.compile(r"^Pid: (\d+)$", re.MULTILINE)


def refused(output: str, config: Config | None, otherwise: str) -> ReloadFailed:
    """
    HAProxy does not run the new configuration: its complaint as one line, the rest in fields.

    :param otherwise: the reason where HAProxy said nothing that can be understood.
    """
    found = messages.complaints(output, config)
    return ReloadFailed(reason=in_one_line(found) or otherwise, output=output, complaints=found, refused=True)


class Master:
    """
    The master behind its socket.

    :param alive: whether the master's process is there.
    :param patience: seconds until a reload or a start without a result has failed.
    """

    def __init__(
        self,
        socket: RuntimeSocket,
        clock: IReactorTime,
        alive: Callable[[], bool],
        patience: float = RELOAD_TIMEOUT,
    ) -> None:
        self._socket = socket
        self._clock = clock
        self._alive = alive
        self._patience = patience

    async def processes(self) -> HAProxyProcesses:
        """Ask ``show proc``. Raises `HAProxyUnavailable`."""
        answer = await self._socket.ask("show proc", timeout=2)
        processes = parse_processes(answer)
        if processes is None:
            raise HAProxyUnavailable(
                reason=f"{self._socket.name}: an answer to 'show proc' that cannot be understood: {answer[:100]!r}"
            )
        return processes

    async def reload(self, config: Config | None, words: Callable[[], str]) -> str:
        """
        Reload and confirm.

        :param words: gives what HAProxy wrote to its log since this was called.
        :return: what HAProxy said.

        Raises `ReloadFailed`; the workers that served go on. Raises `HAProxyUnavailable` where the master does not
        answer.
        """
        before = await self.processes()
        deadline = self._clock.seconds() + self._patience
        try:
            answer = await self._socket.ask("reload", timeout=self._patience)
        except HAProxyUnavailable:
            answer = ""
        success, _, log = answer.partition("\n--\n")
        if success.startswith("Success=0"):
            raise refused(log or words(), config, "HAProxy answered Success=0")
        await self._confirmed(before, config, words, deadline)
        return log or words()

    async def hanging(self, before: HAProxyProcesses) -> frozenset[int]:
        """
        The workers that have begun since then and do not end loading; none where the master itself hangs.

        Raises `HAProxyUnavailable` where it does.
        """
        return (await self.processes()).current - {worker.pid for worker in before.workers}

    async def _confirmed(
        self, before: HAProxyProcesses, config: Config | None, words: Callable[[], str], deadline: float
    ) -> None:
        """Wait until a new worker serves."""
        old = {worker.pid for worker in before.workers}

        def settled(now: HAProxyProcesses) -> bool:
            if now.failed and now.reloads > before.reloads:
                raise refused(words(), config, "HAProxy could not load it and said nothing")
            return bool(now.current - old)

        await self.until(settled, config, words, deadline)

    async def ready(self, config: Config | None, words: Callable[[], str]) -> None:
        """
        Wait until a worker answers: from HAProxy 3.1 on the master names one that is loading yet, and may yet fail.

        Raises `ReloadFailed` where the master ends, or none does within `RELOAD_TIMEOUT`.
        """

        async def answers() -> bool:
            answer = await self._socket.ask("@1 show version", timeout=2)
            return bool(answer) and not answer.startswith(NO_TARGET)

        await self._until_so(answers, config, words)

    async def bound_anew(self, config: Config | None, words: Callable[[], str]) -> None:
        """
        Wait until a master whose socket was gone has bound it again, and has ended the reload which that takes.

        Until then the worker before answers, and another reload would be refused. Raises as `ready` does.
        """

        async def settled() -> bool:
            processes = await self.processes()
            answering = _PID.search(await self._socket.ask("@1 show info", timeout=2))
            return bool(processes.failed or (answering and int(answering[1]) in processes.current))

        await self._until_so(settled, config, words)

    async def _until_so(
        self, true: Callable[[], Awaitable[bool]], config: Config | None, words: Callable[[], str]
    ) -> None:
        deadline = self._clock.seconds() + self._patience
        while self._clock.seconds() < deadline:
            if not self._alive():
                raise refused(words(), config, "HAProxy ended")
            with suppress(HAProxyUnavailable):
                if await true():
                    return
            await pause(self._clock, FIRST_PAUSE)
        raise ReloadFailed(
            reason=f"HAProxy's worker did not answer within {self._patience:g} s", output=words()
        )

    async def until(
        self,
        settled: Callable[[HAProxyProcesses], bool],
        config: Config | None,
        words: Callable[[], str],
        deadline: float | None = None,
    ) -> HAProxyProcesses:
        """
        Ask ``show proc`` until the answer settles it.

        :param deadline: when it is given up, in seconds on the clock.

        Raises `ReloadFailed` where the master ends, or nothing is settled within `RELOAD_TIMEOUT`.
        """
        deadline = self._clock.seconds() + self._patience if deadline is None else deadline
        length = FIRST_PAUSE
        while self._clock.seconds() < deadline:
            if not self._alive():
                raise refused(words(), config, "HAProxy ended")
            try:
                processes = await self.processes()
                if settled(processes):
                    return processes
            except HAProxyUnavailable:
                length = max(length, 2 * FIRST_PAUSE)
            await pause(self._clock, length)
            length = min(2 * length, LONGEST_PAUSE)
        raise ReloadFailed(
            reason=f"HAProxy did not confirm it within {self._patience:g} s",
            output=words(),
        )
