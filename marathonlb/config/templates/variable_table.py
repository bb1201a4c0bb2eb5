"""
The table of the variables that templates are given, for those who write templates.

The names never change. `marathonlb.config.templates.variables` gives them their values, and adds what only our
defaults need.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class Variable:
    """
    One row of the table.

    :param names: one, or several of one meaning.
    :param scope: where it has a value: ``service``, ``check`` (of a service, where it has one), ``server``.
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
    ("bindOptions", "service", "empty, or a blank and what the label says"),
    ("hostname", "service", "one virtual host: the first, or the one that a rule is about"),
    ("cleanedUpHostname", "service", "what the names of the hosts' ACLs end in: `host_{cleanedUpHostname}`"),
    ("appId", "service", "the app's id, with its slashes"),
    ("cleanedUpAppId", "service", "the same as a part of an ACL's name"),
    ("path", "service", "the path prefixes, a blank between two"),
    ("realm user passwd", "service", "the parts of `HAPROXY_{n}_AUTH`; the realm fits between double quotes"),
    ("proxypath", "service", "`HAPROXY_{n}_HTTP_BACKEND_PROXYPASS_PATH`"),
    ("rootpath", "service", "`HAPROXY_{n}_HTTP_BACKEND_REVPROXY_PATH`"),
    ("redirpath", "service", "`HAPROXY_{n}_HTTP_BACKEND_REDIR`"),
    ("network_allowed", "service", "one network of clients; its template is written once for each"),
    ("haproxy_dir", "service", "the directory of haproxy.cfg, in which the map files lie"),
    ("sslCerts", "service", "the shared certificates: `crt A crt B`; HTTPS_FRONTEND_HEAD has it, too"),
    ("healthCheckProtocol", "check", "`HTTP`, `HTTPS`, `TCP` or `MESOS_…`"),
    ("healthCheckPath", "check", "the path that is asked for; `/` where none is named"),
    (
        "healthCheckPort healthCheckPortIndex",
        "check",
        "the fixed port, or which of the app's ports is checked",
    ),
    (
        "healthCheckIntervalSeconds healthCheckTimeoutSeconds healthCheckGracePeriodSeconds",
        "check",
        "seconds",
    ),
    ("healthCheckMaxConsecutiveFailures", "check", "as the app has it"),
    ("healthCheckFalls", "check", "one more than that"),
    ("healthCheckIgnoreHttp1xx", "check", "`true` or `false`"),
    (
        "healthCheckPortOptions",
        "check",
        "empty, or a blank and `port N` where another port than the server's is checked",
    ),
    ("serverName", "server", "host, task's address and port, joined by `_`"),
    ("serverId", "server", "1 to 32767, the same for the same name as long as the backend lets it be"),
    ("host", "server", "the agent, or the task's address in container networking"),
    ("host_ipv4", "server", "the address to connect to, IPv6 in brackets"),
    ("port", "server", "the port to connect to"),
    ("cookieOptions", "server", "empty, or a blank and `check cookie VALUE` where the service is sticky"),
    ("healthCheckOptions", "server", "what BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS or its TCP twin comes to"),
    (
        "otherOptions",
        "server",
        "a blank before each word: `weight 0` of a task that drains, and what labels add",
    ),
)
