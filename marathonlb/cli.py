"""
The script's face: ``marathon-update-haproxy.py``.

It makes the configuration once and reloads HAProxy where something changed: by the daemon's code. Its old ``--sse``
and ``--listening`` start the daemon in the foreground instead.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from typing import IO, Any

from attrs import evolve, frozen
from twisted.application.service import IService
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.task import react
from twisted.logger import ILogObserver, Logger, globalLogBeginner
from twisted.python import usage

from marathonlb import logs
from marathonlb.documentation import longhelp
from marathonlb.errors import MarathonLBError, UsageError
from marathonlb.exclusive import make_daemon
from marathonlb.options import CommandLine, Face, Given, notices, settings_from, spread_marathons
from marathonlb.script import Terminal, run
from marathonlb.settings import Settings

NAME = "marathon-update-haproxy"
DONE, FAILED, USAGE = 0, 1, 2

Once = Callable[[Settings, Any, Terminal], Deferred[int]]
Maker = Callable[[Settings, Any], IService]
React = Callable[[Callable[..., Deferred[object]], Sequence[object]], None]


class ScriptOptions(CommandLine, face=Face.SCRIPT):
    """The script's options."""

    synopsis = f"{NAME} [options]"

    def documentation(self) -> str:
        """Options, labels and templates."""
        return longhelp()


def _begin_logging(observer: ILogObserver) -> None:
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)


@frozen
class World:
    """
    What the script works with; a test gives its own.

    :param once: does what a single run is asked for; fires with the exit status.
    :param maker: the daemon's service.
    :param react: `twisted.internet.task.react`.
    :param begin_logging: where logging begins.
    """

    once: Once = run
    maker: Maker = make_daemon
    react: React = react
    begin_logging: Callable[[ILogObserver], None] = _begin_logging


def main(
    argv: Sequence[str],
    environ: Mapping[str, str],
    stdout: IO[str],
    stderr: IO[str],
    world: World | None = None,
) -> int:
    """
    Run the script.

    :param argv: the arguments after the program's name.
    :return: the exit status: 0, 1 where Marathon, the validation or the reload failed, 2 for a wrong option, 3 under
        ``--strict-exit`` where a service was left out. ``--status`` and ``--diff`` have their own: see their modules.
    """
    world = world or World()
    options = ScriptOptions()
    try:
        with redirect_stdout(stdout):
            options.parseOptions(spread_marathons(argv))  # type: ignore[no-untyped-call]
        settings = settings_from(options.given, environ, face=Face.SCRIPT)
    except (usage.UsageError, UsageError) as error:
        stderr.write(f"{NAME}: {error}\n{NAME}: --help lists the options\n")
        return USAGE
    except SystemExit as stop:  # --help and its kin have said it all
        return int(stop.code or DONE)
    for notice in notices(options.given, environ, face=Face.SCRIPT):
        stderr.write(f"{NAME}: {notice}\n")
    forever = _runs_on(options.given)
    terminal = Terminal.of(stdout, stderr, environ)
    world.begin_logging(
        logs.observer(settings if forever else _quieter(settings, options.given, environ), terminal.err)
    )
    return _run(settings, forever, terminal, world)


def _runs_on(given: Given) -> bool:
    return "sse" in given or "listening" in given


def _quieter(settings: Settings, given: Given, environ: Mapping[str, str]) -> Settings:
    """One run says what went wrong and no more, unless a level was asked for."""
    if "log-level" in given or environ.get("MARATHON_LB_LOG_LEVEL"):
        return settings
    return evolve(settings, log_level="warn")


def _run(settings: Settings, forever: bool, terminal: Terminal, world: World) -> int:
    """Run under the reactor until it is done; a signal before that cancels a single run, which has then failed."""
    codes: list[int] = []

    def start(reactor: Any) -> Deferred[object]:
        if forever:
            work = maybeDeferred(follow, settings, reactor, world.maker)
        else:
            work = maybeDeferred(world.once, settings, reactor, terminal)
            reactor.addSystemEventTrigger("before", "shutdown", work.cancel)
        ended: Deferred[object] = Deferred.fromCoroutine(exit_status(work, terminal.err)).addCallback(
            codes.append
        )
        return ended

    collecting = gc.isenabled()
    if not forever:
        gc.disable()  # what a run that ends holds it needs, and its end frees all of it at once
    try:
        with suppress(SystemExit):
            world.react(start, ())
    finally:
        if collecting:
            gc.enable()
    if codes:
        return codes[0]
    return DONE if forever else FAILED


async def exit_status(work: Deferred[int], stderr: IO[str]) -> int:
    """
    What the work comes to, its failure said in one line.

    Errors of ours speak for themselves. Any other is a defect: its kind is named, and its traceback is logged at
    the level debug.
    """
    failures: list[Any] = []

    def failed(failure: Any) -> int:
        failures.append(failure)
        return FAILED

    code = await work.addErrback(failed)
    for failure in failures:
        if failure.check(MarathonLBError):
            code = USAGE if failure.check(UsageError) else FAILED
            stderr.write(f"{NAME}: {failure.value}\n")
        elif failure.check(CancelledError):
            stderr.write(f"{NAME}: interrupted; the configuration that was there is whole\n")
        elif failure.check(BrokenPipeError):  # whoever read the output has had enough
            return FAILED
        else:
            Logger(namespace=__name__).debug("The run failed: {log_failure}", log_failure=failure)
            kind = failure.type.__name__
            stderr.write(f"{NAME}: a defect: {kind}: {failure.value}; --log-level=debug shows where\n")
    return code


def follow(settings: Settings, reactor: Any, maker: Maker) -> Deferred[int]:
    """The daemon in the foreground: starts the service, and stops it with the reactor."""
    service = maker(settings, reactor)
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    return Deferred()


def script() -> None:
    """The console script."""
    sys.exit(main(sys.argv[1:], os.environ, sys.stdout, sys.stderr))
