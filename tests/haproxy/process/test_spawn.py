"""Starting HAProxy: what is waited for, and how a failed start is reported."""

from __future__ import annotations

import os
import signal

from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    globalLogPublisher,
)

from marathonlb.errors import HAProxyUnavailable, PublishFailed, ReloadFailed
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.process.master import RELOAD_TIMEOUT
from marathonlb.haproxy.process.port_check import Bind
from marathonlb.haproxy.runtime.connection import NO_TARGET
from tests.haproxy.process.cases import SupervisorCase
from tests.haproxy.samples import A


class StartTests(SupervisorCase):
    """`HAProxyStarter`, by the first reload."""

    def test_start_hangs(self) -> None:
        """What never serves after a start is ended with all its processes: it would be taken for one that loads."""
        self.lay()
        starting = self.supervisor.reload(A)
        self.clock.pump([1] * int(RELOAD_TIMEOUT + 2))
        self.assertTrue(self.failureResultOf(starting, ReloadFailed).value.refused)
        self.assertEqual(self.killed, [(-self.spawner.processes[0].pid, signal.SIGKILL)])

    def test_shared_ports(self) -> None:
        """Where somebody else gets a part of the connections that is said, once HAProxy serves."""
        said: list[str] = []
        observer = FilteringLogObserver(
            lambda event: said.append(formatEvent(event)), [LogLevelFilterPredicate(LogLevel.warn)]
        )
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.lay()
        self.shared = [Bind("0.0.0.0", 80)]
        reloading = self.supervisor.reload(A)
        self.assertEqual(said, [])
        self.started()
        self.successResultOf(reloading)
        (words,) = said
        self.assertIn("receives a part of the connections: [0.0.0.0:80]. End it", words)

    def test_loads_yet(self) -> None:
        """A worker that the master names and that does not answer yet is waited for: it may yet fail (HAProxy 3.4)."""
        self.lay()
        reloading = self.supervisor.reload(A)
        process = self.spawner.processes[0]
        self.answers(process.pid)
        shown = self.show
        self.answer = lambda command: shown if command == "show proc" else NO_TARGET  # type: ignore
        self.clock.pump([0.1] * 9)
        self.assertNoResult(reloading)
        self.assertIsNone(self.state.confirmed())
        self.die(process)
        self.clock.advance(1)
        self.failureResultOf(reloading, ReloadFailed)

    def test_start_fails(self) -> None:
        """A HAProxy that ends at once is told in its own words, with the line's owner."""
        self.lay()
        reloading = self.supervisor.reload(A)
        with open(self.state.file("haproxy.log"), "a", encoding="utf-8") as file:
            file.write("[ALERT]    (1) : Binding [/x/haproxy.cfg:6] for frontend f: cannot bind socket\n")
        self.die(self.spawner.processes[0])
        self.clock.advance(1)
        error = self.failureResultOf(reloading, ReloadFailed).value
        self.assertEqual(
            str(error),
            "reload failed: HAProxy could not be started: line 6: Binding for frontend f: cannot bind socket",
        )
        self.assertEqual(error.complaints[0].owner.app_id, "/a")

    def test_no_binary(self) -> None:
        """Without a binary the reload says how to get one."""
        os.unlink(os.path.join(self.machine.root, "bin/haproxy"))
        self.failureResultOf(self.supervisor.reload(A), HAProxyUnavailable)

    def test_long_state_directory(self) -> None:
        """A state directory whose sockets HAProxy could not bind is said."""
        state = StateDirectory(os.path.join(os.path.abspath(self.mktemp()), "x" * 80))
        error = self.failureResultOf(self.make(state).reload(A), PublishFailed).value
        self.assertIn("--state-dir", str(error))
