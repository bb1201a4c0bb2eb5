"""The image's entrypoint and its supervisor as processes: what a container does from its start to its end."""

from __future__ import annotations

import contextlib
import functools
import http.server
import io
import os
import signal
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from time import monotonic, sleep

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import TemplateError
from marathonlb.image import healthcheck, syslogd, templates
from marathonlb.image.supervise import CONTROLLER_SECONDS
from tests.integration.controllers import Controlled, app
from tests.integration.haproxies import PACKAGE, WHEEL, free_port
from tests.integration.minimarathons import MarathonTestCase, alive, until
from tests.paths import CHECKOUT

PATIENCE = 60

SLOW_END = """
import signal, sys, time
from marathonlb.image.supervise import SupervisedProgram, Supervisor
class HAProxy:
    def master(self):
        return object()
    def drain(self, seconds):
        print(seconds, flush=True)
        return True
stubborn = "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print('up', flush=True); time.sleep(600)"
controller = SupervisedProgram("the controller", (sys.executable, "-I", "-S", "-c", stubborn))
sys.exit(Supervisor(controller, (), HAProxy(), 60).run())
"""

FAKE_HAPROXY = """
import os, signal, sys, time
def soft(number, frame):
    note("drains")
    if sys.argv[1] == "quick":
        sys.exit()
def hard(number, frame):
    note("is cut")
    sys.exit()
def note(word):
    with open(sys.argv[2] + "/log", "a") as file:
        file.write("haproxy " + word + "\\n")
signal.signal(signal.SIGUSR1, soft)
signal.signal(signal.SIGTERM, hard)
os.setsid()
with open(sys.argv[2] + "/haproxy.pid", "w") as file:
    file.write(str(os.getpid()))
while True:
    time.sleep(60)
"""

CONTROLLER = """
import signal, sys, time
directory, code = sys.argv[1:]
def note(word):
    with open(directory + "/log", "a") as file:
        file.write("controller " + word + "\\n")
def end(number, frame):
    note("ends")
    sys.exit()
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGHUP, lambda number, frame: note("looks"))
note("starts")
if code:
    sys.exit(int(code))
while True:
    time.sleep(60)
"""


def eventually(true: Callable[[], object]) -> None:
    """Wait for something to become true."""
    deadline = monotonic() + PATIENCE
    while not true():
        if monotonic() > deadline:
            raise AssertionError("it did not become true")
        sleep(0.02)


