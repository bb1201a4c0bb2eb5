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
from minimarathon.demo.children import taken
from minimarathon.model import App

DESCRIPTION = (
    "Run minimarathon with sample apps, marathon-lb and its HAProxy on this machine, without root. "
    "With --marathon a real Marathon is used instead."
)
LOCAL = "127.0.0.1"
#: The longest path of a socket that HAProxy can bind, in bytes, with what it adds while it does so.
LONGEST_SOCKET = 90


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
    What is to be run.

    :param directory: everything that is written lies in it; absolute.
    :param marathon: addresses of real Marathons; empty starts a small one.
    :param apps: what the small one begins with.
    """

    directory: Path
    ports: Ports
    marathon: tuple[str, ...] = ()
    apps: Path = SAMPLE

    @property
    def config(self) -> Path:
        """HAProxy's configuration."""
        return self.directory / "haproxy.cfg"

    @property
    def state(self) -> Path:
        """The load balancer's state: in the directory, or where its path is too long for sockets, in a short one."""
        inside = self.directory / "state"
        if len(os.fsencode(inside / "master.sock")) <= LONGEST_SOCKET:
            return inside
        short = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:8]
        return Path(tempfile.gettempdir()) / f"marathon-lb-{os.getuid()}-{short}"


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> Plan:
    """
    Return the command line and the environment as a plan.

    :raise SystemExit: with argparse's words, where they are wrong.
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
            help=f"{default}, or the environment's {variable}",
        )  # fmt: skip
    parser.add_argument(
        "--marathon", action="append", default=None, metavar="URL", help="a real Marathon; repeatable"
    )
    parser.add_argument(
        "--directory", type=Path, default=Path("run"), help="where everything is written: ./run"
    )
    parser.add_argument("--apps", type=Path, default=SAMPLE, help="another group of apps than the sample")
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
        raise argparse.ArgumentTypeError(f"{text!r} is no port between 1 and 65535")
    return int(text)


def complaints(plan: Plan, apps: Mapping[str, App]) -> Iterator[str]:
    """Return a line for each port that is taken or given twice, the apps' service ports included."""
    names = ["http", "https", "stats", "appid", *([] if plan.marathon else ["marathon"])]
    given = {
        port: f"the service port of {app.id}" for app in apps.values() for port in app.service_ports if port
    }
    for name in names:
        port: int = getattr(plan.ports, name)
        advice = f"give another one with `make run {name.upper()}_PORT=…` or --{name}-port"
        if taken(LOCAL, port):
            yield f"port {port} ({name}) is taken: {advice}"
        elif port in given:
            yield f"port {port} ({name}) is {given[port]}, too: {advice}"
        given[port] = f"the port for {name}"
    for app in apps.values():
        for port in app.service_ports:
            if port and taken("0.0.0.0", port):
                yield f"port {port} (service port of {app.id}) is taken: end what has it, or give other --apps"
