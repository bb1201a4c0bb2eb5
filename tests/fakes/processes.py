"""A process spawner that starts nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IReactorProcess
from twisted.python.failure import Failure
from zope.interface import implementer


class FakeProcess:
    """
    A process that the test controls.

    :ivar signals: the signals that it received.
    """

    def __init__(
        self, protocol: Any, argv: Sequence[str], env: Mapping[str, str], path: Any, pid: int
    ) -> None:
        self.protocol, self.argv, self.env, self.path, self.pid = protocol, list(argv), env, path, pid
        self.signals: list[str] = []
        self.ended = False

    def closeStdin(self) -> None:
        """Ignore the call: the process reads no input."""

    def loseConnection(self) -> None:
        """Ignore the call: there are no pipes."""

    def signalProcess(self, name: str) -> None:
        """Record the signal; KILL ends the process."""
        if self.ended:
            raise ProcessExitedAlready
        self.signals.append(name)
        if name == "KILL":
            self.end(None, signal=9)

    def say(self, text: str) -> None:
        """Write to its output."""
        self.protocol.childDataReceived(1, text.encode())

    def end(self, status: int | None = 0, *, signal: int | None = None, pipes: bool = True) -> None:
        """
        End the process.

        :param pipes: True if its output is closed too; a child process may keep it open.
        """
        self.ended = True
        error = ProcessDone(0) if status == 0 else ProcessTerminated(status, signal, None)
        self.protocol.processExited(Failure(error))
        if pipes:
            self.protocol.processEnded(Failure(error))


@implementer(IReactorProcess)
class FakeSpawner:
    """
    Records the started processes.

    :ivar answers: exit status and output by a word of the command line; such a process ends at once.
    """

    def __init__(self, answers: Mapping[str, tuple[int, str]] | None = None) -> None:
        self.processes: list[FakeProcess] = []
        self.answers = dict(answers or {})

    def spawnProcess(
        self,
        processProtocol: Any,
        executable: Any,
        args: Any = (),
        env: Any = None,
        path: Any = None,
        uid: Any = None,
        gid: Any = None,
        usePTY: Any = False,
        childFDs: Any = None,
    ) -> Any:
        process = FakeProcess(processProtocol, args, env or {}, path, 1000 + len(self.processes))
        self.processes.append(process)
        processProtocol.makeConnection(process)
        for word, (status, output) in self.answers.items():
            if any(word in argument for argument in args):
                process.say(output)
                process.end(status)
                break
        return process


class Unable(FakeSpawner):
    """A spawner on which every start fails."""

    def spawnProcess(self, processProtocol: Any, executable: Any, *arguments: Any, **more: Any) -> Any:
        """Fail."""
        raise OSError(8, "Exec format error", executable)
