"""
``make image-test``: builds the image for real, runs it against a small Marathon, and sends requests through it.

It needs root, buildah and debootstrap, and no daemon or registry: debootstrap makes the base that the Dockerfile's
``FROM`` would fetch. The container runs in namespaces of its own, as process 1, with the configuration of the image
(user, environment, entrypoint, health check), beside the small Marathon: its network is a loopback of its own, so that
the ports 80 and 443 are free.

Variables: ``SUITE`` and ``MIRROR`` of the base, ``STORAGE_DRIVER`` of buildah, ``KEEP=1`` to keep the images.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from fcntl import ioctl
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
BASE, IMAGE = "localhost/marathon-lb-test-base", "localhost/marathon-lb-test"
SUITE = os.environ.get("SUITE", "trixie")
MOST_ABOVE_BASE = 200
"""MB that the image may be larger than its base."""

PATIENCE = 60.0
LOGIN = {"MARATHON_USER": "lb", "MARATHON_PASSWORD": "sesame", "POLL_INTERVALL": "1"}
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def say(text: str) -> None:
    """One line of the report."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run(*command: str, **more: Any) -> str:
    """What a program prints; its failure ends this one."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: status {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def expect(true: object, what: str) -> None:
    """Say what was found; end where it is not so."""
    if not true:
        sys.exit(f"FAILED  {what}")
    say(f"ok      {what}")


def until(true: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(OSError):
            found = true()
            if found:
                return found
        if time.monotonic() > deadline:
            sys.exit(f"FAILED  {what}: not within {seconds:g} s")
        time.sleep(0.1)


def mirror() -> str:
    """Where this machine gets Debian's packages."""
    lines = run(
        "apt-get", "indextargets", "--format", "$(SITE)|$(ORIGIN)", "Created-By: Packages"
    ).splitlines()
    return next(
        (line.partition("|")[0] for line in lines if line.endswith("|Debian")), "http://deb.debian.org/debian"
    )


def build_base(work: Path) -> None:
    """The base, as the registry's slim image is one: the least that debootstrap makes, without its caches."""
    root = work / "base"
    run("debootstrap", "--variant=minbase", SUITE, str(root), os.environ.get("MIRROR") or mirror())
    for path in (*root.glob("var/cache/apt/archives/*.deb"), *root.glob("var/lib/apt/lists/*_*")):
        path.unlink()
    for path in root.glob("usr/share/doc/*"):
        shutil.rmtree(path, ignore_errors=True)
    container = run("buildah", "from", "scratch").strip()
    run("buildah", "add", "--quiet", container, str(root), "/")
    run("buildah", "commit", "--quiet", "--rm", container, BASE)
    shutil.rmtree(root)


