"""The controller as a program, between a Marathon of this process and a HAProxy of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from minimarathon.service import MiniMarathon
from tests.integration.haproxies import free_port
from tests.integration.minimarathons import alive, until
from tests.paths import CHECKOUT

TWISTD = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"
HOST = "shop.example.com"


def get(port: int, host: str = HOST, path: str = "/") -> str:
    """The first line and the body of an answer on a connection of its own; empty where there is none."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            heard = b""
            while part := connection.recv(65536):
                heard += part
    except OSError:
        return ""
    head, _, body = heard.partition(b"\r\n\r\n")
    status = head.partition(b"\r\n")[0].decode()
    return f"{status} {body.decode()}" if heard else ""


def app(name: str, port: int, instances: int = 1, **labels: str) -> dict[str, Any]:
    """A little web server as an app."""
    return {
        "id": f"/{name}",
        "cmd": f'exec "{sys.executable}" -S -m minimarathon.apps web --name {name}',
        "env": {"PYTHONPATH": str(CHECKOUT)},
        "instances": instances,
        "portDefinitions": [{"port": port}],
        "labels": {"HAPROXY_0_VHOST": f"{name}.example.com", **labels},
        "healthChecks": [
            {
                "protocol": "HTTP",
                "path": "/health",
                "portIndex": 0,
                "gracePeriodSeconds": 10,
                "intervalSeconds": 1,
                "timeoutSeconds": 2,
            }
        ],
    }


class Controlled:
    """For a `MarathonTestCase`: the daemon as a program in a directory, the HAProxy that it manages, and their end."""

    haproxy = ""
    timeout = 480

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="lb-", dir="/tmp")).resolve()
        self.ports = {name: free_port() for name in ("http", "https", "stats", "appid")}
        self.daemons: list[subprocess.Popen[bytes]] = []
        self.addCleanup(self.clean)

    async def clean(self) -> None:
        """End the daemons, then HAProxy, by their pids."""
        for daemon in self.daemons:
            if daemon.poll() is None:
                daemon.kill()
            await deferToThread(daemon.wait)
        for pid in self.haproxy_pids():
            os.kill(pid, signal.SIGTERM)
            await until(lambda pid=pid: not alive(pid), 10)
        shutil.rmtree(self.directory, ignore_errors=True)

    def haproxy_pids(self) -> list[int]:
        """The master of the managed HAProxy, where it runs."""
        try:
            pid = int((self.directory / "state" / "haproxy.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return []
        return [pid] if alive(pid) else []

    def options(self, marathon: str) -> list[str]:
        """The options that the daemon and the script are given alike."""
        binds = [f"--bind-{name}=127.0.0.1:{port}" for name, port in self.ports.items()]
        return [
            *("-m", marathon, "--haproxy", self.haproxy, "--manage-haproxy", "--health-check"),
            *("--haproxy-config", str(self.directory / "haproxy.cfg")),
            *("--state-dir", str(self.directory / "state"), *binds),
        ]

    def daemon(self, marathon: str, mode: str = "sse", *more: str) -> subprocess.Popen[bytes]:
        """Start the daemon."""
        with (self.directory / "log").open("ab") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-c", TWISTD, "-n", "--pidfile=", "marathon-lb", f"--mode={mode}"),
                    *(*self.options(marathon), *more),
                ],
                cwd=self.directory,
                env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.daemons.append(process)
        return process

    def script(self, marathon: str, *more: str) -> Deferred[subprocess.CompletedProcess[str]]:
        """Run the script to its end."""
        return deferToThread(
            subprocess.run,
            [sys.executable, str(CHECKOUT / "marathon-update-haproxy.py"), *self.options(marathon), *more],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def log(self) -> str:
        """What the daemon has said."""
        return (self.directory / "log").read_text()

    def reloads(self) -> int:
        """How often the daemon has reloaded HAProxy."""
        return self.log().count(": reload in ")

    async def answers(self, expected: str, host: str = HOST, path: str = "/") -> str:
        """Wait until a request through HAProxy is answered with these words."""

        async def asked() -> str:
            heard = await deferToThread(get, self.ports["http"], host, path)
            return heard if expected in heard else ""

        try:
            return str(await until(asked, 30))
        except AssertionError:
            raise AssertionError(
                f"{host}{path} never answered {expected!r}; the log:\n{self.log()}"
            ) from None

    async def create(self, service: MiniMarathon, definition: dict[str, Any]) -> None:
        """Start an app."""
        status, body = await self.ask(service, "POST", "/v2/apps", definition)  # type: ignore[attr-defined]
        assert status == 201, body

    def config(self) -> str:
        """What lies on disk."""
        return (self.directory / "haproxy.cfg").read_text()

    def servers(self) -> int:
        """How many tasks are in it; all of them run on the loopback."""
        return self.config().count("\n  server 127_0_0_1_")

    def settled(self) -> bool:
        """Whether HAProxy has confirmed what lies on disk."""
        return (self.directory / "state" / "confirmed").exists()

    async def healthy(self, service: MiniMarathon, app_id: str) -> bool:
        """Whether every task of an app is alive."""
        tasks = await self.tasks(service, app_id)
        return bool(tasks) and all(
            any(result["alive"] for result in task.get("healthCheckResults") or ()) for task in tasks
        )
