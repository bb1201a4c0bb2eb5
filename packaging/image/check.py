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
import re
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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path

from container import Container, expect, expect_quietly, family, run, say, until

CHECKOUT = Path(__file__).resolve().parents[2]
BASE, IMAGE = "localhost/marathon-lb-test-base", "localhost/marathon-lb-test"
SUITE = os.environ.get("SUITE", "trixie")
MOST_ABOVE_BASE = 200
"""Maximum number of MB by which the image may exceed its base."""

LOGIN = {"MARATHON_USER": "lb", "MARATHON_PASSWORD": "sesame", "POLL_INTERVALL": "1"}
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def mirror() -> str:
    """Return the address from which this machine gets Debian's packages."""
    lines = run(
        "apt-get", "indextargets", "--format", "$(SITE)|$(ORIGIN)", "Created-By: Packages"
    ).splitlines()
    return next(
        (line.partition("|")[0] for line in lines if line.endswith("|Debian")), "http://deb.debian.org/debian"
    )


def build_base(work: Path) -> None:
    """Build the base image, like the slim image of Debian: debootstrap's smallest system without its caches."""
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
    """Build the image. This machine's configuration of pip is mounted, and does not become part of the image."""
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
    """Return the MB of an image, unpacked."""
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


def lift_loopback() -> None:
    """Bring this network's loopback up."""
    with socket.socket() as any_socket:
        ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS, up and running


def get(url: str, host: str) -> str:
    """Return what a virtual host responds, without verifying its certificate. Raises `OSError`."""
    request = urllib.request.Request(url, headers={"Host": host})  # noqa: S310 - an address of this file's
    context = ssl._create_unverified_context()  # noqa: S323 - the certificate is self-signed
    with urllib.request.urlopen(request, timeout=5, context=context) as response:  # noqa: S310
        return str(response.read().decode())


def tarball(path: Path) -> None:
    """Write an archive with an operator's template."""
    with tarfile.open(path, "w:gz") as archive:
        text = b"\nfrontend marathon_http_in\n  bind *:80\n  mode http\n  http-response set-header X-From tarball\n"
        member = tarfile.TarInfo("templates/HAPROXY_HTTP_FRONTEND_HEAD")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))


def inside(root: str, work: Path) -> None:
    """Run the checks, inside the namespaces."""
    lift_loopback()
    config = json.loads((work / "config.json").read_text())
    container = Container(root, config, work / "log")
    for program in ("gcc", "cc", "pip", "make"):
        places = [Path(root, place, program) for place in ("usr/bin", "usr/local/bin", "opt/marathon-lb/bin")]
        expect(not any(place.exists() for place in places), f"it has no {program}")
    packages = [path.name for path in Path(root, "opt/marathon-lb").rglob("*minimarathon*")]
    expect(not packages, f"it has no minimarathon: {packages}")
    expect(
        config["User"] == "marathon-lb" and config["StopSignal"] == "SIGTERM",
        "a user and a stop signal of its own",
    )
    status, text = container.answer("watch")
    expect(status == 2 and text.count("\n") == 1, f"an unknown mode: status {status}, {text.strip()}")
    status, text = container.answer("event", "-m", "http://127.0.0.1:8080")
    expect(status == 2 and text.count("\n") == 1, f"no address: status {status}, {text.strip()}")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        never = {"TEMPLATE_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/t.tgz"}
        for moment, wanted, environ in (
            ("docker-entrypoint", 128 + signal.SIGTERM, never),
            ("supervise", 0, {}),
        ):
            status = ends_early(Container(root, config, work / "log-early"), moment, environ)
            expect(status == wanted, f"SIGTERM as soon as process 1 is {moment}: status {status}")
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
    """Run minimarathon with its sample apps."""
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
    """Return whether the sample's shop responds."""
    return "shop" in get(where, "shop.example.com")


def survives_and_drains(container: Container) -> None:
    """Start the container, kill the controller during requests, then stop the container during a connection."""
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
        expect(container.healthy(), "the health check passes")
        before = family(container.first())
        expect(
            not any("sesame" in words for words in before.values()), "no password in the list of processes"
        )
        users = {os.stat(f"/proc/{pid}").st_uid for pid in before}
        expect(0 not in users, f"none of the {len(before)} processes is root's, user {users}")
        survives(container, before)
        drains(container)


def ends_early(container: Container, moment: str, environ: Mapping[str, str]) -> int:
    """Return the exit status after a SIGTERM that is sent as soon as process 1 is the named program and handles it."""
    with container.running("sse", "-m", "http://127.0.0.1:8080", **environ):
        assert container.process is not None
        process = Path(f"/proc/{container.first()}")

        def hears() -> bool:
            # What makes the namespaces has the name among its arguments, too, and blocks signals for a moment.
            words = (process / "cmdline").read_text().split("\0")
            if "/opt/marathon-lb/" not in words[0] or not any(word.endswith(moment) for word in words[:4]):
                return False
            # The supervisor was started with its signals held back: whatever it does, it hears them.
            caught = re.findall(r"SigCgt:\s*(\S+)", (process / "status").read_text())
            return moment == "supervise" or any(int(mask, 16) >> (signal.SIGTERM - 1) & 1 for mask in caught)

        until(hears, f"process 1 is {moment}")
        os.kill(container.first(), signal.SIGTERM)
        return container.process.wait(30)


def survives(container: Container, before: Mapping[int, str]) -> None:
    """Kill the controller: HAProxy goes on, and the next controller adopts it."""
    (controller,) = (pid for pid, words in before.items() if "twistd" in words and "supervise" not in words)
    haproxies = {pid for pid, words in before.items() if words.startswith("/usr/sbin/haproxy")}
    os.kill(controller, signal.SIGKILL)
    answered, deadline = 0, time.monotonic() + 60
    while "Adopted the running HAProxy" not in container.told() or answered < 100:
        expect_quietly(shop(), "a request failed while there was no controller")
        expect_quietly(time.monotonic() < deadline, f"no controller adopts HAProxy:\n{container.told()}")
        answered += 1
    expect(
        answered, f"{answered} requests answered while the controller was killed and came again; none failed"
    )
    now = family(container.first())
    expect(haproxies <= set(now), "the same HAProxy serves, adopted by the next controller")
    states = {pid: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in now}
    expect("Z" not in states.values(), "nothing that ended is left unreaped")


def drains(container: Container) -> None:
    """Stop the container while a connection is open: it may finish, no new one is accepted, and the container ends."""
    with socket.create_connection(("127.0.0.1", 10100), 5) as connection:
        connection.sendall(b"one\n")
        expect(b"one" in connection.recv(100), "a connection through a service port")
        began = time.monotonic()
        os.kill(container.first(), signal.SIGTERM)
        until(refused, "no new connection is taken")
        connection.sendall(b"two\n")
        expect(
            b"two" in connection.recv(100),
            "after SIGTERM the connection goes on, and port 80 accepts no new one",
        )
    assert container.process is not None
    status = container.process.wait(30)
    expect(
        status == 0, f"the container ended {time.monotonic() - began:.1f} s after SIGTERM, status {status}"
    )


def refused() -> bool:
    """Return whether port 80 refuses connections."""
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
