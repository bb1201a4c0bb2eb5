"""
The console script ``marathon-lb-zdd``.

A signal turns a deployment back; a second one leaves everything as it is.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import react
from twisted.logger import ILogObserver, globalLogBeginner
from twisted.python import usage

from marathonlb import logs
from marathonlb.errors import MarathonLBError, UsageError
from marathonlb.figures import visible
from marathonlb.marathon.api.agent import VerifiedPolicy, make_agent
from marathonlb.marathon.api.request import Fetcher
from marathonlb.marathon.factory import authorization_for
from marathonlb.zdd.clients.balancers import Balancers, agents
from marathonlb.zdd.clients.hook import Hook, IHook, NoHook
from marathonlb.zdd.clients.marathon import Cluster
from marathonlb.zdd.definition import AppFile, read
from marathonlb.zdd.deployment import Deployment, Ending, Hands
from marathonlb.zdd.errors import Refused
from marathonlb.zdd.options import NAME, Given, ZddOptions, read_options
from marathonlb.zdd.progress import Progress

MAX_BODY = 1 << 30
"""Bytes of an answer of Marathon's."""

React = Callable[[Callable[..., Deferred[Any]], Sequence[object]], None]


def _begin_logging(observer: ILogObserver) -> None:
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)


def _now() -> datetime:
    return datetime.now(UTC)


def _on_signals(reactor: Any, interrupt: Callable[[], object]) -> None:
    """In place of the reactor's own handlers, which would stop it, and which it sets when it begins to run."""

    def install() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: reactor.callFromThread(interrupt))

    install()
    reactor.callWhenRunning(install)


@frozen
class World:
    """
    What the script works with; a test gives its own.

    :param on_signals: has a function called at SIGINT and SIGTERM.
    """

    stdin: IO[str]
    stdout: IO[str]
    stderr: IO[str]
    react: React = react
    begin_logging: Callable[[ILogObserver], None] = _begin_logging
    on_signals: Callable[[Any, Callable[[], object]], None] = _on_signals
    now: Callable[[], datetime] = _now

    def complain(self, words: str) -> None:
        """Say on standard error why it ends; what may stand in it is in other people's labels."""
        self.stderr.write(visible(f"{NAME}: {words}\n"))


def main(argv: Sequence[str], environ: Mapping[str, str], world: World) -> int:
    """
    Run the script.

    :param argv: the arguments after the program's name.
    :return: the exit status, a `marathonlb.zdd.deployment.Ending`.
    """
    options = ZddOptions()
    try:
        with redirect_stdout(world.stdout):
            options.parseOptions(argv)
        given = read_options(options.given, environ)
        file = read(*_text(given.app, world.stdin))
        _check_hook(given.hook)
    except (usage.UsageError, UsageError, Refused) as error:
        world.complain(str(error))
        return Ending.REFUSED
    except SystemExit as stop:  # --help and its kin have said it all
        return int(stop.code or 0)
    world.begin_logging(logs.observer(given.settings, world.stderr))
    return _run(given, file, world)


def _text(path: str, stdin: IO[str]) -> tuple[str, str]:
    """The app file's text, and what to call it."""
    if path == "-":
        return stdin.read(), "standard input"
    try:
        return Path(path).read_text(encoding="utf-8"), path
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path}: the app file cannot be read: {error}") from None


def _check_hook(path: str | None) -> None:
    if path is not None and not (os.path.isfile(path) and os.access(path, os.X_OK)):
        raise UsageError(option="--pre-kill-hook", value=path, expected="a program that can be run")


def _run(given: Given, file: AppFile, world: World) -> int:
    """Deploy under the reactor."""
    endings: list[Ending] = []

    def start(reactor: Any) -> Deferred[None]:
        work = Deferred.fromCoroutine(_deploy(given, file, world, reactor))
        world.on_signals(reactor, work.cancel)
        return work.addCallback(endings.append)

    with suppress(SystemExit):
        world.react(start, ())
    return endings[0] if endings else Ending.LEFT


async def _deploy(given: Given, file: AppFile, world: World, reactor: Any) -> Ending:
    progress = Progress(world.stdout, world.now, as_json=given.json)
    try:
        deployment = Deployment(file, given.wish, hands(given, world, reactor, progress))
        if given.dry_run:
            course = await deployment.plan()
            progress.say(
                "planned", course.words, older=course.older, newer=course.newer, create=course.create
            )
            return Ending.DONE
        return await deployment.run()
    except Refused as refused:
        world.complain(str(refused))
        return Ending.REFUSED
    except UsageError as error:
        world.complain(str(error))
        return Ending.REFUSED
    except MarathonLBError as error:
        world.complain(f"{error}; nothing was changed")
        return Ending.ROLLED_BACK
    except CancelledError:
        world.complain("interrupted; nothing was changed")
        return Ending.INTERRUPTED


def hands(given: Given, world: World, reactor: Any, progress: Progress) -> Hands:
    """
    Whom a deployment works with.

    :raises UsageError: a certificate or an account cannot be used.
    """
    settings = given.settings
    anonymous = make_agent(settings, reactor, anonymous=True)
    fetcher = Fetcher(
        settings.marathon,
        make_agent(settings, reactor),
        authorization_for(settings, anonymous, reactor),
        MAX_BODY,
        anonymous=anonymous if settings.marathon_client_cert else None,
    )
    hook: IHook = NoHook()
    if given.hook is not None:

        def say(output: str) -> None:
            progress.say("hook", output)

        hook = Hook(os.path.abspath(given.hook), reactor, reactor, given.wish.max_wait, say)
    return Hands(
        cluster=Cluster(fetcher, settings.marathon, reactor),
        balancers=Balancers(
            given.marathon_lb,
            agents(reactor, VerifiedPolicy()),
            reactor.nameResolver,
            reactor,
            given.credentials,
        ),
        hook=hook,
        clock=reactor,
        progress=progress,
        now=world.now,
        confirm=lambda words: given.force or _confirm(world),
    )


def _confirm(world: World) -> bool:
    """Ask, where there is somebody to ask."""
    if not (world.stdin.isatty() and world.stderr.isatty()):
        return True
    world.stderr.write("Go on? [y/N] ")
    world.stderr.flush()
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return world.stdin.readline().strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        world.stderr.write("\n")
        return False
    finally:
        signal.signal(signal.SIGINT, handler)


def script() -> None:
    """The console script."""
    sys.exit(main(sys.argv[1:], os.environ, World(sys.stdin, sys.stdout, sys.stderr)))
