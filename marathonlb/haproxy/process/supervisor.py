"""
A HAProxy of our own: started in its own session, adopted after a restart of the controller, started again when it ends.

HAProxy is never ended because the controller ends: it serves on, and the next controller adopts it.

::

            adopt: the master's socket answers
    absent ──────────────────────────────────────→ present
      ↑  └── start: spawn, wait for a worker ──────────┘ │
      └── it ended: said, and after a pause a new start ─┘
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

from attrs import evolve
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall, IReactorProcess, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from marathonlb.config.text.model import Config
from marathonlb.errors import HAProxyUnavailable, MarathonLBError, ReloadFailed
from marathonlb.haproxy.files.disk import told
from marathonlb.haproxy.files.publish import Files
from marathonlb.haproxy.files.sockets import listener
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.interfaces import IReloader, ReloadResult
from marathonlb.haproxy.process.adoption import left_behind
from marathonlb.haproxy.process.binary import Binary
from marathonlb.haproxy.process.master import RELOAD_TIMEOUT, Master
from marathonlb.haproxy.process.output_log import Log
from marathonlb.haproxy.process.port_check import Bind, shared
from marathonlb.haproxy.process.procfs import Procfs, Seen
from marathonlb.haproxy.process.spawn import launch
from marathonlb.haproxy.runtime.connection import RuntimeSocket
from marathonlb.haproxy.runtime.processes import HAProxyProcesses
from marathonlb.timers import pause

WATCH_INTERVAL = 0.5
"""Seconds between two looks whether HAProxy is there."""

FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0
"""Seconds before it is started again: doubled each time, up to the second one."""

LONG_ENOUGH = 10.0
"""Seconds after which a HAProxy that ends has not just failed again."""

ADOPTION_TIMEOUT = 30.0
"""Seconds that a HAProxy which runs but does not answer is waited for: its master may be loading."""


@implementer(IReloader)
class ManagedHAProxy(Service):
    """
    Starts, adopts, reloads and supervises HAProxy as master and workers.

    It can be used without being started as a service; then it adopts and starts, but does not supervise.

    :param connect: makes the client of a master socket from its path.
    :param kill: sends a signal to a process.
    :param shared: says which ports of a configuration somebody else holds, too.
    :param patience: see `Master`.
    :param stop_with_controller: whether `stopService` ends HAProxy, too.
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
        shared: Callable[[str], Sequence[Bind]] = shared,
        stop_with_controller: bool = False,
        patience: float = RELOAD_TIMEOUT,
    ) -> None:
        self._patience = patience
        self._binary = binary
        self._files = files
        self._state = state
        self._spawner = spawner
        self._clock = clock
        self._connect = connect
        self._procfs = procfs or Procfs()
        self._kill = kill
        self._shared = shared
        self._stop_with_controller = stop_with_controller
        self._lock = DeferredLock()
        self._seen: Seen | None = None
        self._since = 0.0
        self._failures = 0
        self._again: IDelayedCall | None = None
        self._watching = LoopingCall(self._watch)
        self._watching.clock = clock
        self._working: Deferred[None] | None = None

    def startService(self) -> None:
        """Adopt or start HAProxy, and supervise it from now on."""
        super().startService()  # type: ignore[no-untyped-call]
        watching = self._watching.start(WATCH_INTERVAL, now=False)
        watching.addErrback(
            lambda f: self._log.failure("HAProxy is not watched any more; restart the controller", f)
        )
        self._begin()

    async def _stop(self) -> None:
        if self._watching.running:
            self._watching.stop()
        if self._again is not None and self._again.active():
            self._again.cancel()
        if self._working is not None:
            self._working.cancel()
        if self._stop_with_controller and self._seen is not None:
            await self._terminate(self._seen)

    def stopService(self) -> Deferred[None]:
        """Stop supervising. HAProxy serves on, unless it was said that it ends with the controller."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _terminate(self, seen: Seen) -> None:
        self._kill(seen.pid, signal.SIGTERM)
        await self._gone(seen)

    async def _gone(self, seen: Seen) -> None:
        """Wait for its end, for a while."""
        deadline = self._clock.seconds() + 10
        while self._procfs.alive(seen) and self._clock.seconds() < deadline:
            await pause(self._clock, 0.05)

    def reload(self, config: Config, *, once: bool = False) -> Deferred[ReloadResult]:
        """See `IReloader.reload`. One at a time; a second waits for the first."""
        return self._lock.run(lambda: Deferred.fromCoroutine(self._reload(config)))

    def serving(self) -> Deferred[bool]:
        """See `IReloader.serving`."""
        return self._lock.run(lambda: Deferred.fromCoroutine(self._present()))

    def pids(self) -> Deferred[tuple[int, ...]]:
        """See `IReloader.pids`."""
        return Deferred.fromCoroutine(self._pids())

    async def _pids(self) -> tuple[int, ...]:
        if self._seen is None:
            return ()
        return tuple(worker.pid for worker in (await self._master(self._seen).processes()).workers)

    async def _reload(self, config: Config) -> ReloadResult:
        if not await self._present() or self._seen is None:
            return ReloadResult(output=await self._start(config))
        log = self._open_log()
        began = log.size()
        master = self._master(self._seen)
        if self._make_socket_anew(self._seen):
            await master.bound_anew(config, lambda: log.since(began))
        before = await master.processes()
        try:
            output = await master.reload(config, lambda: log.since(began))
        except ReloadFailed as error:
            if error.refused or not await self._end_what_hangs(self._seen, before):
                raise
            raise evolve(error, refused=True) from error
        return ReloadResult(output=output)

    async def _end_what_hangs(self, seen: Seen, before: HAProxyProcesses) -> bool:
        """
        End what does not end loading the new text; whether there was anything.

        A new worker alone, where the master answers: the ones before serve on. A master that hangs can neither be told
        anything nor reload ever again. Its workers end with it, and HAProxy is started anew with the files before.
        """
        try:
            pids = await self._master(seen).hanging(before)
        except HAProxyUnavailable:
            pids = frozenset({seen.pid})
        for pid in pids:
            self._log.error(
                "HAProxy (pid {pid}) hangs while it loads the new configuration, and is ended", pid=pid
            )
            with suppress(ProcessLookupError):
                self._kill(pid, signal.SIGKILL)
        if seen.pid in pids:
            await self._gone(seen)
        return bool(pids)

    async def _present(self) -> bool:
        """Whether a HAProxy of ours runs; adopts one that does."""
        if self._seen is not None and self._procfs.alive(self._seen):
            return True
        self._seen = None
        return await self._adopt()

    async def _adopt(self) -> bool:
        """
        Take over a HAProxy that a controller before started, without touching it.

        One that runs but does not answer is waited for: it may be loading. Raises `HAProxyUnavailable` where it never
        does.
        """
        seen = left_behind(self._state, self._files.path, self._procfs)
        if seen is None:
            return False
        deadline = self._clock.seconds() + ADOPTION_TIMEOUT
        told = False
        while self._procfs.alive(seen):
            try:
                processes = await self._master(seen).processes()
            except HAProxyUnavailable as error:
                if self._clock.seconds() > deadline:
                    if told or not self._make_socket_anew(seen):
                        raise HAProxyUnavailable(
                            reason=f"{error}; pid {seen.pid} holds the ports: end it"
                        ) from error
                    told, deadline = True, deadline + ADOPTION_TIMEOUT
                await pause(self._clock, 0.2)
                continue
            if told:
                await self._master(seen).bound_anew(None, self._open_log().tail)
            self._took(seen)
            self._log.info(
                "HAProxy runs (pid {pid}, workers {workers}) and is adopted as it is; nothing to do",
                pid=seen.pid,
                workers=sorted(processes.current),
            )
            return True
        return False

    async def _start(self, config: Config | None) -> str:
        """Start HAProxy and wait until it serves. Raises `ReloadFailed`, `HAProxyUnavailable` or `PublishFailed`."""
        self._binary.require()
        if who := listener(self._state.socket("master.sock")):
            raise HAProxyUnavailable(reason=f"{who}, and is no HAProxy that can be adopted: end it")
        on_disk = self._files.read()
        log = self._open_log()
        began = log.size()
        also_held = self._shared(on_disk.text) if on_disk is not None and not self._failures else ()
        arguments = ("-W", "-S", f"{self._state.socket('master.sock')},mode,600", "-f", self._files.path)
        pid_file = self._state.file("haproxy.pid")
        pid = launch(self._spawner, self._binary, (*arguments, "-p", pid_file), log, self._ended)
        seen = self._procfs.see(pid) or Seen(pid, "")

        def serves(processes: HAProxyProcesses) -> bool:
            return processes.master == pid and bool(processes.current)

        try:
            master = self._master(seen)
            await master.until(serves, config, lambda: log.since(began))
            await master.ready(config, lambda: log.since(began))
        except ReloadFailed as error:
            self._failures += 1
            if not error.refused:  # it hangs, and would be taken for one that is loading
                with suppress(ProcessLookupError):
                    self._kill(-pid, signal.SIGKILL)
            reason = f"HAProxy could not be started: {error.reason}"
            raise ReloadFailed(
                reason=reason, output=error.output, complaints=error.complaints, refused=True
            ) from error
        self._took(seen)
        if on_disk is not None:
            self._confirm(on_disk.digest())
        self._log.info(
            "HAProxy is started (pid {pid}); its output is in {log}",
            pid=pid,
            log=self._state.file("haproxy.log"),
        )
        if also_held:
            self._log.warn(
                "Another process listens where HAProxy does, too, and gets a part of the connections: {binds}. End it; "
                "`ss -ltnp` names it",
                binds=", ".join(map(str, also_held[:5])),
            )
        return log.since(began)

    def _confirm(self, digest: str) -> None:
        try:
            self._state.confirm(digest)
        except OSError as error:
            self._log.warn(
                "what HAProxy runs could not be noted: {reason}. The next controller will reload once",
                reason=told(error),
            )

    def _took(self, seen: Seen) -> None:
        self._seen = seen
        self._since = self._clock.seconds()

    def _master(self, seen: Seen) -> Master:
        socket = self._connect(self._state.socket("master.sock"))
        return Master(socket, self._clock, lambda: self._procfs.alive(seen), self._patience)

    def _make_socket_anew(self, seen: Seen) -> bool:
        """
        Where the master's socket was taken away, have the master bind it again, which is a reload; whether it was.

        Only one that is surely up may be told so: the signal ends a HAProxy that is only starting.
        """
        path = self._state.socket("master.sock")
        if os.path.exists(path):
            return False
        self._log.warn(
            "{path} is gone, though HAProxy (pid {pid}) serves: somebody cleans the state directory. HAProxy makes it "
            "anew by a reload",
            path=path,
            pid=seen.pid,
        )
        self._kill(seen.pid, signal.SIGUSR2)
        return True

    def _open_log(self) -> Log:
        return Log(self._state.file("haproxy.log"))

    def _watch(self) -> None:
        """Notice that an adopted one ended, and keep the log small."""
        if self._seen is not None:
            self._open_log().trim()
            if not self._procfs.alive(self._seen):
                self._ended(self._seen.pid, "it is gone")

    def _ended(self, pid: int, how: str) -> None:
        """Say that HAProxy ended, and start it again after a pause; one that we do not hold is no concern."""
        if self._seen is None or self._seen.pid != pid:
            return
        seen, self._seen = self._seen, None
        if not self.running:
            return
        if self._clock.seconds() - self._since >= LONG_ENOUGH:
            self._failures = 0
        delay = self._delay()
        self._failures += 1
        self._log.error(
            "HAProxy (pid {pid}) ended: {how}. It is started again in {delay} s; its last words: {words}",
            pid=seen.pid,
            how=how,
            delay=delay,
            words=self._open_log().tail(),
        )
        self._start_again(delay)

    def _delay(self) -> float:
        return min(FIRST_DELAY * 2.0 ** min(self._failures, 20), LONGEST_DELAY)

    def _start_again(self, delay: float) -> None:
        if self._again is not None and self._again.active():
            self._again.cancel()
        self._again = self._clock.callLater(delay, self._begin)

    def _begin(self) -> None:
        """Adopt or start in the background; a failure is said and tried again."""
        self._working = self._lock.run(lambda: Deferred.fromCoroutine(self._ensure()))
        self._working.addErrback(self._not_yet)

    async def _ensure(self) -> None:
        if await self._present():
            return
        if not os.path.exists(self._files.path):
            self._log.info(
                "{path} is not there yet; HAProxy starts with the first configuration", path=self._files.path
            )
            return
        await self._start(None)

    def _not_yet(self, failure: Failure) -> None:
        if failure.check(CancelledError) or not self.running:
            return
        failure.trap(MarathonLBError, OSError)
        delay = max(self._delay(), 1.0)
        self._log.error(
            "{error}. It is tried again in {delay} s, and with the next configuration",
            error=failure.getErrorMessage(),
            delay=delay,
        )
        self._start_again(delay)
