"""Running a program within a time limit; ``haproxy -c`` and ``haproxy -vv``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from attrs import field, frozen
from msgspec import Struct
from twisted.internet.defer import Deferred, succeed
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
"""Maximum number of bytes of a program's output that are kept."""

GRACE = 0.5
"""Seconds that output is waited for after a program ended, in case a child of its own still holds the pipe."""

CHECK_TIMEOUT = 120.0
"""Maximum number of seconds that ``haproxy -c`` may take."""

LEAST_TIME, TIME_PER_MEGABYTE = 5.0, 2.0
"""Seconds that it may take in any case, and further seconds per megabyte; 100,000 servers (20 MB) take 3.5 s."""

SLACK = 3.0
"""It may take this many times as long as the last check that HAProxy passed."""

_PRIVATE = re.compile(
    r"^(MARATHON_.*|DCOS_.*|HAPROXY_SSL_CERT\d*|HAPROXY_ADMIN_TOKEN|HAPROXY_MWORKER.*|NOTIFY_SOCKET|LISTEN_(FDS|PID))$"
)


@frozen(kw_only=True)
class FinishedProgram:
    """
    A program that ended.

    :param status: its exit status; None if a signal ended it.
    :param signal: that signal.
    :param timed_out: True if it was killed because its time was over.
    :param output: its standard output and standard error, in the order in which they came.
    """

    status: int | None
    signal: int | None = None
    timed_out: bool = False
    output: str = field(default="", repr=False)

    @property
    def ending(self) -> str:
        """How it ended, as a sentence without a subject."""
        if self.timed_out:
            return "did not end in time and was killed"
        return (
            f"was killed by signal {self.signal}"
            if self.status is None
            else f"ended with status {self.status}"
        )


class _ProgramProtocol(ProcessProtocol):
    """Collects the output and ends with `FinishedProgram`, even if a grandchild holds the pipes open."""

    def __init__(self, clock: IReactorTime, timeout: float) -> None:
        self.done: Deferred[FinishedProgram] = Deferred(lambda _: self._kill())
        self._clock = clock
        self._output = bytearray()
        self._timed_out = False
        self._limit: IDelayedCall = clock.callLater(timeout, self._time_over)
        self._grace: IDelayedCall | None = None
        self._ended = False

    def not_started(self, error: OSError) -> None:
        """End with the reason why the program cannot be executed."""
        self._limit.cancel()
        self.done.callback(FinishedProgram(status=1, output=f"{error.strerror}: {error.filename}"))

    def connectionMade(self) -> None:
        """Close the standard input."""
        assert self.transport is not None
        self.transport.closeStdin()

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Keep the output up to the limit."""
        self._output += data[: MAX_OUTPUT - len(self._output)]

    def processExited(self, reason: Failure) -> None:
        """Wait for the output that is still in the pipes, for `GRACE` at most."""
        if self._limit.active():
            self._limit.cancel()
        self._grace = self._clock.callLater(GRACE, self._abandon, reason)

    def processEnded(self, reason: Failure) -> None:
        """End: all output is read."""
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
            FinishedProgram(
                status=status,
                signal=signal,
                timed_out=self._timed_out,
                output=_output(self._output.decode("utf-8", "replace")),
            )
        )


def _output(output: str) -> str:
    """Return a program's output; if it could not be executed, the reason, the last line of Twisted's traceback."""
    return output.rstrip().rpartition("\n")[2] if output.startswith("Upon execvpe ") else output


def run_program(
    spawner: IReactorProcess,
    clock: IReactorTime,
    argv: Sequence[str],
    *,
    timeout: float,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Deferred[FinishedProgram]:
    """
    Run a program to its end.

    :param argv: the program, looked up on PATH if it has no slash, and its arguments. Not a place for secrets.
    :param timeout: seconds after which it is killed.
    :param env: its environment; None for `haproxy_environment`.

    Cancelling kills it. Never fails: the result says how it ended.
    """
    protocol = _ProgramProtocol(clock, timeout)
    environment = haproxy_environment(os.environ) if env is None else env
    try:
        spawner.spawnProcess(protocol, argv[0], list(argv), env=dict(environment), path=cwd)
    except OSError as error:  # Twisted starts it without a fork and raises at once what a child would report
        protocol.not_started(error)
    return protocol.done


def haproxy_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """
    Return the environment without secrets and without what is meant for the controller only.

    HAProxy shows its environment on its sockets (``show env``), and a template may use what is left in it.
    """
    return {name: value for name, value in environment.items() if not _PRIVATE.match(name)}


class BinaryCapabilities(Struct, frozen=True, kw_only=True):
    """
    The reply to ``haproxy -vv``.

    :param version: the first three numbers of the version.
    :param features: the features that it was built with (``OPENSSL``, ``LUA``, ``PROMEX``).
    :param services: the services that it was built with (``prometheus-exporter``).
    """

    version: tuple[int, ...]
    features: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()


def parse_capabilities(text: str) -> BinaryCapabilities | None:
    """Parse the output of ``haproxy -vv``; return None if it is not a HAProxy's."""
    version = re.search(r"^HA-?Proxy version (\d+)\.(\d+)(?:[.-](?:dev)?(\d+))?", text, re.MULTILINE)
    if version is None:
        return None
    listed = re.search(r"^Feature list :(.*)$", text, re.MULTILINE)
    offered = re.search(r"^Available services :(.*)$", text, re.MULTILINE)
    return BinaryCapabilities(
        version=tuple(int(part or 0) for part in version.groups()),
        features=frozenset(word[1:] for word in (listed[1] if listed else "").split() if word[0] == "+"),
        services=frozenset((offered[1] if offered else "").split()),
    )


