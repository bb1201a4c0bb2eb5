"""Two controllers with one state directory, or with the same files: the second one ends and names the first."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from minimarathon.service import MiniMarathon
from tests.integration.controllers import HOST, TWISTD, Controlled, app, get
from tests.integration.haproxies import PACKAGE, WHEEL, free_port
from tests.integration.minimarathons import MarathonTestCase, alive, until
from tests.paths import CHECKOUT


class OneControllerTests(Controlled, MarathonTestCase):
    """Real processes and a real HAProxy."""

    haproxy = PACKAGE or WHEEL
    skip = None if haproxy else "there is no HAProxy"

    async def world(self) -> MiniMarathon:
        """A Marathon, a daemon and an app that is served."""
        service = self.marathon()
        self.daemon(service.url)
        await self.create(service, app("shop", free_port(), HAPROXY_0_BIND_ADDR="127.0.0.1"))
        await self.answers("200 OK")
        await until(self.settled, 20)
        await until(lambda: "\n  server 127_" in self.config(), 20)  # the file follows what runs
        return service

    def program(self, *arguments: str) -> Deferred[subprocess.CompletedProcess[str]]:
        """Run the daemon in the foreground until it ends by itself."""
        return deferToThread(
            subprocess.run,
            [sys.executable, "-c", TWISTD, "-n", "--pidfile=", "marathon-lb", *arguments],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def said(self, done: subprocess.CompletedProcess[str]) -> str:
        """The one line of what has ended with a failure."""
        self.assertEqual(1, done.returncode, done.stdout + done.stderr)
        self.assertNotIn("Traceback", done.stdout + done.stderr)
        (line,) = done.stderr.strip().splitlines()
        return line

    async def test_second(self) -> None:
        """A second daemon, and a single run, end with a line that names the first, what is served is not touched."""
        service = await self.world()
        pid, inode = self.daemons[0].pid, os.stat(self.directory / "state" / "web.sock").st_ino
        text, master = self.config(), self.haproxy_pids()
        for done in (
            await self.program(*self.options(service.url)),
            await self.program(
                *self.options(service.url), "--haproxy-config", f"{self.directory}/x/haproxy.cfg"
            ),
            await self.script(service.url),
        ):
            line = self.said(done)
            self.assertIn(
                f"another controller has the state directory {self.directory}/state: pid {pid} (", line
            )
            self.assertIn("twistd marathon-lb", line)
        self.assertEqual((text, master), (self.config(), self.haproxy_pids()))
        self.assertEqual(inode, os.stat(self.directory / "state" / "web.sock").st_ino)
        self.assertIn("200 OK", await deferToThread(get, self.ports["stats"], HOST, "/api/status"))
        await self.create(service, app("new", free_port(), HAPROXY_0_BIND_ADDR="127.0.0.1"))
        await self.answers("200 OK", "new.example.com")

    async def test_questions(self) -> None:
        """Whatever only asks needs no lock."""
        service = await self.world()
        for arguments, statuses in (
            (("--dry",), (0,)),
            (("--diff",), (0, 1)),
            (("--status",), (0,)),
            (("--explain", f"http://{HOST}/"), (0,)),
        ):
            done = await self.script(service.url, *arguments)
            self.assertIn(done.returncode, statuses, done.stderr)
            self.assertNotIn("another controller", done.stderr)

    async def test_same_files(self) -> None:
        """With two state directories two controllers cannot have one haproxy.cfg, nor map files in one directory."""
        service = await self.world()
        for config, what in (("haproxy.cfg", "haproxy.cfg"), ("second.cfg", "the map files in ")):
            more = (
                "--state-dir",
                f"{self.directory}/other",
                "--haproxy-config",
                f"{self.directory}/{config}",
            )
            line = self.said(await self.program(*self.options(service.url), *more))
            self.assertIn(what, line)
            self.assertIn(f"pid {self.daemons[0].pid} (", line)
        self.assertFalse((self.directory / "second.cfg").exists())

    async def test_side_by_side(self) -> None:
        """With a directory each, two controllers on one machine work, and one HAProxy each."""
        service = await self.world()
        second = self.directory / "second"
        second.mkdir()
        port = free_port()
        binds = [f"--bind-{name}=127.0.0.1:{free_port()}" for name in ("https", "stats", "appid")]
        own = (
            "--group",
            "internal",
            f"--bind-http=127.0.0.1:{port}",
            "--state-dir",
            f"{second}/state",
            *binds,
        )
        self.daemon(service.url, "sse", *own, "--haproxy-config", f"{second}/haproxy.cfg")
        await self.create(
            service, app("int", free_port(), HAPROXY_GROUP="internal", HAPROXY_0_BIND_ADDR="127.0.0.1")
        )

        async def both() -> bool:
            answers = [
                await deferToThread(get, port, "int.example.com"),
                await deferToThread(get, self.ports["http"]),
            ]
            return all("200 OK" in answer for answer in answers)

        self.addCleanup(self.end_of, f"{second}/state/haproxy.pid")
        await until(both, 30)
        self.assertEqual([None, None], [daemon.poll() for daemon in self.daemons])

    async def end_of(self, pid_file: str) -> None:
        """End the daemons, which would start it again, and the program that a file names."""
        for daemon in self.daemons:
            daemon.kill()
            await deferToThread(daemon.wait)
        with contextlib.suppress(OSError, ValueError):
            with open(pid_file, encoding="ascii") as file:
                pid = int(file.readline())
            os.kill(pid, signal.SIGTERM)
            await until(lambda: not alive(pid), 10)

    async def test_killed(self) -> None:
        """A controller that is killed holds nothing any more, though its HAProxy lives: the next one takes over."""
        service = await self.world()
        master = self.haproxy_pids()
        for number in (signal.SIGKILL, signal.SIGTERM):
            daemon = self.daemons[-1]
            daemon.send_signal(number)
            await deferToThread(daemon.wait)
            began = self.log().count("Listening to the events")
            self.daemon(service.url)
            await until(lambda began=began: self.log().count("Listening to the events") > began, 20)
        self.assertEqual(master, self.haproxy_pids())
        self.assertNotIn("another controller", self.log())

    async def test_daemonized(self) -> None:
        """A daemon that has left its terminal is named by the id that it has by then."""
        service = self.marathon()
        pid_file = self.directory / "twistd.pid"
        self.addCleanup(self.end_of, str(pid_file))
        arguments = ["--pidfile", str(pid_file), "--logfile", str(self.directory / "log")]
        started = await deferToThread(
            subprocess.run,
            [sys.executable, "-c", TWISTD, *arguments, "marathon-lb", *self.options(service.url)],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            check=False,
        )
        self.assertEqual(0, started.returncode)

        def signed() -> bool:
            lock = self.directory / "state" / "lock"
            return pid_file.exists() and f"pid {pid_file.read_text().strip()} " in lock.read_text()

        await until(signed, 20)
        line = self.said(await self.script(service.url))
        self.assertIn(f"pid {pid_file.read_text().strip()} (", line)

    async def test_living_socket(self) -> None:
        """A socket that somebody listens on is not replaced, and one that is dead is."""
        service = self.marathon()
        state = self.directory / "state"
        state.mkdir(mode=0o700)
        for name in ("web.sock", "master.sock"):
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(str(state / name))
                listening.listen(5)
                inode = os.stat(state / name).st_ino
                if name == "web.sock":
                    line = self.said(await self.program(*self.options(service.url)))
                    self.assertIn(f"pid {os.getpid()} listens on {state}/web.sock", line)
                else:
                    done = await self.script(service.url)
                    self.assertEqual(1, done.returncode)
                    self.assertIn(f"pid {os.getpid()} listens on {state}/master.sock", done.stderr)
                self.assertEqual(inode, os.stat(state / name).st_ino)
        await self.world_of(service)

    async def world_of(self, service: MiniMarathon) -> None:
        """A daemon that serves an app."""
        self.daemon(service.url)
        await self.create(service, app("shop", free_port(), HAPROXY_0_BIND_ADDR="127.0.0.1"))
        await self.answers("200 OK")
        self.assertIn("200 OK", await deferToThread(get, self.ports["stats"], HOST, "/api/status"))

    async def test_open_directory(self) -> None:
        """A state directory that others can write, or replace, is refused with the command that mends it."""
        service = self.marathon()
        state = self.directory / "state"
        state.mkdir()
        for path, bits, words in (
            (state, stat.S_IWGRP, f"`chmod g-w {state}`"),
            (state, stat.S_IWOTH, f"`chmod go-w {state}`"),
            (state, stat.S_IWOTH | stat.S_ISVTX, f"`chmod go-w {state}`"),
            (self.directory, stat.S_IWOTH, f"`chmod go-w {self.directory}`"),
        ):
            before = path.stat().st_mode
            path.chmod(before | bits)
            self.assertIn(words, self.said(await self.program(*self.options(service.url))))
            done: Any = await self.script(service.url)
            self.assertEqual(2, done.returncode, done.stderr)
            (line,) = done.stderr.strip().splitlines()
            self.assertIn(words, line)
            self.assertEqual([], os.listdir(state))
            path.chmod(before)

    async def test_made_by_somebody_else(self) -> None:
        """A directory, or a link, that another user has put where everybody can is refused."""
        if os.geteuid() != 0:
            return  # only root can play another user; tests.haproxy.files.test_trust plays it without
        service = self.marathon()
        state = self.directory / "state"
        state.mkdir()
        os.chown(state, 54321, -1)
        line = self.said(await self.program(*self.options(service.url)))
        self.assertIn(f"{state} belongs to user 54321", line)
        state.rmdir()
        state.symlink_to(self.directory)
        os.chown(state, 54321, -1, follow_symlinks=False)
        self.assertIn(
            "is a symbolic link of user 54321", self.said(await self.program(*self.options(service.url)))
        )
