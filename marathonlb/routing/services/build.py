"""
The services of one app: what each of its ports offers by its labels.

A `Service` is all that the renderer needs of one port; a `Problem` is what the app's owner has to correct.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from itertools import accumulate, islice

import msgspec
from attrs import evolve

from marathonlb.base import limits
from marathonlb.marathon.model import App, HealthCheck, Networking, Task, id_in_cluster
from marathonlb.problem_kinds.apps import HOST_NAME, LABEL_VALUE, PASSWORD_HASH, PROTOCOL, SERVICE_PORT
from marathonlb.routing.labels import values
from marathonlb.routing.labels.parse import NOTHING, AppLabels, PortLabels, parse_labels
from marathonlb.routing.labels.selection import in_group, why_not_offered
from marathonlb.routing.labels.tls import VERIFY
from marathonlb.routing.lines import passwords
from marathonlb.routing.names import backend_name
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.contradictions import without_contradictions
from marathonlb.routing.services.counts import (
    length_problems,
    port_problems,
    ports_of,
    served_ports,
    within_host_limits,
)
from marathonlb.routing.services.health_checks import HTTP_CHECKS, PortChecks
from marathonlb.routing.services.model import AppServices, Service
from marathonlb.routing.services.servers import Resolve, Server, port_at, servers_of
from marathonlb.settings import Settings

_DECIDING = frozenset({"GROUP", "ENABLED", "…"})
"""
The labels that decide whether a port is to be served here, and those that are not read (``…``): if one of them is not
valid, the port is left out.
"""


def services_of(
    app: App,
    settings: Settings,
    template_names: frozenset[str],
    resolve: Resolve,
    assigned: Mapping[int, int] | None = None,
) -> AppServices:
    """
    Return the services of one app.

    :param template_names: the templates that a label can override.
    :param resolve: returns the address of an agent's host, or None.
    :param assigned: service ports by port index, for ports that Marathon gave none (IP per task).
    """
    if id_in_cluster(app.id) in settings.own_app_ids:
        return AppServices()
    return _AppBuilder(app, parse_labels(app, template_names), settings, resolve, assigned or {}).build()


class _AppBuilder:
    """
    The builder of one app's services and problems, port by port.

    :ivar _in_group: True if the app or one of its ports is in a group that this load balancer serves.
    """

    def __init__(
        self,
        app: App,
        labels: AppLabels,
        settings: Settings,
        resolve: Resolve,
        assigned: Mapping[int, int],
    ) -> None:
        self._app = app
        self._labels = labels
        self._settings = settings
        self._resolve = resolve
        self._assigned = assigned
        self._checks = PortChecks.of(app)
        self._slots = list(accumulate((port.on_host for port in app.ports), initial=0))
        self._problems: list[Problem] = []
        self._in_group = in_group(labels, NOTHING, settings.groups)

    def build(self) -> AppServices:
        """Return the services and the problems."""
        ports = map(self._port, range(served_ports(self._app)))
        services = [service for service in ports if service is not None]
        services = within_host_limits(services, self._problems, grouped=self._settings.group_https_by_vhost)
        if self._app_is_refused():
            services = []
        return AppServices(tuple(services), tuple(self._problems), self._labels.values)

    def _app_is_refused(self) -> bool:
        """Report the problems of the whole app; return True if one of them is fatal."""
        app, labels = self._app, self._labels
        more_indexes = max(labels.ports, default=-1) >= len(app.ports)
        if not labels.problems and not more_indexes and served_ports(app) == len(app.ports):
            return False
        problems = (*labels.problems, *port_problems(app, labels))
        self._problems += (problem for problem in problems if self._in_group or problem.fatal)
        return any(problem.fatal for problem in problems)

    def _port(self, index: int) -> Service | None:
        """Return the service of a port, by the kind of port: undecided, not for this load balancer, or offered."""
        labels = self._labels.port(index)
        undecided = [
            problem
            for problem in labels.problems
            if problem.label.removeprefix(f"HAPROXY_{index}_") in _DECIDING
        ]
        if undecided:
            self._problems += undecided
            return None
        self._in_group = self._in_group or in_group(self._labels, labels, self._settings.groups)
        if why_not_offered(self._labels, index, self._settings) is not None:
            return None
        problems = list(labels.problems)
        service = self._offered(index, labels, problems)
        self._problems += problems
        return None if any(problem.fatal for problem in problems) else service

    def _offered(self, index: int, labels: PortLabels, problems: list[Problem]) -> Service | None:
        """Return the service of a port that is offered; None if a problem prevents it."""
        service_port = self._service_port(index, labels, problems)
        if service_port is None or not self._checks_own_port(index, labels, problems):
            return None
        if any(problem.fatal for problem in problems):
            return None  # the warnings below would follow from what is wrong already
        service = self._labelled(index, labels, service_port)
        if service.hosts:
            problems.extend(self._host_warnings(index))
        service = without_contradictions(self._app, service, problems)
        if service.auth is not None:
            service = self._with_usable_password(service, problems)
        problems.extend(length_problems(service))
        return service

    def _service_port(self, index: int, labels: PortLabels, problems: list[Problem]) -> int | None:
        """Return the service port; None, and a problem, if there is none."""
        app = self._app
        port = app.ports[index]
        if "tcp" not in port.protocol:
            reason = "is not served: HAProxy balances TCP"
            problems.append(
                Problem(app.id, index, "protocol", port.protocol, reason, fatal=False, kind=PROTOCOL)
            )
            return None
        service_port = labels.get("PORT") or port.service_port or self._assigned.get(index)
        if service_port and 0 < service_port < 65536:
            return int(service_port)
        reason = (
            f"is no port from 1 to 65535; HAPROXY_{index}_PORT names another"
            if service_port
            else self._no_service_port(index)
        )
        problems.append(
            Problem(app.id, index, "servicePort", str(service_port or ""), reason, kind=SERVICE_PORT)
        )
        return None

    def _no_service_port(self, index: int) -> str:
        """Return the reason why a port has no service port; it names the range of the options if that is full."""
        settings = self._settings
        low, high = settings.min_serv_port_ip_per_task, settings.max_serv_port_ip_per_task
        full = ""
        if high and (self._app.labels or self._app.networking is Networking.CONTAINER):
            options = "from --min-serv-port-ip-per-task to --max-serv-port-ip-per-task"
            full = f", and {options} ({low} to {high}) none is free"
        return f"Marathon gives no service port for it{full}; HAPROXY_{index}_PORT names one"

    def _checks_own_port(self, index: int, labels: PortLabels, problems: list[Problem]) -> bool:
        """Return True if the port that health checks go to is one of the app's."""
        check_index = labels.get("BACKEND_HEALTHCHECK_PORT_INDEX")
        if check_index is None or check_index < len(self._app.ports):
            return True
        label = f"HAPROXY_{index}_BACKEND_HEALTHCHECK_PORT_INDEX"
        reason = ports_of(self._app)
        problems.append(Problem(self._app.id, index, label, str(check_index), reason, kind=LABEL_VALUE))
        return False

    def _labelled(self, index: int, labels: PortLabels, service_port: int) -> Service:
        """Return the service of a port by its labels, with their contradictions."""
        app = self._app
        check = self._health_check(index, labels)
        hosts = labels.get("VHOST", ())
        paths, ignore_case = labels.get("PATH", ((), False))
        passthrough = labels.get("TLS_PASSTHROUGH", False)
        backend_ssl = "" if passthrough else labels.get("BACKEND_SSL", "")
        return Service(
            app_id=app.id,
            port_index=index,
            service_port=service_port,
            backend=backend_name(app.id, service_port),
            mode="tcp" if passthrough else labels.get("MODE") or self._default_mode(index, hosts),
            hosts=hosts,
            paths=paths,
            ignore_path_case=ignore_case,
            weight=labels.get("BACKEND_WEIGHT"),
            bind_addr=labels.get("BIND_ADDR", "*"),
            bind_options=labels.get("BIND_OPTIONS", ""),
            ssl_certs=() if passthrough else labels.get("SSL_CERT", ()),
            balance=labels.get("BALANCE", "roundrobin"),
            sticky=labels.get("STICKY", False),
            redirect_to_https=labels.get("REDIRECT_TO_HTTPS", False),
            use_hsts=labels.get("USE_HSTS", False),
            auth=labels.get("AUTH"),
            networks=labels.get("BACKEND_NETWORK_ALLOWED_ACL", ()),
            proxypass_path=labels.get("HTTP_BACKEND_PROXYPASS_PATH"),
            revproxy_path=labels.get("HTTP_BACKEND_REVPROXY_PATH"),
            redirect_path=labels.get("HTTP_BACKEND_REDIR"),
            health_check=check,
            check_index=labels.get("BACKEND_HEALTHCHECK_PORT_INDEX"),
            passthrough=hosts if passthrough else (),
            backend_ssl=self._settings.system_ca if backend_ssl == VERIFY else backend_ssl,
            backend_proto=labels.get("BACKEND_PROTO", ""),
            maxconn=labels.get("MAXCONN"),
            rate_limit=labels.get("RATE_LIMIT"),
            maintenance=labels.get("MAINTENANCE", False),
            cors=labels.get("CORS", ()),
            timeout_server=labels.get("TIMEOUT_SERVER"),
            timeout_tunnel=labels.get("TIMEOUT_TUNNEL"),
            overrides=labels.templates,
            servers=self._servers(index, labels, check),
            since=app.config_changed_at or app.version,
            app=self._lasting,
        )

    def _health_check(self, index: int, labels: PortLabels) -> HealthCheck | None:
        """Return the health check of a port: that of the port which its label names, else its own."""
        own = self._checks.of_port(index)
        check_index = labels.get("BACKEND_HEALTHCHECK_PORT_INDEX")
        return own if check_index is None else self._checks.of_port(check_index) or own

    def _default_mode(self, index: int, hosts: tuple[str, ...]) -> str:
        """Return the mode of a port without a label: http if it has hosts or its own health check speaks HTTP."""
        own = self._checks.of_port(index)
        return "http" if hosts or (own is not None and own.protocol in HTTP_CHECKS) else "tcp"

    @cached_property
    def _lasting(self) -> App:
        return lasting(self._app)

    def _servers(self, index: int, labels: PortLabels, check: HealthCheck | None) -> tuple[Server, ...]:
        app = self._app
        check_index = labels.get("BACKEND_HEALTHCHECK_PORT_INDEX")

        def check_port(task: Task) -> int | None:
            if check_index is not None:
                return port_at(app, task, check_index)
            return check.port if check is not None and check.port else None

        servers = servers_of(
            app,
            index,
            self._resolve,
            need_health=self._settings.health_check and bool(app.health_checks),
            check_port=check_port,
            slot=self._slots[index],
        )
        weight = labels.get("WEIGHT")
        if weight is None:
            return servers
        return tuple(msgspec.structs.replace(server, weight=weight) for server in servers)

    def _host_warnings(self, index: int) -> list[Problem]:
        """Return a problem if the label of the hosts holds more than host names."""
        label = f"HAPROXY_{index}_VHOST"
        text = self._app.labels.get(label, "")
        warnings = (values.host_warning(item) for item in re.split(r"[,\s]+", text) if item)
        reason = "; ".join(islice(filter(None, warnings), limits.HINTS))
        if not reason:
            return []
        return [Problem(self._app.id, index, label, text, reason, fatal=False, kind=HOST_NAME)]

    def _with_usable_password(self, service: Service, problems: list[Problem]) -> Service:
        """Return a service whose password costs HAProxy no more than it may; a problem if no password opens it."""
        assert service.auth is not None
        auth, reason = passwords.usable(service.auth, self._settings.max_password_cost)
        if reason:
            index = service.port_index
            label = f"HAPROXY_{index}_AUTH"
            problems.append(
                Problem(self._app.id, index, label, "***", reason, fatal=False, kind=PASSWORD_HASH)
            )
        return evolve(service, auth=auth)


def lasting(app: App) -> App:
    """Return an app as its owner defined it: without its tasks, their number and the dates."""
    return msgspec.structs.replace(app, tasks=(), instances=0, version="", config_changed_at="")
