"""
The variables that templates are given.

Each contract variable is given to every template of a service; the names never change, since operators have years of
overrides written against them. Those that the contract does not name (``hostAcl``, ``hostMatch``, ``pathAcl``,
``pathMatch``, ``httpsPort``, ``appIdWord``, ``ratePeers`` and those of `_path_variables` and `_limit_variables`) are
what our defaults need besides.
"""

from __future__ import annotations

import re
from typing import Any

from marathonlb.config.text.model import DIRECTORY
from marathonlb.routing.hosts import is_wildcard
from marathonlb.routing.labels.tls import server_words as tls_words
from marathonlb.routing.names import acl_stem, clean_app_id, clean_host
from marathonlb.routing.rules import AclRule
from marathonlb.routing.services.model import Service
from marathonlb.routing.services.servers import Server
from marathonlb.settings import Settings

HOST = "req.hdr(host),host_only,lower,rtrim(.)"
"""The Host header as every rule compares it: without its port, in lower case, and without the dot of the DNS's root."""

LIST_SUFFIX = ".crt-list"
"""The end of the name of a file that lists certificates."""

_ESCAPED = re.compile(r"([\\ #\"'])")
_IN_QUOTES = re.compile(r"([\\\"$])")


def escaped(text: str) -> str:
    """
    One word of HAProxy's configuration language, whatever characters it holds.

    A ``$`` stands for itself outside of quotes, and a backslash before it would stay.
    """
    return _ESCAPED.sub(r"\\\1", text)


def log_format(text: str) -> str:
    """A word where HAProxy reads a log format, in which ``%`` begins an expression."""
    return escaped(text.replace("%", "%%"))


def quoted_realm(realm: str) -> str:
    """
    A realm between double quotes of the configuration.

    HAProxy puts it between the quotes of a header as it is, so a quote in it is escaped once for each of the two.
    """
    return _IN_QUOTES.sub(r"\\\1", re.sub(r"([\\\"])", r"\\\1", realm))


def location_hosts(service: Service) -> str:
    """
    A regular expression for the hosts of ``Location`` headers that mean the service itself.

    Its virtual hosts, and IPv4 addresses: a task that knows no better names its own.
    """
    exact = [re.escape(host) for host in service.hosts if not is_wildcard(host)]
    wild = [r"[^/]+" + re.escape(host[1:]) for host in service.hosts if is_wildcard(host)]
    return escaped("|".join([*exact, *wild, "[0-9.]+"]))


def certificates(paths: tuple[str, ...]) -> str:
    """``crt A crt B``, and ``crt-list A`` for a list."""
    return " ".join(f"crt-list {path}" if path.endswith(LIST_SUFFIX) else f"crt {path}" for path in paths)


def https_port(settings: Settings) -> str:
    """What a redirect to https adds to the host: nothing for port 443, else ``:PORT``."""
    port = settings.bind_https.rpartition(":")[2]
    return "" if port in ("443", "") else f":{port}"


def shared_variables(settings: Settings) -> dict[str, Any]:
    """The variables of the templates that belong to no service."""
    options = settings.environment.get(
        "HAPROXY_GLOBAL_DEFAULT_OPTIONS", "redispatch,http-server-close,dontlognull"
    )
    words = [word.strip() for word in options.split(",") if word.strip()]
    return {
        "settings": settings,
        "sslCerts": certificates(settings.ssl_certs),
        "haproxy_dir": DIRECTORY,
        "options": ["redispatch 1" if word == "redispatch" else word for word in words],
    }


def service_variables(service: Service, settings: Settings) -> dict[str, Any]:
    """The variables of one service; those of a server, a network or a rule are added to them."""
    realm, user, passwd = service.auth or ("", "", "")
    files = service.files
    ssl = f" ssl {certificates(files.certs)}" if files.certs else ""
    variables: dict[str, Any] = {
        "service": service,
        "app": service.app,
        "settings": settings,
        "haproxy_dir": DIRECTORY,
        "sslCerts": certificates(settings.ssl_certs),
        "httpsPort": https_port(settings),
        "backend": service.backend,
        "frontend": service.frontend,
        "bindAddr": service.bind_addr,
        "servicePort": service.service_port,
        "mode": service.mode,
        "balance": service.balance,
        "sslCert": ssl,
        "sslCertOptions": ssl,
        "bindOptions": f" {files.bind_options}" if files.bind_options else "",
        "hostname": service.hosts[0] if service.hosts else "",
        "cleanedUpHostname": acl_stem(service.hosts, service.app_id),
        "appId": service.app_id,
        "appIdWord": escaped(service.app_id),
        "cleanedUpAppId": clean_app_id(service.app_id),
        "path": " ".join(service.paths),
        "realm": quoted_realm(realm),
        "user": escaped(user),
        "passwd": escaped(passwd),
        "proxypath": service.proxypass_path or "",
        "rootpath": service.revproxy_path or "",
        "redirpath": service.redirect_path or "",
        "network_allowed": service.networks[0] if service.networks else "",
        **_limit_variables(service),
    }
    if service.proxypass_path or service.revproxy_path or service.redirect_path:
        variables |= _path_variables(service)
    variables |= _check_variables(service)
    variables |= rule_variables(service, None)
    return variables


