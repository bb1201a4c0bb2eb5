"""
Snapshots of the last known apps of each of several clusters, on disk for the next start of the controller.

With one cluster nothing is applied before its Marathon has answered, so HAProxy keeps serving unchanged. With several
clusters the others are updated, and the apps of one that does not answer come from its snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from twisted.logger import Logger

from marathonlb.base.files import replace
from marathonlb.errors import MarathonLBError
from marathonlb.marathon.model import App, shown_cluster


class _Snapshot(msgspec.Struct, frozen=True):
    """The content of a file, in MessagePack."""

    as_of: float
    apps: tuple[App, ...]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Snapshot)


class ClusterSnapshots:
    """
    The snapshots, one file for each cluster. A file that cannot be written or read is logged and otherwise ignored.

    :param path: returns the path of a file from its name; raises `MarathonLBError` if there is no directory for it.
    """

    _log = Logger()

    def __init__(self, path: Callable[[str], str]) -> None:
        self._path = path

    def keep(self, cluster: str, apps: Iterable[App], as_of: float) -> None:
        """
        Write the snapshot of a cluster.

        :param as_of: time of the last full comparison, in seconds since the epoch.
        """
        text = _encoder.encode(_Snapshot(as_of, tuple(apps)))
        try:
            replace(self._path(_name(cluster)), text, durable=False)
        except (OSError, MarathonLBError) as error:
            self._log.warn(
                "Writing the snapshot of {cluster} failed: {error}. After a restart its apps are unknown until its "
                "Marathon answers; check --state-dir",
                cluster=shown_cluster(cluster),
                error=str(error),
            )

    def recall(self, cluster: str) -> tuple[float, tuple[App, ...]] | None:
        """Return the time of a cluster's snapshot and its apps; None if there is no readable snapshot."""
        try:
            with open(self._path(_name(cluster)), "rb") as file:
                snapshot = _decoder.decode(file.read())
        except FileNotFoundError:
            return None
        except (OSError, MarathonLBError, msgspec.DecodeError, UnicodeDecodeError) as error:
            self._log.warn(
                "Reading the snapshot of {cluster} failed: {error}. Its apps are unknown until its Marathon answers",
                cluster=shown_cluster(cluster),
                error=str(error),
            )
            return None
        return snapshot.as_of, snapshot.apps


def _name(cluster: str) -> str:
    return f"cluster-{cluster}" if cluster else "cluster"