class SupervisorTests(SynchronousTestCase):
    """The supervisor with a controller and a HAProxy that only record their calls."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir(parents=True)
        (self.directory / "log").touch()

    def supervisor(self, drain: float = PATIENCE, code: str = "") -> subprocess.Popen[str]:
        """The supervisor; the controller ends at once where it has a code."""
        controller = (sys.executable, "-I", "-S", "-c", CONTROLLER, str(self.directory), code)
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "marathonlb.image.supervise",
                str(self.directory),
                str(drain),
                "",
                *controller,
            ],
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(self.end, process)
        return process

    def haproxy(self, how: str = "quick") -> subprocess.Popen[bytes]:
        """A HAProxy's master, by all that the supervisor looks at; it ends when it drains, or never does."""
        told = (how, str(self.directory), "-S", f"{self.directory}/master.sock,mode,600")
        process = subprocess.Popen([sys.executable, "-I", "-S", "-c", FAKE_HAPROXY, *told])
        self.addCleanup(self.end, process)
        eventually((self.directory / "haproxy.pid").exists)
        return process

    def end(self, process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
        """See to it that a process has ended."""
        if process.poll() is None:
            process.kill()
        process.communicate()

    def log(self) -> list[str]:
        """Return the records of both."""
        return (self.directory / "log").read_text().splitlines()

    def controller(self) -> int:
        """The process id of the controller that was started last."""
        marker = CONTROLLER.encode()
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if entry.name.isdigit() and words[4:6] == [marker, os.fsencode(self.directory)]:
                    return int(entry.name)
        raise AssertionError("there is no controller")

    def test_nothing_to_protect(self) -> None:
        """Where no HAProxy runs, the container ends with the controller's status."""
        process = self.supervisor(code="7")
        _, said = process.communicate(timeout=PATIENCE)
        self.assertEqual(7, process.returncode)
        self.assertIn("no HAProxy runs", said)

    def test_order_of_the_end(self) -> None:
        """SIGTERM ends the controller first, then lets HAProxy drain, and all ends well; SIGHUP is handed on."""
        haproxy = self.haproxy()
        process = self.supervisor()
        eventually(lambda: self.log())
        process.send_signal(signal.SIGHUP)
        eventually(lambda: "controller looks" in self.log())
        process.terminate()
        # Nobody but the test can reap this HAProxy: it is its child.
        haproxy.wait(PATIENCE)
        self.assertEqual(0, process.wait(PATIENCE))
        self.assertEqual(
            ["controller starts", "controller looks", "controller ends", "haproxy drains"], self.log()
        )

    def test_restart(self) -> None:
        """A controller that is killed is started again, and HAProxy is not touched."""
        haproxy = self.haproxy()
        process = self.supervisor()
        eventually(lambda: self.log())
        os.kill(self.controller(), signal.SIGKILL)
        eventually(lambda: self.log() == ["controller starts"] * 2)
        self.assertIsNone(haproxy.poll())
        process.terminate()
        haproxy.wait(PATIENCE)
        _, said = process.communicate(timeout=PATIENCE)
        self.assertIn("was ended by signal 9; it is started again in 0.5 s, HAProxy keeps serving", said)

    def test_cut(self) -> None:
        """A HAProxy whose connections outlast their time is cut."""
        haproxy = self.haproxy("stubborn")
        process = self.supervisor(drain=0.2)
        eventually(lambda: self.log())
        process.terminate()
        haproxy.wait(PATIENCE)
        _, said = process.communicate(timeout=PATIENCE)
        self.assertEqual(0, process.returncode)
        self.assertEqual(["haproxy drains", "haproxy is cut"], self.log()[-2:])
        self.assertIn("were cut", said)

    def test_hurry(self) -> None:
        """A second signal cuts at once what may go on for long."""
        haproxy = self.haproxy("stubborn")
        process = self.supervisor(drain=10 * PATIENCE)
        eventually(lambda: self.log())
        process.terminate()
        eventually(lambda: "haproxy drains" in self.log())
        process.terminate()
        haproxy.wait(PATIENCE)
        self.assertEqual(0, process.wait(PATIENCE))

    def test_slow_controller(self) -> None:
        """What a controller takes for its end is taken off what connections have: the whole ends in time."""
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW_END],
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(self.end, process)
        assert process.stdout is not None
        self.assertEqual("up\n", process.stdout.readline())
        process.terminate()
        seconds, said = process.communicate(timeout=PATIENCE)
        self.assertEqual(0, process.returncode, said)
        self.assertIn("is killed", said)
        self.assertLessEqual(float(seconds), 60 - CONTROLLER_SECONDS)

    def test_early(self) -> None:
        """A signal that was held back since before the supervisor began ends it."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            process = self.supervisor()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        process.terminate()
        self.assertEqual(0, process.wait(PATIENCE))

    def test_stranger(self) -> None:
        """A process that only has the number in the pid file is none of ours and is left alone."""
        stranger = subprocess.Popen(["/bin/sleep", str(PATIENCE)])
        self.addCleanup(self.end, stranger)
        (self.directory / "haproxy.pid").write_text(str(stranger.pid))
        process = self.supervisor()
        eventually(lambda: self.log())
        process.terminate()
        self.assertEqual(0, process.wait(PATIENCE))
        self.assertIsNone(stranger.poll())


class SyslogTests(SynchronousTestCase):
    """The syslog as a process."""

    def test_heard(self) -> None:
        """What it hears is on standard output, also where an earlier one left its socket."""
        directory = tempfile.mkdtemp(prefix="lb-", dir="/tmp")
        self.addCleanup(os.rmdir, directory)
        path = os.path.join(directory, "log")
        Path(path).touch()
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", syslogd.__file__, path],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None and process.stderr is not None
            self.assertIn(path, process.stderr.readline())
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"<134>haproxy[1]: 10.0.0.1 GET /", path)
            self.assertEqual("haproxy[1]: 10.0.0.1 GET /\n", process.stdout.readline())
        finally:
            process.kill()
            process.communicate()
            os.unlink(path)


class Quiet(http.server.BaseHTTPRequestHandler):
    """Answers with a tarball, asks for a password, or sends elsewhere; notes what it was sent."""

    def __init__(self, heard: list[tuple[str, str | None]], elsewhere: str, *rest: object) -> None:
        self.heard, self.elsewhere = heard, elsewhere
        super().__init__(*rest)  # type: ignore[arg-type]

    def log_message(self, format: str, *rest: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.heard.append((self.path, self.headers["Authorization"]))
        away = {
            "/away": f"{self.elsewhere}/t.tgz",
            "/file": "file:///etc/passwd",
            "/loop": "/loop",
            "/here": "/t.tgz",
        }.get(self.path)
        self.send_response(302 if away else 404 if self.path == "/none" else 200)
        if away:
            self.send_header("Location", away)
        self.end_headers()
        if self.path == "/t.tgz":
            self.wfile.write(packed(b"global\n"))


def packed(head: bytes) -> bytes:
    """A tarball with a HAPROXY_HEAD."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        info = tarfile.TarInfo("templates/HAPROXY_HEAD")
        info.size = len(head)
        archive.addfile(info, io.BytesIO(head))
    return out.getvalue()


