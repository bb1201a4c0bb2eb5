"""Certificates of a running load balancer: bad ones, ones that come later, ones that are replaced while it serves."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from twisted.internet.threads import deferToThread

from minimarathon.service import MiniMarathon
from tests.integration.authorities import Authority, ask_tls, served, weak_key
from tests.integration.controllers import HOST, Controlled, app
from tests.integration.haproxies import PACKAGE, WHEEL, free_port, on_each
from tests.integration.minimarathons import MarathonTestCase, until


class TlsLoad:
    """Requests over new TLS connections from some threads."""

    def __init__(self, port: int, name: str) -> None:
        self.answers = 0
        self.failures: list[str] = []
        self._port, self._name = port, name
        self._stop = Event()
        self._threads = [Thread(target=self._run, daemon=True) for _ in range(2)]

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                answer = ask_tls(self._port, self._name, HOST)
            except OSError as error:
                self.failures.append(repr(error))
                continue
            self.answers += 1
            if answer.status != 200:
                self.failures.append(str(answer.status))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ask as long as the block lasts."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(10)


class WithCertificates(Controlled):
    """The daemon with a HAProxy of its own, and who signs certificates."""

    binary = ""
    marathon: Any
    assertEqual: Any
    assertIn: Any
    assertLessEqual: Any
    assertNotIn: Any

    def setUp(self) -> None:
        super().setUp()
        self.haproxy = self.binary
        self.authority = Authority(self.directory)

    async def start(self, *more: str) -> MiniMarathon:
        """A daemon and an app, and HAProxy has confirmed both."""
        service: MiniMarathon = self.marathon()
        self.daemon(service.url, "sse", *more)
        await self.create(service, app("shop", free_port()))
        await self.answers("200")
        await until(lambda: self.settled() and self.reloads(), 60)
        return service

    def look(self) -> None:
        """Have the daemon look at once; it does so by itself every few seconds."""
        self.daemons[0].send_signal(signal.SIGHUP)

    async def shown(self, name: str, expected: str) -> None:
        """Wait until the certificate of `expected` is served for a name."""
        port = self.ports["https"]

        async def seen() -> bool:
            return (await deferToThread(served, port, name))[0] == expected

        try:
            await until(seen, 60)
        except AssertionError:
            raise AssertionError(f"{expected} is not served for {name}:\n{self.log()}") from None


class ReplacedMixin(WithCertificates):
    """The tests that depend on HAProxy's version; a subclass for each binary."""

    async def test_replaced(self) -> None:
        """A certificate that is replaced is served without a reload, and no request fails meanwhile."""
        path = self.authority.issue("site.pem", "old.test")
        (self.directory / "more").mkdir()
        self.authority.issue("more/one.pem", "one.test", mode="apart")
        await self.start("--ssl-certs", f"{path},{self.directory / 'more'}")
        await self.shown("x", "old.test")
        before = self.reloads()
        load = TlsLoad(self.ports["https"], "old.test")
        with load.running():
            await until(lambda: load.answers > 5, 60)
            self.authority.issue("site.pem", "new.test")
            self.look()
            await self.shown("x", "new.test")
            self.authority.issue("more/one.pem", "two.test", mode="apart")
            self.look()
            await self.shown("two.test", "two.test")
            after = load.answers + 5
            await until(lambda: load.answers > after, 60)
        self.assertEqual([], load.failures)
        await until(lambda: "HAProxy serves the new one" in self.log(), 60)
        self.assertEqual(before, self.reloads(), self.log())

    async def test_reload_of_groups(self) -> None:
        """A reload loses no request where names lead to frontends behind the port."""
        shared = self.authority.issue("shared.pem", "shared.test")
        own = self.authority.issue("own.pem", HOST)
        service: MiniMarathon = self.marathon()
        self.daemon(service.url, "sse", "--ssl-certs", shared, "--group-https-by-vhost")
        await self.create(
            service, app("shop", free_port(), HAPROXY_0_SSL_CERT=own, HAPROXY_0_BIND_ADDR="127.0.0.1")
        )
        await self.answers("200")
        await self.shown(HOST, HOST)
        await self.shown("else", "shared.test")
        load = TlsLoad(self.ports["https"], HOST)
        with load.running():
            for _ in range(3):
                before, after = self.reloads(), load.answers + 5
                self.daemons[0].send_signal(signal.SIGUSR1)
                await until(lambda before=before: self.reloads() > before, 60)
                await until(lambda after=after: load.answers > after, 60)
        self.assertEqual([], load.failures)

    async def test_haproxy_refuses(self) -> None:
        """What HAProxy alone finds bad is left out in its words, or served where it is content."""
        weak = self.authority.issue("weak.pem", "weak.test", key=weak_key())
        good = self.authority.issue("good.pem", "good.test")
        check = self.directory / "weak.cfg"
        check.write_text(f"frontend x\n  bind 127.0.0.1:1 ssl crt {weak}\n")
        command = [self.haproxy, "-c", "-f", str(check)]
        refuses = subprocess.run(command, capture_output=True, check=False).returncode != 0
        await self.start("--ssl-certs", f"{good},{weak}")
        await self.shown("good.test", "good.test")
        if refuses:
            await until(lambda: f"'{weak}': is refused by HAProxy" in self.log(), 60)
            self.authority.issue("weak.pem", "weak.test")
        await self.shown("weak.test", "weak.test")


