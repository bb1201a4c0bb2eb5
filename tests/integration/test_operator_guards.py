"""An operator's template that HAProxy refuses: what it guards is open at no time, on a real HAProxy."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.fakes import http_marathon as http
from tests.integration.controllers import Controlled
from tests.integration.haproxies import free_port, on_each
from tests.integration.minimarathons import alive, until
from tests.integration.test_stats_address import asked
from tests.integration.worlds import Process, certificate

DENY = "backend {backend}\n  balance {balance}\n  mode {mode}\n  http-request deny unless {{ src 192.0.2.0/24 }}\n"
REMOVED = "  reqidel ^X-Secret\n"


class OperatorGuardsMixin(Controlled):
    """A daemon that asks a Marathon of ours ten times a second; a class for each HAProxy names the binary."""

    binary = ""
    assertEqual: Any
    assertIn: Any
    assertNotIn: Any
    addCleanup: Any

    async def setUp(self) -> None:
        super().setUp()
        self.haproxy = self.binary
        self.processes = {name: Process(name) for name in ("shop", "other")}
        for process in self.processes.values():
            self.addCleanup(process.end)
        self.service_ports = {name: free_port() for name in ("shop", "blog")}
        self.server = http.HTTPMarathon()
        await self.server.start(reactor)
        self.addCleanup(self.server.stop)
        self.server.scripts["/v2/info"] = http.json_body({"elected": True})
        self.runs({"shop": "shop"})
        self.templates = self.directory / "templates"
        self.templates.mkdir()
        self.ca = self.directory / "ca.pem"
        self.site = certificate(self.directory / "site.pem", "shop.example.com")

    def runs(self, apps: dict[str, str]) -> None:
        """These apps run, each with one task, which is one of our processes."""
        self.server.scripts["/v2/apps"] = http.json_body(
            {"apps": [self._document(name, self.processes[task]) for name, task in apps.items()]}
        )

    def _document(self, name: str, process: Process) -> dict[str, Any]:
        task = {
            "id": f"{name}.{process.port}",
            "host": "127.0.0.1",
            "ports": [process.port],
            "state": "TASK_RUNNING",
            "appId": f"/{name}",
        }
        return {
            "id": f"/{name}",
            "instances": 1,
            "labels": {"HAPROXY_0_VHOST": f"{name}.example.com", "HAPROXY_0_BIND_ADDR": "127.0.0.1"},
            "portDefinitions": [{"port": self.service_ports[name]}],
            "tasks": [task],
        }

    def write(self, name: str, text: str) -> None:
        """The operator's text of a template."""
        (self.templates / f"HAPROXY_{name}").write_text(text)

    def begin(self, *more: str) -> None:
        """Start the daemon."""
        self.daemon(
            self.server.url,
            "poll",
            *("--poll-interval", "0.1", "--max-backoff", "0.2", "--min-reload-interval", "0"),
            *("--templates", str(self.templates), "--ssl-certs", self.site, *more),
        )

    async def kill(self, *, haproxy: bool = False) -> None:
        """Let the daemon die, with its HAProxy if that is said."""
        daemon = self.daemons[-1]
        daemon.kill()
        await deferToThread(daemon.wait)
        for pid in self.haproxy_pids() if haproxy else ():
            os.kill(pid, signal.SIGKILL)
            await until(lambda pid=pid: not alive(pid), 20)
            await until(lambda: not self._listens(self.ports["http"]), 20)

    def _listens(self, port: int) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", port)) == 0

    def hang_up(self) -> None:
        """Send SIGHUP."""
        self.daemons[-1].send_signal(signal.SIGHUP)

    async def says(self, word: str, times: int = 1) -> None:
        """Wait until the log holds a word so often."""
        try:
            await until(lambda: self.log().count(word) >= times, 30)
        except AssertionError:
            raise AssertionError(f"{word!r} is not said:\n{self.log()}") from None

    async def status(self, name: str = "shop", *, tls: bool = False) -> int:
        """The status of an answer by a shared port, without a password or a certificate; 0 where there is none."""
        return int(await deferToThread(_status, self.ports["https" if tls else "http"], name, tls))

    async def becomes(
        self, expected: int, name: str = "shop", never: Callable[[int], bool] | None = None
    ) -> None:
        """Wait for a status on the http port; `never` says which one may not be seen on the way."""

        async def seen() -> bool:
            status = await self.status(name)
            if never is not None and never(status):
                raise ValueError(f"{name} answered {status}:\n{self.log()}")
            return status == expected

        try:
            await until(seen, 30)
        except AssertionError:
            raise AssertionError(f"{name} never answered {expected}:\n{self.log()}") from None

    async def red(self, *words: str) -> None:
        """Wait until readiness is red and says these; it is asked of the controller's own socket."""

        async def said() -> bool:
            path = str(self.directory / "state" / "web.sock")
            status, reasons = await deferToThread(_readiness, path)
            return status == 503 and all(word in reasons for word in words)

        await until(said, 30)

    async def test_file_is_empty_for_a_moment(self) -> None:
        """A CA file that is empty while another team deploys opens nothing; steps go on, and it is tried again."""
        good = (self.directory / "site.pem").read_text()
        self.ca.write_text(good)
        self.write("HTTPS_FRONTEND_HEAD", self._demanding())
        self.begin()
        await self.becomes(200)
        await until(self.settled, 30)
        self.assertEqual(await self.status(tls=True), 0)
        self.ca.write_text("")
        self.runs({"shop": "shop", "blog": "shop"})
        await self.says("HAProxy keeps running with its configuration")
        self.assertEqual(await self.status(tls=True), 0)
        self.runs({"shop": "other", "blog": "shop"})
        await self.answers('"who": "other"')  # steps go on
        self.assertEqual(await self.status(tls=True), 0)
        await until(lambda: f":{self.processes['other'].port} " in self.config(), 30)
        await self.kill()
        self.begin()
        await self.says("HAProxy keeps running with its configuration", 2)
        self.runs({"shop": "shop", "blog": "shop"})
        await self.answers('"who": "shop"')
        self.hang_up()
        self.assertEqual(await self.status(tls=True), 0)
        self.ca.write_text(good)
        await self.becomes(200, "blog")
        self.assertEqual(await self.status(tls=True), 0)
        self.assertIn("verify required", self.config())
        self.assertNotIn("Traceback", self.log())

    def _demanding(self) -> str:
        return (
            f"frontend marathon_https_in\n  bind 127.0.0.1:{self.ports['https']} ssl {{sslCerts}} verify required "
            f"ca-file {self.ca}\n  mode http\n"
        )

    async def test_file_is_missing_at_the_start(self) -> None:
        """Without it there is no https port, after a restart of everything, too; readiness is red and says why."""
        self.write("HTTPS_FRONTEND_HEAD", self._demanding())
        self.begin()
        await self.becomes(200)
        self.assertEqual(await self.status(tls=True), 0)
        self.assertNotIn("frontend marathon_https_in", self.config())
        await self.red("HAPROXY_HTTPS_FRONTEND_HEAD", "the https port is closed")
        await self.kill()
        self.runs({"shop": "shop", "blog": "other"})
        self.begin()
        await self.becomes(200, "blog")  # what is closed keeps nobody else out
        self.ca.write_text((self.directory / "site.pem").read_text())
        self.hang_up()
        await until(lambda: "frontend marathon_https_in" in self.config() and self.settled(), 30)
        self.assertEqual(await self.status(tls=True), 0)
        self.assertIn("verify required", self.config())
        self.ca.unlink()
        await self.kill(haproxy=True)
        self.begin()
        await self.becomes(200)
        self.assertEqual(await self.status(tls=True), 0)
        self.assertNotIn("frontend marathon_https_in", self.config())

    async def test_statistics(self) -> None:
        """A head with a password and a removed keyword shows its statistics to nobody."""
        head = (
            "global\n  stats socket /nowhere/at/all/socket level admin\n{before}defaults\n  mode http\n"
            "  timeout client 9s\n  timeout connect 9s\n  timeout server 9s\nlisten stats\n"
            f"  bind 127.0.0.1:{self.ports['stats']}\n{{listen}}  stats enable\n  stats uri /haproxy?stats\n"
            "  stats auth admin:secret\n"
        )
        self.write("HEAD", head.format(before="", listen="  reqdeny ^X-Bad\n"))
        self.begin()
        await self.becomes(200)
        self.assertEqual((await self._statistics()), 0)
        await self.red("HAPROXY_HEAD", "the statistics and whatever else it opens are closed")
        self.write("HEAD", head.format(before="  nbproc 4\n  debug\n", listen="  option forceclose\n"))
        self.hang_up()
        await self.says("`option forceclose` is left out")
        await until(lambda: "# nbproc 4" in self.config() and self.settled(), 30)
        self.assertEqual(await self._statistics(), 401)
        self.assertEqual(await self.status(), 200)
        self.assertIn(f"stats socket {self.directory}/state/haproxy.sock level admin", self.config())
        self.assertNotIn("Traceback", self.log())

    async def _statistics(self) -> int:
        status, _ = await deferToThread(asked, self.ports["stats"], "/haproxy?stats")
        return int(status)

    async def test_deny(self) -> None:
        """A backend that denies answers 403 or nothing, whatever else its template holds and whoever is restarted."""

        def opened(status: int) -> bool:
            return status == 200

        self.write("BACKEND_HEAD", DENY + REMOVED)
        self.begin()
        await self.says("until it is good, the services that use it are closed")
        await self.becomes(503, never=opened)
        self.write("BACKEND_HEAD", DENY)
        self.hang_up()
        await self.becomes(403, never=opened)
        self.write("BACKEND_HEAD", DENY + REMOVED + "  # again\n")
        self.runs({"shop": "shop", "blog": "other"})
        self.hang_up()
        await self.says("its last good text is used")
        await self.becomes(403, "blog", never=opened)
        await self.kill()
        self.begin()
        await self.says("its last good text is used", 2)
        await self.becomes(403, never=opened)
        await self.kill(haproxy=True)
        self.begin()
        await self.becomes(403, never=opened)
        await self.becomes(403, "blog", never=opened)

    async def test_unknown_variable(self) -> None:
        """So does one that cannot be rendered, at the start and when it is read anew."""
        self.write("BACKEND_HEAD", DENY + "  # {nothing}\n")
        self.begin()
        await self.becomes(503, never=lambda status: status == 200)
        self.write("BACKEND_HEAD", DENY)
        self.hang_up()
        await self.becomes(403, never=lambda status: status == 200)
        await until(self.settled, 30)
        self.write("BACKEND_HEAD", DENY + "  # {nothing}\n")
        self.hang_up()
        await self.says("its last good text is used")
        self.assertEqual(await self.status(), 403)
        (self.templates / "HAPROXY_BACKEND_HEAD.j2").write_text("backend x\n")
        self.hang_up()
        await self.says("HAPROXY_BACKEND_HEAD is for the same template")
        self.assertEqual(await self.status(), 403)

    async def test_fallback(self) -> None:
        """Who asks for it has the default in place of a text that never was good."""
        self.write("BACKEND_HEAD", DENY + REMOVED)
        self.begin("--template-fallback")
        await self.becomes(200)
        await self.says("because of --template-fallback")


def _status(port: int, name: str, tls: bool) -> int:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host = f"{name}.example.com"
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as plain:
            connection = context.wrap_socket(plain, server_hostname=host) if tls else plain
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            first = connection.recv(64).split()
    except OSError:
        return 0
    return int(first[1]) if len(first) > 1 else 0


def _readiness(path: str) -> tuple[int, str]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(path)
        connection.sendall(b"PROXY TCP4 127.0.0.1 127.0.0.1 0 0\r\n")
        connection.sendall(b"GET /api/health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        heard = b""
        while part := connection.recv(65536):
            heard += part
    head, _, body = heard.partition(b"\r\n\r\n")
    return int(head.split()[1]), " ".join(
        json.loads(body).get("reasons", [])
    ) if b"{" in body else body.decode()


on_each(OperatorGuardsMixin, globals(), TestCase)
