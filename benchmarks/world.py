"""
The processes that are measured and those that stand for the rest of the world; whatever is started here is ended here.

All of them are on the loopback, in a network of this run's own, so that two runs and a demo do not meet.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path
from time import clock_gettime, monotonic, sleep
from typing import Any
from urllib.parse import urlencode

from attrs import frozen

from benchmarks import marathon
from benchmarks.cluster import GROUP, Shape, virtual_host
from marathonlb.haproxy.process.procfs import Procfs
from marathonlb.haproxy.runtime.processes import HAProxyProcesses, parse_processes

CHECKOUT = Path(__file__).resolve().parents[1]
TWISTD = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"
HTTP_PORT = 10080
START_TIMEOUT = 180.0
"""Seconds until a process that was started must serve."""


class Failed(Exception):
    """A run cannot go on; the message says why."""


def own_network() -> str:
    """Three numbers of a loopback network that no other run of this moment has."""
    return f"127.{1 + os.getpid() // 254 % 254}.{1 + os.getpid() % 254}"


def environment() -> dict[str, str]:
    """Return the environment of children: nothing of ours that could change what they do."""
    ours = ("HAPROXY_", "MARATHON", "DCOS_", "FRAMEWORK_NAME")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PYTHONPATH": str(CHECKOUT)}


def until(true: Callable[[], Any], seconds: float, what: str, every: float = 0.02) -> Any:
    """Wait for something to become true, and return it. Raises `Failed`."""
    last = monotonic() + seconds
    while not (value := true()):
        if monotonic() > last:
            raise Failed(f"{what}: not within {seconds:g} s")
        sleep(every)
    return value


@frozen
class Cpu:
    """
    Seconds of CPU.

    :param own: of the first thread, which does what is asked for.
    :param whole: of all threads.
    """

    own: float
    whole: float

    def each(self, before: Cpu, count: int) -> Cpu:
        """Return what has been added, divided by a number."""
        return Cpu((self.own - before.own) / count, (self.whole - before.whole) / count)

    @property
    def behind(self) -> float:
        """Of the threads beside the first one, which write the file."""
        return max(0.0, self.whole - self.own)


class Child:
    """A process of ours, its output in a file."""

    def __init__(self, arguments: Sequence[str], output: Path) -> None:
        self._output = output
        with output.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment(),
                cwd=output.parent,
            )
        self.pid = self._process.pid

    def wait_until(self, true: Callable[[], Any], what: str) -> Any:
        """Wait while the process lives. Raises `Failed` with its last words."""

        def settled() -> Any:
            if self._process.poll() is not None:
                raise Failed(f"{what}: it has ended: {self.output()[-2000:]}")
            return true()

        try:
            return until(settled, START_TIMEOUT, what)
        except Failed as failed:
            raise Failed(f"{failed}\n{self.output()[-2000:]}") from None

    def wait_for(self, word: str) -> None:
        """Wait until it has written this word. Raises `Failed`."""
        self.wait_until(lambda: word in self.output(), f"waiting for {word!r}")

    def output(self) -> str:
        """Return what it has written."""
        return self._output.read_text(errors="replace")

    def cpu(self) -> float:
        """
        Return the seconds of CPU of all its threads.

        The clock of another process is that of clock_getcpuclockid(3): far finer than the ticks of ``/proc/PID/stat``.
        """
        return clock_gettime((~self.pid << 3) | 2)

    def cpu_by_threads(self) -> Cpu:
        """Return the same with its first thread's apart, which the system counts in hundredths alone."""
        stat = Path(f"/proc/{self.pid}/task/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return Cpu((int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"), self.cpu())

    def memory(self) -> tuple[float, float]:
        """Resident memory in MB: now, and at most so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith("Vm")}
        return int(found["VmRSS"]) / 1024, int(found["VmHWM"]) / 1024

    def idle(self, seconds: float = 0.4, share: float = 0.05) -> None:
        """Wait until it has next to nothing to do for so long."""

        def quiet() -> bool:
            before = self.cpu()
            sleep(seconds)
            return self.cpu() - before < share * seconds

        self.wait_until(quiet, "waiting until it is idle")

    def end(self) -> None:
        """End it: its input first, then a signal, then the other signal."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@frozen
class Answer:
    """The response to a request: the task that responded (``host:port``; empty where none did) and when."""

    address: str
    at: float


class Frontend:
    """HAProxy from outside: one request, one connection; counts what was asked, and what had no good answer."""

    def __init__(self, address: str) -> None:
        self.asked = 0
        self.failed = 0
        self._address = address

    def ask(self, host: str) -> Answer:
        """One request to a virtual host."""
        answer = self.try_to_ask(host)
        self.asked += 1
        self.failed += not answer.address
        return answer

    def try_to_ask(self, host: str, port: int = HTTP_PORT) -> Answer:
        """One request that nobody has promised an answer to yet."""
        heard = b""
        with suppress(OSError), socket.create_connection((self._address, port), 5) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            while part := connection.recv(65536):
                heard += part
        head, _, body = heard.partition(b"\r\n\r\n")
        return Answer(body.decode() if head.startswith(b"HTTP/1.1 200 ") else "", monotonic())


