"""Make the objects that drive HAProxy, as the settings ask for them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.application.service import MultiService, Service
from twisted.internet.threads import deferToThreadPool

from marathonlb.config.text.model import Config
from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.applier import Applier
from marathonlb.haproxy.certificates.backup import CertificateCopies
from marathonlb.haproxy.certificates.companions import CompanionTrial
from marathonlb.haproxy.certificates.inventory import Certificates
from marathonlb.haproxy.certificates.loaded import LoadedCertificates, RememberingReloader
from marathonlb.haproxy.config_store import ConfigStore
from marathonlb.haproxy.dynamic.updater import Connect, RuntimeUpdater
from marathonlb.haproxy.files.publish import Files
from marathonlb.haproxy.files.reader import Readers
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.interfaces import IChecker, IReloader
from marathonlb.haproxy.process.binary import Binary, HAProxyChecker, NoChecker
from marathonlb.haproxy.process.reload_command import CommandReloader
from marathonlb.haproxy.rollback.archive import Archive
from marathonlb.settings import Settings

if TYPE_CHECKING:
    from marathonlb.haproxy.certificates.reload_watch import CertificateWatch, ReloadRequests
    from marathonlb.haproxy.runtime.connection import RuntimeConnection


def make_certificates(settings: Settings, reactor: Any) -> tuple[Certificates, LoadedCertificates]:
    """Make the inventory of certificates, and the note of those that HAProxy has loaded."""
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


def make_binary(settings: Settings, reactor: Any) -> Binary:
    """Return the binary that checks the configuration, and runs it if marathon-lb manages HAProxy."""
    return Binary(reactor, reactor, settings.haproxy, Files(settings.haproxy_config).directory)


async def version_of(binary: Binary) -> tuple[int, ...]:
    """Return the numbers of its version; empty where there is no such binary."""
    try:
        return (await binary.capabilities()).version
    except HAProxyUnavailable:  # reported where the binary is needed
        return ()


def make_certificate_watch(
    settings: Settings, reactor: Any, reconciler: ReloadRequests, applier: Applier, loaded: LoadedCertificates
) -> CertificateWatch:
    """Make the service that has HAProxy serve certificates that change on the disk."""
    from marathonlb.haproxy.certificates.reload_watch import CertificateWatch

    connect = connection(settings, StateDirectory.of(settings), reactor)

    async def send(commands: Sequence[str]) -> list[str]:
        if applier.running is None:
            raise HAProxyUnavailable(reason="HAProxy's configuration is not known yet")
        runtime = await connect(applier.running)
        try:
            return await runtime.execute(commands)
        finally:
            runtime.close()

    return CertificateWatch(loaded, send, reconciler, reactor)


def make_applier(
    settings: Settings,
    reactor: Any,
    loaded: LoadedCertificates | None = None,
    *,
    binary: Binary | None = None,
    stop_with_controller: bool = False,
    cause: Callable[[], str] = lambda: "",
    patience: float | None = None,
) -> Applier:
    """
    Make the applier. Nothing is touched until it is used.

    :param reactor: provides `IReactorTime`, `IReactorProcess` and `IReactorUNIX`.
    :param loaded: notes the certificates that a reload reads.
    :param binary: the HAProxy program; None for a new object.
    :param stop_with_controller: True if stopping the applier's service also stops a managed HAProxy. Else HAProxy
        serves on, so that the next controller takes over without losing a request.
    :param patience: seconds after which a reload or a start of a managed HAProxy without a result has failed; None for
        the supervisor's default.
    :param cause: returns the trigger of what is applied, for the archive.
    """
    files = Files(settings.haproxy_config)
    state = StateDirectory.of(settings)
    binary = binary or make_binary(settings, reactor)
    checker = _checker(settings, binary, files, reactor)
    # A stats socket belongs to one worker: a connection that is kept open would lead to the old one after a reload.
    connect = connection(settings, state, reactor)
    reloader: IReloader
    if settings.manage_haproxy:
        from marathonlb.haproxy.managed import make_connection_pool, make_port_checker, make_supervisor

        reloader = make_supervisor(
            binary, files, state, reactor, stop_with_controller=stop_with_controller, patience=patience
        )
        connect, checker = make_connection_pool(connect), make_port_checker(checker, files)
    else:
        reloader = _command_reloader(settings, reactor, files)
    archive = Archive(state, settings.archive_versions, cause=cause)
    in_thread = partial(deferToThreadPool, reactor, reactor.getThreadPool())
    return Applier(
        store=ConfigStore(files, state, archive, reactor, in_thread),
        checker=checker,
        reloader=reloader if loaded is None else RememberingReloader(reloader, loaded),
        updater=RuntimeUpdater(connect, files.directory, reactor),
        clock=reactor,
        service=_services(reloader, connect),
    )


def _checker(settings: Settings, binary: Binary, files: Files, reactor: Any) -> IChecker:
    """Make what checks a configuration before it is published."""
    return NoChecker() if settings.skip_validation else HAProxyChecker(binary, files.directory, reactor)


def _services(*parts: object) -> MultiService:
    """Return the parts that are services as one service."""
    services = MultiService()
    for part in parts:
        if isinstance(part, Service):
            part.setServiceParent(services)
    return services


def _command_reloader(settings: Settings, reactor: Any, files: Files) -> CommandReloader:
    """Make what reloads a HAProxy that marathon-lb does not manage: the operator's command, or the init system's."""
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
    Return the function that connects to the runtime API of HAProxy's worker.

    A managed HAProxy is reached through its master, whatever stats socket HAPROXY_HEAD names. Another is reached
    through the stats socket of its configuration, if that one has level admin.
    """

    async def through_master(config: Config) -> RuntimeConnection:
        from marathonlb.haproxy.runtime.connection import RuntimeSocket

        path = state.socket("master.sock")
        return await RuntimeSocket.at(reactor, path, master=True).connect()

    async def through_stats_socket(config: Config) -> RuntimeConnection:
        path = admin_socket(config)
        if path is None:
            raise HAProxyUnavailable(
                reason="its configuration has no stats socket with level admin, so every change takes a reload"
            )
        from marathonlb.haproxy.runtime.connection import RuntimeSocket

        return await RuntimeSocket.at(reactor, path).connect()

    return through_master if settings.manage_haproxy else through_stats_socket


def admin_socket(config: Config) -> str | None:
    """Return the path of a stats socket with level admin; None where a configuration has none."""
    for section in config.sections:
        if section.kind in ("head", "global"):
            for found in _STATS_SOCKET.finditer(section.text):
                if "level admin" in " ".join(found["options"].split()):
                    return found["path"]
    return None
