"""
The startup of the command in CPU seconds: for ``--help``, and for a run with ten apps.

The reference is another script with the same options, run alternately with the command: ``--older 'PYTHON
marathon_lb.py'``. Without it the reference is an interpreter that does nothing.
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
"""Number of tasks per app."""

HELP = "script: --help, CPU"
TEN_APPS = "script: ten apps, CPU"

COMMAND = (sys.executable, str(CHECKOUT / "marathon-update-haproxy.py"))
NOTHING = (sys.executable, "-c", "pass")


def startup(
    shape: Shape, haproxy: str, rounds: int, older: Sequence[str], say: Callable[[str], object], parent: str
) -> list[Row]:
    """
    Measure both; return the medians of all rounds after a first one in which Python writes its bytecode.

    :param shape: provides the network and the seed.
    :param older: the command of the other script; empty for none.
    :raises Failed: if a run fails.
    """
    ten = Shape(APPS, TASKS, shape.seed, shape.network)
    say(f"{ten}: startup of the command")
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

        measured: dict[str, list[float]] = {name: [] for name in ("help", "once", "help by", "once by")}
        for _ in range(rounds + 1):
            measured["help"].append(seconds(COMMAND, "--help"))
            measured["once"].append(seconds(COMMAND, *options, *ours))
            measured["help by"].append(seconds(older, "--help") if older else seconds(NOTHING))
            measured["once by"].append(seconds(older, *options) if older else seconds(NOTHING))
    middle = {name: median(values[1:]) for name, values in measured.items()}
    reference = "the older script" if older else "python -c pass"
    return [
        compared(HELP, str(ten), middle["help"], "ms", middle["help by"], reference, 1000),
        compared(TEN_APPS, str(ten), middle["once"], "ms", middle["once by"], reference, 1000),
    ]


def cpu(command: Sequence[str], path: str) -> float:
    """
    Return the CPU seconds of a command and the child processes that it waited for.

    :param path: the value of ``PATH``.
    :raises Failed: if its exit status is not 0.
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
        errors = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"{' '.join(command[:2])}: exit status {process.returncode}: {errors.decode()[-2000:]}")
    return used.ru_utime + used.ru_stime


def _compiling() -> dict[str, str]:
    """Return an environment in which Python writes bytecode, as for an installed package."""
    return {name: value for name, value in environment().items() if name != "PYTHONDONTWRITEBYTECODE"}
