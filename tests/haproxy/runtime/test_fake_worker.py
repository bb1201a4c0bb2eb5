"""The fake worker, against the contract of the real ones."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from tests.fakes.worker import FakeRuntimeConnection, FakeWorker
from tests.haproxy.runtime.connections import RuntimeConnectionContract, two_backends


class FakeWorkerTests(RuntimeConnectionContract, TestCase):
    """The fake, in the words of HAProxy 2.8."""

    version = "2.8.25"

    def setUp(self) -> None:
        self.directory = "/etc/haproxy"
        worker = FakeWorker(self.version)
        worker.load(two_backends("global\n", 80), self.directory)
        self.connection = FakeRuntimeConnection(worker)


class NewFakeWorkerTests(FakeWorkerTests):
    """The fake, in the words of HAProxy 3.4."""

    version = "3.4.0-64a335366"