def _path_variables(service: Service) -> dict[str, Any]:
    """What our defaults need to rewrite paths, each as the place where it stands reads it."""
    root = (service.revproxy_path or "").rstrip("/")
    return {
        "proxypathRegex": escaped(re.escape((service.proxypass_path or "").rstrip("/"))),
        "rootpathRegex": escaped(re.escape(root)),
        "rootpathFormat": log_format(root.replace("\\", "\\\\")),
        "redirpathFormat": log_format(service.redirect_path or ""),
        "locationHosts": location_hosts(service),
    }


def _limit_variables(service: Service) -> dict[str, Any]:
    """What the labels that are ours alone say; empty where they say nothing."""
    most, period = service.rate_limit or ("", "")
    return {
        "rateLimit": most,
        "ratePeriod": period,
        "corsOrigins": " ".join(_origin(origin) for origin in service.cors),
        "corsCredentials": "true" if service.cors and "*" not in service.cors else "",
        "timeoutServer": service.timeout_server or "",
        "timeoutTunnel": service.timeout_tunnel or "",
    }


def _origin(origin: str) -> str:
    """One origin as a regular expression, a word of HAProxy's configuration; ``*`` is any."""
    if origin == "*":
        return ".+"
    words = re.escape(origin).replace(r"://\*\.", "://[^/:]+[.]")
    return escaped(f"^{words}$")


def _check_variables(service: Service) -> dict[str, Any]:
    check = service.health_check
    if check is None:
        return dict.fromkeys(_CHECK_NAMES, "")
    return {
        "healthCheckPortIndex": "" if check.port_index is None else check.port_index,
        "healthCheckPort": check.port or "",
        "healthCheckProtocol": check.protocol,
        "healthCheckPath": escaped("/" + (check.path or "").removeprefix("/")),
        "healthCheckTimeoutSeconds": _within(check.timeout_seconds, _LONGEST),
        "healthCheckIntervalSeconds": _within(check.interval_seconds, _LONGEST),
        "healthCheckGracePeriodSeconds": check.grace_period_seconds,
        "healthCheckMaxConsecutiveFailures": check.max_consecutive_failures,
        "healthCheckFalls": _within(check.max_consecutive_failures + 1, _MOST),
        "healthCheckIgnoreHttp1xx": str(check.ignore_http1xx).lower(),
        "healthCheckPortOptions": "",
    }


_LONGEST = 2_000_000
"""Seconds; HAProxy counts milliseconds in 31 bits."""

_MOST = 1_000_000


def _within(number: int, most: int) -> int:
    return max(1, min(number, most))


_CHECK_NAMES = (
    "healthCheckPortIndex",
    "healthCheckPort",
    "healthCheckProtocol",
    "healthCheckPath",
    "healthCheckTimeoutSeconds",
    "healthCheckIntervalSeconds",
    "healthCheckGracePeriodSeconds",
    "healthCheckMaxConsecutiveFailures",
    "healthCheckFalls",
    "healthCheckIgnoreHttp1xx",
    "healthCheckPortOptions",
)


def rule_variables(service: Service, rule: AclRule | None, host: str | None = None) -> dict[str, Any]:
    """
    The variables of one routing rule: the host it is about, the names and the matches of its ACLs.

    HAProxy takes two ACLs of one name for one ACL that fits both. So ours have a colon in their names, which neither a
    host nor a backend can hold.
    """
    hosts = rule.hosts if rule else service.hosts
    host = host if host is not None else (hosts[0] if hosts else "")
    paths = rule.paths if rule else service.paths
    number = f":{rule.number}" if rule and rule.number else ""
    named = rule is None or rule.overridden
    stem = acl_stem(hosts, service.app_id) + (f":{service.backend}" if rule and rule.alike else "")
    fetch = f"{HOST} -m "
    return {
        "hostname": host,
        "cleanedUpHostname": stem,
        "hostAcl": stem if named else f"{clean_host(hosts)}:{service.backend}{number}",
        "hostMatch": fetch + (f"end {host[1:]}" if is_wildcard(host) else f"str {host}"),
        "path": " ".join(paths),
        "pathAcl": service.backend + number,
        "pathMatch": " ".join(
            ["path_beg", *(["-i"] if service.ignore_path_case else []), *(escaped(path) for path in paths)]
        ),
    }


SERVER_VARIABLES = frozenset(
    {
        "serverName",
        "serverId",
        "host",
        "host_ipv4",
        "port",
        "cookieOptions",
        "otherOptions",
        "healthCheckOptions",
        "healthCheckPortOptions",
    }
)
"""The variables that differ from server to server."""


def server_variables(server: Server, service: Service) -> dict[str, Any]:
    """The variables of one server; ``healthCheckOptions`` is rendered from its template and added by the caller."""
    check_port = f" port {server.check_port}" if server.check_port != server.port else ""
    return {
        "serverName": server.name,
        "serverId": server.id,
        "host": server.host,
        "host_ipv4": f"[{server.address}]" if ":" in server.address else server.address,
        "port": server.port,
        "cookieOptions": f" check cookie {server.cookie}" if service.sticky else "",
        "otherOptions": _other_options(server, service),
        "healthCheckPortOptions": check_port,
    }


def _other_options(server: Server, service: Service) -> str:
    words = "" if server.weight is None else f" weight {server.weight}"
    words += "" if service.maxconn is None else f" maxconn {service.maxconn}"
    authority = service.backend_ssl if service.copied_files is None else service.copied_files.authority
    if authority or service.backend_proto:
        words += tls_words(authority, service.backend_proto, hosts=service.hosts, host=server.host)
    return words
