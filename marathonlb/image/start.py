"""
What the start of a container comes to: arguments and environment in, one `Start` out.

Nothing is touched here. The options are those of the daemon, checked as the daemon checks them, so that a wrong one
ends the container with one line and status 2, and not a controller that has begun.
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
"""Where the image keeps what belongs to one container."""

DEVICES = "/dev"

DRAIN = "MARATHON_LB_DRAIN_SECONDS"
"""The variable that says how long connections may go on after SIGTERM."""

DRAIN_SECONDS = 8.0
"""Two seconds less than ``docker stop`` grants."""

CERTIFICATES = ("HAPROXY_SSL_CERT", *(f"HAPROXY_SSL_CERT{number}" for number in range(101)))
"""The variables that hold certificates as PEM text."""

_SYSCTL = re.compile(r"[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)+")
_TRUE = ("1", "true", "yes", "on", "t", "y")


class ImageOptions(CommandLine, face=Face.DAEMON):
    """The daemon's options, behind the mode."""

    synopsis = "docker-entrypoint sse|event ADDR|poll [options]"


@frozen
class Secret:
    """A text that is written to a file and shown nowhere."""

    path: str
    text: str

    def __repr__(self) -> str:
        return f"Secret({self.path!r})"


@frozen
class Start:
    """
    What is to be done.

    :param settings: what the controller will make of its options.
    :param arguments: of ``twistd marathon-lb``; they hold no secret.
    :param environ: the controller's environment.
    :param certificates: the files to write, readable by their owner alone.
    :param self_signed: where a self-signed certificate is wanted; None where certificates were given.
    :param template_url: where templates are fetched from; None for nowhere.
    :param sandbox: the directory in which Mesos may have put templates; None for none.
    :param sysctls: kernel parameters and their values.
    :param strict_sysctls: whether one that cannot be set ends the start.
    :param drain: seconds that connections may go on after SIGTERM.
    :param syslog: where a syslog of the image's own is to listen; empty where none is wanted.
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
    What ``docker-entrypoint`` is to do with these arguments in this environment.

    :param exists: whether a file is there; asked for the certificate of the default path.
    :param writable: whether a directory can be written to.
    :param runtime: where the certificates are written.
    :param devices: where a syslog is expected to listen, in ``log``, if it can be made there.
    :raises UsageError: a mode, an address, an option or a variable is not what it should be.
    :raises twisted.python.usage.UsageError: an option is unknown, or lacks its value.
    :raises SystemExit: ``--help`` and its kin have said it all.
    """
    line = ImageOptions()
    mode, rest = _mode(arguments, environ)
    line.parseOptions(rest)  # type: ignore[no-untyped-call]
    given = dict(line.given)
    if given.get("mode", (mode,))[-1] != mode:
        raise UsageError(option="--mode", value=given["mode"][-1], expected=f"possible together with {mode}")
    given["mode"] = (mode,)
    environ = _with_syslog_socket(environ)
    syslog = _syslog(environ, devices if writable(devices) else runtime)
    settings = settings_from(given, environ, machine=machine)
    certificates = tuple(_certificates(environ, runtime))
    paths = _named_certificates(given, environ, settings)
    self_signed = None
    if certificates:
        given["ssl-certs"] = (",".join((*paths, *(one.path for one in certificates))),)
    elif not paths and not settings.dont_bind_http_https and not exists(settings.ssl_certs[0]):
        self_signed = os.path.join(runtime, "pem", "cert.pem")
        given["ssl-certs"] = (self_signed,)
    told, secrets = _split(given)
    return Start(
        settings=settings,
        arguments=told,
        environ={**_for_the_controller(environ), **secrets},
        certificates=certificates,
        self_signed=self_signed,
        template_url=_template_url(environ),
        sandbox=environ.get("MESOS_SANDBOX") or None,
        sysctls=tuple(_sysctls(environ.get("HAPROXY_SYSCTL_PARAMS", ""))),
        strict_sysctls=not environ.get("HAPROXY_SYSCTL_NONSTRICT"),
        drain=_drain(environ),
        syslog=syslog,
    )


def _syslog(environ: dict[str, str], directory: str) -> str:
    """Where a syslog is to listen, which HAProxy then logs requests to; empty for none."""
    if environ.get("HAPROXY_SYSLOGD", "").strip().lower() not in _TRUE:
        return ""
    syslog = os.path.join(directory, "log")
    environ.setdefault("MARATHON_LB_ACCESS_LOG", syslog)
    return syslog


def _mode(arguments: Sequence[str], environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """The mode, and the options in the daemon's words; the address of event mode is its ``--callback-url``."""
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
    if environ.get("MARATHON_LB_CALLBACK_URL", "").strip():
        return True
    return any(word.startswith("-u") or word.partition("=")[0] == "--callback-url" for word in rest)


def _with_syslog_socket(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment in which ``SYSLOG_SOCKET`` stands for ``--syslog-socket``."""
    socket = environ.get("SYSLOG_SOCKET", "").strip()
    name = "MARATHON_LB_SYSLOG_SOCKET"
    return {**environ, name: environ.get(name) or socket} if socket else dict(environ)


def _certificates(environ: Mapping[str, str], runtime: str) -> Iterable[Secret]:
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
    """The certificates that were given as paths; none where only the default stands."""
    named = "ssl-certs" in given or any(
        environ.get(name, "").strip() for name in ("MARATHON_LB_SSL_CERTS", "HAPROXY_SSL_CERTS")
    )
    return settings.ssl_certs if named else ()


def _split(given: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, ...], dict[str, str]]:
    """
    The controller's arguments, and what must not stand there, as variables.

    Every user of the machine can read a command line, so that secrets go another way.
    """
    told: list[str] = []
    secrets: dict[str, str] = {}
    for option in options(Face.DAEMON):
        texts = given.get(option.name, ())
        if texts and (option.secret or (option.name == "marathon" and any("@" in text for text in texts))):
            # In a list a cluster's name holds on for the addresses after it: those without a name come first.
            joined = ",".join(sorted(texts, key=lambda text: "=" in text.partition("://")[0]))
            secrets[option.variable] = joined if option.repeated else texts[-1]
        elif option.flag and texts:
            told.append(f"--{option.name}" if texts[-1] == "true" else f"--no-{option.name}")
        else:
            told += [f"--{option.name}={text}" for text in texts]
    return tuple(told), secrets


def _for_the_controller(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what is done once it starts."""
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