class World(ExitStack):
    """
    A directory, a Marathon and its tasks; on demand a controller with its HAProxy. Everything ends with the context.

    :param haproxy: the binary.
    :param parent: where the directory is made; its path must be short enough for sockets.
    """

    def __init__(self, shape: Shape, haproxy: str, parent: str = "/tmp") -> None:
        super().__init__()
        self.shape = shape
        self.haproxy = haproxy
        self.directory = Path(tempfile.mkdtemp(prefix="bench-", dir=parent))
        self.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.url = f"http://{shape.network}.2:{marathon.PORT}"
        self.frontend = Frontend(shape.frontend)

    def start(self) -> None:
        """Start Marathon and its tasks."""
        shape = self.shape
        told = [str(each) for each in (shape.apps, shape.tasks, shape.seed, shape.network, shape.mortal)]
        for module, arguments in (("responders", [told[0], told[1], *told[3:]]), ("marathon", told)):
            child = self.child("-m", f"benchmarks.{module}", *arguments, name=module)
            child.wait_for("ready")

    def child(self, *arguments: str, name: str) -> Child:
        """Start a process of ours."""
        child = Child(arguments, self.directory / f"{name}.log")
        self.callback(child.end)
        return child

    def move(self, what: str, **told: float) -> Any:
        """Ask Marathon for something of ``/bench``."""
        return json.loads(self.get(f"/bench/{what}?{urlencode(told)}"))

    def get(self, path: str) -> bytes:
        """Ask Marathon for a page."""
        connection = HTTPConnection(f"{self.shape.network}.2", marathon.PORT, timeout=300)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def counts(self) -> Counts:
        """Return the number of requests and bytes that Marathon has served so far."""
        told = self.move("counts")
        return Counts(told["requests"], told["bytes"])

    def arguments(self, **more: str) -> list[str]:
        """Return the options that the daemon and the script share."""
        binds = {name: f"{self.shape.frontend}:{port}" for name, port in BINDS.items()}
        options = {
            "marathon": self.url,
            "group": GROUP,
            "haproxy": self.haproxy,
            "haproxy-config": str(self.directory / "haproxy.cfg"),
            "state-dir": str(self.directory / "state"),
            "templates": str(CHECKOUT / "templates"),
            "ssl-certs": str(self.directory / "none.pem"),
            **binds,
            **more,
        }
        return ["--health-check", *(f"--{name}={value}" for name, value in options.items())]

    def controller(self) -> Controller:
        """Start the daemon, and wait until all it shall serve is served."""
        self.callback(self._end_haproxy)
        daemon = ["-c", TWISTD, "-n", "--pidfile=", "marathon-lb", "--mode=sse", "--manage-haproxy"]
        began = monotonic()
        child = self.child(*daemon, *self.arguments(), name="controller")
        last = virtual_host(self.shape.apps - 1)
        child.wait_until(lambda: self.frontend.ask(last).address, "starting the controller")
        took = monotonic() - began
        child.idle()
        self.frontend.asked = self.frontend.failed = 0
        return Controller(child, self, took)

    def _end_haproxy(self) -> None:
        procfs, config = Procfs(), str(self.directory / "haproxy.cfg")
        for number in (signal.SIGTERM, signal.SIGKILL):
            last = monotonic() + 5
            for pid in procfs.haproxies(config):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            while procfs.haproxies(config) and monotonic() < last:
                sleep(0.05)


BINDS: Mapping[str, int] = {
    "bind-http": HTTP_PORT,
    "bind-https": 10443,
    "bind-stats": 19090,
    "bind-appid": 19091,
}


@frozen
class Counts:
    """Requests and bytes, by endpoint."""

    requests: Mapping[str, int]
    bytes: Mapping[str, int]

    def since(self, before: Counts) -> Counts:
        """Return what has been added."""
        return Counts(_minus(self.requests, before.requests), _minus(self.bytes, before.bytes))


def _minus(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    added = {name: count - before.get(name, 0) for name, count in after.items()}
    return {name: count for name, count in added.items() if count}


@frozen
class Controller:
    """
    The daemon that is measured, and its HAProxy.

    :param started: seconds from its start until all it shall serve was served.
    """

    child: Child
    world: World
    started: float

    def reloads(self) -> int:
        """How often HAProxy has been reloaded, as its master says. Raises `Failed`."""
        return self._processes().reloads

    def workers(self) -> tuple[int, ...]:
        """Return the process ids of the workers that accept new connections. Raises `Failed`."""
        return tuple(sorted(self._processes().current))

    def _processes(self) -> HAProxyProcesses:
        found: HAProxyProcesses = until(self._asked, 30, "asking HAProxy's master")
        return found

    def _asked(self) -> HAProxyProcesses | None:
        """Return what the master replies; None where it is just being loaded and does not respond."""
        heard = b""
        with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.world.directory / "state" / "master.sock"))
            connection.sendall(b"show proc\nquit\n")
            while part := connection.recv(65536):
                heard += part
        return parse_processes(heard.decode())
