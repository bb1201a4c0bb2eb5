"""Make the parts that only a HAProxy has that marathon-lb runs itself (``--manage-haproxy``)."""

from __future__ import annotations

from typing import Any

from marathonlb.haproxy.dynamic.updater import Connect
from marathonlb.haproxy.files.publish import Files
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.interfaces import IChecker
from marathonlb.haproxy.process.binary import Binary
from marathonlb.haproxy.process.master import RELOAD_TIMEOUT
from marathonlb.haproxy.process.port_check import PortChecker, probe
from marathonlb.haproxy.process.supervisor import ManagedHAProxy
from marathonlb.haproxy.runtime.connection import RuntimeSocket
from marathonlb.haproxy.runtime.connection_pool import RuntimeConnectionPool


def make_supervisor(
    binary: Binary,
    files: Files,
    state: StateDirectory,
    reactor: Any,
    *,
    stop_with_controller: bool,
    patience: float | None,
) -> ManagedHAProxy:
    """
    Make the supervisor of a managed HAProxy.

    :param stop_with_controller: True if stopping the supervisor also stops HAProxy.
    :param patience: seconds after which a reload or a start without a result has failed; None for `RELOAD_TIMEOUT`.
    """
    return ManagedHAProxy(
        binary=binary,
        files=files,
        state=state,
        spawner=reactor,
        clock=reactor,
        connect=lambda path: RuntimeSocket.at(reactor, path, master=True),
        stop_with_controller=stop_with_controller,
        patience=RELOAD_TIMEOUT if patience is None else patience,
    )


def make_connection_pool(connect: Connect) -> RuntimeConnectionPool:
    """Return the connections to the workers, which are kept open."""
    return RuntimeConnectionPool(connect)


def make_port_checker(checker: IChecker, files: Files) -> PortChecker:
    """Return a checker that also checks new ports: this HAProxy runs here, and as this user."""
    return PortChecker(checker, files.directory, probe)
