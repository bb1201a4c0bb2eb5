"""
What each of several clusters was last known to run, kept over the end of the controller.

With one cluster nothing is applied before its Marathon has answered, so HAProxy serves on as it is. With several the
others go on, and what this one runs has to be known from somewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from twisted.logger import Logger

from marathonlb.errors import MarathonLBError
from marathonlb.files import replace
from marathonlb.marathon.model import App


class _Kept(msgspec.Struct, frozen=True):
    as_of: float
    apps: tuple[App, ...]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Kept)


class ClusterSnapshots:
    """
    A file for each cluster. It is a help and no promise: what cannot be written or read is said and does no harm.

    :param path: a file's name → its path; raises `MarathonLBError` where there is no place for it.
    """

    _log = Logger()

    def __init__(self, path: Callable[[str], str]) -> None:
        self._path = path

    def keep(self, cluster: str, apps: Iterable[App], as_of: float) -> None:
        """
        Remember what a cluster runs.

        :param as_of: when all of it was last compared, in seconds since the epoch.
        """
        text = _encoder.encode(_Kept(as_of, tuple(apps)))
        try:
            replace(self._path(_name(cluster)), text, durable=False)
        except (OSError, MarathonLBError) as error:
            self._log.warn(
                "What the cluster {cluster} runs cannot be kept for the next start: {error}; look at --state-dir",
                cluster=cluster or "without a name",
                error=str(error),
            )

    def recall(self, cluster: str) -> tuple[float, tuple[App, ...]] | None:
        """What a cluster ran, and as of when; None where nothing is known."""
        try:
            with open(self._path(_name(cluster)), "rb") as file:
                kept = _decoder.decode(file.read())
        except FileNotFoundError:
            return None
        except (OSError, MarathonLBError, msgspec.DecodeError, UnicodeDecodeError) as error:
            self._log.warn(
                "What the cluster {cluster} ran cannot be read: {error}",
                cluster=cluster or "without a name",
                error=str(error),
            )
            return None
        return kept.as_of, kept.apps


def _name(cluster: str) -> str:
    return f"cluster-{cluster}" if cluster else "cluster"
