"""Builds the web server with its pages."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import marathonlb
from marathonlb.controller.hold import Hold
from marathonlb.controller.planner import Planner
from marathonlb.controller.reconciler import Reconciler
from marathonlb.controller.recorder import Recorder
from marathonlb.errors import HAProxyUnavailable, PublishFailed
from marathonlb.haproxy.applier import Applier
from marathonlb.haproxy.files.state_directory import WEB_SOCKET, StateDirectory
from marathonlb.haproxy.process.binary import Binary
from marathonlb.haproxy.rollback.archive import Archive
from marathonlb.haproxy.runtime.connection import RuntimeSocket
from marathonlb.haproxy.runtime.stats import Statistics, stats_socket
from marathonlb.marathon.gatherer import AppGatherer
from marathonlb.routing.services.servers import Resolve
from marathonlb.settings import Settings
from marathonlb.web.api.metrics import exporter_at
from marathonlb.web.context import ClusterContext, WebContext
from marathonlb.web.routes import router
from marathonlb.web.server import WebServer

EXPORTER = "exporter.sock"
"""Name of the metrics socket in the state directory; the default of HAPROXY_HEAD names it."""


def make_web(
    settings: Settings,
    reactor: Any,
    *,
    reconciler: Reconciler,
    planner: Planner,
    gatherer: AppGatherer,
    clusters: tuple[ClusterContext, ...],
    applier: Applier,
    hold: Hold,
    resolve: Resolve,
    recorder: Recorder,
) -> WebServer:
    """
    Return the web server; it listens on its socket once it is started.

    :param reactor: provides `IReactorTime`, `IReactorProcess` and `IReactorUNIX`.
    :param clusters: each by itself; ``gatherer`` has all of them.
    """
    state = StateDirectory.of(settings)
    directory = os.path.dirname(os.path.abspath(settings.haproxy_config))
    binary = Binary(reactor, reactor, settings.haproxy, directory)

    context = WebContext(
        settings=settings,
        version=marathonlb.__version__,
        started=reactor.seconds(),
        clock=reactor,
        reconciler=reconciler,
        planner=planner,
        gatherer=gatherer,
        clusters=clusters,
        applier=applier,
        resolve=resolve,
        archive=Archive(state, settings.archive_versions),
        hold=hold,
        statistics=Statistics(_runtime_api(settings, reactor, state, applier), reactor),
        recorder=recorder,
        capabilities=binary.capabilities,
    )
    exporter = exporter_at(reactor, os.path.join(settings.state_dir, EXPORTER))
    root = router(context, exporter, socket.gethostname())
    owner = settings.account.uid if settings.account is not None and os.geteuid() == 0 else None
    return WebServer(lambda: state.socket(WEB_SOCKET), root, reactor, owner)


def _runtime_api(
    settings: Settings, reactor: Any, state: StateDirectory, applier: Applier
) -> Callable[[str], Awaitable[str]]:
    """Return the function that sends a command to HAProxy's worker: through the master, or a stats socket."""

    async def ask(command: str) -> str:
        if settings.manage_haproxy:
            master = RuntimeSocket.at(reactor, state.socket("master.sock"), master=True)
            return await master.ask(f"@1 {command}")
        return await RuntimeSocket.at(reactor, _stats_socket(applier)).ask(command)

    return ask


def _stats_socket(applier: Applier) -> str:
    """Return the path of the stats socket of a HAProxy that is not managed, from its configuration."""
    try:
        published = applier.texts()
    except PublishFailed as error:
        raise HAProxyUnavailable(reason=str(error)) from error
    path = stats_socket(published.text) if published is not None else None
    if path is None:
        raise HAProxyUnavailable(
            reason="its configuration has no stats socket; add 'stats socket PATH' to its global section"
        )
    return path
