"""
From apps to services: what each port of each app offers, by its labels.

A `Service` is all that the renderer needs to know of one port; a `Problem` is what its owner should mend.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import accumulate, islice

import msgspec
from attrs import evolve

from marathonlb import limits
from marathonlb.marathon.model import App, Networking, Task, id_in_cluster
from marathonlb.problem_kinds.apps import (
    HOST_NAME,
    LABEL_NO_EFFECT,
    LABEL_VALUE,
    PASSWORD_HASH,
    PROTOCOL,
    SERVICE_PORT,
)
from marathonlb.routing.labels import values
from marathonlb.routing.labels.parse import NOTHING, PortLabels, parse_labels
from marathonlb.routing.labels.selection import in_group, why_not_offered
from marathonlb.routing.labels.tls import VERIFY
from marathonlb.routing.lines import passwords
from marathonlb.routing.names import backend_name
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.counts import beyond, ports_of, served_ports, too_long, with_few_hosts
from marathonlb.routing.services.health_checks import HTTP_CHECKS, PortChecks
from marathonlb.routing.services.model import AppServices, Service
from marathonlb.routing.services.servers import Resolve, Server, port_at, servers_of
from marathonlb.settings import Settings


def services_of(
    app: App,
    settings: Settings,
    template_names: frozenset[str],
    resolve: Resolve,
    assigned: Mapping[int, int] | None = None,
) -> AppServices:
    """
    The services of one app.

    :param template_names: the templates that a label can override.
    :param resolve: gives the address of an agent's host, None where it has none.
    :param assigned: service ports by port index, for ports that Marathon gave none (IP per task).
    """
    if id_in_cluster(app.id) in settings.own_app_ids:
        return AppServices()
    labels = parse_labels(app, template_names)
    services: list[Service] = []
    problems: list[Problem] = []
    checks = PortChecks.of(app)
    slots = list(accumulate((port.on_host for port in app.ports), initial=0))
    ours = in_group(labels, NOTHING, settings.groups)
    for index in range(served_ports(app)):
        wanted = labels.port(index)
        own = list(wanted.problems)
        undecided = [
            problem for problem in own if problem.label.removeprefix(f"HAPROXY_{index}_") in _DECIDING
        ]
        if undecided:
            problems.extend(undecided)
            continue
        ours = ours or in_group(labels, wanted, settings.groups)
        if why_not_offered(labels, index, settings) is not None:
            continue
        service = _service(app, index, wanted, checks, settings, (assigned or {}).get(index), own)
        problems.extend(own)
        if service is not None and not any(problem.fatal for problem in own):
            servers = _servers(app, service, wanted.get("WEIGHT"), settings, resolve, slots[index])
            services.append(evolve(service, servers=servers))
    services = with_few_hosts(services, problems, grouped=settings.group_https_by_vhost)
    if (
        labels.problems
        or max(labels.ports, default=-1) >= len(app.ports)
        or served_ports(app) < len(app.ports)
    ):
        general = (*labels.problems, *beyond(app, labels))
        problems.extend(problem for problem in general if ours or problem.fatal)
        if any(problem.fatal for problem in general):
            services = []
    return AppServices(tuple(services), tuple(problems), labels.values)


_DECIDING = frozenset({"GROUP", "ENABLED", "…"})
"""
The labels that say whether a port is ours at all, and those that are not read: where one is wrong nobody knows, and the
port is left out.
"""


def _service(
    app: App,
    index: int,
    labels: PortLabels,
    checks: PortChecks,
    settings: Settings,
    assigned: int | None,
    problems: list[Problem],
) -> Service | None:
    service_port = _service_port(app, index, labels, settings, assigned, problems)
    if service_port is None or not _names_a_port_to_check(app, index, labels, problems):
        return None
    offered = _offered(app, index, labels, checks, settings, service_port)
    return _without_contradictions(app, offered, settings, problems)


def _service_port(
    app: App,
    index: int,
    labels: PortLabels,
    settings: Settings,
    assigned: int | None,
    problems: list[Problem],
) -> int | None:
    """Where a port is offered; None, and the problem, where it cannot be."""
    port = app.ports[index]
    if "tcp" not in port.protocol:
        reason = "is not served: HAProxy balances TCP"
        problems.append(Problem(app.id, index, "protocol", port.protocol, reason, fatal=False, kind=PROTOCOL))
        return None
    service_port = labels.get("PORT") or port.service_port or assigned
    if service_port and 0 < service_port < 65536:
        return int(service_port)
    reason = (
        f"is no port from 1 to 65535; HAPROXY_{index}_PORT names another"
        if service_port
        else _no_port(app, index, settings)
    )
    problems.append(Problem(app.id, index, "servicePort", str(service_port or ""), reason, kind=SERVICE_PORT))
    return None


def _names_a_port_to_check(app: App, index: int, labels: PortLabels, problems: list[Problem]) -> bool:
    check_index = labels.get("BACKEND_HEALTHCHECK_PORT_INDEX")
    if check_index is None or check_index < len(app.ports):
        return True
    label = f"HAPROXY_{index}_BACKEND_HEALTHCHECK_PORT_INDEX"
    problems.append(Problem(app.id, index, label, str(check_index), ports_of(app), kind=LABEL_VALUE))
    return False


def _offered(
    app: App, index: int, labels: PortLabels, checks: PortChecks, settings: Settings, service_port: int
) -> Service:
    """A port as its labels say, contradictions and all."""
    own_check = checks.of_port(index)
    check_index = labels.get("BACKEND_HEALTHCHECK_PORT_INDEX")
    check = own_check if check_index is None else checks.of_port(check_index) or own_check
    hosts = labels.get("VHOST", ())
    http = bool(hosts) or (own_check is not None and own_check.protocol in HTTP_CHECKS)
    paths, ignore_case = labels.get("PATH", ((), False))
    passthrough = labels.get("TLS_PASSTHROUGH", False)
    backend_ssl = "" if passthrough else labels.get("BACKEND_SSL", "")
    return Service(
        app_id=app.id,
        port_index=index,
        service_port=service_port,
        backend=backend_name(app.id, service_port),
        mode="tcp" if passthrough else labels.get("MODE", "http" if http else "tcp"),
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
        check_index=check_index,
        passthrough=hosts if passthrough else (),
        backend_ssl=settings.system_ca if backend_ssl == VERIFY else backend_ssl,
        backend_proto=labels.get("BACKEND_PROTO", ""),
        maxconn=labels.get("MAXCONN"),
        rate_limit=labels.get("RATE_LIMIT"),
        maintenance=labels.get("MAINTENANCE", False),
        cors=labels.get("CORS", ()),
        timeout_server=labels.get("TIMEOUT_SERVER"),
        timeout_tunnel=labels.get("TIMEOUT_TUNNEL"),
        overrides=labels.templates,
        since=app.config_changed_at or app.version,
        app=lasting(app),
    )


def lasting(app: App) -> App:
    """What an app's owner has said of it: the app without its tasks, their number and the dates."""
    return msgspec.structs.replace(app, tasks=(), instances=0, version="", config_changed_at="")


