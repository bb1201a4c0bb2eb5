"""
What HAProxy may do once it serves, and who may connect to the sockets of the state directory, on real HAProxies.

As root HAProxy becomes another user, which these tests see; as any other user it stays that user.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from marathonlb.config.templates.loader import load_templates
from marathonlb.haproxy.process.account import with_account
from marathonlb.settings import Settings
from minimarathon.service import MiniMarathon
from tests.integration.controllers import HOST, Controlled, app, get
from tests.integration.haproxies import free_port, on_each
from tests.integration.minimarathons import MarathonTestCase, until
from tests.integration.test_no_request_lost import workers
from tests.integration.worlds import certificate, trusting

ROOT = os.geteuid() == 0
STRANGER = 54321
"""A user id without an account."""

CONNECT = """
import socket, sys
with socket.socket(socket.AF_UNIX) as asking:
    try:
        asking.connect(sys.argv[1])
    except OSError as error:
        sys.exit(type(error).__name__)
"""

HEAD = """global
  log stdout format raw local0
  stats socket {state}/haproxy.sock mode 600 level admin expose-fd listeners
{more}
defaults
  mode http
  timeout connect 3s
  timeout client 30s
  timeout server 30s
listen stats
  bind 127.0.0.1:{stats}
  monitor-uri /_haproxy_health_check
  server controller unix@{state}/web.sock send-proxy-v2 check inter 1s fall 1 rise 1
"""


def user_of_haproxy() -> int:
    """The user that HAProxy's worker becomes on this machine."""
    made, _ = with_account(Settings(), load_templates("/nonexistent", {}))
    assert made.account is not None
    return made.account.uid


