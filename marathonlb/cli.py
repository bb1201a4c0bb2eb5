"""
The command ``marathon-update-haproxy``: its command line, and its exit status.

It writes HAProxy's configuration once and reloads HAProxy if something changed, with the daemon's code. The options
``--sse`` and ``--listening`` of older versions run the daemon in the foreground instead.

Only the options are imported here: ``--help``, ``--version`` and a refused option must answer at once. The rest
(the reactor, the controller) is imported by `marathonlb.script.session` if there is work to do.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from typing import IO, TYPE_CHECKING

from twisted.python import usage

from marathonlb.errors import UsageError
from marathonlb.options import CommandLine, Face, notices, settings_from, spread_marathons

if TYPE_CHECKING:
    from marathonlb.script.session import World

NAME = "marathon-update-haproxy"
DONE, USAGE = 0, 2


class ScriptOptions(CommandLine, face=Face.SCRIPT):
    """The options of the command."""

    synopsis = f"{NAME} [options]"

    def documentation(self) -> str:
        """Return the options, labels and templates as Markdown."""
        from marathonlb.documentation import longhelp

        return longhelp()


def main(
    argv: Sequence[str],
    environ: Mapping[str, str],
    stdout: IO[str],
    stderr: IO[str],
    world: World | None = None,
) -> int:
    """
    Run the command.

    :param argv: the arguments after the program's name.
    :param world: the parts that the command works with; None for the real ones.
    :return: the exit status: 0, 1 if Marathon, the validation or the reload failed, 2 for a wrong option, 3 under
        ``--strict-exit`` if a service was left out. ``--status`` and ``--diff`` have their own: see their modules.
    """
    options = ScriptOptions()
    try:
        with redirect_stdout(stdout):
            options.parseOptions(spread_marathons(argv))  # type: ignore[no-untyped-call]
        settings = settings_from(options.given, environ, face=Face.SCRIPT)
    except (usage.UsageError, UsageError) as error:
        stderr.write(f"{NAME}: {error}\n{NAME}: --help lists the options\n")
        return USAGE
    except SystemExit as stop:  # --help, --version and --longhelp have printed everything
        return int(stop.code or DONE)
    for notice in notices(options.given, environ, face=Face.SCRIPT):
        stderr.write(f"{NAME}: {notice}\n")

    from marathonlb.script import session

    return session.start(NAME, settings, options.given, environ, stdout, stderr, world or session.World())


def script() -> None:
    """Run the console script."""
    gc.disable()  # most runs end soon, and free everything by that; the daemon enables it
    status = main(sys.argv[1:], os.environ, sys.stdout, sys.stderr)
    gc.freeze()  # else the interpreter searches all objects for garbage before it ends, which takes as long as a run
    sys.exit(status)