class CertificateFileTests(WithCertificates, MarathonTestCase):
    """The tests that do not depend on HAProxy's version."""

    binary = PACKAGE or WHEEL
    skip = None if binary else "there is no HAProxy"

    async def test_bad_and_late(self) -> None:
        """Bad certificates are named and left out; those that come later, or are mended, are served."""
        good = self.authority.issue("good.pem", "good.test")
        late, torn = self.directory / "late.pem", self.directory / "torn.pem"
        torn.write_bytes((self.directory / "good.pem").read_bytes()[:300])
        (self.directory / "more").mkdir()
        await self.start("--ssl-certs", f"{late},{torn},{good},{self.directory / 'more'}")
        await self.shown("x", "good.test")
        for path, words in (
            (late, "does not exist"),
            (torn, "is no PEM file"),
            (self.directory / "more", "without a"),
        ):
            lines = await until(
                lambda path=path: [each for each in self.log().splitlines() if f"'{path}'" in each], 20
            )
            self.assertIn(words, lines[0])
        self.authority.issue("late.pem", "late.test")
        self.authority.issue("torn.pem", "torn.test")
        self.look()
        for name in ("late.test", "torn.test", "good.test"):
            await self.shown(name, name)
        self.authority.issue("more/new.pem", "more.test")
        await self.shown("more.test", "more.test")
        self.assertIn("Fixed", self.log())

    async def test_of_a_service(self) -> None:
        """A bad certificate of a service port costs that service alone, until it is mended."""
        service = await self.start()
        port, path = free_port(), str(self.directory / "own.pem")
        await self.create(service, app("own", port, HAPROXY_0_SSL_CERT=path, HAPROXY_0_BIND_ADDR="127.0.0.1"))
        await until(lambda: f"HAPROXY_0_SSL_CERT='{path}': cannot be used: " in self.log())
        self.assertNotIn("backend own_", self.config())
        await self.answers("200")
        self.authority.issue("own.pem", "own.test")
        self.look()
        await until(lambda: served(port, "x")[0] == "own.test", 20)

    async def test_replaced_while_nobody_looks(self) -> None:
        """The next controller finds what was replaced meanwhile, and adopts HAProxy without a reload."""
        path = self.authority.issue("site.pem", "old.test")
        await self.start("--ssl-certs", path)
        await self.shown("x", "old.test")
        await until(lambda: (self.directory / "state" / "certificates").exists(), 20)
        daemon, master = self.daemons[0], self.haproxy_pids()
        daemon.kill()
        await deferToThread(daemon.wait)
        self.authority.issue("site.pem", "new.test")
        service = self.marathon()
        await self.create(service, app("shop", free_port()))
        before = self.reloads()
        self.daemon(service.url, "sse", "--ssl-certs", path)
        await self.shown("x", "new.test")
        self.assertEqual(master, self.haproxy_pids())
        self.assertLessEqual(self.reloads(), before + 1)

    async def test_turns_bad(self) -> None:
        """What was served serves on where its file turns bad, over reloads and controllers, until it is mended."""
        path = self.authority.issue("site.pem", "old.test")
        service = await self.start("--ssl-certs", path)
        await self.shown("x", "old.test")
        await until(self.settled, 20)
        (self.directory / "site.pem").write_bytes(b"garbage")
        await self.reloaded()
        await self.shown("x", "old.test")
        self.assertIn(
            f"'{path}': is no PEM file; a copy of its last good content is served instead", self.log()
        )
        self.daemons[0].kill()
        await deferToThread(self.daemons[0].wait)
        self.daemons.clear()
        self.daemon(service.url, "sse", "--ssl-certs", path)
        await until(lambda: self.log().count("HAProxy runs the planned configuration already") == 1, 20)
        await self.reloaded()
        await self.shown("x", "old.test")
        self.authority.issue("site.pem", "new.test")
        self.look()
        await self.shown("x", "new.test")

    async def reloaded(self) -> None:
        """Have the daemon reload HAProxy, and wait until that is done."""
        before = self.reloads()
        self.daemons[0].send_signal(signal.SIGUSR1)
        await until(lambda: self.reloads() > before, 20)

    async def test_script(self) -> None:
        """The script reloads HAProxy where a certificate has changed since the last run, and only then."""
        path = self.authority.issue("site.pem", "old.test")
        service = self.marathon()
        await self.create(service, app("shop", free_port()))
        await until(lambda: self.healthy(service, "/shop"), 20)
        await self.script(service.url, "--ssl-certs", path)
        await self.shown("x", "old.test")
        loud = ("--ssl-certs", path, "--log-level", "info")
        unchanged = await self.script(service.url, *loud)
        self.assertNotIn("reload in", unchanged.stderr)
        self.authority.issue("site.pem", "new.test")
        changed = await self.script(service.url, *loud)
        self.assertIn("reload in", changed.stderr)
        self.assertIn(f"certificate {path} changed", changed.stderr)
        await self.shown("x", "new.test")


on_each(ReplacedMixin, globals(), MarathonTestCase)
