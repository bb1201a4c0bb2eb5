"""
The last configurations that HAProxy ran, whole, in the order they came: one for each change of more than tasks.

While one of them is pinned nothing is added: HAProxy runs it with other tasks, and those before it are still wanted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from attrs import frozen
from twisted.logger import Logger

from marathonlb.errors import PublishFailed
from marathonlb.files import Ownership
from marathonlb.haproxy.files.disk import Disk, read_text, remove_tree, told
from marathonlb.haproxy.files.publish import Published
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.rollback.pin import FILE as PIN
from marathonlb.haproxy.rollback.restored import alike

PRIVATE = Ownership(0o600)


@frozen(kw_only=True)
class Archived:
    """
    One configuration of the archive.

    :param number: its place in the order; a higher one is newer.
    :param path: the directory that holds haproxy.cfg and the map files.
    :param time: when HAProxy confirmed it, ISO 8601, UTC.
    :param reason: why it was reloaded, or what steps led there.
    :param cause: what had come; empty where that is not known.
    :param digest: of its texts (`Published.digest`).
    """

    number: int
    path: str
    time: str
    reason: str
    digest: str
    cause: str = ""


class Archive:
    """
    The directory ``archive`` in the state directory: ``00000042/`` with the files, ``00000042.json`` beside it.

    :param keep: how many are kept; with 0 nothing is archived.
    :param cause: says what has come that led to a configuration.
    """

    _log = Logger()

    def __init__(
        self,
        state: StateDirectory,
        keep: int,
        disk: Disk | None = None,
        cause: Callable[[], str] = lambda: "",
    ) -> None:
        self._state = state
        self._cause = cause
        self._keep = keep
        self._disk = disk or Disk()

    def list(self) -> tuple[Archived, ...]:
        """What is there, the oldest first; what cannot be read is left out."""
        directory = self._state.file("archive")
        found = []
        with suppress(OSError):
            for name in sorted(os.listdir(directory)):
                if name.endswith(".json") and name[:-5].isdigit():
                    with suppress(OSError, ValueError, KeyError, TypeError):
                        found.append(self._read(directory, name))
        return tuple(found)

    def _read(self, directory: str, name: str) -> Archived:
        about = json.loads(read_text(os.path.join(directory, name)) or "")
        return Archived(
            number=int(name[:-5]),
            path=os.path.join(directory, name[:-5]),
            time=str(about["time"]),
            reason=str(about["reason"]),
            digest=str(about["digest"]),
            cause=str(about.get("cause", "")),
        )

    def read(self, number: int) -> Published | None:
        """The texts of one of them; None where there is none of this number, or it cannot be read."""
        path = self._state.file(f"archive/{number:08d}")
        with suppress(OSError):
            texts = {name: read_text(os.path.join(path, name)) or "" for name in os.listdir(path)}
            return Published(texts.pop("haproxy.cfg", ""), texts)
        return None

    @property
    def cause(self) -> str:
        """What has come that leads to a configuration now."""
        return self._cause()

    def add(self, published: Published, *, reason: str, seconds: float, cause: str | None = None) -> None:
        """
        Keep a configuration and drop the oldest ones above the number to keep.

        A failure is logged and goes no further: the archive is a convenience, the publication is not.

        :param seconds: the time of the confirmation, since the epoch.
        :param cause: what had come; None asks for it.
        """
        if self._keep <= 0:
            return
        time = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
        try:
            if not os.path.exists(self._state.file(PIN)):
                self._add(published, reason, time, self._cause() if cause is None else cause)
        except (OSError, PublishFailed) as error:
            self._log.warn(
                "the configuration was not archived: {reason}. It is published all the same",
                reason=told(error),
            )

    def _add(self, published: Published, reason: str, time: str, cause: str) -> None:
        directory = self._state.file("archive")
        os.makedirs(directory, 0o700, exist_ok=True)
        there = self.list()
        digest = published.digest()
        if there and (there[-1].digest == digest or self._is_last(there[-1], published)):
            return
        name = f"{there[-1].number + 1 if there else 1:08d}"
        path = os.path.join(directory, name)
        remove_tree(path)
        self._disk.make_directory(path)
        for file, text in published.maps.items():
            self._disk.write(os.path.join(path, file), text, PRIVATE, durable=False)
        self._disk.write(os.path.join(path, "haproxy.cfg"), published.parts, PRIVATE, durable=False)
        about = {"time": time, "reason": reason, "digest": digest, **({"cause": cause} if cause else {})}
        self._disk.replace(f"{path}.json", json.dumps(about) + "\n", PRIVATE, durable=False)
        self._prune(there[: len(there) + 1 - self._keep] if len(there) >= self._keep else ())

    def _is_last(self, last: Archived, published: Published) -> bool:
        """Whether this is the last one with other tasks, as after a pin's release."""
        before = self.read(last.number)
        return before is not None and alike(before, published)

    def _prune(self, old: tuple[Archived, ...]) -> None:
        for archived in old:
            self._disk.remove(f"{archived.path}.json")
            remove_tree(archived.path)
