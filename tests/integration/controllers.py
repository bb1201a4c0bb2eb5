"""The controller as a program, with a Marathon in this process and its own HAProxy."""

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
    """Return the status line and the body of a response, on a new connection; empty if there is none."""
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
    """Return the definition of an app with a small web server."""
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
    """A mixin for `MarathonTestCase`: runs the daemon and its HAProxy in a directory, and ends them."""

    haproxy = ""
    timeout = 480

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="lb-", dir="/tmp")).resolve()
        self.ports = {name: free_port() for name in ("http", "https", "stats", "appid")}
        self.daemons: list[subprocess.Popen[bytes]] = []
        self.addCleanup(self.clean)

    async def clean(self) -> None:
        """End the daemons, then HAProxy, by their process ids."""
        for daemon in self.daemons:
            if daemon.poll() is None:
                daemon.kill()
            await deferToThread(daemon.wait)
        for pid in self.haproxy_pids():
            os.kill(pid, signal.SIGTERM)
            await until(lambda pid=pid: not alive(pid), 10)
        shutil.rmtree(self.directory, ignore_errors=True)

    def haproxy_pids(self) -> list[int]:
        """Return the process ids of the managed HAProxy."""
        try:
            pid = int((self.directory / "state" / "haproxy.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return []
        return [pid] if alive(pid) else []

    def options(self, marathon: str) -> list[str]:
        """Return the common options of the daemon and the script."""
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
        """Return the daemon's log."""
        return (self.directory / "log").read_text()

    def reloads(self) -> int:
        """Return the number of HAProxy's reloads by the daemon."""
        return self.log().count(": reload in ")

    async def answers(self, expected: str, host: str = HOST, path: str = "/") -> str:
        """Wait until the response to a request through HAProxy contains a text."""

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
        """Return the configuration file's text."""
        return (self.directory / "haproxy.cfg").read_text()

    def servers(self) -> int:
        """Return the number of servers in it; all are on the loopback."""
        return self.config().count("\n  server 127_0_0_1_")

    def settled(self) -> bool:
        """Return whether HAProxy has confirmed the configuration file."""
        return (self.directory / "state" / "confirmed").exists()

    async def healthy(self, service: MiniMarathon, app_id: str) -> bool:
        """Return whether every task of an app is healthy."""
        tasks = await self.tasks(service, app_id)
        return bool(tasks) and all(
            any(result["alive"] for result in task.get("healthCheckResults") or ()) for task in tasks
        )
