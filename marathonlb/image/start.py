"""
Decides how a container starts: from arguments and environment to a `Start`. Pure, but for looking at paths.

The options are those of the daemon, with the same checks. So a wrong option ends the container with one line and status
2 before the controller starts.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from attrs import frozen

from marathonlb.errors import UsageError
from marathonlb.options import CommandLine, Face, Machine, options, settings_from, spread_marathons
from marathonlb.options.values import MODES, pause, redacted
from marathonlb.settings import Settings

RUNTIME = "/var/run/marathon-lb"
"""The directory of the image for the files of one container."""

DEVICES = "/dev"
"""The directory in which programs expect the syslog's socket."""

DRAIN = "MARATHON_LB_DRAIN_SECONDS"
"""The environment variable with the seconds that connections may continue after SIGTERM."""

DRAIN_SECONDS = 8.0
"""The default of `DRAIN`: two seconds less than the time limit of ``docker stop``."""

CERTIFICATES = ("HAPROXY_SSL_CERT", *(f"HAPROXY_SSL_CERT{number}" for number in range(101)))
"""The environment variables with certificates as PEM text."""

_SYSCTL = re.compile(r"[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)+")
_TRUE = ("1", "true", "yes", "on", "t", "y")


class ImageOptions(CommandLine, face=Face.DAEMON):
    """The daemon's options, after the mode."""

    synopsis = "docker-entrypoint sse|event ADDR|poll [options]"


@frozen
class Secret:
    """A text that is written to a file and not shown in any log or repr."""

    path: str
    text: str

    def __repr__(self) -> str:
        return f"Secret({self.path!r})"


@frozen
class Start:
    """
    The start of a container.

    :param settings: the settings of the controller.
    :param arguments: the arguments of ``twistd marathon-lb``, without secrets.
    :param environ: the controller's environment.
    :param certificates: files to write, readable only by their owner.
    :param self_signed: the path for a self-signed certificate; None if certificates are given.
    :param template_url: the URL of the templates' tarball; None if there is none.
    :param sandbox: Mesos's sandbox, which may have templates; None if there is none.
    :param sysctls: kernel parameters and their values.
    :param strict_sysctls: True if the start fails when one cannot be set.
    :param drain: seconds that connections may continue after SIGTERM.
    :param syslog: the path of the image's own syslog socket; empty for no syslog.
    """

    settings: Settings
    arguments: tuple[str, ...]
    environ: Mapping[str, str]
    certificates: tuple[Secret, ...] = ()
    self_signed: str | None = None
    template_url: str | None = None
    sandbox: str | None = None
    sysctls: tuple[tuple[str, str], ...] = ()
    strict_sysctls: bool = True
    drain: float = DRAIN_SECONDS
    syslog: str = ""

    def __repr__(self) -> str:
        return f"Start({self.settings!r})"


def _writable(directory: str) -> bool:
    return os.access(directory, os.W_OK | os.X_OK)


def start_from(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    *,
    exists: Callable[[str], bool] = os.path.exists,
    writable: Callable[[str], bool] = _writable,
    machine: Machine | None = None,
    runtime: str = RUNTIME,
    devices: str = DEVICES,
) -> Start:
    """
    Return the start of a container for these arguments in this environment.

    :param exists: returns whether a file exists; called for the certificate of the default path.
    :param writable: returns whether a directory can be written to.
    :param runtime: the directory for certificates.
    :param devices: the directory in which programs expect the syslog's socket, ``log``, if it can be made there.
    :raises UsageError: a mode, an address, an option or a variable is wrong.
    :raises twisted.python.usage.UsageError: an option is unknown, or lacks its value.
    :raises SystemExit: after ``--help``, ``--version`` or ``--longhelp``.
    """
    given = _given(arguments, environ)
    environ = _with_syslog_socket(environ)
    syslog = _syslog(environ, devices if writable(devices) else runtime)
    settings = settings_from(given, environ, machine=machine)
    certificates = tuple(_certificates(environ, runtime))
    paths = _named_certificates(given, environ, settings)
    needs_certificate = not (certificates or paths or settings.dont_bind_http_https)
    self_signed = needs_certificate and not exists(settings.ssl_certs[0])
    own_paths = [os.path.join(runtime, "pem", "cert.pem")] if self_signed else [c.path for c in certificates]
    if own_paths:
        given["ssl-certs"] = (",".join((*paths, *own_paths)),)
    shown, secrets = _split(given)
    return Start(
        settings=settings,
        arguments=shown,
        environ={**_without_start_variables(environ), **secrets},
        certificates=certificates,
        self_signed=own_paths[0] if self_signed else None,
        template_url=_template_url(environ),
        sandbox=environ.get("MESOS_SANDBOX") or None,
        sysctls=tuple(_sysctls(environ.get("HAPROXY_SYSCTL_PARAMS", ""))),
        strict_sysctls=not environ.get("HAPROXY_SYSCTL_NONSTRICT"),
        drain=_drain(environ),
        syslog=syslog,
    )


