"""Running a program to its end within a time limit; ``haproxy -c`` and ``haproxy -vv``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from attrs import field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall, IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from marathonlb.config.text.model import Config
from marathonlb.errors import CheckFailed, HAProxyUnavailable, InvalidConfiguration
from marathonlb.haproxy.diagnostics import messages
from marathonlb.haproxy.interfaces import IChecker

MAX_OUTPUT = 1024 * 1024
"""Bytes of a program's output that are kept."""

GRACE = 0.5
"""Seconds that output is waited for after a program ended, where a child of its own still holds the pipe."""

CHECK_TIMEOUT = 120.0
"""Seconds that ``haproxy -c`` may take at most."""

LEAST_TIME, TIME_PER_MEGABYTE = 5.0, 2.0
"""Seconds that it may take in any case, and more for each megabyte; 100,000 servers (20 MB) take 3.5."""

SLACK = 3.0
"""It may take this many times as long as the last one that HAProxy accepted."""

_PRIVATE = re.compile(
    r"^(MARATHON_.*|DCOS_.*|HAPROXY_SSL_CERT\d*|HAPROXY_ADMIN_TOKEN|HAPROXY_MWORKER.*|NOTIFY_SOCKET|LISTEN_(FDS|PID))$"
)


@frozen(kw_only=True)
class Finished:
    """
    How a program ended.

    :param status: its exit status; None where a signal ended it.
    :param signal: that signal.
    :param timed_out: whether it was killed because its time was over.
    :param output: what it wrote, standard output and error in the order they came.
    """

    status: int | None
    signal: int | None = None
    timed_out: bool = False
    output: str = field(default="", repr=False)

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        if self.timed_out:
            return "did not end in time and was killed"
        return (
            f"was killed by signal {self.signal}"
            if self.status is None
            else f"ended with status {self.status}"
        )


class _Run(ProcessProtocol):
    """Collects output and ends with `Finished`, also where a grandchild holds the pipes open."""

    def __init__(self, clock: IReactorTime, timeout: float) -> None:
        self.done: Deferred[Finished] = Deferred(lambda _: self._kill())
        self._clock = clock
        self._output = bytearray()
        self._timed_out = False
        self._limit: IDelayedCall = clock.callLater(timeout, self._time_over)
        self._grace: IDelayedCall | None = None
        self._ended = False

    def did_not_begin(self, error: OSError) -> None:
        """It cannot be executed."""
        self._limit.cancel()
        self.done.callback(Finished(status=1, output=f"{error.strerror}: {error.filename}"))

    def connectionMade(self) -> None:
        """Say that there is no input."""
        assert self.transport is not None
        self.transport.closeStdin()

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Keep output up to the limit."""
        self._output += data[: MAX_OUTPUT - len(self._output)]

    def processExited(self, reason: Failure) -> None:
        """Give what is still in the pipes a moment."""
        if self._limit.active():
            self._limit.cancel()
        self._grace = self._clock.callLater(GRACE, self._abandon, reason)

    def processEnded(self, reason: Failure) -> None:
        """Everything is read."""
        if self._limit.active():
            self._limit.cancel()
        if self._grace is not None and self._grace.active():
            self._grace.cancel()
        self._finish(reason)

    def _abandon(self, reason: Failure) -> None:
        assert self.transport is not None
        self.transport.loseConnection()
        self._finish(reason)

    def _time_over(self) -> None:
        self._timed_out = True
        self._kill()

    def _kill(self) -> None:
        try:
            assert self.transport is not None
            self.transport.signalProcess("KILL")
        except ProcessExitedAlready:
            return

    def _finish(self, reason: Failure) -> None:
        if self._ended:
            return
        self._ended = True
        status, signal = 0, None
        if not isinstance(reason.value, ProcessDone):
            assert isinstance(reason.value, ProcessTerminated)
            status, signal = reason.value.exitCode, reason.value.signal
        self.done.callback(
            Finished(
                status=status,
                signal=signal,
                timed_out=self._timed_out,
                output=_said(self._output.decode("utf-8", "replace")),
            )
        )


def _said(output: str) -> str:
    """What a program wrote; of Twisted's traceback of one that could not be executed the last line, which says why."""
    return output.rstrip().rpartition("\n")[2] if output.startswith("Upon execvpe ") else output


