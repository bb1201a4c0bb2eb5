"""Find the label whose value is in a line that HAProxy refuses, if a default template wrote the line."""

from __future__ import annotations

from marathonlb.routing.services.model import Service

_WRITTEN = {
    "HAPROXY_USERLIST_HEAD": "AUTH",
    "HAPROXY_BACKEND_CORS": "CORS",
    "HAPROXY_BACKEND_RATE_LIMIT": "RATE_LIMIT",
    "HAPROXY_HTTP_BACKEND_PROXYPASS_GLUE": "HTTP_BACKEND_PROXYPASS_PATH",
    "HAPROXY_HTTP_BACKEND_REVPROXY_GLUE": "HTTP_BACKEND_REVPROXY_PATH",
    "HAPROXY_HTTP_BACKEND_REDIR": "HTTP_BACKEND_REDIR",
}
"""The label whose value is in the lines of each of these default templates."""


def label_of(label: str, service: Service, message: str) -> str:
    """
    Return the full name of the label that an app's owner has to fix.

    :param label: the label or template that `marathonlb.haproxy.diagnostics.blame.Blamed` names.
    :param message: HAProxy's complaint.
    """
    name = _WRITTEN.get(label)
    if label == "HAPROXY_FRONTEND_HEAD" and any(path in message for path in service.ssl_certs):
        name = "SSL_CERT"
    elif label == "HAPROXY_FRONTEND_HEAD" and service.bind_addr != "*" and f"'{service.bind_addr}" in message:
        name = "BIND_ADDR"
    elif label == "HAPROXY_FRONTEND_HEAD" and service.bind_options and "cannot bind" not in message:
        name = "BIND_OPTIONS"
    elif label == "HAPROXY_BACKEND_HEAD" and service.balance != "roundrobin":
        name = "BALANCE"
    return f"HAPROXY_{service.port_index}_{name}" if name else label
