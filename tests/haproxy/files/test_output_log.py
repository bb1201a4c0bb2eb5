"""HAProxy's output in a file."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.haproxy.files.output_log import KEPT, MAX_SIZE, OutputLog


class LogTests(SynchronousTestCase):
    """HAProxy's output."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.log = OutputLog(self.path)
        descriptor = self.log.open()
        self.addCleanup(os.close, descriptor)
        self.write = lambda text: os.write(descriptor, text.encode())

    def test_since(self) -> None:
        """What was written since a moment is told, without what came before."""
        self.write("before\n")
        began = self.log.size()
        self.write("after\n")
        self.assertEqual(self.log.since(began), "after\n")

    def test_trim(self) -> None:
        """A log that is too large is cut; its end is kept beside it, and HAProxy's next words are at the beginning."""
        self.write("x" * MAX_SIZE)
        self.log.trim()
        self.assertEqual(self.log.size(), MAX_SIZE)
        self.write("the end")
        began = self.log.size()
        self.log.trim()
        self.write("next")
        self.assertEqual((self.log.size(), self.log.since(began)), (4, "next"))
        with open(self.path + ".old", encoding="utf-8") as file:
            kept = file.read()
        self.assertEqual((len(kept), kept[-7:]), (KEPT, "the end"))

    def test_tail(self) -> None:
        """Its last words are one line."""
        self.write("a\nb\nc\nd\n")
        self.assertEqual(self.log.tail(), "b | c | d")

    def test_nothing(self) -> None:
        """A log that is not there holds nothing."""
        log = OutputLog("/nonexistent/log")
        self.assertEqual((log.size(), log.since(0), log.tail()), (0, "", ""))
        log.trim()