def run(
    spawner: IReactorProcess,
    clock: IReactorTime,
    argv: Sequence[str],
    *,
    timeout: float,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Deferred[Finished]:
    """
    Run a program to its end.

    :param argv: the program, found on PATH where it has no slash, and its arguments. Not a place for secrets.
    :param timeout: seconds until it is killed.
    :param env: its environment; ours without secrets where None.

    Cancelling kills it. Never fails: how it ended is in `Finished`.
    """
    protocol = _Run(clock, timeout)
    environment = haproxy_environment(os.environ) if env is None else env
    try:
        spawner.spawnProcess(protocol, argv[0], list(argv), env=dict(environment), path=cwd)
    except OSError as error:  # where no fork is needed, Twisted says at once what a child would
        protocol.did_not_begin(error)
    return protocol.done


def haproxy_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """
    Our environment without what is secret or meant for us alone.

    HAProxy shows its environment on its sockets (``show env``), and a template may name what is left in it.
    """
    return {name: value for name, value in environment.items() if not _PRIVATE.match(name)}


@frozen(kw_only=True)
class Capabilities:
    """
    What a HAProxy says of itself.

    :param version: its first three numbers.
    :param features: what it was built with (``OPENSSL``, ``LUA``, ``PROMEX``).
    """

    version: tuple[int, ...]
    features: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()


def parse_capabilities(text: str) -> Capabilities | None:
    """What ``haproxy -vv`` says; None where that is no HAProxy's answer."""
    version = re.search(r"^HA-?Proxy version (\d+)\.(\d+)(?:[.-](?:dev)?(\d+))?", text, re.MULTILINE)
    if version is None:
        return None
    listed = re.search(r"^Feature list :(.*)$", text, re.MULTILINE)
    offered = re.search(r"^Available services :(.*)$", text, re.MULTILINE)
    return Capabilities(
        version=tuple(int(part or 0) for part in version.groups()),
        features=frozenset(word[1:] for word in (listed[1] if listed else "").split() if word[0] == "+"),
        services=frozenset((offered[1] if offered else "").split()),
    )


class Binary:
    """
    The HAProxy program.

    :param path: where it lies; empty where none was found.
    :param cwd: the directory that it is run in, so that relative names in a configuration mean the same in a check, in
        a run and to the next controller.
    """

    def __init__(self, spawner: IReactorProcess, clock: IReactorTime, path: str, cwd: str) -> None:
        self.path = path
        self.cwd = cwd
        self._spawner = spawner
        self._clock = clock
        self._capabilities: Capabilities | None = None

    def require(self) -> None:
        """Raise `HAProxyUnavailable` where it cannot be run at all."""
        advice = "install HAProxy, or the extra marathon-lb[haproxy], or name a binary with --haproxy"
        if not self.path:
            raise HAProxyUnavailable(reason=f"no HAProxy was found on PATH: {advice}")
        if not os.path.isfile(self.path):
            raise HAProxyUnavailable(reason=f"{self.path}: there is no such HAProxy; {advice}")
        if not os.access(self.path, os.X_OK):
            raise HAProxyUnavailable(reason=f"{self.path}: may not be executed by this user; {advice}")

    def run(self, *arguments: str, timeout: float = CHECK_TIMEOUT) -> Deferred[Finished]:
        """Run it with these arguments to its end. Raises `HAProxyUnavailable` where there is none."""
        self.require()
        return run(self._spawner, self._clock, [self.path, *arguments], timeout=timeout, cwd=self.cwd)

    async def capabilities(self) -> Capabilities:
        """What it can do, asked once. Raises `HAProxyUnavailable` where it is no HAProxy."""
        if self._capabilities is None:
            finished = await self.run("-vv", timeout=10)
            self._capabilities = parse_capabilities(finished.output)
            if self._capabilities is None:
                said = finished.output.strip().splitlines()[:1] or [finished.ending]
                raise HAProxyUnavailable(
                    reason=f"{self.path} does not answer -vv as a HAProxy does ({said[0][:200]}); "
                    "name another binary with --haproxy"
                )
        return self._capabilities


@implementer(IChecker)
class HAProxyChecker:
    """
    Asks ``haproxy -c``.

    :param real: the directory that stands in for the staging directory in HAProxy's words.
    """

    def __init__(self, binary: Binary, real: str, clock: IReactorTime) -> None:
        self._binary = binary
        self._real = real
        self._clock = clock
        self._took = 0.0

    def check(self, path: str, config: Config, *, control: bool = False) -> Deferred[str]:
        """See `IChecker.check`."""
        return Deferred.fromCoroutine(self._check(path, config, control))

    def limit(self, config: Config) -> float:
        """Seconds that a check may take; so little that a service which makes it hang delays others a moment only."""
        size = sum(len(section.text) for section in config.sections)
        return min(CHECK_TIMEOUT, max(LEAST_TIME + TIME_PER_MEGABYTE * size / 1e6, SLACK * self._took))

    async def _check(self, path: str, config: Config, control: bool) -> str:
        await self._binary.capabilities()
        began, limit = self._clock.seconds(), self.limit(config)
        finished = await self._binary.run("-c", "-f", path, timeout=limit)
        if finished.status == 0 or (control and finished.timed_out):
            self._took = self._clock.seconds() - began
        output = finished.output.replace(os.path.dirname(path), self._real)
        if finished.status == 0:
            return "\n".join(complaint.message for complaint in messages.warnings(output, config))
        found = messages.complaints(output, config)
        if finished.status is None or (not found and not output.strip()):
            how = f"haproxy -c did not end within {limit:.0f} s" if finished.timed_out else ""
            how = how or f"haproxy -c {finished.ending}" + " and said nothing" * (not output.strip())
            advice = f"{self._binary.path}: is there memory enough? --skip-validation goes without the check"
            raise CheckFailed(reason=f"{how} ({advice})", how=how)
        raise InvalidConfiguration(complaints=found, output=output)


@implementer(IChecker)
class NoChecker:
    """``--skip-validation``: believes everything."""

    def check(self, path: str, config: Config, *, control: bool = False) -> Deferred[str]:
        """See `IChecker.check`."""
        accepted: Deferred[str] = Deferred()
        accepted.callback("")
        return accepted
