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

#: Runs twistd with this very Python, wherever its script may lie.
TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile=")
#: Seconds until everything must be up, and until it is first said what is waited for, then again after twice as many.
PATIENCE = 90.0
SLOW = 5.0


class Interrupted(Exception):
    """Somebody wants it to end."""


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

    def _prepared(self) -> DirectoryLock:
        """Make the directory, hold it, end what a run that was killed left behind, and look at the ports."""
        plan = self.plan
        try:
            plan.directory.mkdir(parents=True, exist_ok=True)
            plan.state.mkdir(mode=0o700, exist_ok=True)
            if plan.state.lstat().st_uid != os.getuid():
                raise CannotRun(f"{plan.state} is not ours: give a --directory with a shorter path")
            (plan.directory / "templates").mkdir(exist_ok=True)
            lock = DirectoryLock(plan.directory / "lock")
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
