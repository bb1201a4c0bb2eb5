"""The snapshots of several clusters."""

from __future__ import annotations

import os
import stat

from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import PublishFailed
from marathonlb.marathon.model import App, Port, Task
from marathonlb.marathon.snapshot import ClusterSnapshots

SHOP = App(
    "/shop", {"HAPROXY_GROUP": "x"}, ports=(Port(10000),), tasks=(Task("shop.1", "h", (1,)),), instances=1
)


class ClusterSnapshotsTests(SynchronousTestCase):
    """`ClusterSnapshots`."""

    def setUp(self) -> None:
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.snapshots = ClusterSnapshots(lambda name: os.path.join(self.directory, name))
        self.log: list[str] = []
        globalLogPublisher.addObserver(self._observe)
        self.addCleanup(globalLogPublisher.removeObserver, self._observe)

    def _observe(self, event: LogEvent) -> None:
        self.log.append(formatEvent(event))

    def test_back(self) -> None:
        """A snapshot is read back complete, for each cluster, and only its owner may read the file."""
        self.snapshots.keep("east", [SHOP], 5.0)
        self.snapshots.keep("", [App("/cart")], 6.0)
        self.assertEqual(self.snapshots.recall("east"), (5.0, (SHOP,)))
        self.assertEqual(self.snapshots.recall(""), (6.0, (App("/cart"),)))
        self.assertIsNone(self.snapshots.recall("west"))
        modes = {
            stat.S_IMODE(os.stat(os.path.join(self.directory, name)).st_mode)
            for name in os.listdir(self.directory)
        }
        self.assertEqual(modes, {0o600})
        self.assertEqual(self.log, [])

    def test_broken(self) -> None:
        """A broken file counts as missing, and is logged."""
        for text in (b"", b"\x00", b"half", b"\x82\xa2at"):
            with open(os.path.join(self.directory, "cluster-east"), "wb") as file:
                file.write(text)
            self.assertIsNone(self.snapshots.recall("east"))
        self.assertEqual(len([text for text in self.log if "east" in text]), 4)

    def test_no_place(self) -> None:
        """A directory that cannot be used is logged, and nothing else happens."""

        def nowhere(name: str) -> str:
            raise PublishFailed(path="/x", reason="choose another --state-dir")

        for snapshots in (ClusterSnapshots(nowhere), ClusterSnapshots(lambda name: "/proc/none/x")):
            self.log.clear()
            snapshots.keep("east", [SHOP], 5.0)
            self.assertIsNone(snapshots.recall("west"))
            self.assertIn("--state-dir", "".join(self.log))