def _no_port(app: App, index: int, settings: Settings) -> str:
    """Why a port has no service port: Marathon names none, and those of our range are taken or not for it."""
    low, high = settings.min_serv_port_ip_per_task, settings.max_serv_port_ip_per_task
    full = ""
    if high and (app.labels or app.networking is Networking.CONTAINER):
        full = f", and from --min-serv-port-ip-per-task to --max-serv-port-ip-per-task ({low} to {high}) none is free"
    return f"Marathon gives no service port for it{full}; HAPROXY_{index}_PORT names one"


def _without_contradictions(
    app: App, service: Service, settings: Settings, problems: list[Problem]
) -> Service:
    """What one label wants and another forbids: said to the owner, and settled for the rest."""
    index = service.port_index
    if any(
        problem.fatal for problem in problems
    ):  # it is not served, and what follows would follow from that
        return service
    if service.hosts and (warning := _host_warning(app, index)):
        problems.append(warning)
    if values.boolean(app.labels.get(f"HAPROXY_{index}_TLS_PASSTHROUGH", "")):
        wants_http = app.labels.get(f"HAPROXY_{index}_MODE", "").strip().lower() == "http"
        names = (*_INSIDE, "MODE") if wants_http else _INSIDE
        _warn(app, index, names, "has no effect with TLS_PASSTHROUGH: nobody looks inside here", problems)
        if not service.hosts:
            _warn(app, index, ("TLS_PASSTHROUGH",), f"needs HAPROXY_{index}_VHOST", problems)
        service = evolve(service, hosts=(), paths=(), redirect_to_https=False, auth=None, backend_proto="")
    elif service.mode != "http":
        _warn(app, index, _HTTP_ONLY, "has no effect in mode tcp", problems)
        if (
            service.hosts
            or service.paths
            or service.redirect_to_https
            or service.auth
            or service.backend_proto
        ):
            service = evolve(
                service, hosts=(), paths=(), redirect_to_https=False, auth=None, backend_proto=""
            )
    elif not service.hosts and (service.paths or service.redirect_to_https or service.auth):
        _warn(app, index, ("PATH", "REDIRECT_TO_HTTPS", "AUTH"), f"needs HAPROXY_{index}_VHOST", problems)
        service = evolve(service, paths=(), redirect_to_https=False, auth=None)
    if service.auth is not None:
        auth, reason = passwords.usable(service.auth, settings.max_password_cost)
        service = evolve(service, auth=auth)
        if reason:
            problems.append(
                Problem(
                    app.id, index, f"HAPROXY_{index}_AUTH", "***", reason, fatal=False, kind=PASSWORD_HASH
                )
            )
    problems.extend(too_long(service))
    return service