def build(work: Path) -> None:
    """The image, with what this machine's pip needs to know; that is mounted, and not a part of it."""
    told = ["[global]"]
    volumes = []
    if os.path.exists(CERTIFICATES):
        told.append("cert = /run/image-test/ca.crt")
        volumes += ["--volume", f"{CERTIFICATES}:/run/image-test/ca.crt:ro"]
    index = subprocess.run(
        ["pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False
    )
    if index.stdout.strip():
        told.append(f"index-url = {index.stdout.strip()}")
    (work / "pip.conf").write_text("\n".join(told) + "\n")
    volumes += ["--volume", f"{work}/pip.conf:/etc/pip.conf:ro"]
    # Only docker's format has room for a health check.
    arguments = ("--isolation", "chroot", "--format", "docker", "--build-arg", f"BASE={BASE}", *volumes)
    run("buildah", "build", *arguments, "--tag", IMAGE, str(CHECKOUT))


def size(image: str) -> float:
    """MB of an image, unpacked."""
    return float(json.loads(run("buildah", "images", "--json", image))[0]["size"].removesuffix(" MB"))


def main() -> None:
    """Build, then run in namespaces of their own."""
    if os.geteuid() != 0:
        sys.exit("it needs root: namespaces and foreign files")
    for program in ("buildah", "debootstrap", "unshare"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is missing (a package of Debian's)")
    with tempfile.TemporaryDirectory(prefix="image-test-") as name:
        work = Path(name)
        began = time.monotonic()
        build_base(work)
        say(f"base    {SUITE}, {size(BASE):.0f} MB, {time.monotonic() - began:.0f} s")
        began = time.monotonic()
        build(work)
        above = size(IMAGE) - size(BASE)
        say(f"image   {size(IMAGE):.0f} MB, {time.monotonic() - began:.0f} s")
        expect(above < MOST_ABOVE_BASE, f"it is {above:.0f} MB above its base")
        container = run("buildah", "from", IMAGE).strip()
        try:
            root = run("buildah", "mount", container).strip()
            config = json.loads(run("buildah", "inspect", "--type", "image", IMAGE))["Docker"]["config"]
            (work / "config.json").write_text(json.dumps(config))
            apart = ("unshare", "--net", "--mount", "--kill-child", "--fork")
            done = subprocess.run([*apart, sys.executable, __file__, "inside", root, name], check=False)
        finally:
            run("buildah", "rm", container)
            if not os.environ.get("KEEP"):
                run("buildah", "rmi", IMAGE, BASE)
    sys.exit(done.returncode)


class Container:
    """The image's entrypoint as process 1 of namespaces of its own, with the image's user and environment."""

    def __init__(self, root: str, config: Mapping[str, Any], log: Path) -> None:
        self._root = root
        self.config = config
        self._log = log
        self.process: subprocess.Popen[bytes] | None = None

    def command(
        self, arguments: Sequence[str], environ: Mapping[str, str], *, first: bool = True
    ) -> list[str]:
        """A command line that runs something in the image, as process 1 or beside what runs."""
        pairs = [*self.config["Env"], *(f"{name}={value}" for name, value in environ.items())]
        working = self.config.get("WorkingDir") or "/"
        mounts = 'mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && ' if first else ""
        user = ("chroot", f"--userspec={self.config['User']}", self._root)
        there = ("/bin/sh", "-c", f'cd {working} && exec "$@"', "sh")
        inside = [*user, "/usr/bin/env", "-i", *pairs, *there, *arguments]
        apart = ["unshare", "--fork", "--pid", "--mount", "--kill-child"] if first else []
        return [*apart, "sh", "-c", f'{mounts}exec "$@"', self._root, *inside]

    def answer(self, *arguments: str, **environ: str) -> tuple[int, str]:
        """Exit status and output of the entrypoint with these arguments, where it ends by itself."""
        command = self.command([*self.config["Entrypoint"], *arguments], environ)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
        return done.returncode, done.stdout + done.stderr

    @contextmanager
    def running(self, *arguments: str, **environ: str) -> Iterator[None]:
        """The container runs; at the end it is asked to stop."""
        command = self.command([*self.config["Entrypoint"], *arguments], environ)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            yield
        finally:
            if self.process.poll() is None:
                self.stop()

    def stop(self) -> tuple[int, float]:
        """Stop it as docker does; exit status and seconds."""
        assert self.process is not None
        began = time.monotonic()
        os.kill(self.first(), getattr(signal, self.config.get("StopSignal") or "SIGTERM"))
        try:
            status = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        return status, time.monotonic() - began

    def ended(self) -> bool:
        """Whether it has ended."""
        return self.process is not None and self.process.poll() is not None

    def first(self) -> int:
        """Its process 1, as this side numbers it."""
        assert self.process is not None
        return int(
            until(lambda: children(self.process.pid if self.process else 0), "the container starts")[0]
        )

    def healthy(self) -> bool:
        """What the image's health check says."""
        test = self.config["Healthcheck"]["Test"]
        done = subprocess.run(self.command(test[1:], {}, first=False), capture_output=True, check=False)
        return done.returncode == 0

    def told(self) -> str:
        """All that it printed."""
        return self._log.read_text(errors="replace")


def children(pid: int) -> list[int]:
    """The processes that a process has."""
    with suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def family(pid: int) -> dict[int, str]:
    """A process and all that descend from it, with their command lines."""
    found = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")}
    for child in children(pid):
        with suppress(OSError):
            found |= family(child)
    return found


def lift_loopback() -> None:
    """Bring this network's loopback up."""
    with socket.socket() as any_socket:
        ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS, up and running


def get(url: str, host: str) -> str:
    """What a virtual host answers; certificates are not looked at. Raises `OSError`."""
    request = urllib.request.Request(url, headers={"Host": host})  # noqa: S310 - an address of this file's
    context = ssl._create_unverified_context()  # noqa: S323 - the certificate is self-signed
    with urllib.request.urlopen(request, timeout=5, context=context) as response:  # noqa: S310
        return str(response.read().decode())


def tarball(path: Path) -> None:
    """Templates of an operator's."""
    with tarfile.open(path, "w:gz") as archive:
        text = b"\nfrontend marathon_http_in\n  bind *:80\n  mode http\n  http-response set-header X-From tarball\n"
        member = tarfile.TarInfo("templates/HAPROXY_HTTP_FRONTEND_HEAD")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))


def inside(root: str, work: Path) -> None:
    """What is looked at in the namespaces."""
    lift_loopback()
    config = json.loads((work / "config.json").read_text())
    container = Container(root, config, work / "log")
    for program in ("gcc", "cc", "pip", "make"):
        places = [Path(root, place, program) for place in ("usr/bin", "usr/local/bin", "opt/marathon-lb/bin")]
        expect(not any(place.exists() for place in places), f"it has no {program}")
    expect(
        config["User"] == "marathon-lb" and config["StopSignal"] == "SIGTERM",
        "a user and a stop signal of its own",
    )
    status, text = container.answer("watch")
    expect(status == 2 and text.count("\n") == 1, f"an unknown mode: status {status}, {text.strip()}")
    status, text = container.answer("event", "-m", "http://127.0.0.1:8080")
    expect(status == 2 and text.count("\n") == 1, f"no address: status {status}, {text.strip()}")
    tarball(Path(root, "srv/templates.tgz"))
    with marathon(work):
        survives_and_drains(container)
        for mode in (("poll",), ("event", "127.0.0.1:8081")):
            again = Container(root, config, work / f"log-{mode[0]}")
            with again.running(*mode, "-m", "http://127.0.0.1:8080", **LOGIN):
                until(shop, f"{mode[0]} serves")
                say(f"ok      {' '.join(mode)} serves")


@contextmanager
def marathon(work: Path) -> Iterator[None]:
    """The small Marathon with its sample."""
    twistd = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"
    sample = str(CHECKOUT / "minimarathon" / "sample.json")
    arguments = (
        "-n",
        "--pidfile=",
        "minimarathon",
        "--version=1.4",
        "--apps",
        sample,
        "--work-dir",
        str(work / "tasks"),
    )
    environ = {**os.environ, "PYTHONPATH": str(CHECKOUT), "MINIMARATHON_CREDENTIALS": "lb:sesame"}
    with (work / "marathon.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", twistd, *arguments], stdout=log, stderr=log, env=environ
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def shop(where: str = "http://127.0.0.1/") -> bool:
    """Whether the sample's shop answers."""
    return "shop" in get(where, "shop.example.com")


def survives_and_drains(container: Container) -> None:
    """Start it as an operator would, kill the controller under requests, then stop the container under a connection."""
    arguments = ("sse", "-m", "http://127.0.0.1:8080", "--auth-credentials", "lb:sesame")
    with container.running(*arguments, TEMPLATE_URL="file:///srv/templates.tgz"):
        began = time.monotonic()
        until(lambda: container.ended() or shop(), "http on port 80")
        expect_quietly(not container.ended(), f"the container ended:\n{container.told()}")
        say(f"ok      http on port 80, {time.monotonic() - began:.1f} s after the start")
        until(lambda: "secure" in get("https://127.0.0.1/", "secure.example.com"), "https on port 443")
        say("ok      https on port 443, with a self-signed certificate")
        head = until(lambda: socket.create_connection(("127.0.0.1", 80)), "port 80")
        head.sendall(b"GET / HTTP/1.0\r\nHost: shop.example.com\r\n\r\n")
        expect(b"x-from: tarball" in head.recv(65536).lower(), "the template of TEMPLATE_URL is in effect")
        expect(container.healthy(), "the health check is content")
        before = family(container.first())
        expect(
            not any("sesame" in words for words in before.values()), "no password in the list of processes"
        )
        users = {os.stat(f"/proc/{pid}").st_uid for pid in before}
        expect(0 not in users, f"no process of root's among {len(before)}, user {users}")
        survives(container, before)
        drains(container)


def survives(container: Container, before: Mapping[int, str]) -> None:
    """Kill the controller; HAProxy goes on, and the next controller adopts it."""
    (controller,) = (pid for pid, words in before.items() if "twistd" in words and "supervise" not in words)
    haproxies = {pid for pid, words in before.items() if words.startswith("/usr/sbin/haproxy")}
    os.kill(controller, signal.SIGKILL)
    answered = 0
    while "is adopted as it is" not in container.told() or answered < 100:
        expect_quietly(shop(), "a request failed while there was no controller")
        answered += 1
    expect(
        answered, f"{answered} requests answered while the controller was killed and came again; none failed"
    )
    now = family(container.first())
    expect(haproxies <= set(now), "the same HAProxy serves, adopted by the next controller")
    states = {pid: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in now}
    expect("Z" not in states.values(), "nothing that ended is left unreaped")


def expect_quietly(true: object, what: str) -> None:
    """End where it is not so."""
    if not true:
        sys.exit(f"FAILED  {what}")


def drains(container: Container) -> None:
    """Stop it while a connection is open: that may finish, no new one is taken, and the container ends."""
    with socket.create_connection(("127.0.0.1", 10100), 5) as connection:
        connection.sendall(b"one\n")
        expect(b"one" in connection.recv(100), "a connection through a service port")
        began = time.monotonic()
        os.kill(container.first(), signal.SIGTERM)
        until(refused, "no new connection is taken")
        connection.sendall(b"two\n")
        expect(b"two" in connection.recv(100), "after SIGTERM it goes on, and port 80 takes no new one")
    assert container.process is not None
    status = container.process.wait(30)
    expect(
        status == 0, f"the container ended {time.monotonic() - began:.1f} s after SIGTERM, status {status}"
    )


def refused() -> bool:
    """Whether nobody listens on port 80."""
    try:
        socket.create_connection(("127.0.0.1", 80), 1).close()
    except ConnectionRefusedError:
        return True
    return False


if __name__ == "__main__":
    if sys.argv[1:2] == ["inside"]:
        inside(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
