"""
Record what HAProxy prints, for the tests that read its words without running it.

``python -m tests.haproxy.record BINARY...`` runs each binary over ``tests/data/haproxy/messages/*.cfg`` and writes
``NAME.VERSION.txt`` beside each: a line ``exit STATUS``, then what was printed. ``tests/data/haproxy/sockets`` gets
``master.VERSION.txt``: what a master socket answers before and after a reload, and ``stats.VERSION.txt``: what the
runtime API answers. Process ids of messages are written
as 1, so that a second recording differs where HAProxy does.
"""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.paths import data

MESSAGES = data("haproxy", "messages")
SOCKETS = data("haproxy", "sockets")
HELD = 12483
"""The port of port-held-by-another-process.cfg."""

MASTER = """\
global
  maxconn 50
  stats socket {directory}/stats.sock mode 600 level admin
defaults
  mode http
  timeout connect 1s
  timeout client 3s
  timeout server 3s
frontend web
  bind unix@{directory}/web.sock
  use_backend %[req.hdr(host),lower,map({directory}/hosts.map)]
backend blog_10000
  balance roundrobin
  cookie route insert indirect nocache
  server t1 10.0.0.1:31001 id 11 cookie one
  server t2 10.0.0.2:31001 id 12
"""

RUNTIME = """\
show version
show servers state blog_10000
show map /run/hosts.map
add server blog_10000/t3 10.0.0.3:31001 id 13 weight 50
add server blog_10000/t4 10.0.0.4:31001 cookie four
add server blog_10000/t5 10.0.0.5:31001 no-such-keyword
add server mail_10001/t1 10.0.0.3:31001
enable server blog_10000/t3
set server blog_10000/t3 weight 10
set server blog_10000/t3 weight 300
set server blog_10000/t3 addr 10.0.0.9 port 31009
set server blog_10000/t3 state maint
del server blog_10000/t3
del server blog_10000/t9
prepare map /run/hosts.map
add map /run/hosts.map blog.example.com blog_10000
del map /run/hosts.map absent.example.com
add map /run/other.map blog.example.com blog_10000
""".splitlines()
"""Commands for the runtime API, in their order; ``/run`` is where the recorded HAProxy has its files."""


def version_of(binary: str) -> str:
    """The first two numbers of a binary's version."""
    printed = subprocess.run([binary, "-v"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"version (\d+\.\d+)", printed)
    assert match is not None, printed
    return match.group(1)


def record_messages(binary: str, version: str) -> None:
    """Write what one binary says of each configuration."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", HELD))
        holder.listen()
        for path in sorted(MESSAGES.glob("*.cfg")):
            # A port is bound only by a HAProxy that really starts.
            check = () if path.stem.startswith("port-held") else ("-c",)
            done = subprocess.run(
                ["haproxy", *check, "-f", path.name],
                executable=binary,
                cwd=MESSAGES,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            printed = re.sub(
                r"^(\[\w+\] +)\(\d+\)", r"\1(1)", done.stderr.replace(binary, "haproxy"), flags=re.MULTILINE
            )
            (MESSAGES / f"{path.stem}.{version}.txt").write_text(f"exit {done.returncode}\n{printed}")


def ask(path: Path, command: str) -> str:
    """The reply to one command; an empty one where HAProxy closes at once."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        # A master keeps the connection open until it is told to quit.
        commands = (command, "quit") if path.name == "master.sock" else (command,)
        connection.sendall("".join(f"{line}\n" for line in commands).encode())
        parts = []
        with suppress(ConnectionError):
            while part := connection.recv(65536):
                parts.append(part)
    return b"".join(parts).decode()


def write(name: str, replies: list[tuple[str, str]], directory: str, binary: str) -> None:
    """Write a conversation: each command behind ``>``, then its reply, without the recording's own paths."""
    text = "\n".join(f"> {command}\n{reply}" for command, reply in replies)
    (SOCKETS / name).write_text(text.replace(directory, "/run").replace(binary, "haproxy"))


def record_sockets(binary: str, version: str) -> None:
    """Write what the runtime API of one binary answers, and its master socket before and after a reload."""
    with tempfile.TemporaryDirectory(prefix="mlb-", dir="/tmp") as place:
        directory = Path(place)
        (directory / "haproxy.cfg").write_text(MASTER.format(directory=directory))
        (directory / "hosts.map").write_text("www.blog.example.com blog_10000\n")
        master = directory / "master.sock"
        process = subprocess.Popen(
            [binary, "-W", "-S", str(master), "-f", str(directory / "haproxy.cfg")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            time.sleep(2)
            replies = [
                (command, ask(directory / "stats.sock", command.replace("/run", place)))
                for command in RUNTIME
            ]
            write(f"stats.{version}.txt", replies, place, binary)
            replies = []
            for command in ("show version", "show proc", "reload", "show proc"):
                replies.append((command, ask(master, command)))
                time.sleep(2)
            write(f"master.{version}.txt", replies, place, binary)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def main(binaries: list[str]) -> None:
    """Record each binary."""
    SOCKETS.mkdir(parents=True, exist_ok=True)
    for binary in binaries:
        version = version_of(binary)
        record_messages(binary, version)
        record_sockets(binary, version)


if __name__ == "__main__":
    main(sys.argv[1:])
