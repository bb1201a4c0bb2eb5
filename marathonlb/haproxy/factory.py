"""Joins the parts of this wing as the settings say."""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service

from marathonlb.haproxy.apply import Applier
from marathonlb.haproxy.archive import Archive
from marathonlb.haproxy.command import CommandReloader
from marathonlb.haproxy.files import Files
from marathonlb.haproxy.interfaces import IChecker
from marathonlb.haproxy.ports import probe
from marathonlb.haproxy.process import Binary, HAProxyChecker, NoChecker
from marathonlb.haproxy.runtime import Socket
from marathonlb.haproxy.state import StateDirectory
from marathonlb.haproxy.supervisor import ManagedHAProxy
from marathonlb.settings import Settings


def make_applier(settings: Settings, reactor: Any, *, stop_with_controller: bool = False) -> Applier:
    """
    The applier that the settings ask for. Nothing is touched until it is used.

    :param reactor: provides `IReactorTime`, `IReactorProcess` and `IReactorUNIX`.
    :param stop_with_controller: whether stopping the applier's service ends a managed HAProxy, too. Else it serves on,
        so that a new version of the controller takes over without a request lost.
    """
    files = Files(settings.haproxy_config)
    state = StateDirectory.of(settings)
    binary = Binary(reactor, reactor, settings.haproxy, files.directory)
    checker: IChecker = NoChecker() if settings.skip_validation else HAProxyChecker(binary, files.directory)
    reloader: ManagedHAProxy | CommandReloader
    if settings.manage_haproxy:
        reloader = ManagedHAProxy(
            binary=binary,
            files=files,
            state=state,
            spawner=reactor,
            clock=reactor,
            connect=lambda path: Socket.at(reactor, path, master=True),
            stop_with_controller=stop_with_controller,
        )
    else:
        reloader = CommandReloader(
            path=files.path,
            command=settings.command,
            retries=settings.max_reload_retries,
            interval=settings.reload_interval,
            spawner=reactor,
            clock=reactor,
        )
    return Applier(
        files=files,
        state=state,
        checker=checker,
        reloader=reloader,
        clock=reactor,
        archive=Archive(state, settings.archive_versions),
        probe=probe if settings.manage_haproxy else None,
        service=reloader if isinstance(reloader, Service) else None,
    )