class FetchTests(SynchronousTestCase):
    """TEMPLATE_URL as a web address."""

    @contextmanager
    def server(self, elsewhere: str = "") -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
        """A web server; its address and what it heard."""
        heard: list[tuple[str, str | None]] = []
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, heard, elsewhere))
        thread = threading.Thread(target=functools.partial(server.serve_forever, 0.01))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", heard
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def test_fetched(self) -> None:
        """A tarball is fetched, with the user and password of the address, which do not follow a redirect elsewhere."""
        with self.server() as (there, heard_there), self.server(there) as (here, heard):
            found = templates.from_url(here.replace("://", "://u:p%40ss@") + "/away")
        self.assertEqual({"HAPROXY_HEAD": b"global\n"}, found)
        self.assertEqual([("/away", "Basic dTpwQHNz")], heard)
        self.assertEqual([("/t.tgz", None)], heard_there)

    def test_fetched_here(self) -> None:
        """The user and password follow a redirect to another place of the same server."""
        with self.server() as (here, heard):
            self.assertEqual(
                {"HAPROXY_HEAD": b"global\n"}, templates.from_url(here.replace("://", "://u:p@") + "/here")
            )
        self.assertEqual([("/here", "Basic dTpw"), ("/t.tgz", "Basic dTpw")], heard)

    def test_refused(self) -> None:
        """An error, a redirect to a file or in circles, and nobody there are told in a line without the password."""
        with self.server() as (here, _):
            secret = here.replace("://", "://u:sesame@")
            missing = str(self.assertRaises(TemplateError, templates.from_url, f"{secret}/none"))
            self.assertRaises(TemplateError, templates.from_url, f"{here}/file")
            loop = str(self.assertRaises(TemplateError, templates.from_url, f"{here}/loop"))
        self.assertNotIn("\n", loop)
        self.assertIn("the answer is 404", missing)
        nobody = str(self.assertRaises(TemplateError, templates.from_url, f"{secret}/t.tgz"))
        self.assertIn("refused", nobody)
        self.assertNotIn("sesame", missing + nobody)


IMAGE = {"MARATHON_LB_DRAIN_SECONDS": "5", "HAPROXY_SYSLOGD": "true"}
ENTER = """
import os, sys
from marathonlb.image.entrypoint import ContainerEnvironment, main
sys.exit(main(sys.argv[2:], os.environ, sys.stderr, ContainerEnvironment(runtime=sys.argv[1], devices=sys.argv[1])))
"""


class EntrypointTests(Controlled, MarathonTestCase):
    """The entrypoint as a process, with a Marathon and a real HAProxy."""

    haproxy = WHEEL or PACKAGE
    timeout = 720
    if not haproxy:
        skip = "no HAProxy is installed"

    async def clean(self) -> None:
        """Ask the supervisor to end first: where it is killed, its controller lives on."""
        for process in self.daemons:
            process.terminate()
            await deferToThread(process.wait, PATIENCE)
        await super().clean()

    def enter(self, marathon: str) -> subprocess.Popen[bytes]:
        """Start it as an image does."""
        secret = ("--auth-credentials", "lb:sesame")
        runtime = self.directory / "image"
        runtime.mkdir()
        with (self.directory / "log").open("ab") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-c", ENTER, str(runtime)),
                    *("sse", *self.options(marathon), *secret),
                ],
                cwd=self.directory,
                env={**os.environ, "PYTHONPATH": str(CHECKOUT), **IMAGE},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.daemons.append(process)
        return process

    def controller(self) -> int:
        """The process id of the controller, which is not the syslog."""
        pid = self.daemons[0].pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if b"twistd" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        raise AssertionError("there is no controller")

    def https(self) -> bytes:
        """Return the response over TLS with any certificate; empty if there is none."""
        context = ssl._create_unverified_context()
        try:
            with (
                socket.create_connection(("127.0.0.1", self.ports["https"]), 5) as plain,
                context.wrap_socket(plain, server_hostname="shop.example.com") as connection,
            ):
                connection.sendall(b"GET / HTTP/1.0\r\nHost: shop.example.com\r\n\r\n")
                return connection.recv(4096)
        except OSError:
            return b""

    def test_whole_life(self) -> Deferred[None]:
        """It serves http and self-signed https; HAProxy outlives a killed controller; SIGTERM ends everything."""
        return Deferred.fromCoroutine(self.whole_life())

    async def whole_life(self) -> None:
        marathon = self.marathon()
        process = self.enter(marathon.url)
        await self.create(marathon, app("shop", free_port()))
        await self.answers("200 OK")
        self.assertIn(b"200 OK", await deferToThread(self.https))
        with redirect_stdout(io.StringIO()) as said:
            address = str(self.directory / "image" / "stats-address")
            self.assertEqual(0, await deferToThread(healthcheck.main, [address]), said.getvalue())
        await until(lambda: "marathon_https_in~ shop_" in self.log(), PATIENCE)  # a line of HAProxy's
        self.assertIn('"GET / HTTP/1.0"', self.log())
        for pid in (process.pid, self.controller()):
            self.assertNotIn(b"sesame", Path(f"/proc/{pid}/cmdline").read_bytes())
        (haproxy,) = self.haproxy_pids()
        os.kill(self.controller(), signal.SIGKILL)
        await until(lambda: "Adopted the running HAProxy" in self.log(), PATIENCE)
        self.assertEqual([haproxy], self.haproxy_pids())
        await self.answers("200 OK")
        process.terminate()
        self.assertEqual(0, await deferToThread(process.wait, PATIENCE))
        self.assertFalse(alive(haproxy))
