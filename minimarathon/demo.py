"""
``make run``: a minimarathon with sample apps, the load balancer and its HAProxy, on this machine, without root.

Starts them as processes of its own, says what to try when traffic flows, and ends all of them on Ctrl-C. With
``--marathon`` a real Marathon is used instead of a small one.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import http.client
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from attrs import define, field, frozen

from minimarathon.appfile import SAMPLE, load
from minimarathon.certificate import ensure
from minimarathon.children import Child, end, end_haproxies, start, taken, until
from minimarathon.demotext import SHOWN, instructions
from minimarathon.model import App

LOCAL = "127.0.0.1"
#: Runs twistd with this very Python, wherever its script may lie.
TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile=")
#: The longest path of a socket that HAProxy can bind, in bytes, with what it adds while it does so.
LONGEST_SOCKET = 90
#: Seconds until everything must be up, and until it is first said what is waited for, then again after twice as many.
PATIENCE = 90.0
SLOW = 5.0


class CannotRun(Exception):
    """Why the demonstration does not start, in lines that say what to do."""


class Interrupted(Exception):
    """Somebody wants it to end."""


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
    parser = argparse.ArgumentParser(prog="python -m minimarathon.demo", description=__doc__.split("\n")[1])
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


@define
class Demo:
    """
    One run.

    :param plan: what is run.
    """

    plan: Plan
    _apps: dict[str, App] = field(factory=dict)
    _children: list[Child] = field(factory=list)
    _interrupted: bool = False

    def run(self) -> int:
        """
        Start, wait for the end, and end everything.

        :return: the exit status: 0 where it was asked to end, 1 where something failed.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._interrupt)
        try:
            with self._prepared():
                return self._run()
        except CannotRun as error:
            print(error, file=sys.stderr)
            return 1

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interrupted = True

    def _run(self) -> int:
        status = 0
        try:
            self._start()
            echo = self._apps["/echo"].service_ports[0] if self._apps.keys() >= SHOWN else None
            print(instructions(self.plan.ports, self.plan.marathon, self.plan.directory, echo), flush=True)
            self._wait()
        except Interrupted:
            print("\nEnding everything …", flush=True)
        except CannotRun as error:
            print(error, file=sys.stderr, flush=True)
            status = 1
        finally:
            self._end()
        return status

    def _prepared(self) -> _Lock:
        """Make the directory, hold it, end what a run that was killed left behind, and look at the ports."""
        plan = self.plan
        try:
            plan.directory.mkdir(parents=True, exist_ok=True)
            plan.state.mkdir(mode=0o700, exist_ok=True)
            if plan.state.lstat().st_uid != os.getuid():
                raise CannotRun(f"{plan.state} is not ours: give a --directory with a shorter path")
            (plan.directory / "templates").mkdir(exist_ok=True)
            lock = _Lock(plan.directory / "lock")
            if end_haproxies(plan.config):
                print("Ended the HAProxy of a run that was killed.", flush=True)
            if not plan.marathon:
                self._apps = load(plan.apps)
            taken_ports = list(complaints(plan, self._apps))
            if taken_ports:
                raise CannotRun("\n".join(taken_ports))
            shutil.rmtree(plan.directory / "tasks", ignore_errors=True)
            ensure(plan.directory / "cert.pem")
        except OSError as error:
            raise CannotRun(f"{error.filename or plan.directory} cannot be used: {error.strerror}") from error
        except ValueError as error:
            raise CannotRun(str(error)) from error
        return lock

    def _start(self) -> None:
        ports = self.plan.ports
        urls = self.plan.marathon or (f"http://{LOCAL}:{ports.marathon}",)
        if not self.plan.marathon:
            print("Starting a small Marathon and its apps …", flush=True)
            self._child("minimarathon", *self._minimarathon())
            self._until(lambda: _status(ports.marathon, "/ping") == 200, "the Marathon answers")
        print("Starting the load balancer and HAProxy …", flush=True)
        self._child("marathon-lb", *self._load_balancer(), MARATHON_LB_MARATHON=" ".join(urls))
        self._until(lambda: _status(ports.stats, "/_haproxy_health_check") == 200, "HAProxy answers")
        for host, path in self._hosts():
            self._until(lambda: 200 <= _status(ports.http, path, host) < 400, f"{host}{path} answers")  # noqa: B023

    def _hosts(self) -> Iterator[tuple[str, str]]:
        """Return the virtual hosts of minimarathon's apps, each with a path."""
        for app in self._apps.values():
            host = app.labels.get("HAPROXY_0_VHOST")
            if host:
                yield host, app.labels.get("HAPROXY_0_PATH", "/")

    def _child(self, name: str, *arguments: str, **environ: str) -> None:
        log = self.plan.directory / f"{name}.log"
        self._children.append(start(name, [*TWISTD, name, *arguments], log, Path.cwd(), environ))

    def _minimarathon(self) -> tuple[str, ...]:
        port, work_dir = self.plan.ports.marathon, self.plan.directory / "tasks"
        return ("--port", str(port), "--apps", str(self.plan.apps), "--work-dir", str(work_dir))

    def _load_balancer(self) -> tuple[str, ...]:
        plan, ports = self.plan, self.plan.ports
        return (
            "--mode=sse", "--manage-haproxy", "--health-check",
            "--haproxy-config", str(plan.config), "--state-dir", str(plan.state),
            "--ssl-certs", str(plan.directory / "cert.pem"), "--templates", str(plan.directory / "templates"),
            "--bind-http", f"{LOCAL}:{ports.http}", "--bind-https", f"{LOCAL}:{ports.https}",
            "--bind-stats", f"{LOCAL}:{ports.stats}", "--bind-appid", f"{LOCAL}:{ports.appid}",
        )  # fmt: skip

    def _check(self) -> None:
        """Raise `Interrupted` where it is to end, `CannotRun` where a process of ours is over."""
        if self._interrupted:
            raise Interrupted
        for child in self._children:
            status = child.process.poll()
            if status is not None:
                words = child.last_words()
                raise CannotRun(
                    f"{child.name} ended with status {status}; its log {child.log} ends:\n{words}"
                )

    def _until(self, true: Callable[[], bool], what: str) -> None:
        def look() -> bool:
            self._check()
            return true()

        waited, pause = 0.0, SLOW
        while not until(look, pause):
            waited += pause
            if waited >= PATIENCE:
                logs = " and ".join(str(child.log) for child in self._children)
                raise CannotRun(f"after {PATIENCE:.0f} s still not: {what}. Look into {logs}")
            print(f"Waiting until {what}. {self._latest()}", flush=True)
            pause = min(waited, PATIENCE - waited)

    def _latest(self) -> str:
        child = self._children[-1]
        return f"{child.name} says:\n{child.last_words(1)}"

    def _wait(self) -> None:
        while True:
            self._check()
            time.sleep(0.2)

    def _end(self) -> None:
        """Stop the load balancer first, then the HAProxy that it leaves running, then the apps behind it."""
        for child in reversed(self._children):
            if not end(child, 20):
                print(f"{child.name} had to be killed; look into {child.log}", file=sys.stderr, flush=True)
            end_haproxies(self.plan.config)
        print("Nothing is left running.", flush=True)


@frozen
class _Lock:
    """
    Holds a directory for one run; let go at the end of a ``with``.

    :raise CannotRun: where another run holds it.
    """

    path: Path
    _file: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise CannotRun(
                f"a run is under way in {self.path.parent}: end it, or give another --directory"
            ) from None
        object.__setattr__(self, "_file", file)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        os.close(self._file)


def _status(port: int, path: str, host: str = LOCAL) -> int:
    """Return the status of the response to a GET; 0 where there is none."""
    connection = http.client.HTTPConnection(LOCAL, port, timeout=2)
    try:
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def main() -> int:
    """Run the demonstration."""
    return Demo(parse(sys.argv[1:], os.environ)).run()


if __name__ == "__main__":
    sys.exit(main())