def https(port: int, host: str) -> str:
    """The answer to one request over TLS, as text; empty where there is none."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as plain:
            secured = trusting(["http/1.1"]).wrap_socket(plain, server_hostname=host)
            secured.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            heard = b""
            while part := secured.recv(65536):
                heard += part
    except OSError:
        return ""
    return heard.decode()


class RightsMixin(Controlled):
    """A daemon with its HAProxy; a class for each HAProxy names the binary."""

    binary = ""

    def setUp(self) -> None:
        super().setUp()
        self.haproxy = self.binary
        self.state = self.directory / "state"

    async def world(self, *options: str) -> MiniMarathon:
        """A Marathon, a daemon, an app with a certificate of its own, and one that serves a shared one."""
        service = self.service = self.marathon()  # type: ignore[attr-defined]
        self.own = certificate(self.directory / "own.pem", HOST)
        shared = certificate(self.directory / "shared.pem", "plain.example.com")
        self.more = ("--group-https-by-vhost", "--ssl-certs", shared, "--min-reload-interval", "0", *options)
        self.daemon(service.url, "sse", *self.more)
        await self.create(service, self.app("shop", HAPROXY_0_SSL_CERT=self.own))
        await self.create(service, self.app("plain"))
        await self.answers("200 OK")
        await self.answers("200 OK", "plain.example.com")
        await self.secured(HOST, "plain.example.com")
        return service

    def app(self, name: str, **labels: str) -> dict[str, Any]:
        """An app whose port is on the loopback."""
        return app(name, free_port(), HAPROXY_0_BIND_ADDR="127.0.0.1", **labels)

    async def secured(self, *hosts: str) -> None:
        """Wait until these answer over https."""
        for host in hosts:

            async def answers(host: str = host) -> bool:
                return " 200 OK" in await deferToThread(https, self.ports["https"], host)

            await until(answers, 30)

    async def reload(self) -> None:
        """Reload HAProxy, and wait for it."""
        before = self.reloads()
        self.daemons[-1].send_signal(signal.SIGUSR1)
        await until(lambda: self.reloads() > before, 30)

    async def pages(self) -> None:
        """Wait until the controller's pages answer through HAProxy, and the controller reads HAProxy's numbers."""

        async def answer() -> bool:
            said = [
                await deferToThread(get, self.ports["stats"], "lb", path)
                for path in ("/api/health/ready", "/metrics")
            ]
            return "200 OK" in said[0] and "haproxy_process_" in said[1]

        await until(answer, 30)

    def sockets(self) -> dict[str, os.stat_result]:
        """The sockets by which HAProxy hands connections to itself."""
        return {path.name: path.stat() for path in self.state.glob("tls-*")}

    def status(self, key: str) -> set[str]:
        """A line of the workers' status in ``/proc``."""
        (master,) = self.haproxy_pids()
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in workers(master)]
        return {
            found[1] for text in texts for found in re.finditer(rf"^{key}:[ \t]*(.*)$", text, re.MULTILINE)
        }

    def roots(self) -> set[str]:
        """Return the root directories of the workers."""
        (master,) = self.haproxy_pids()
        return {os.readlink(f"/proc/{pid}/root") for pid in workers(master)}

    async def alone(self) -> None:
        """Wait until old workers have ended."""

        def one() -> bool:
            (master,) = self.haproxy_pids()
            return len(workers(master)) == 1

        await until(one, 60)

    async def test_sockets(self) -> None:
        """No abstract socket, and only HAProxy's user may connect to those that tell it who a client is."""
        await self.world()
        names = re.findall(r"marathon_https_\w+_[0-9a-f]{20}", self.config())
        self.assertTrue(names)  # type: ignore[attr-defined]
        self.assertNotIn("abns@", self.config())  # type: ignore[attr-defined]
        taken = Path("/proc/net/unix").read_text()
        self.assertEqual([], [name for name in names if f"@{name}" in taken])  # type: ignore[attr-defined]
        owner = user_of_haproxy() if ROOT else os.geteuid()
        found = self.sockets()
        self.assertEqual(2, len(found))  # type: ignore[attr-defined]
        for status in found.values():
            self.assertEqual((0o600, owner), (stat.S_IMODE(status.st_mode), status.st_uid))  # type: ignore[attr-defined]
        self.assertEqual(0, self.state.stat().st_mode & 0o022)  # type: ignore[attr-defined]
        if ROOT:
            self.directory.chmod(self.directory.stat().st_mode | stat.S_IXOTH)
            closed = [path for path in self.state.iterdir() if path.is_socket()]
            self.assertIn(self.state / "web.sock", closed)  # type: ignore[attr-defined]
            for opened in (0, stat.S_IXOTH):  # the directory keeps a stranger out, and so do the sockets
                self.state.chmod(self.state.stat().st_mode | opened)
                for path in closed:
                    self.assertEqual("PermissionError", self.connect_as_stranger(path))  # type: ignore[attr-defined]

    async def deployed(self) -> bool:
        """Return whether Marathon has no deployment."""
        found = await self.ask(self.service, "GET", "/v2/deployments")  # type: ignore[attr-defined]
        return bool(found == (200, []))

    def connect_as_stranger(self, path: Path) -> str:
        """Return the error of another user's connection to a socket; empty if it is accepted."""
        become = ("setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups")
        python = next(
            each for each in ("/usr/bin/python3", "python3") if "/" not in each or os.path.exists(each)
        )
        done = subprocess.run(
            [*become, python, "-c", CONNECT, str(path)], capture_output=True, text=True, check=False
        )
        return done.stderr.strip()

    async def test_gone(self) -> None:
        """The socket of a host that is gone is removed, others stay, and it may come again."""
        service = await self.world()
        before = set(self.sockets())
        for _ in range(2):
            await self.create(service, self.app("third", HAPROXY_0_SSL_CERT=self.own))
            await self.secured("third.example.com")
            self.assertEqual(3, len(self.sockets()))  # type: ignore[attr-defined]
            await self.ask(service, "DELETE", "/v2/apps/third")  # type: ignore[attr-defined]
            await until(lambda: set(self.sockets()) == before, 30)
            await until(self.deployed, 30)
            await self.secured(HOST, "plain.example.com")

    async def test_user(self) -> None:
        """The worker has given root up and sees the state directory alone; reloads, steps and pages work on."""
        service = await self.world()
        owner = user_of_haproxy() if ROOT else os.geteuid()
        root = str(self.state) if ROOT else "/"
        await self.pages()
        for _ in range(2):
            await self.alone()
            self.assertEqual({"\t".join([str(owner)] * 4)}, self.status("Uid"))  # type: ignore[attr-defined]
            self.assertEqual({root}, self.roots())  # type: ignore[attr-defined]
            if ROOT:
                self.assertEqual({"0" * 16}, self.status("CapEff"))  # type: ignore[attr-defined]
                self.assertEqual({""}, {each.strip() for each in self.status("Groups")})  # type: ignore[attr-defined]
            await self.reload()
            await self.secured(HOST, "plain.example.com")
            await self.pages()
        before = self.reloads()
        await self.ask(service, "PUT", "/v2/apps/plain", {"instances": 3})  # type: ignore[attr-defined]
        await until(lambda: self.log().count("added") and self.servers() >= 4, 60)
        self.assertEqual(before, self.reloads(), self.log())  # type: ignore[attr-defined]
        said = (self.state / "haproxy.log").read_text()
        self.assertNotIn("started as root", said)  # type: ignore[attr-defined]

    async def test_adopted(self) -> None:
        """The controller is killed and comes again, the worker dies: HAProxy is adopted and has no more rights."""
        service = await self.world()
        (master,) = self.haproxy_pids()
        self.daemons[-1].kill()
        await deferToThread(self.daemons[-1].wait)
        self.daemon(service.url, "sse", *self.more)
        await self.pages()
        self.assertEqual([master], self.haproxy_pids())  # type: ignore[attr-defined]
        for pid in workers(master):
            os.kill(pid, signal.SIGKILL)
        await until(lambda: self.haproxy_pids() not in ([], [master]), 60)
        await self.secured(HOST, "plain.example.com")
        await self.pages()
        owner = user_of_haproxy() if ROOT else os.geteuid()
        self.assertEqual({"\t".join([str(owner)] * 4)}, self.status("Uid"))  # type: ignore[attr-defined]

    async def operators(self, more: str) -> str:
        """A world with an operator's HAPROXY_HEAD; returns the worker's users."""
        self.directory.chmod(self.directory.stat().st_mode | stat.S_IXOTH)
        templates = self.directory / "templates"
        templates.mkdir()
        text = HEAD.format(state=self.state, stats=self.ports["stats"], more=more)
        (templates / "HAPROXY_HEAD").write_text(text)
        await self.world("--templates", str(templates))

        async def ready() -> bool:
            return "200 OK" in await deferToThread(get, self.ports["stats"], "lb", "/api/health/ready")

        await until(ready, 30)
        await self.reload()
        await self.secured(HOST, "plain.example.com")
        await self.alone()
        self.assertNotIn("abns@", self.config())  # type: ignore[attr-defined]
        (users,) = self.status("Uid")
        return users

    async def test_operators_head(self) -> None:
        """An operator's text that says nothing of a user: HAProxy gives root up, and sees all files."""
        users = await self.operators("")
        owner = user_of_haproxy() if ROOT else os.geteuid()
        self.assertEqual(("\t".join([str(owner)] * 4), {"/"}), (users, self.roots()))  # type: ignore[attr-defined]

    async def test_operators_user(self) -> None:
        """An operator's text that names who HAProxy becomes decides, and the sockets are that user's."""
        uid = STRANGER if ROOT else os.geteuid()
        more = f"  uid {uid}\n  gid {uid}\n  chroot {self.directory}\n" if ROOT else ""
        users = await self.operators(more)
        root = str(self.directory) if ROOT else "/"
        self.assertEqual(("\t".join([str(uid)] * 4), {root}), (users, self.roots()))  # type: ignore[attr-defined]
        self.assertEqual({uid}, {status.st_uid for status in self.sockets().values()})  # type: ignore[attr-defined]


on_each(RightsMixin, globals(), MarathonTestCase)
