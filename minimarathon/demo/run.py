"""One run of the demonstration: start its processes, wait for Ctrl-C, end all of them."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from attrs import define, field

from minimarathon.definitions.app_file import load
from minimarathon.demo.certificate import ensure
from minimarathon.demo.children import Child, end, end_haproxies, start, until
from minimarathon.demo.lock import CannotRun, DirectoryLock
from minimarathon.demo.plan import LOCAL, Plan, complaints
from minimarathon.demo.text import SHOWN, instructions
from minimarathon.model import App

#: Runs twistd with the current Python interpreter; the twistd script may not be on the path.
TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile=")
#: Maximum number of seconds to wait for a process to serve.
START_TIMEOUT = 90.0
#: Seconds until the first message about waiting; the pause between messages doubles.
FIRST_NOTICE = 5.0


class Interrupted(Exception):
    """A signal asked to end the demonstration."""


@define
class Demo:
    """
    One run of the demonstration.

    :param plan: the settings of the run.
    """

    plan: Plan
    _apps: dict[str, App] = field(factory=dict)
    _children: list[Child] = field(factory=list)
    _interrupted: bool = False

    def run(self) -> int:
        """
        Start all processes, wait for a signal, and end all processes.

        :return: the exit status: 0 after a signal, 1 after a failure.
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
            print("\nStopping all processes …", flush=True)
        except CannotRun as error:
            print(error, file=sys.stderr, flush=True)
            status = 1
        finally:
            self._end()
        return status

    def _prepared(self) -> DirectoryLock:
        """Create and lock the directory, end the HAProxy of a killed run, and check the ports."""
        plan = self.plan
        try:
            plan.directory.mkdir(parents=True, exist_ok=True)
            plan.state.mkdir(mode=0o700, exist_ok=True)
            if plan.state.lstat().st_uid != os.getuid():
                raise CannotRun(
                    f"{plan.state} belongs to another user: choose a --directory with a shorter path"
                )
            (plan.directory / "templates").mkdir(exist_ok=True)
            lock = DirectoryLock(plan.directory / "lock")
            if end_haproxies(plan.config):
                print("Ended the HAProxy of a run that was killed.", flush=True)
            if not plan.marathon:
                self._apps = load(plan.apps)
            port_problems = list(complaints(plan, self._apps))
            if port_problems:
                raise CannotRun("\n".join(port_problems))
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
            print("Starting minimarathon and its apps …", flush=True)
            self._child("minimarathon", *self._minimarathon())
            self._until(lambda: _status(ports.marathon, "/ping") == 200, "minimarathon responds")
        print("Starting marathon-lb and HAProxy …", flush=True)
        self._child("marathon-lb", *self._load_balancer(), MARATHON_LB_MARATHON=" ".join(urls))
        self._until(lambda: _status(ports.stats, "/_haproxy_health_check") == 200, "HAProxy responds")
        for host, path in self._hosts():
            self._until(lambda: 200 <= _status(ports.http, path, host) < 400, f"{host}{path} responds")  # noqa: B023

    def _hosts(self) -> Iterator[tuple[str, str]]:
        """Return the virtual hosts of the apps, each with a path."""
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
        """Raise `Interrupted` after a signal, `CannotRun` if a process has ended."""
        if self._interrupted:
            raise Interrupted
        for child in self._children:
            status = child.process.poll()
            if status is not None:
                raise CannotRun(
                    f"{child.name} ended with status {status}; the end of {child.log}:\n{child.log_tail()}"
                )

    def _until(self, condition: Callable[[], bool], description: str) -> None:
        def is_true() -> bool:
            self._check()
            return condition()

        waited, pause = 0.0, FIRST_NOTICE
        while not until(is_true, pause):
            waited += pause
            if waited >= START_TIMEOUT:
                logs = " and ".join(str(child.log) for child in self._children)
                raise CannotRun(
                    f"timed out after {START_TIMEOUT:.0f} s, waiting until {description}; see {logs}"
                )
            print(f"Waiting until {description}. {self._latest()}", flush=True)
            pause = min(waited, START_TIMEOUT - waited)

    def _latest(self) -> str:
        child = self._children[-1]
        return f"The last line of {child.log}:\n{child.log_tail(1)}"

    def _wait(self) -> None:
        while True:
            self._check()
            time.sleep(0.2)

    def _end(self) -> None:
        """Stop marathon-lb first, then the HAProxy that it leaves running, then the apps."""
        for child in reversed(self._children):
            if not end(child, 20):
                print(
                    f"{child.name} did not end and was killed; see {child.log}", file=sys.stderr, flush=True
                )
            end_haproxies(self.plan.config)
        print("All processes have ended.", flush=True)


def _status(port: int, path: str, host: str = LOCAL) -> int:
    """Return the HTTP status of the response to a GET; 0 if there is none."""
    connection = http.client.HTTPConnection(LOCAL, port, timeout=2)
    try:
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
