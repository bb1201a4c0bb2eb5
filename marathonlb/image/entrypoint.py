"""
The image's face: ``docker-entrypoint sse|event ADDR|poll [options]``.

It carries out what `marathonlb.image.start` decided, then becomes `marathonlb.image.supervise`: its own command line,
in which a secret may stand, is gone with it.
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
class World:
    """
    What the entrypoint works on; a test gives its own.

    :param execute: `os.execve`.
    :param runtime: the directory of what belongs to this container.
    :param devices: the directory in which a syslog is expected to listen.
    :param sysctls: where the kernel's parameters are.
    """

    execute: Execute = os.execve
    host_name: Callable[[], str] = socket.gethostname
    runtime: str = RUNTIME
    devices: str = DEVICES
    sysctls: str = "/proc/sys"


def main(
    arguments: Sequence[str], environ: Mapping[str, str], stderr: IO[str], world: World | None = None
) -> int:
    """
    Prepare the container, then become the supervisor.

    :param arguments: what stands after the program's name.
    :return: an exit status, only where it does not come to that: 1 where something could not be done, 2 for a wrong
        mode, address, option or variable.
    """
    world = world or World()
    try:
        start = start_from(arguments, environ, runtime=world.runtime, devices=world.devices)
        prepare(start, world, stderr)
        become(start, world)
    except (usage.UsageError, UsageError) as error:
        stderr.write(f"{NAME}: {error}\n")
        return USAGE
    except (MarathonLBError, OSError) as error:
        stderr.write(f"{NAME}: {_told(error)}\n")
        return FAILED
    except SystemExit as stop:  # --help and its kin have said it all
        return int(stop.code or 0)


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return described(error)


def prepare(start: Start, world: World, stderr: IO[str]) -> None:
    """
    Write and set what the controller and HAProxy will find.

    :raises MarathonLBError: the templates or the kernel's parameters are not to be had.
    :raises UsageError: a file that an option names cannot be used.
    :raises OSError: a file cannot be written.
    """
    _make_ours(world.runtime)
    refused = list(set_sysctls(start.sysctls, world.sysctls))
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
    _note_stats_address(start, world)
    if start.self_signed is not None:
        write_secret(start.self_signed, self_signed(world.host_name()))
        stderr.write(
            f"{NAME}: no certificate was given, so https has a self-signed one; "
            "give HAPROXY_SSL_CERT (PEM text) or HAPROXY_SSL_CERTS (paths)\n"
        )


def _make_ours(runtime: str) -> None:
    """Give the directory of this container to root where the container runs as root, and not as the image's user."""
    if os.geteuid() == 0 and os.stat(runtime).st_uid != 0:
        os.chown(runtime, 0, 0)


def check_files(settings: Settings) -> None:
    """
    See whether the files that options name hold what they should, before a controller does.

    What that needs is imported where there is such a file: most containers have none, and are to start fast.

    :raises UsageError: one does not, or others can write the state directory.
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


def _note_stats_address(start: Start, world: World) -> None:
    """Write where the health check of the image has to ask."""
    host, port = host_port(start.settings.bind_stats)
    asked = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(
        host, host.strip("[]")
    )
    with open(os.path.join(world.runtime, "stats-address"), "w", encoding="ascii") as file:
        file.write(f"{asked} {port}\n")


def become(start: Start, world: World) -> NoReturn:
    """Become the supervisor of this start's controller."""
    twistd = os.path.join(os.path.dirname(sys.executable), "twistd")
    arguments = (
        *(sys.executable, "-P", "-m", "marathonlb.image.supervise"),
        *(os.path.abspath(start.settings.state_dir), f"{start.drain:g}", start.syslog),
        *(sys.executable, twistd, "--nodaemon", "--pidfile=", "marathon-lb", *start.arguments),
    )
    # A signal that comes before the supervisor can hear it waits for it, and is not lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    world.execute(arguments[0], arguments, {**start.environ, "PYTHONUNBUFFERED": "1"})


def script() -> NoReturn:
    """The image's entrypoint."""
    sys.exit(main(sys.argv[1:], os.environ, sys.stderr))
