"""
The CPU seconds that the command takes to start: for ``--help``, and for one run over ten apps.

The reference is another script with the same options, run in turn with ours: ``--older 'PYTHON marathon_lb.py'``
names one. Without it the reference is an interpreter that does nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from statistics import median

from benchmarks.cluster import GROUP, Shape
from benchmarks.report import Row, compared
from benchmarks.world import CHECKOUT, Failed, World, environment

APPS = 10
TASKS = 2
"""Tasks of each app."""

HELP = "script: --help, CPU"
TEN_APPS = "script: ten apps, CPU"

COMMAND = (sys.executable, str(CHECKOUT / "marathon-update-haproxy.py"))
NOTHING = (sys.executable, "-c", "pass")


def startup(
    shape: Shape, haproxy: str, rounds: int, older: Sequence[str], say: Callable[[str], object], parent: str
) -> list[Row]:
    """
    Measure both; the median of all rounds counts, after one round in which Python writes its bytecode.

    :param shape: gives the network and the seed.
    :param older: the command of the other script; empty for none.
    :raises Failed: a run failed.
    """
    ten = Shape(APPS, TASKS, shape.seed, shape.network)
    say(f"{ten}: the command's start")
    with World(ten, haproxy, parent) as world:
        world.start()
        options = (
            f"--marathon={world.url}",
            f"--group={GROUP}",
            f"--haproxy-config={world.directory / 'haproxy.cfg'}",
            "--dont-bind-http-https",
            "--command=true",
        )
        ours = (f"--haproxy={haproxy}", f"--state-dir={world.directory / 'state'}")
        path = f"{os.path.dirname(haproxy)}:{os.environ.get('PATH', os.defpath)}"

        def seconds(command: Sequence[str], *arguments: str) -> float:
            for file in world.directory.glob("haproxy.cfg*"):
                file.unlink()
            return cpu([*command, *arguments], path)

        found: dict[str, list[float]] = {name: [] for name in ("help", "once", "help by", "once by")}
        for _ in range(rounds + 1):
            found["help"].append(seconds(COMMAND, "--help"))
            found["once"].append(seconds(COMMAND, *options, *ours))
            found["help by"].append(seconds(older, "--help") if older else seconds(NOTHING))
            found["once by"].append(seconds(older, *options) if older else seconds(NOTHING))
    middle = {name: median(values[1:]) for name, values in found.items()}
    reference = "the older script" if older else "python -c pass"
    return [
        compared(HELP, str(ten), middle["help"], "ms", middle["help by"], reference, 1000),
        compared(TEN_APPS, str(ten), middle["once"], "ms", middle["once by"], reference, 1000),
    ]


def cpu(command: Sequence[str], path: str) -> float:
    """
    Return the CPU seconds of a command and of the processes that it waited for.

    :param path: where programs are looked for.
    :raises Failed: its exit status is not 0.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**_compiling(), "PATH": path},
        cwd="/",
    ) as process:
        assert process.stderr is not None
        heard = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"{' '.join(command[:2])}: exit status {process.returncode}: {heard.decode()[-2000:]}")
    return used.ru_utime + used.ru_stime


def _compiling() -> dict[str, str]:
    """Return the environment of an installed package: its modules are compiled."""
    return {name: value for name, value in environment().items() if name != "PYTHONDONTWRITEBYTECODE"}
