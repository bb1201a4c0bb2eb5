"""Labels that have no effect beside others of the same port: one table of rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attrs import evolve
from msgspec import Struct

from marathonlb.marathon.model import App
from marathonlb.problem_kinds.apps import LABEL_NO_EFFECT
from marathonlb.routing.labels import values
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.model import Service

_UNSET: dict[str, Any] = {
    "hosts": (),
    "paths": (),
    "redirect_to_https": False,
    "auth": None,
    "backend_proto": "",
}
"""The fields of a service that rules reset, with the value that they have without a label."""

_HTTP_FIELDS = ("hosts", "paths", "redirect_to_https", "auth", "backend_proto")
_HOST_FIELDS = ("paths", "redirect_to_https", "auth")

_HTTP_LABELS = (
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
"""The labels that have an effect in mode http alone."""

_DECRYPTING_LABELS = (*(name for name in _HTTP_LABELS if name != "VHOST"), "SSL_CERT", "BACKEND_SSL")
"""The labels that need the load balancer to terminate TLS."""


class _Port(Struct, frozen=True):
    """
    A port of an app with its labels.

    :param service: the port by its labels, with their contradictions.
    """

    app: App
    service: Service

    def text(self, name: str) -> str:
        """Return the text of a label of the port; empty if it has none."""
        return self.app.labels.get(f"HAPROXY_{self.service.port_index}_{name}", "")

    @property
    def passes_tls(self) -> bool:
        """True if its TLS is passed through."""
        return bool(values.boolean(self.text("TLS_PASSTHROUGH")))

    @property
    def asks_for_http(self) -> bool:
        """True if its label names mode http."""
        return self.text("MODE").strip().lower() == "http"


class _Contradiction(Struct, frozen=True):
    """
    A rule: which labels have no effect, and when.

    :param applies: returns True if the rule applies to a port.
    :param labels: the names of the labels without ``HAPROXY_{n}_``.
    :param reason: the reason of the problem; ``{n}`` is the index of the port.
    :param resets: the fields of the service that are reset.
    """

    applies: Callable[[_Port], bool]
    labels: tuple[str, ...]
    reason: str
    resets: tuple[str, ...] = ()


_NO_DECRYPTION = "has no effect with TLS_PASSTHROUGH: the connections are not decrypted here"
_NEEDS_HOST = "needs HAPROXY_{n}_VHOST"

_PASSED = (
    _Contradiction(lambda port: True, _DECRYPTING_LABELS, _NO_DECRYPTION, _HTTP_FIELDS),
    _Contradiction(lambda port: port.asks_for_http, ("MODE",), _NO_DECRYPTION),
    _Contradiction(lambda port: not port.service.hosts, ("TLS_PASSTHROUGH",), _NEEDS_HOST),
)
"""The rules of ports whose TLS is passed through."""

_TCP = (_Contradiction(lambda port: True, _HTTP_LABELS, "has no effect in mode tcp", _HTTP_FIELDS),)
"""The rules of other ports in mode tcp."""

_HTTP = (
    _Contradiction(
        lambda port: not port.service.hosts and any(getattr(port.service, name) for name in _HOST_FIELDS),
        ("PATH", "REDIRECT_TO_HTTPS", "AUTH"),
        _NEEDS_HOST,
        _HOST_FIELDS,
    ),
)
"""The rules of ports in mode http."""


def without_contradictions(app: App, service: Service, problems: list[Problem]) -> Service:
    """Return a service without the labels that have no effect; each of them becomes a warning."""
    port = _Port(app, service)
    table = _PASSED if port.passes_tls else _TCP if service.mode != "http" else _HTTP
    for rule in table:
        if rule.applies(port):
            problems.extend(_warnings(port, rule))
            service = _reset(service, rule.resets)
    return service


def _warnings(port: _Port, rule: _Contradiction) -> Iterator[Problem]:
    """Yield a warning for each label of a rule, unless it says no."""
    index = port.service.port_index
    for name in rule.labels:
        text = port.text(name)
        if text.strip().lower() not in values.NOTHING:
            shown = "***" if name == "AUTH" else text
            reason = rule.reason.replace("{n}", str(index))
            label = f"HAPROXY_{index}_{name}"
            yield Problem(port.app.id, index, label, shown, reason, fatal=False, kind=LABEL_NO_EFFECT)


def _reset(service: Service, fields: tuple[str, ...]) -> Service:
    present = [name for name in fields if getattr(service, name)]
    return evolve(service, **{name: _UNSET[name] for name in present}) if present else service
