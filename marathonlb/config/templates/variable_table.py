"""
The table of the documented variables of templates.

The names never change. `marathonlb.config.templates.variables` sets their values, and adds the variables that only our
defaults use.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class Variable:
    """
    One row of the table.

    :param names: one variable, or several with related meanings.
    :param scope: where it has a value: ``service``, ``check`` (of services with a health check) or ``server``.
    :param doc: description, in Markdown.
    """

    names: tuple[str, ...]
    scope: str
    doc: str


def _rows(*rows: tuple[str, str, str]) -> tuple[Variable, ...]:
    return tuple(Variable(tuple(names.split()), scope, doc) for names, scope, doc in rows)


VARIABLES: tuple[Variable, ...] = _rows(
    ("backend", "service", "the backend's name: the app's id with `_` for `/`, `_` and the service port"),
    ("frontend", "service", "the name of the service port's own frontend"),
    ("bindAddr", "service", "the address that the service port is bound to"),
    ("servicePort", "service", "the service port"),
    ("mode", "service", "`http` or `tcp`"),
    ("balance", "service", "the balance algorithm with its arguments"),
    ("sslCert sslCertOptions", "service", "empty, or a blank and `ssl crt FILE`"),
    ("bindOptions", "service", "empty, or a blank and the label's value"),
    ("hostname", "service", "one virtual host: the first one, or the one of the rule"),
    (
        "cleanedUpHostname",
        "service",
        "the suffix of the names of the hosts' ACLs: `host_{cleanedUpHostname}`",
    ),
    ("appId", "service", "the app's id, with its slashes"),
    ("cleanedUpAppId", "service", "the app's id as a part of an ACL's name"),
    ("path", "service", "the path prefixes, separated by blanks"),
    ("realm user passwd", "service", "the parts of `HAPROXY_{n}_AUTH`; the realm fits between double quotes"),
    ("proxypath", "service", "`HAPROXY_{n}_HTTP_BACKEND_PROXYPASS_PATH`"),
    ("rootpath", "service", "`HAPROXY_{n}_HTTP_BACKEND_REVPROXY_PATH`"),
    ("redirpath", "service", "`HAPROXY_{n}_HTTP_BACKEND_REDIR`"),
    ("network_allowed", "service", "one network of clients; its template is written once for each network"),
    ("haproxy_dir", "service", "the directory of haproxy.cfg and of the map files"),
    ("sslCerts", "service", "the shared certificates: `crt A crt B`; HTTPS_FRONTEND_HEAD has it too"),
    ("healthCheckProtocol", "check", "`HTTP`, `HTTPS`, `TCP` or `MESOS_…`"),
    ("healthCheckPath", "check", "the path of the check; `/` if the app names none"),
    (
        "healthCheckPort healthCheckPortIndex",
        "check",
        "the fixed port, or the index of the checked port",
    ),
    (
        "healthCheckIntervalSeconds healthCheckTimeoutSeconds healthCheckGracePeriodSeconds",
        "check",
        "seconds",
    ),
    ("healthCheckMaxConsecutiveFailures", "check", "as in the app's definition"),
    ("healthCheckFalls", "check", "`healthCheckMaxConsecutiveFailures` plus one"),
    ("healthCheckIgnoreHttp1xx", "check", "`true` or `false`"),
    (
        "healthCheckPortOptions",
        "check",
        "empty, or a blank and `port N` if another port than the server's is checked",
    ),
    ("serverName", "server", "host, task's address and port, joined by `_`"),
    (
        "serverId",
        "server",
        "1 to 32767, the same for the same name unless another server of the backend has it",
    ),
    ("host", "server", "the agent, or the task's address in container networking"),
    ("host_ipv4", "server", "the address to connect to, IPv6 in brackets"),
    ("port", "server", "the port to connect to"),
    ("cookieOptions", "server", "empty, or a blank and `check cookie VALUE` if the service is sticky"),
    (
        "healthCheckOptions",
        "server",
        "the text of BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS, or of the same for TCP",
    ),
    (
        "otherOptions",
        "server",
        "a blank before each word: `weight 0` of a draining task, and what labels add",
    ),
)