def _given(arguments: Sequence[str], environ: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the options of a command line, by name, with the mode as ``mode``."""
    line = ImageOptions()
    mode, rest = _mode(arguments, environ)
    line.parseOptions(rest)  # type: ignore[no-untyped-call]
    given = dict(line.given)
    if given.get("mode", (mode,))[-1] != mode:
        raise UsageError(option="--mode", value=given["mode"][-1], expected=f"possible together with {mode}")
    return {**given, "mode": (mode,)}


def _syslog(environ: dict[str, str], directory: str) -> str:
    """Return the path of a syslog's socket, and have HAProxy log requests there; empty for no syslog."""
    if environ.get("HAPROXY_SYSLOGD", "").strip().lower() not in _TRUE:
        return ""
    syslog = os.path.join(directory, "log")
    environ.setdefault("MARATHON_LB_ACCESS_LOG", syslog)
    return syslog


def _mode(arguments: Sequence[str], environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return the mode and the daemon's options; the address of event mode becomes ``--callback-url``."""
    rest = list(arguments)
    if not rest:
        raise UsageError(option="mode", value="", expected=f"one of {', '.join(MODES)}")
    if rest[0] in ("-h", "--help", "--longhelp", "--version"):
        return MODES[0], rest[:1]
    mode = rest.pop(0)
    if mode not in MODES:
        raise UsageError(option="mode", value=redacted(mode), expected=f"one of {', '.join(MODES)}")
    if mode == "event":
        if rest and not rest[0].startswith("-"):
            rest[:1] = ["--callback-url", rest[0]]
        elif not _names_callback(rest, environ):
            raise UsageError(
                option="mode",
                value="event",
                expected="followed by the address at which Marathon reaches us: event host:8081",
            )
    return mode, spread_marathons(rest, Face.DAEMON)


def _names_callback(rest: Iterable[str], environ: Mapping[str, str]) -> bool:
    """Return whether the options or the environment have a callback URL."""
    if environ.get("MARATHON_LB_CALLBACK_URL", "").strip():
        return True
    return any(word.startswith("-u") or word.partition("=")[0] == "--callback-url" for word in rest)


def _with_syslog_socket(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with ``SYSLOG_SOCKET`` as the variable of ``--syslog-socket``."""
    socket = environ.get("SYSLOG_SOCKET", "").strip()
    name = "MARATHON_LB_SYSLOG_SOCKET"
    return {**environ, name: environ.get(name) or socket} if socket else dict(environ)


def _certificates(environ: Mapping[str, str], runtime: str) -> Iterable[Secret]:
    """Yield the files for certificates that variables hold as PEM text."""
    for name in CERTIFICATES:
        text = environ.get(name, "").replace("\\r", "").replace("\\n", "\n").strip()
        if not text:
            continue
        if "-----BEGIN " not in text:
            raise UsageError(option=name, value="***", expected="PEM text: -----BEGIN CERTIFICATE-----…")
        file = name.removeprefix("HAPROXY_SSL_").lower()
        yield Secret(os.path.join(runtime, "pem", f"{file}.pem"), text + "\n")


def _named_certificates(
    given: Mapping[str, object], environ: Mapping[str, str], settings: Settings
) -> tuple[str, ...]:
    """Return the certificates given as paths; none if there is only the default."""
    named = "ssl-certs" in given or any(
        environ.get(name, "").strip() for name in ("MARATHON_LB_SSL_CERTS", "HAPROXY_SSL_CERTS")
    )
    return settings.ssl_certs if named else ()


def _split(given: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, ...], dict[str, str]]:
    """
    Return the controller's arguments, and its secrets as environment variables.

    Every user of the machine can read a command line, so no secret may be in it.
    """
    shown: list[str] = []
    secrets: dict[str, str] = {}
    for option in options(Face.DAEMON):
        texts = given.get(option.name, ())
        if texts and (option.secret or (option.name == "marathon" and any("@" in text for text in texts))):
            # In a list, a cluster's name also applies to the addresses after it: those without a name come first.
            joined = ",".join(sorted(texts, key=lambda text: "=" in text.partition("://")[0]))
            secrets[option.variable] = joined if option.repeated else texts[-1]
        elif option.flag and texts:
            shown.append(f"--{option.name}" if texts[-1] == "true" else f"--no-{option.name}")
        else:
            shown += [f"--{option.name}={text}" for text in texts]
    return tuple(shown), secrets


def _without_start_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the variables that only the start needs."""
    return {
        name: value for name, value in environ.items() if name not in CERTIFICATES and name != "TEMPLATE_URL"
    }


def _template_url(environ: Mapping[str, str]) -> str | None:
    url = environ.get("TEMPLATE_URL", "").strip()
    if url and not _is_address(url):
        raise UsageError(
            option="TEMPLATE_URL",
            value=redacted(url),
            expected="a tarball's address: http://…, https://… or file:///…",
        )
    return url or None


def _is_address(url: str) -> bool:
    if url.startswith(("file:///", "/")):
        return True
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _sysctls(text: str) -> Iterable[tuple[str, str]]:
    refused = UsageError(
        option="HAPROXY_SYSCTL_PARAMS",
        value=text,
        expected="a list of parameters such as net.core.somaxconn=1024",
    )
    try:
        words = shlex.split(text)
    except ValueError:
        raise refused from None
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not _SYSCTL.fullmatch(name):
            raise refused
        yield name, value


def _drain(environ: Mapping[str, str]) -> float:
    text = environ.get(DRAIN, "").strip()
    try:
        return pause(text) if text else DRAIN_SECONDS
    except ValueError:
        raise UsageError(option=DRAIN, value=text, expected="a number of seconds, 0 or more") from None
