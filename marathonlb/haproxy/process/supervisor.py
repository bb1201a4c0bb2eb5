"""
The supervisor of a managed HAProxy: started in its own session, adopted after a restart of the controller, restarted.

HAProxy is never ended because the controller ends: it keeps serving, and the next controller adopts it. The states of
the supervision are in `marathonlb.haproxy.process.lifecycle`::

    absent ── found ──→ held        without supervision: one reload of a script
    starting ⇄ waiting              supervised, no HAProxy: adopt or start it, pause, try again
    serving                         supervised, HAProxy runs; its end leads to waiting
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from attrs import evolve
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.interfaces import IReactorProcess, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from marathonlb.config.text.model import Config
from marathonlb.errors import MarathonLBError, ReloadFailed
from marathonlb.haproxy.files.publish import Files
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.interfaces import IReloader, ReloadResult
from marathonlb.haproxy.process.adoption import adopt
from marathonlb.haproxy.process.binary import Binary
from marathonlb.haproxy.process.instance import HAProxyInstance
from marathonlb.haproxy.process.lifecycle import HAProxyRecord, RunningHAProxy, new_lifecycle
from marathonlb.haproxy.process.master import RELOAD_TIMEOUT
from marathonlb.haproxy.process.port_check import Bind, shared_binds
from marathonlb.haproxy.process.procfs import ProcessIdentity, Procfs
from marathonlb.haproxy.process.spawn import HAProxyStarter
from marathonlb.haproxy.runtime.connection import RuntimeSocket
from marathonlb.timers import NamedTimers

WATCH_INTERVAL = 0.5
"""Seconds between two checks whether HAProxy still runs."""

RETRY = "retry"
"""Name of the timer of the next attempt to adopt or start HAProxy."""


@implementer(IReloader)
class ManagedHAProxy(Service):
    """
    Starts, adopts, reloads and supervises HAProxy as master and workers.

    It can be used without being started as a service; then it adopts and starts, but does not supervise.

    :param connect: makes the client of a master socket from its path.
    :param kill: sends a signal to a process.
    :param shared: returns the ports of a configuration that another process listens on, too.
    :param patience: see `marathonlb.haproxy.process.master.MasterProcess`.
    :param stop_with_controller: True if `stopService` ends HAProxy, too.
    """

    name = "haproxy"
    _log = Logger()

    def __init__(
        self,
        *,
        binary: Binary,
        files: Files,
        state: StateDirectory,
        spawner: IReactorProcess,
        clock: IReactorTime,
        connect: Callable[[str], RuntimeSocket],
        procfs: Procfs | None = None,
        kill: Callable[[int, int], None] = os.kill,
        shared: Callable[[str], Sequence[Bind]] = shared_binds,
        stop_with_controller: bool = False,
        patience: float = RELOAD_TIMEOUT,
    ) -> None:
        self._path = files.path
        self._clock = clock
        self._stop_with_controller = stop_with_controller
        self._instance = HAProxyInstance(
            state=state, clock=clock, connect=connect, procfs=procfs, kill=kill, patience=patience
        )
        self._starter = HAProxyStarter(
            binary=binary, files=files, instance=self._instance, spawner=spawner, shared=shared
        )
        self._record = HAProxyRecord()
        self._lifecycle = new_lifecycle(self._record)
        self._lock = DeferredLock()
        self._timers = NamedTimers(clock)
        self._watching = LoopingCall(self._watch)
        self._watching.clock = clock
        self._working: Deferred[None] | None = None

    # the service

    def startService(self) -> None:
        """Adopt or start HAProxy, and supervise it from now on."""
        super().startService()  # type: ignore[no-untyped-call]
        watching = self._watching.start(WATCH_INTERVAL, now=False)
        watching.addErrback(
            lambda failure: self._log.failure(
                "A defect ended the supervision of HAProxy; restart the controller", failure
            )
        )
        self._lifecycle.supervise()
        self._begin()

    def stopService(self) -> Deferred[None]:
        """End the supervision. HAProxy keeps serving, unless it is to end with the controller."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._watching.running:
            self._watching.stop()
        self._timers.cancel_all()
        if self._working is not None:
            self._working.cancel()
        self._lifecycle.release()
        if self._stop_with_controller and self._record.running is not None:
            await self._instance.terminate(self._record.running.identity)

    # the reloader

    def reload(self, config: Config, *, once: bool = False) -> Deferred[ReloadResult]:
        """See `IReloader.reload`. One at a time; a second one waits for the first."""
        return self._lock.run(lambda: Deferred.fromCoroutine(self._reload(config)))

    def serving(self) -> Deferred[bool]:
        """See `IReloader.serving`."""
        return self._lock.run(lambda: Deferred.fromCoroutine(self._runs()))

    def pids(self) -> Deferred[tuple[int, ...]]:
        """See `IReloader.pids`."""
        return Deferred.fromCoroutine(self._pids())

    async def _runs(self) -> bool:
        return await self._present() is not None

    async def _pids(self) -> tuple[int, ...]:
        if self._record.running is None:
            return ()
        processes = await self._instance.master(self._record.running.identity).processes()
        return tuple(worker.pid for worker in processes.workers)

    async def _reload(self, config: Config) -> ReloadResult:
        process = await self._present()
        if process is None:
            return ReloadResult(output=await self._start(config))
        output = self._instance.output()
        offset = output.size()
        master = self._instance.master(process)
        if self._instance.rebind_socket(process):
            await master.socket_rebound(config, lambda: output.since(offset))
        before = await master.processes()
        try:
            return ReloadResult(output=await master.reload(config, lambda: output.since(offset)))
        except ReloadFailed as error:
            if error.refused or not await self._instance.kill_hanging(process, before):
                raise
            raise evolve(error, refused=True) from error

    # adopting and starting

    async def _present(self) -> ProcessIdentity | None:
        """Return the HAProxy that runs; adopt one that an earlier controller left. Raises `HAProxyUnavailable`."""
        running = self._record.running
        if running is not None and self._instance.alive(running.identity):
            return running.identity
        self._lifecycle.lost()
        adopted = await adopt(self._instance, self._path, self._clock)
        if adopted is not None:
            self._lifecycle.found(RunningHAProxy(adopted, self._clock.seconds()))
        return adopted

    async def _start(self, config: Config | None) -> str:
        """Start HAProxy, and return its output. Raises as `HAProxyStarter.start` does."""
        try:
            started = await self._starter.start(config, self._ended, check_ports=not self._record.failures)
        except ReloadFailed:
            self._record.failures += 1
            raise
        self._lifecycle.found(RunningHAProxy(started.process, self._clock.seconds()))
        return started.output

    def _begin(self) -> None:
        """Adopt or start HAProxy in the background; a failure is logged, and it is tried again."""
        self._working = self._lock.run(lambda: Deferred.fromCoroutine(self._ensure()))
        self._working.addErrback(self._failed)

    async def _ensure(self) -> None:
        if await self._present() is not None:
            return
        if not os.path.exists(self._path):
            self._log.info(
                "There is no {path} yet; HAProxy is started with the first configuration", path=self._path
            )
            return
        await self._start(None)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError) or not self.running:
            return
        failure.trap(MarathonLBError, OSError)
        delay = self._lifecycle.failed()
        if delay is None:
            return
        self._log.error(
            "HAProxy does not run: {error}. Trying again in {delay} s, and with the next configuration",
            error=failure.getErrorMessage(),
            delay=delay,
        )
        self._retry_in(delay)

    # supervision

    def _watch(self) -> None:
        """Notice the end of an adopted HAProxy, and keep the output file small."""
        running = self._record.running
        if running is not None:
            self._instance.output().trim()
            if not self._instance.alive(running.identity):
                self._ended(running.identity.pid, "it is gone")

    def _ended(self, pid: int, how: str) -> None:
        """Record that a HAProxy ended, and start it again after a pause if it is the supervised one."""
        running = self._record.running
        if running is None or running.identity.pid != pid:
            return
        delay = self._lifecycle.ended(self._clock.seconds())
        if delay is None:
            return
        self._log.error(
            "HAProxy (pid {pid}) ended: {how}. Starting it again in {delay} s; its last output: {output}",
            pid=pid,
            how=how,
            delay=delay,
            output=self._instance.output().tail(),
        )
        self._retry_in(delay)

    def _retry_in(self, delay: float) -> None:
        self._timers.set(RETRY, delay, self._retry)

    def _retry(self) -> None:
        self._lifecycle.retry()
        self._begin()
