"""The plan of a demonstration: its command line, directory and ports, and a check that the ports are free."""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from minimarathon.definitions.app_file import SAMPLE
from minimarathon.demo.children import port_in_use
from minimarathon.model import App

DESCRIPTION = (
    "Run minimarathon with sample apps, marathon-lb and its HAProxy on this machine, without root. "
    "With --marathon a real Marathon is used instead."
)
LOCAL = "127.0.0.1"
#: Maximum length of the path of a socket that HAProxy can bind, in bytes, with the suffix that it adds.
MAX_SOCKET_PATH = 90


@frozen(kw_only=True)
class Ports:
    """The ports of the demonstration; the Makefile has a variable of the same name in capitals for each."""

    http: int
    https: int
    stats: int
    appid: int
    marathon: int


@frozen(kw_only=True)
class Plan:
    """
    The settings of a run.

    :param directory: the absolute path of the directory for all files.
    :param marathon: URLs of real Marathons; if empty, minimarathon is started.
    :param apps: the file with minimarathon's apps.
    """

    directory: Path
    ports: Ports
    marathon: tuple[str, ...] = ()
    apps: Path = SAMPLE

    @property
    def config(self) -> Path:
        """The path of HAProxy's configuration file."""
        return self.directory / "haproxy.cfg"

    @property
    def state(self) -> Path:
        """The state directory of marathon-lb: in the directory, or in the temporary one if the path is too long."""
        inside = self.directory / "state"
        if len(os.fsencode(inside / "master.sock")) <= MAX_SOCKET_PATH:
            return inside
        short = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:8]
        return Path(tempfile.gettempdir()) / f"marathon-lb-{os.getuid()}-{short}"


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> Plan:
    """
    Return the plan for a command line and an environment.

    :raise SystemExit: if an argument is wrong, with argparse's message.
    """
    parser = argparse.ArgumentParser(prog="python -m minimarathon.demo", description=DESCRIPTION)
    for name, default in (
        ("http", 10080),
        ("https", 10443),
        ("stats", 19090),
        ("appid", 19091),
        ("marathon", 18080),
    ):
        variable = f"{name.upper()}_PORT"
        parser.add_argument(
            f"--{name}-port", type=_port, default=environ.get(variable, str(default)), metavar="PORT",
            help=f"default: the environment variable {variable}, or {default}",
        )  # fmt: skip
    parser.add_argument(
        "--marathon", action="append", default=None, metavar="URL", help="URL of a real Marathon; repeatable"
    )
    parser.add_argument(
        "--directory", type=Path, default=Path("run"), help="directory for all files; default: ./run"
    )
    parser.add_argument(
        "--apps", type=Path, default=SAMPLE, help="JSON file with the apps; default: the sample"
    )
    given = parser.parse_args(arguments)
    urls = given.marathon if given.marathon is not None else [environ.get("MARATHON", "")]
    return Plan(
        directory=given.directory.resolve(),
        ports=Ports(
            http=given.http_port,
            https=given.https_port,
            stats=given.stats_port,
            appid=given.appid_port,
            marathon=given.marathon_port,
        ),
        marathon=tuple(url for text in urls for url in text.replace(",", " ").split()),
        apps=given.apps.resolve(),
    )


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port between 1 and 65535")
    return int(text)


def complaints(plan: Plan, apps: Mapping[str, App]) -> Iterator[str]:
    """Return a line for each port that is in use or assigned twice, including the apps' service ports."""
    names = ["http", "https", "stats", "appid", *([] if plan.marathon else ["marathon"])]
    given = {
        port: f"the service port of {app.id}" for app in apps.values() for port in app.service_ports if port
    }
    for name in names:
        port: int = getattr(plan.ports, name)
        advice = f"choose another one with `make run {name.upper()}_PORT=…` or --{name}-port"
        if port_in_use(LOCAL, port):
            yield f"port {port} ({name}) is in use: {advice}"
        elif port in given:
            yield f"port {port} ({name}) is also {given[port]}: {advice}"
        given[port] = f"the port for {name}"
    for app in apps.values():
        for port in app.service_ports:
            if port and port_in_use("0.0.0.0", port):
                yield f"port {port} (service port of {app.id}) is in use: end its process, or choose other --apps"
