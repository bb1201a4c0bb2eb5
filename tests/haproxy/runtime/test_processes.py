"""The replies to ``show proc``, as 2.6, 2.8, 3.0 and 3.4 give them."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.haproxy.runtime.processes import WorkerProcess, parse_processes
from tests.haproxy.samples import processes
from tests.paths import data


class ProcessesTests(SynchronousTestCase):
    """``show proc``."""

    recordings = data("haproxy", "sockets")
    versions: tuple[str, ...] = ("2.6", "2.8", "3.0", "3.4")

    def test_old_workers(self) -> None:
        """Workers that only finish what they hold are told apart."""
        found = parse_processes(processes(30, reloads=2, failed=1, old=20))
        assert found is not None
        self.assertEqual((found.reloads, found.failed, found.current), (2, 1, {30}))
        self.assertEqual(found.workers[1], WorkerProcess(pid=20, reloads=1, old=True))

    def test_recorded(self) -> None:
        """The answers of real masters are understood, before and after a reload."""
        for version in self.versions:
            text = (self.recordings / f"master.{version}.txt").read_text()
            answers = re.findall(r"> show proc\n(.*?)(?=\n> |\Z)", text, re.DOTALL)
            before, after = (parse_processes(answer) for answer in answers)
            assert before is not None and after is not None
            self.assertEqual((before.reloads, before.failed, len(before.current)), (0, 0, 1))
            self.assertEqual((after.reloads, after.failed, len(after.current)), (1, 0, 1))
            self.assertEqual(before.master, after.master)
            self.assertNotEqual(before.current, after.current)

    def test_another_answer(self) -> None:
        """What is no such answer is none."""
        self.assertIsNone(parse_processes("Unknown command"))
