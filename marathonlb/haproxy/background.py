"""
Background work after runtime updates: rewrite haproxy.cfg to match the running state, and delete drained servers.

After the file is written it is asked whether the worker is still the same. One that was restarted before has read an
older file, and is updated at once.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredLock, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from marathonlb.errors import MarathonLBError
from marathonlb.haproxy.config_store import ConfigStore
from marathonlb.haproxy.dynamic.updater import RuntimeUpdater
from marathonlb.haproxy.files.disk import explain_error
from marathonlb.haproxy.running_config import RunningConfig
from marathonlb.timers import NamedTimers

WRITE_DELAY = 0.5
"""Seconds from an update to the file that has it; all updates meanwhile are written at once."""

RETRY_DELAY = 5.0
"""Seconds until a failed write, or a question to the worker that was not answered, is tried again."""

DELETE_INTERVAL = 2.0
"""Seconds between two attempts to delete drained servers."""

MAX_DELETED = 200
"""Maximum number of drained servers deleted per attempt."""

_WRITE = "write"


class BackgroundWork(Service):
    """
    Keeps the files and the worker in step with what runs.

    While the service is not started nothing is put off, so a run that ends leaves files that are what runs.

    :param lock: held while something is applied; drained servers are deleted under it.
    :param worker_restarted: called where the worker is another one than the one that ran what is written.
    """

    name = "background work"
    _log = Logger()

    def __init__(
        self,
        running: RunningConfig,
        store: ConfigStore,
        updater: RuntimeUpdater,
        clock: IReactorTime,
        lock: DeferredLock,
        worker_restarted: Callable[[], object],
    ) -> None:
        self._running_config = running
        self._store = store
        self._updater = updater
        self._lock = lock
        self._worker_restarted = worker_restarted
        self._timers = NamedTimers(clock)
        self._writing = DeferredLock()
        self._has_to_ask = False
        self._deleting = LoopingCall(self._delete_safely)
        self._deleting.clock = clock

    def startService(self) -> None:
        """Delete drained servers from now on."""
        super().startService()  # type: ignore[no-untyped-call]
        self._deleting.start(DELETE_INTERVAL, now=False).addErrback(
            lambda failure: self._log.failure(
                "Drained servers are not deleted any more: a defect; restart the controller", failure
            )
        )

    def stopService(self) -> Deferred[None]:
        """Write what is not written yet."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._deleting.running:
            self._deleting.stop()
        return self.flush()

    def file_is_behind(self) -> Deferred[None]:
        """
        Let the files follow what runs.

        :return: fires at once; where the service is not started, when they are written.
        """
        if not self.running:
            return self.flush()
        if _WRITE not in self._timers:
            self._timers.set(_WRITE, WRITE_DELAY, self._begin)
        return succeed(None)

    def flush(self) -> Deferred[None]:
        """
        Write what is not written yet.

        :return: fires when it is; fails with `PublishFailed` or `OSError`.
        """
        self._timers.cancel(_WRITE)
        return self._writing.run(lambda: Deferred.fromCoroutine(self._write()))

    async def _write(self) -> None:
        async with self._store.lock:
            config = self._running_config.to_write
            if config is not None:
                await self._store.follow(config)
                self._running_config.written(config)
                self._has_to_ask = True
        if self.running and self._has_to_ask:
            await self._ask_worker()

    async def _ask_worker(self) -> None:
        config, worker = self._running_config.config, self._running_config.worker.pid
        if config is None or worker is None:
            self._has_to_ask = False
            return
        runs = await self._updater.runs(worker, config)
        if runs is None:
            self._retry()
            return
        self._has_to_ask = False
        if not runs and self._running_config.worker.pid == worker:
            self._worker_restarted()

    def _begin(self) -> None:
        self.flush().addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        if not failure.check(MarathonLBError, OSError):
            self._log.failure("The configuration could not be written: a defect", failure)
        else:
            self._log.error(
                "HAProxy runs what is wanted, but the file is behind: {reason}. It is tried again in {seconds} s",
                reason=explain_error(failure.value),
                seconds=RETRY_DELAY,
            )
        self._retry()

    def _retry(self) -> None:
        if self.running:
            self._timers.set(_WRITE, RETRY_DELAY, self._begin)

    def _delete_safely(self) -> Deferred[None]:
        if not any(self._running_config.worker.deletable(1)):
            return succeed(None)
        deleting = self._lock.run(lambda: Deferred.fromCoroutine(self._delete()))
        return deleting.addErrback(
            lambda failure: self._log.failure("Drained servers could not be deleted: a defect", failure)
        )

    async def _delete(self) -> None:
        """Delete the drained servers and unpublished backends that are not in use any more."""
        config, worker = self._running_config.config, self._running_config.worker
        servers, backends = worker.deletable(MAX_DELETED)
        if config is None or not (servers or backends):
            return
        deletions = await self._updater.delete(worker.pid, config, servers, backends)
        if deletions is None:
            worker.doubt(backend for backend, _ in servers)
        else:
            worker.deleted(deletions)
