"""A container as the check of the image runs it, and how the check waits, reports and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PATIENCE = 60.0


def say(text: str) -> None:
    """Print one line of the report."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run(*command: str, **more: Any) -> str:
    """Return what a program prints; exit where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: status {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return str(done.stdout)


def expect(true: object, what: str) -> None:
    """Report what was found; exit where it is false."""
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


def expect_quietly(true: object, what: str) -> None:
    """Exit where it is false."""
    if not true:
        sys.exit(f"FAILED  {what}")


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
        """Return the command line that runs a program in the image, as process 1 or beside the running container."""
        pairs = [*self.config["Env"], *(f"{name}={value}" for name, value in environ.items())]
        working = self.config.get("WorkingDir") or "/"
        mounts = 'mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && ' if first else ""
        user = ("chroot", f"--userspec={self.config['User']}", self._root)
        there = ("/bin/sh", "-c", f'cd {working} && exec "$@"', "sh")
        inside = [*user, "/usr/bin/env", "-i", *pairs, *there, *arguments]
        apart = ["unshare", "--fork", "--pid", "--mount", "--kill-child"] if first else []
        return [*apart, "sh", "-c", f'{mounts}exec "$@"', self._root, *inside]

    def answer(self, *arguments: str, **environ: str) -> tuple[int, str]:
        """Return exit status and output of the entrypoint with these arguments, where it ends by itself."""
        command = self.command([*self.config["Entrypoint"], *arguments], environ)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
        return done.returncode, done.stdout + done.stderr

    @contextmanager
    def running(self, *arguments: str, **environ: str) -> Iterator[None]:
        """Run the container; at the end send SIGTERM."""
        command = self.command([*self.config["Entrypoint"], *arguments], environ)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            yield
        finally:
            if self.process.poll() is None:
                self.stop()

    def stop(self) -> tuple[int, float]:
        """Stop it as docker does. Return exit status and seconds."""
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
        """Return whether it has ended."""
        return self.process is not None and self.process.poll() is not None

    def first(self) -> int:
        """Return the id of its process 1, outside its namespaces."""
        assert self.process is not None
        return int(
            until(lambda: children(self.process.pid if self.process else 0), "the container starts")[0]
        )

    def healthy(self) -> bool:
        """Return whether the image's health check passes."""
        test = self.config["Healthcheck"]["Test"]
        done = subprocess.run(self.command(test[1:], {}, first=False), capture_output=True, check=False)
        return done.returncode == 0

    def told(self) -> str:
        """Return everything that the container printed."""
        return self._log.read_text(errors="replace")


def children(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    with suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def family(pid: int) -> dict[int, str]:
    """Return the command lines of a process and its descendants, by process id."""
    found = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")}
    for child in children(pid):
        with suppress(OSError):
            found |= family(child)
    return found
