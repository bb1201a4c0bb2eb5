"""
HAProxy's master process: its workers, and a reload that is confirmed.

``reload`` differs by version (HAProxy management guide, "master CLI"). 2.6 closes the connection without a reply, so
``show proc`` is asked until there is a new worker or the number of failures has grown. 2.8 replies when the reload is
done: ``Success=1`` or ``0``, and the log. Here both end with ``show proc``: a reload is confirmed when a worker serves
that did not exist before.
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
"""Seconds after which a reload or a start without a result has failed; 100,000 servers take about 4."""

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
"""Seconds between two checks whether a reload is done: doubled each time, up to the second number."""

ASK_TIMEOUT = 2.0
"""Seconds that the reply to one question may take."""

_PID = re.compile(r"^Pid: (\d+)$", re.MULTILINE)


def refused_load(output: str, config: Config | None, otherwise: str) -> ReloadFailed:
    """
    Return the error of a configuration that HAProxy did not load: its complaint in one line, the rest in fields.

    :param otherwise: the reason if the output holds no complaint.
    """
    complaints = messages.complaints(output, config)
    return ReloadFailed(
        reason=in_one_line(complaints) or otherwise, output=output, complaints=complaints, refused=True
    )


class MasterProcess:
    """
    The client of a master process.

    :param alive: returns whether the process still runs.
    :param patience: seconds after which a reload or a start without a result has failed.
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
        reply = await self._socket.ask("show proc", timeout=ASK_TIMEOUT)
        processes = parse_processes(reply)
        if processes is None:
            raise HAProxyUnavailable(
                reason=f"{self._socket.name}: the reply to 'show proc' cannot be understood: {reply[:100]!r}"
            )
        return processes

    async def reload(self, config: Config | None, output: Callable[[], str]) -> str:
        """
        Reload HAProxy and confirm that it runs the new configuration.

        :param output: returns HAProxy's output since this was called.
        :return: HAProxy's output.

        Raises `ReloadFailed`; the workers before keep serving. Raises `HAProxyUnavailable` if the master does not
        reply.
        """
        before = await self.processes()
        deadline = self._clock.seconds() + self._patience
        try:
            reply = await self._socket.ask("reload", timeout=self._patience)
        except HAProxyUnavailable:
            reply = ""
        success, _, log = reply.partition("\n--\n")
        if success.startswith("Success=0"):
            raise refused_load(log or output(), config, "HAProxy answered Success=0")
        await self._confirmed(before, config, output, deadline)
        return log or output()

    async def hanging(self, before: HAProxyProcesses) -> frozenset[int]:
        """
        Return the workers that were started after this and still load.

        Raises `HAProxyUnavailable` if the master itself hangs.
        """
        return (await self.processes()).current - {worker.pid for worker in before.workers}

    async def _confirmed(
        self, before: HAProxyProcesses, config: Config | None, output: Callable[[], str], deadline: float
    ) -> None:
        """Wait until a new worker serves."""
        old = {worker.pid for worker in before.workers}

        def settled(now: HAProxyProcesses) -> bool:
            if now.failed and now.reloads > before.reloads:
                raise refused_load(output(), config, "HAProxy could not load it and gave no reason")
            return bool(now.current - old)

        await self.until(settled, config, output, deadline)

    async def worker_answers(self, config: Config | None, output: Callable[[], str]) -> None:
        """
        Wait until a worker answers: HAProxy 3.1 and later lists one that still loads, and may fail.

        Raises `ReloadFailed` if the master ends, or if no worker answers in time.
        """

        async def answers() -> bool:
            reply = await self._socket.ask("@1 show version", timeout=ASK_TIMEOUT)
            return bool(reply) and not reply.startswith(NO_TARGET)

        await self._until_true(answers, config, output)

    async def socket_rebound(self, config: Config | None, output: Callable[[], str]) -> None:
        """
        Wait until a master whose socket was removed has bound it again, and the reload for that is done.

        Until then the worker before answers, and another reload would be refused. Raises as `worker_answers` does.
        """

        async def settled() -> bool:
            processes = await self.processes()
            answering = _PID.search(await self._socket.ask("@1 show info", timeout=ASK_TIMEOUT))
            return bool(processes.failed or (answering and int(answering[1]) in processes.current))

        await self._until_true(settled, config, output)

    async def _until_true(
        self, condition: Callable[[], Awaitable[bool]], config: Config | None, output: Callable[[], str]
    ) -> None:
        deadline = self._clock.seconds() + self._patience
        while self._clock.seconds() < deadline:
            if not self._alive():
                raise refused_load(output(), config, "HAProxy ended")
            with suppress(HAProxyUnavailable):
                if await condition():
                    return
            await pause(self._clock, FIRST_PAUSE)
        raise ReloadFailed(
            reason=f"HAProxy's worker did not answer within {self._patience:g} s", output=output()
        )

    async def until(
        self,
        settled: Callable[[HAProxyProcesses], bool],
        config: Config | None,
        output: Callable[[], str],
        deadline: float | None = None,
    ) -> HAProxyProcesses:
        """
        Ask ``show proc`` until the reply settles it.

        :param deadline: when to give up, in seconds on the clock.

        Raises `ReloadFailed` if the master ends, or if nothing is settled in time.
        """
        deadline = self._clock.seconds() + self._patience if deadline is None else deadline
        length = FIRST_PAUSE
        while self._clock.seconds() < deadline:
            if not self._alive():
                raise refused_load(output(), config, "HAProxy ended")
            try:
                processes = await self.processes()
                if settled(processes):
                    return processes
            except HAProxyUnavailable:
                length = max(length, 2 * FIRST_PAUSE)
            await pause(self._clock, length)
            length = min(2 * length, LONGEST_PAUSE)
        raise ReloadFailed(
            reason=f"HAProxy did not confirm the reload within {self._patience:g} s", output=output()
        )
