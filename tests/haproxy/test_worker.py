"""The fake worker, against the contract of the real ones."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from tests.fakes.worker import FakeTalk, FakeWorker
from tests.haproxy.talks import TalkContract, two_backends


class FakeTalkTests(TalkContract, TestCase):
    """The fake."""

    def setUp(self) -> None:
        self.directory = "/etc/haproxy"
        worker = FakeWorker()
        worker.load(two_backends("global\n", 80), self.directory)
        self.talk = FakeTalk(worker)
