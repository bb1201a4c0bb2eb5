"""Joins the parts of this wing as the settings say."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.threads import deferToThreadPool

from marathonlb.config.text.model import Config
from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.applier import Applier
from marathonlb.haproxy.certificates.backup import CertificateCopies
from marathonlb.haproxy.certificates.companions import CompanionTrial
from marathonlb.haproxy.certificates.inventory import Certificates
from marathonlb.haproxy.certificates.loaded import LoadedCertificates, RememberingReloader
from marathonlb.haproxy.certificates.reload_watch import CertificateWatch, ReloadRequests
from marathonlb.haproxy.dynamic.updater import Connect, Steering
from marathonlb.haproxy.files.publish import Files
from marathonlb.haproxy.files.reader import Readers
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.interfaces import IChecker
from marathonlb.haproxy.process.binary import Binary, HAProxyChecker, NoChecker
from marathonlb.haproxy.process.master import RELOAD_TIMEOUT
from marathonlb.haproxy.process.port_check import probe
from marathonlb.haproxy.process.reload_command import CommandReloader
from marathonlb.haproxy.process.supervisor import ManagedHAProxy
from marathonlb.haproxy.rollback.archive import Archive
from marathonlb.haproxy.runtime.connection import RuntimeConnection, RuntimeSocket
from marathonlb.haproxy.runtime.connection_pool import RuntimeConnectionPool
from marathonlb.settings import Settings


def make_certificates(settings: Settings, reactor: Any) -> tuple[Certificates, LoadedCertificates]:
    """The certificates that the settings and the services name, and what HAProxy has of them."""
    state = StateDirectory.of(settings)

    def lists() -> str:
        directory = state.file("certificate-lists")
        os.makedirs(directory, 0o750, exist_ok=True)
        return directory

    directory = os.path.abspath(settings.state_dir)
    copies = CertificateCopies(
        os.path.join(directory, "certificate-copies"), os.path.join(directory, "certificates-read")
    )
    binary = Binary(reactor, reactor, settings.haproxy, "/")
    trial = CompanionTrial(binary, os.path.join(directory, "certificate-trials"))
    certificates = Certificates(
        reactor,
        lists,
        Readers(reactor.callFromThread),
        copies,
        None if settings.skip_validation else trial,
    )
    return certificates, LoadedCertificates(certificates, state)


async def version_of(settings: Settings, reactor: Any) -> tuple[int, ...]:
    """
    The version of the binary that checks the configuration, and runs it where HAProxy is ours.

    :return: its numbers; none where there is no such binary.
    """
    try:
        return (await Binary(reactor, reactor, settings.haproxy, "/").capabilities()).version
    except HAProxyUnavailable:  # whoever needs it says so
        return ()


def make_renewal(
    settings: Settings, reactor: Any, reconciler: ReloadRequests, applier: Applier, loaded: LoadedCertificates
) -> CertificateWatch:
    """What looks at the certificates now and then."""
    connect = connection(settings, StateDirectory.of(settings), reactor)

    async def say(commands: Sequence[str]) -> list[str]:
        if applier.running is None:
            raise HAProxyUnavailable(reason="what HAProxy runs is not known")
        talk = await connect(applier.running)
        try:
            return await talk.execute(commands)
        finally:
            talk.close()

    return CertificateWatch(loaded, say, reconciler, reactor)


def make_applier(
    settings: Settings,
    reactor: Any,
    loaded: LoadedCertificates | None = None,
    *,
    stop_with_controller: bool = False,
    cause: Callable[[], str] = lambda: "",
    patience: float = RELOAD_TIMEOUT,
) -> Applier:
    """
    The applier that the settings ask for. Nothing is touched until it is used.

    :param reactor: provides `IReactorTime`, `IReactorProcess` and `IReactorUNIX`.
    :param loaded: takes note of the certificates that a reload reads.
    :param stop_with_controller: whether stopping the applier's service ends a managed HAProxy, too. Else it serves on,
        so that a new version of the controller takes over without a request lost.
    :param patience: seconds until a reload or a start of a managed HAProxy without a result has failed.
    :param cause: says what has come that leads to what is applied, for the archive.
    """
    files = Files(settings.haproxy_config)
    state = StateDirectory.of(settings)
    binary = Binary(reactor, reactor, settings.haproxy, files.directory)
    checker: IChecker = (
        NoChecker() if settings.skip_validation else HAProxyChecker(binary, files.directory, reactor)
    )
    reloader = _reloader(settings, reactor, binary, files, state, stop_with_controller, patience)
    # A stats socket is one worker's: a conversation that is kept would go on with the old one after a reload.
    connect = connection(settings, state, reactor)
    talks = RuntimeConnectionPool(connect) if settings.manage_haproxy else connect
    services = MultiService()
    for each in (reloader, talks):
        if isinstance(each, Service):
            each.setServiceParent(services)  # type: ignore[no-untyped-call]
    return Applier(
        files=files,
        state=state,
        checker=checker,
        reloader=reloader if loaded is None else RememberingReloader(reloader, loaded),
        clock=reactor,
        archive=Archive(state, settings.archive_versions, cause=cause),
        probe=probe if settings.manage_haproxy else None,
        service=services,
        steering=Steering(talks, files.directory, reactor),
        in_thread=partial(deferToThreadPool, reactor, reactor.getThreadPool()),
    )


def _reloader(
    settings: Settings,
    reactor: Any,
    binary: Binary,
    files: Files,
    state: StateDirectory,
    stop_with_controller: bool,
    patience: float,
) -> ManagedHAProxy | CommandReloader:
    """Who makes HAProxy read its files: one of ours, or a command where it is not ours."""
    if settings.manage_haproxy:
        return ManagedHAProxy(
            binary=binary,
            files=files,
            state=state,
            spawner=reactor,
            clock=reactor,
            connect=lambda path: RuntimeSocket.at(reactor, path, master=True),
            stop_with_controller=stop_with_controller,
            patience=patience,
        )
    return CommandReloader(
        path=files.path,
        command=settings.command,
        retries=settings.max_reload_retries,
        interval=settings.reload_interval,
        spawner=reactor,
        clock=reactor,
    )


_STATS_SOCKET = re.compile(
    r"^[ \t]*stats[ \t]+socket[ \t]+(?:unix@)?(?P<path>/\S+)(?P<options>.*)$", re.MULTILINE
)


def connection(settings: Settings, state: StateDirectory, reactor: Any) -> Connect:
    """
    How HAProxy's worker is spoken to.

    One of our own is spoken to through its master, whatever stats socket its HEAD has; another through the stats socket
    that its configuration names, where that one lets servers be changed.
    """

    async def through_master(config: Config) -> RuntimeConnection:
        path = state.socket("master.sock")
        return await RuntimeSocket.at(reactor, path, master=True).connect()

    async def through_stats_socket(config: Config) -> RuntimeConnection:
        path = stats_socket(config)
        if path is None:
            raise HAProxyUnavailable(
                reason="its configuration has no stats socket with level admin, so every change takes a reload"
            )
        return await RuntimeSocket.at(reactor, path).connect()

    return through_master if settings.manage_haproxy else through_stats_socket


def stats_socket(config: Config) -> str | None:
    """The path of a stats socket on which servers can be changed; None where a configuration has none."""
    for section in config.sections:
        if section.kind in ("head", "global"):
            for found in _STATS_SOCKET.finditer(section.text):
                if "level admin" in " ".join(found["options"].split()):
                    return found["path"]
    return None
