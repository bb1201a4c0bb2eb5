"""The values that the renderer takes: a `Service` for each port of an app, and what one app offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import Factory, field, frozen

from marathonlb.marathon.model import App, HealthCheck
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.files import ServiceFiles
from marathonlb.routing.services.health_checks import HTTP_CHECKS
from marathonlb.routing.services.servers import Server


@frozen
class Service:
    """
    One port of one app as the load balancer offers it.

    :param backend: the backend's name: the app's id and the service port.
    :param hosts: virtual hosts, lower case; a wildcard begins with ``*.``.
    :param paths: path prefixes that narrow the hosts; empty means every path.
    :param weight: the weight of the routing rules by the app's label; None keeps the usual order.
    :param networks: the only client networks that are allowed; empty allows every client.
    :param check_index: the index of the port that health checks go to, if it is another one.
    :param passthrough: hosts whose TLS connections are passed through to the tasks.
    :param backend_ssl: TLS towards the tasks: empty for none, ``none`` (without verification), or the value of
        ``ca-file``.
    :param backend_proto: ``h1`` or ``h2`` towards the tasks; empty leaves it to HAProxy.
    :param maxconn: maximum number of connections to each server; None is no limit.
    :param rate_limit: requests per client address, and the period as a HAProxy duration.
    :param cors: origins whose pages may read the responses; ``*`` is any.
    :param timeout_server: a HAProxy duration; None keeps that of the defaults, as for ``timeout_tunnel``.
    :param overrides: template texts of the labels, by template name.
    :param since: when the app last changed, as Marathon writes it: the older service wins a collision.
    :param app: the app, for Jinja2 templates, without what changes when it is scaled; see `build.lasting`.
    :param binds_port: True if it has a frontend of its own; False if another service has its port.
    :param copied_files: the copies that HAProxy is given of the labels' files; None: it is given those themselves.
    """

    app_id: str
    port_index: int
    service_port: int
    backend: str
    mode: str
    servers: tuple[Server, ...] = ()
    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    ignore_path_case: bool = False
    weight: int | None = None
    bind_addr: str = "*"
    bind_options: str = ""
    ssl_certs: tuple[str, ...] = ()
    balance: str = "roundrobin"
    sticky: bool = False
    redirect_to_https: bool = False
    use_hsts: bool = False
    auth: tuple[str, str, str] | None = field(default=None, repr=False)
    networks: tuple[str, ...] = ()
    proxypass_path: str | None = None
    revproxy_path: str | None = None
    redirect_path: str | None = None
    health_check: HealthCheck | None = None
    check_index: int | None = None
    passthrough: tuple[str, ...] = ()
    backend_ssl: str = ""
    backend_proto: str = ""
    maxconn: int | None = None
    rate_limit: tuple[int, str] | None = None
    maintenance: bool = False
    cors: tuple[str, ...] = ()
    timeout_server: str | None = None
    timeout_tunnel: str | None = None
    overrides: Mapping[str, str] = Factory(dict)
    since: str = ""
    app: App = field(default=Factory(lambda self: App(self.app_id), takes_self=True), eq=False, repr=False)
    binds_port: bool = True
    copied_files: ServiceFiles | None = None

    @property
    def key(self) -> tuple[str, int]:
        """The key of a service: the app's id and the port's index."""
        return self.app_id, self.port_index

    @property
    def frontend(self) -> str:
        """The name of its own frontend; never the backend's, since HAProxy 3.3 refuses equal names."""
        return f"{self.backend}_in"

    @property
    def files(self) -> ServiceFiles:
        """The files that HAProxy's configuration names."""
        return self.copied_files or ServiceFiles(self.ssl_certs, self.bind_options, self.backend_ssl)

    @property
    def checks_http(self) -> bool:
        """True if its health check speaks HTTP."""
        return self.health_check is not None and self.health_check.protocol in HTTP_CHECKS


@frozen
class AppServices:
    """
    The services of one app, and the problems of its labels.

    :param labels: the checked labels of the whole app, by name (`AppLabels.values`).
    """

    services: tuple[Service, ...] = ()
    problems: tuple[Problem, ...] = ()
    labels: Mapping[str, Any] = Factory(dict)
