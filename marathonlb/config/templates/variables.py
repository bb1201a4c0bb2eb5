"""
The values of the variables of templates. Pure.

Every template of a service gets each documented variable (`marathonlb.config.templates.variable_table`). Their names
never change, because operators have written overrides with them for years. The undocumented ones (``hostAcl``,
``hostMatch``, ``pathAcl``, ``pathMatch``, ``httpsPort``, ``appIdWord``, ``ratePeers``, those of `_path_variables` and
those of `_limit_variables`) are for our defaults only.
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
"""The Host header as every rule compares it: without the port, in lower case, without a trailing dot."""

LIST_SUFFIX = ".crt-list"
"""Suffix of the name of a file that lists certificates."""

_ESCAPED = re.compile(r"([\\ #\"'])")
_IN_QUOTES = re.compile(r"([\\\"$])")


def escaped(text: str) -> str:
    """
    Return any text as one word of HAProxy's configuration.

    ``$`` is not escaped: outside of quotes it is literal, and HAProxy would keep a backslash before it.
    """
    return _ESCAPED.sub(r"\\\1", text)


def log_format(text: str) -> str:
    """Return a text as one word of a HAProxy log format, in which ``%`` begins an expression."""
    return escaped(text.replace("%", "%%"))


def quoted_realm(realm: str) -> str:
    """
    Return a realm as text between double quotes of HAProxy's configuration.

    HAProxy copies the realm between the quotes of a header, so a quote is escaped twice: for the header and the file.
    """
    return _IN_QUOTES.sub(r"\\\1", re.sub(r"([\\\"])", r"\\\1", realm))


def location_hosts(service: Service) -> str:
    """
    Return a regular expression for the hosts in ``Location`` headers that mean the service itself.

    These are its virtual hosts, and IPv4 addresses: a task may name its own address.
    """
    exact = [re.escape(host) for host in service.hosts if not is_wildcard(host)]
    wild = [r"[^/]+" + re.escape(host[1:]) for host in service.hosts if is_wildcard(host)]
    return escaped("|".join([*exact, *wild, "[0-9.]+"]))


def certificates(paths: tuple[str, ...]) -> str:
    """Return the words for certificates on a bind line: ``crt A crt B``, or ``crt-list A`` for a list."""
    return " ".join(f"crt-list {path}" if path.endswith(LIST_SUFFIX) else f"crt {path}" for path in paths)


def https_port(settings: Settings) -> str:
    """Return the suffix of the host in redirects to https: empty for port 443, else ``:PORT``."""
    port = settings.bind_https.rpartition(":")[2]
    return "" if port in ("443", "") else f":{port}"


def shared_variables(settings: Settings) -> dict[str, Any]:
    """Return the variables of the templates that belong to no service."""
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
    """Return the variables of one service; those of a server, a network or a rule are added to them."""
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
    """Return the variables with which our defaults rewrite paths, each escaped for its place."""
    root = (service.revproxy_path or "").rstrip("/")
    return {
        "proxypathRegex": escaped(re.escape((service.proxypass_path or "").rstrip("/"))),
        "rootpathRegex": escaped(re.escape(root)),
        "rootpathFormat": log_format(root.replace("\\", "\\\\")),
        "redirpathFormat": log_format(service.redirect_path or ""),
        "locationHosts": location_hosts(service),
    }


def _limit_variables(service: Service) -> dict[str, Any]:
    """Return the variables for limits, CORS and timeouts; empty if the label is missing."""
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
    """Return one origin as a regular expression, one word of HAProxy's configuration; ``*`` matches any."""
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
        "healthCheckFalls": _within(check.max_consecutive_failures + 1, _MOST_FAILURES),
        "healthCheckIgnoreHttp1xx": str(check.ignore_http1xx).lower(),
        "healthCheckPortOptions": "",
    }


_LONGEST = 2_000_000
"""Maximum seconds of an interval; HAProxy counts milliseconds in 31 bits."""

_MOST_FAILURES = 1_000_000
"""Maximum number of failed checks."""


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
    Return the variables of one routing rule: its host, and the names and matches of its ACLs.

    HAProxy merges ACLs with the same name into one that matches either. So the names of ours have a colon, which no
    host and no backend has.
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
"""The names of the variables that differ between the servers of a service."""


def server_variables(server: Server, service: Service) -> dict[str, Any]:
    """Return the variables of one server; the caller adds ``healthCheckOptions``, which has a template of its own."""
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
