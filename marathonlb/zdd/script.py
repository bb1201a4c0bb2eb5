"""
The console script ``marathon-lb-zdd``.

A signal makes a deployment go back; a second one leaves everything as it is.
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
from marathonlb.base.figures import visible
from marathonlb.errors import MarathonLBError, UsageError
from marathonlb.marathon.api.agent import VerifiedPolicy, make_agent
from marathonlb.marathon.api.request import Fetcher
from marathonlb.marathon.factory import authorization_for
from marathonlb.zdd.clients.balancers import Balancers, agents
from marathonlb.zdd.clients.hook import Hook, IHook, NoHook
from marathonlb.zdd.clients.marathon import DeploymentCluster
from marathonlb.zdd.definition import AppFile, read
from marathonlb.zdd.deployment import Collaborators, Deployment, Ending
from marathonlb.zdd.errors import Refused
from marathonlb.zdd.options import NAME, ZddArguments, ZddOptions, read_options
from marathonlb.zdd.progress import DeploymentProgress

MAX_BODY = 1 << 30
"""Maximum bytes of an answer of Marathon."""

React = Callable[[Callable[..., Deferred[Any]], Sequence[object]], None]


def _begin_logging(observer: ILogObserver) -> None:
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)


def _now() -> datetime:
    return datetime.now(UTC)


def _on_signals(reactor: Any, interrupt: Callable[[], object]) -> None:
    """Replace the reactor's own signal handlers, which it installs when it starts and which would stop it."""

    def install() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: reactor.callFromThread(interrupt))

    install()
    reactor.callWhenRunning(install)


@frozen
class ZddEnvironment:
    """
    The environment of the script, which a test replaces.

    :param react: runs a function under a reactor.
    :param begin_logging: starts logging to an observer.
    :param on_signals: has a function called at SIGINT and SIGTERM.
    :param now: returns the time of day.
    """

    stdin: IO[str]
    stdout: IO[str]
    stderr: IO[str]
    react: React = react
    begin_logging: Callable[[ILogObserver], None] = _begin_logging
    on_signals: Callable[[Any, Callable[[], object]], None] = _on_signals
    now: Callable[[], datetime] = _now

    def write_error(self, message: str) -> None:
        """Write an error to standard error, control characters made visible: it may quote labels."""
        self.stderr.write(visible(f"{NAME}: {message}\n"))


def main(argv: Sequence[str], environ: Mapping[str, str], environment: ZddEnvironment) -> int:
    """
    Run the script.

    :param argv: the arguments after the program's name.
    :return: the exit status, a `marathonlb.zdd.deployment.Ending`.
    """
    options = ZddOptions()
    try:
        with redirect_stdout(environment.stdout):
            options.parseOptions(argv)
        given = read_options(options.given, environ)
        file = read(*_text(given.app, environment.stdin))
        _check_hook(given.hook)
    except (usage.UsageError, UsageError, Refused) as error:
        environment.write_error(str(error))
        return Ending.REFUSED
    except SystemExit as stop:  # --help, --version and --longhelp
        return int(stop.code or 0)
    environment.begin_logging(logs.observer(given.settings, environment.stderr))
    return _run(given, file, environment)


def _text(path: str, stdin: IO[str]) -> tuple[str, str]:
    """Return the app file's text, and its name for error messages."""
    if path == "-":
        return stdin.read(), "standard input"
    try:
        return Path(path).read_text(encoding="utf-8"), path
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path}: the app file cannot be read: {error}") from None


def _check_hook(path: str | None) -> None:
    """Raise `UsageError` if the hook is not a program."""
    if path is not None and not (os.path.isfile(path) and os.access(path, os.X_OK)):
        raise UsageError(option="--pre-kill-hook", value=path, expected="an executable file")


def _run(given: ZddArguments, file: AppFile, environment: ZddEnvironment) -> int:
    """Deploy under the reactor."""
    endings: list[Ending] = []

    def start(reactor: Any) -> Deferred[None]:
        work = Deferred.fromCoroutine(_deploy(given, file, environment, reactor))
        environment.on_signals(reactor, work.cancel)
        return work.addCallback(endings.append)

    with suppress(SystemExit):
        environment.react(start, ())
    return endings[0] if endings else Ending.LEFT


async def _deploy(given: ZddArguments, file: AppFile, environment: ZddEnvironment, reactor: Any) -> Ending:
    """Deploy, or only plan with ``--dry-run``."""
    progress = DeploymentProgress(environment.stdout, environment.now, as_json=given.json)
    try:
        deployment = Deployment(file, given.request, collaborators(given, environment, reactor, progress))
        if given.dry_run:
            course = await deployment.plan()
            progress.say(
                "planned", course.words, older=course.older, newer=course.newer, create=course.create
            )
            return Ending.DONE
        return await deployment.run()
    except Refused as refused:
        environment.write_error(str(refused))
        return Ending.REFUSED
    except UsageError as error:
        environment.write_error(str(error))
        return Ending.REFUSED
    except MarathonLBError as error:
        environment.write_error(f"{error}; nothing was changed")
        return Ending.ROLLED_BACK
    except CancelledError:
        environment.write_error("interrupted; nothing was changed")
        return Ending.INTERRUPTED


def collaborators(
    given: ZddArguments, environment: ZddEnvironment, reactor: Any, progress: DeploymentProgress
) -> Collaborators:
    """
    Return the services that a deployment uses.

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

        hook = Hook(os.path.abspath(given.hook), reactor, reactor, given.request.max_wait, say)
    return Collaborators(
        cluster=DeploymentCluster(fetcher, settings.marathon, reactor),
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
        now=environment.now,
        confirm=lambda summary: given.force or _confirm(environment),
    )


def _confirm(environment: ZddEnvironment) -> bool:
    """Ask the user on a terminal; return True without one."""
    if not (environment.stdin.isatty() and environment.stderr.isatty()):
        return True
    environment.stderr.write("Continue? [y/N] ")
    environment.stderr.flush()
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return environment.stdin.readline().strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        environment.stderr.write("\n")
        return False
    finally:
        signal.signal(signal.SIGINT, handler)


def script() -> None:
    """Run as the console script."""
    sys.exit(main(sys.argv[1:], os.environ, ZddEnvironment(sys.stdin, sys.stdout, sys.stderr)))