_HTTP_ONLY = (
    "BACKEND_PROTO",
    "VHOST",
    "PATH",
    "REDIRECT_TO_HTTPS",
    "AUTH",
    "STICKY",
    "USE_HSTS",
    "HTTP_BACKEND_PROXYPASS_PATH",
    "HTTP_BACKEND_REVPROXY_PATH",
    "HTTP_BACKEND_REDIR",
    "RATE_LIMIT",
    "CORS",
)


_INSIDE = (*(name for name in _HTTP_ONLY if name != "VHOST"), "SSL_CERT", "BACKEND_SSL")


def _warn(app: App, index: int, names: Iterable[str], reason: str, problems: list[Problem]) -> None:
    """A warning for each of these labels that asks for something."""
    for name in names:
        label = f"HAPROXY_{index}_{name}"
        text = app.labels.get(label, "")
        if text.strip().lower() not in values.NOTHING:
            shown = "***" if name == "AUTH" else text
            problems.append(Problem(app.id, index, label, shown, reason, fatal=False, kind=LABEL_NO_EFFECT))


def _host_warning(app: App, index: int) -> Problem | None:
    label = f"HAPROXY_{index}_VHOST"
    text = app.labels.get(label, "")
    said = (values.host_warning(item) for item in re.split(r"[,\s]+", text) if item)
    reason = "; ".join(islice(filter(None, said), limits.HINTS))
    return Problem(app.id, index, label, text, reason, fatal=False, kind=HOST_NAME) if reason else None


def _servers(
    app: App, service: Service, weight: int | None, settings: Settings, resolve: Resolve, slot: int
) -> tuple[Server, ...]:
    need_health = settings.health_check and bool(app.health_checks)

    def check_port(task: Task) -> int | None:
        check = service.health_check
        if service.check_index is not None:
            return port_at(app, task, service.check_index)
        return check.port if check is not None and check.port else None

    index = service.port_index
    servers = servers_of(app, index, resolve, need_health=need_health, check_port=check_port, slot=slot)
    if weight is not None:
        return tuple(msgspec.structs.replace(server, weight=weight) for server in servers)
    return servers
