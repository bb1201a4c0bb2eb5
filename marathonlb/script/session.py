"""
One run of ``marathon-update-haproxy`` under the reactor, from its options to its exit status.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Any

from attrs import evolve, frozen
from twisted.application.service import IService
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.task import react
from twisted.logger import ILogObserver, Logger, globalLogBeginner

from marathonlb import logs
from marathonlb.errors import MarathonLBError, UsageError, described
from marathonlb.options import Given
from marathonlb.script.run import run
from marathonlb.script.terminal import Terminal
from marathonlb.settings import Settings

DONE, FAILED, USAGE = 0, 1, 2

Once = Callable[[Settings, Any, Terminal], Deferred[int]]
MakeDaemon = Callable[[Settings, Any], IService]
React = Callable[[Callable[..., Deferred[object]], Sequence[object]], None]


def _begin_logging(observer: ILogObserver) -> None:
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)


def _make_daemon(settings: Settings, reactor: Any) -> IService:
    """Make the daemon's service; its pages and event sources are imported only now."""
    from marathonlb.service import make_daemon

    return make_daemon(settings, reactor)


@frozen
class World:
    """
    The parts that a run works with; a test passes its own.

    :param once: does a single run; fires with the exit status.
    :param make_daemon: makes the daemon's service.
    :param react: `twisted.internet.task.react`.
    :param begin_logging: is given the log observer.
    """

    once: Once = run
    make_daemon: MakeDaemon = _make_daemon
    react: React = react
    begin_logging: Callable[[ILogObserver], None] = _begin_logging


def start(
    name: str,
    settings: Settings,
    given: Given,
    environ: Mapping[str, str],
    stdout: IO[str],
    stderr: IO[str],
    world: World,
) -> int:
    """
    Run what the settings ask for until it is done.

    :param name: the command's name, for its messages.
    :param given: the options as they were given.
    :return: the exit status.
    """
    forever = "sse" in given or "listening" in given
    terminal = Terminal.of(stdout, stderr, environ)
    world.begin_logging(
        logs.observer(settings if forever else _quieter(settings, given, environ), terminal.err)
    )
    return _run(name, settings, forever, terminal, world)


def _quieter(settings: Settings, given: Given, environ: Mapping[str, str]) -> Settings:
    """Return settings that log warnings and errors only, unless a level was asked for."""
    if "log-level" in given or environ.get("MARATHON_LB_LOG_LEVEL"):
        return settings
    return evolve(settings, log_level="warn")


def _run(name: str, settings: Settings, forever: bool, terminal: Terminal, world: World) -> int:
    """Run under the reactor until it is done; a signal before that cancels a single run, which then fails."""
    codes: list[int] = []

    def begin(reactor: Any) -> Deferred[object]:
        if forever:
            work = maybeDeferred(follow, settings, reactor, world.make_daemon)
        else:
            work = maybeDeferred(world.once, settings, reactor, terminal)
            reactor.addSystemEventTrigger("before", "shutdown", work.cancel)
        ended: Deferred[object] = Deferred.fromCoroutine(exit_status(name, work, terminal.err)).addCallback(
            codes.append
        )
        return ended

    collecting = gc.isenabled()
    if forever:
        gc.enable()
    else:
        gc.disable()  # a single run needs all that it holds, and its end frees everything at once
    try:
        with suppress(SystemExit):
            world.react(begin, ())
    finally:
        if collecting:
            gc.enable()
    if codes:
        return codes[0]
    return DONE if forever else FAILED


async def exit_status(name: str, work: Deferred[int], stderr: IO[str]) -> int:
    """
    Return the exit status of the work; write one line about its failure to standard error.

    An error of `marathonlb.errors` explains itself. Any other is a defect: the line names its type, and its
    traceback is logged at the level debug.

    :param name: the command's name.
    """
    failures: list[Any] = []

    def failed(failure: Any) -> int:
        failures.append(failure)
        return FAILED

    code = await work.addErrback(failed)
    for failure in failures:
        if failure.check(MarathonLBError):
            code = USAGE if failure.check(UsageError) else FAILED
            stderr.write(f"{name}: {described(failure.value)}\n")
        elif failure.check(CancelledError):
            stderr.write(f"{name}: interrupted; the configuration on disk is intact\n")
        elif failure.check(BrokenPipeError):  # the reader of the output has closed it
            return FAILED
        else:
            Logger(namespace=__name__).debug("The run failed: {log_failure}", log_failure=failure)
            kind = failure.type.__name__
            stderr.write(
                f"{name}: defect in marathon-lb: {kind}: {failure.value}; --log-level=debug logs the traceback\n"
            )
    return code


def follow(settings: Settings, reactor: Any, make_daemon: MakeDaemon) -> Deferred[int]:
    """Run the daemon in the foreground: start its service, and stop it with the reactor."""
    service = make_daemon(settings, reactor)
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    return Deferred()
