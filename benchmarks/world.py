"""
The processes of a measurement: the controller, HAProxy, Marathon and its tasks; all end with the run.

They use the loopback interface, in a network of this run, so that parallel runs do not collide.
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
"""Maximum number of seconds until a started process serves."""


class Failed(Exception):
    """A measurement failed; the message has the reason."""


def own_network() -> str:
    """Return the first three numbers of a loopback network that no concurrent run uses."""
    return f"127.{1 + os.getpid() // 254 % 254}.{1 + os.getpid() % 254}"


def environment() -> dict[str, str]:
    """Return the environment for child processes, without variables that are options of marathon-lb."""
    options = ("HAPROXY_", "MARATHON", "DCOS_", "FRAMEWORK_NAME")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(options)}
    return {**kept, "PYTHONPATH": str(CHECKOUT)}


def until(condition: Callable[[], Any], seconds: float, description: str, every: float = 0.02) -> Any:
    """Wait for a true value and return it. Raises `Failed`."""
    last = monotonic() + seconds
    while not (value := condition()):
        if monotonic() > last:
            raise Failed(f"{description}: timed out after {seconds:g} s")
        sleep(every)
    return value


@frozen
class Cpu:
    """
    Seconds of CPU.

    :param own: of the main thread, which handles the events.
    :param whole: of all threads.
    """

    own: float
    whole: float

    def each(self, before: Cpu, count: int) -> Cpu:
        """Return the difference, divided by a number."""
        return Cpu((self.own - before.own) / count, (self.whole - before.whole) / count)

    @property
    def behind(self) -> float:
        """The seconds of the other threads, which write the file."""
        return max(0.0, self.whole - self.own)


class BenchmarkProcess:
    """A child process, with its output in a file."""

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

    def wait_until(self, condition: Callable[[], Any], description: str) -> Any:
        """Wait for a condition while the process runs. Raises `Failed` with the end of its output."""

        def checked() -> Any:
            if self._process.poll() is not None:
                raise Failed(f"{description}: the process has ended: {self.output()[-2000:]}")
            return condition()

        try:
            return until(checked, START_TIMEOUT, description)
        except Failed as failed:
            raise Failed(f"{failed}\n{self.output()[-2000:]}") from None

    def wait_for(self, word: str) -> None:
        """Wait until the output contains a word. Raises `Failed`."""
        self.wait_until(lambda: word in self.output(), f"waiting for {word!r}")

    def output(self) -> str:
        """Return the output so far."""
        return self._output.read_text(errors="replace")

    def cpu(self) -> float:
        """
        Return the CPU seconds of all its threads.

        It reads the clock of clock_getcpuclockid(3), which is far finer than the ticks of ``/proc/PID/stat``.
        """
        return clock_gettime((~self.pid << 3) | 2)

    def cpu_by_threads(self) -> Cpu:
        """Return the CPU seconds of the main thread, which the system counts in hundredths, and of all threads."""
        stat = Path(f"/proc/{self.pid}/task/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return Cpu((int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"), self.cpu())

    def memory(self) -> tuple[float, float]:
        """Return the resident memory in MB: the current value and the peak."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        values = {
            line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith("Vm")
        }
        return int(values["VmRSS"]) / 1024, int(values["VmHWM"]) / 1024

    def idle(self, seconds: float = 0.4, share: float = 0.05) -> None:
        """Wait until it uses less than `share` of a CPU for `seconds`."""

        def is_idle() -> bool:
            before = self.cpu()
            sleep(seconds)
            return self.cpu() - before < share * seconds

        self.wait_until(is_idle, "waiting until it is idle")

    def end(self) -> None:
        """End the process: close its input, send SIGTERM, and SIGKILL after 15 seconds."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@frozen
class TaskResponse:
    """The response to a request: the address of the task (``host:port``; empty if none responded) and the time."""

    address: str
    at: float


class Frontend:
    """A client of HAProxy: one connection per request; counts the requests, and those without a good response."""

    def __init__(self, address: str) -> None:
        self.asked = 0
        self.failed = 0
        self._address = address

    def ask(self, host: str) -> TaskResponse:
        """Send a request to a virtual host, and count it."""
        response = self.try_to_ask(host)
        self.asked += 1
        self.failed += not response.address
        return response

    def try_to_ask(self, host: str, port: int = HTTP_PORT) -> TaskResponse:
        """Send a request that may fail, without counting it."""
        received = b""
        with suppress(OSError), socket.create_connection((self._address, port), 5) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            while part := connection.recv(65536):
                received += part
        head, _, body = received.partition(b"\r\n\r\n")
        return TaskResponse(body.decode() if head.startswith(b"HTTP/1.1 200 ") else "", monotonic())


class World(ExitStack):
    """
    A directory, a Marathon and its tasks, and on demand a controller with its HAProxy; all end with the context.

    :param haproxy: path of the binary.
    :param parent: the parent of the directory; its path must be short enough for sockets.
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
        values = [str(value) for value in (shape.apps, shape.tasks, shape.seed, shape.network, shape.mortal)]
        for module, arguments in (("responders", [*values[:2], *values[3:]]), ("marathon", values)):
            child = self.child("-m", f"benchmarks.{module}", *arguments, name=module)
            child.wait_for("ready")

    def child(self, *arguments: str, name: str) -> BenchmarkProcess:
        """Start a child process."""
        child = BenchmarkProcess(arguments, self.directory / f"{name}.log")
        self.callback(child.end)
        return child

    def move(self, command: str, **parameters: float) -> Any:
        """Send a command below ``/bench`` to Marathon; return its JSON."""
        return json.loads(self.get(f"/bench/{command}?{urlencode(parameters)}"))

    def get(self, path: str) -> bytes:
        """Return the body of a page of Marathon."""
        connection = HTTPConnection(f"{self.shape.network}.2", marathon.PORT, timeout=300)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def counts(self) -> Counts:
        """Return the numbers of requests and bytes that Marathon has served so far."""
        counts = self.move("counts")
        return Counts(counts["requests"], counts["bytes"])

    def arguments(self, **more: str) -> list[str]:
        """Return the common options of the daemon and the script."""
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
        """Start the daemon, and wait until all apps are served."""
        self.callback(self._end_haproxy)
        daemon = ["-c", TWISTD, "-n", "--pidfile=", "marathon-lb", "--mode=sse", "--manage-haproxy"]
        start = monotonic()
        child = self.child(*daemon, *self.arguments(), name="controller")
        last = virtual_host(self.shape.apps - 1)
        child.wait_until(lambda: self.frontend.ask(last).address, "starting the controller")
        seconds = monotonic() - start
        child.idle()
        self.frontend.asked = self.frontend.failed = 0
        return Controller(child, self, seconds)

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
        """Return the difference."""
        return Counts(_minus(self.requests, before.requests), _minus(self.bytes, before.bytes))


def _minus(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    added = {name: count - before.get(name, 0) for name, count in after.items()}
    return {name: count for name, count in added.items() if count}


@frozen
class Controller:
    """
    The measured daemon and its HAProxy.

    :param started: seconds from its start until all apps were served.
    """

    child: BenchmarkProcess
    world: World
    started: float

    def reloads(self) -> int:
        """Return the number of reloads, from HAProxy's master. Raises `Failed`."""
        return self._processes().reloads

    def workers(self) -> tuple[int, ...]:
        """Return the process ids of the workers that accept new connections. Raises `Failed`."""
        return tuple(sorted(self._processes().current))

    def _processes(self) -> HAProxyProcesses:
        processes: HAProxyProcesses = until(
            self._show_proc, 30, "reading the processes from HAProxy's master"
        )
        return processes

    def _show_proc(self) -> HAProxyProcesses | None:
        """Return the master's processes; None if it does not respond during a reload."""
        received = b""
        with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.world.directory / "state" / "master.sock"))
            connection.sendall(b"show proc\nquit\n")
            while part := connection.recv(65536):
                received += part
        return parse_processes(received.decode())