class Binary:
    """
    The HAProxy program.

    :param path: its path; empty if none was found.
    :param cwd: its working directory, so that relative names in a configuration mean the same in a check, in a run and
        to the next controller.
    """

    def __init__(self, spawner: IReactorProcess, clock: IReactorTime, path: str, cwd: str) -> None:
        self.path = path
        self.cwd = cwd
        self._spawner = spawner
        self._clock = clock
        self._capabilities: BinaryCapabilities | None = None

    def require(self) -> None:
        """Raise `HAProxyUnavailable` if it cannot be run at all."""
        advice = "install HAProxy, or the extra marathon-lb[haproxy], or name a binary with --haproxy"
        if not self.path:
            raise HAProxyUnavailable(reason=f"no HAProxy was found on PATH: {advice}")
        if not os.path.isfile(self.path):
            raise HAProxyUnavailable(reason=f"{self.path} does not exist; {advice}")
        if not os.access(self.path, os.X_OK):
            raise HAProxyUnavailable(reason=f"{self.path} may not be executed by this user; {advice}")

    def run(self, *arguments: str, timeout: float = CHECK_TIMEOUT) -> Deferred[FinishedProgram]:
        """Run it with these arguments to its end. Raises `HAProxyUnavailable` if it cannot be run."""
        self.require()
        return run_program(self._spawner, self._clock, [self.path, *arguments], timeout=timeout, cwd=self.cwd)

    async def capabilities(self) -> BinaryCapabilities:
        """Return the version and features, which are asked once. Raises `HAProxyUnavailable` if it is no HAProxy."""
        if self._capabilities is None:
            self.require()
            # It reads no file, so it needs no directory of its own: a child with one costs Twisted a fork.
            finished = await run_program(self._spawner, self._clock, [self.path, "-vv"], timeout=10)
            self._capabilities = parse_capabilities(finished.output)
            if self._capabilities is None:
                first_line = finished.output.strip().splitlines()[:1] or [finished.ending]
                raise HAProxyUnavailable(
                    reason=f"{self.path} does not answer -vv as a HAProxy does ({first_line[0][:200]}); "
                    "name another binary with --haproxy"
                )
        return self._capabilities


@implementer(IChecker)
class HAProxyChecker:
    """
    Checks a configuration with ``haproxy -c``.

    :param real: the directory that replaces the staging directory in HAProxy's messages.
    """

    def __init__(self, binary: Binary, real: str, clock: IReactorTime) -> None:
        self._binary = binary
        self._real = real
        self._clock = clock
        self._last_duration = 0.0

    def check(
        self, path: str, config: Config, *, control: bool = False, running: str | None = None
    ) -> Deferred[str]:
        """See `IChecker.check`."""
        return Deferred.fromCoroutine(self._check(path, config, control))

    def limit(self, config: Config) -> float:
        """Return the seconds that a check may take: few, so that a service that makes it hang hardly delays others."""
        size = sum(len(section.text) for section in config.sections)
        return min(
            CHECK_TIMEOUT, max(LEAST_TIME + TIME_PER_MEGABYTE * size / 1e6, SLACK * self._last_duration)
        )

    async def _check(self, path: str, config: Config, control: bool) -> str:
        await self._binary.capabilities()
        start, limit = self._clock.seconds(), self.limit(config)
        finished = await self._binary.run("-c", "-f", path, timeout=limit)
        if finished.status == 0 or (control and finished.timed_out):
            self._last_duration = self._clock.seconds() - start
        output = finished.output.replace(os.path.dirname(path), self._real)
        if finished.status == 0:
            return "\n".join(complaint.message for complaint in messages.warnings(output, config))
        complaints = messages.complaints(output, config)
        if finished.status is None or (not complaints and not output.strip()):
            how = f"haproxy -c did not end within {limit:.0f} s" if finished.timed_out else ""
            how = how or f"haproxy -c {finished.ending}" + " without any output" * (not output.strip())
            advice = f"{self._binary.path}: is there enough memory? --skip-validation skips the check"
            raise CheckFailed(reason=f"{how} ({advice})", how=how)
        raise InvalidConfiguration(complaints=complaints, output=output)


@implementer(IChecker)
class NoChecker:
    """``--skip-validation``: accepts every configuration."""

    def check(
        self, path: str, config: Config, *, control: bool = False, running: str | None = None
    ) -> Deferred[str]:
        """See `IChecker.check`."""
        return succeed("")
