"""Make sure that only one controller uses a state directory and its files."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, maybeDeferred

from marathonlb.haproxy.files.lock import ControllerLocks, occupied
from marathonlb.haproxy.files.state_directory import WEB_SOCKET
from marathonlb.parts import with_state_directory
from marathonlb.settings import Settings


def holding_locks(settings: Settings, reactor: Any) -> AbstractContextManager[None]:
    """Return a context that holds the locks of a controller; entering it raises as `occupy` does."""
    return occupied(with_state_directory(settings), reactor.seconds(), [WEB_SOCKET])


class ExclusiveService(Service):
    """
    A daemon's service together with the locks that keep others out.

    :param held: the locks; they are released when the service has stopped.
    """

    def __init__(self, held: ControllerLocks, service: IService) -> None:
        self._held = held
        self._service = service

    def startService(self) -> None:
        """Write this process into the locks, since twistd may have forked, then start."""
        super().startService()  # type: ignore[no-untyped-call]
        self._held.sign()
        self._service.startService()

    def stopService(self) -> Deferred[None]:
        """Stop; fires when the service has stopped and the locks are free."""
        super().stopService()  # type: ignore[no-untyped-call]
        stopped: Deferred[None] = maybeDeferred(self._service.stopService)
        return stopped.addBoth(self._released)

    def _released(self, result: Any) -> Any:
        self._held.release()
        return result
