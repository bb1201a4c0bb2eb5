"""
The image's entrypoint: ``docker-entrypoint sse|event ADDR|poll [options]``.

It carries out the `Start` of `marathonlb.image.start`, then becomes `marathonlb.image.supervise`. Its own command line,
which may contain a secret, disappears with that.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import IO, NoReturn

from attrs import frozen
from twisted.python import usage

from marathonlb.errors import MarathonLBError, UsageError, described
from marathonlb.haproxy.files.trust import require_closed
from marathonlb.image import templates
from marathonlb.image.certificate import self_signed, write_secret
from marathonlb.image.drain import ENDING
from marathonlb.image.start import DEVICES, RUNTIME, Start, start_from
from marathonlb.image.sysctls import set_sysctls
from marathonlb.options.values import host_port
from marathonlb.settings import Settings

NAME = "docker-entrypoint"
FAILED, USAGE = 1, 2

Execute = Callable[[str, tuple[str, ...], Mapping[str, str]], NoReturn]


@frozen
class ContainerEnvironment:
    """
    The environment of the entrypoint, which a test replaces.

    :param execute: `os.execve`.
    :param host_name: returns the name of this machine.
    :param runtime: the directory for the files of this container.
    :param devices: the directory in which programs expect the syslog's socket.
    :param sysctls: the directory of the kernel's parameters.
    """

    execute: Execute = os.execve
    host_name: Callable[[], str] = socket.gethostname
    runtime: str = RUNTIME
    devices: str = DEVICES
    sysctls: str = "/proc/sys"


def main(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    stderr: IO[str],
    container: ContainerEnvironment | None = None,
) -> int:
    """
    Prepare the container, then become the supervisor.

    :param arguments: the arguments after the program's name.
    :return: the exit status if the start fails: 2 for a wrong mode, address, option or variable, else 1.
    """
    container = container or ContainerEnvironment()
    try:
        start = start_from(arguments, environ, runtime=container.runtime, devices=container.devices)
        prepare(start, container, stderr)
        become_supervisor(start, container)
    except (usage.UsageError, UsageError) as error:
        stderr.write(f"{NAME}: {error}\n")
        return USAGE
    except (MarathonLBError, OSError) as error:
        stderr.write(f"{NAME}: {_message(error)}\n")
        return FAILED
    except SystemExit as stop:  # --help, --version and --longhelp
        return int(stop.code or 0)


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return described(error)


def prepare(start: Start, container: ContainerEnvironment, stderr: IO[str]) -> None:
    """
    Write the files and set the kernel parameters that the controller and HAProxy need.

    :raises MarathonLBError: templates cannot be fetched, or a kernel parameter cannot be set.
    :raises UsageError: a file that an option names cannot be used.
    :raises OSError: a file cannot be written.
    """
    _own_directory(container.runtime)
    refused = list(set_sysctls(start.sysctls, container.sysctls))
    if refused and start.strict_sysctls:
        raise MarathonLBError("; ".join(refused))
    for line in refused:
        stderr.write(f"{NAME}: {line}\n")
    for secret in start.certificates:
        write_secret(secret.path, secret.text)
    if start.template_url is not None:
        templates.write(templates.from_url(start.template_url), start.settings.templates)
    if start.sandbox is not None:
        templates.write(templates.from_sandbox(start.sandbox), start.settings.templates)
    check_files(start.settings)
    _write_stats_address(start, container)
    if start.self_signed is not None:
        write_secret(start.self_signed, self_signed(container.host_name()))
        stderr.write(
            f"{NAME}: no certificate is given, so https uses a self-signed one; "
            "give HAPROXY_SSL_CERT (PEM text) or HAPROXY_SSL_CERTS (paths)\n"
        )


def _own_directory(runtime: str) -> None:
    """Give the container's directory to root if the container runs as root instead of the image's user."""
    if os.geteuid() == 0 and os.stat(runtime).st_uid != 0:
        os.chown(runtime, 0, 0)


def check_files(settings: Settings) -> None:
    """
    Check the files that options name, before the controller does.

    The modules for that are imported only if there is such a file: most containers have none, and start fast.

    :raises UsageError: a file cannot be used, or other users can write the state directory.
    """
    require_closed(settings)
    if settings.policy:
        from marathonlb.config.templates.table import PER_APP_NAMES
        from marathonlb.routing.policy.file import read_policy

        read_policy(settings.policy, PER_APP_NAMES)
    for own in settings.clusters.values():
        if own.marathon_ca_cert or own.marathon_client_cert or own.dcos_auth_credentials:
            from marathonlb.marathon.factory import check_access

            check_access(own)


def _write_stats_address(start: Start, container: ContainerEnvironment) -> None:
    """Write the address for the image's health check to a file."""
    host, port = host_port(start.settings.bind_stats)
    loopback = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "::1"}
    address = loopback.get(host, host.strip("[]"))
    with open(os.path.join(container.runtime, "stats-address"), "w", encoding="ascii") as file:
        file.write(f"{address} {port}\n")


def become_supervisor(start: Start, container: ContainerEnvironment) -> NoReturn:
    """Replace this process by the supervisor of the controller."""
    twistd = os.path.join(os.path.dirname(sys.executable), "twistd")
    arguments = (
        *(sys.executable, "-P", "-m", "marathonlb.image.supervise"),
        *(os.path.abspath(start.settings.state_dir), f"{start.drain:g}", start.syslog),
        *(sys.executable, twistd, "--nodaemon", "--pidfile=", "marathon-lb", *start.arguments),
    )
    # Blocked signals stay pending until the supervisor waits for them, so none is lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    container.execute(arguments[0], arguments, {**start.environ, "PYTHONUNBUFFERED": "1"})


def script() -> NoReturn:
    """Run as the image's entrypoint."""
    sys.exit(main(sys.argv[1:], os.environ, sys.stderr))
