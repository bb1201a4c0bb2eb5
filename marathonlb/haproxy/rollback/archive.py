"""
The last configurations that HAProxy ran, whole and in order: one for each change of more than tasks.

While a configuration is pinned nothing is added: HAProxy runs it with other tasks, and the older ones must stay.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from msgspec import Struct
from twisted.logger import Logger

from marathonlb.base.files import Ownership
from marathonlb.errors import PublishFailed
from marathonlb.haproxy.files.disk import Disk, explain_error, read_text, remove_tree
from marathonlb.haproxy.files.publish import Published
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.rollback.pin import FILE as PIN
from marathonlb.haproxy.rollback.restored import alike

PRIVATE = Ownership(0o600)


class Archived(Struct, frozen=True, kw_only=True):
    """
    One configuration of the archive.

    :param number: the place in the order; a higher number is newer.
    :param path: the directory with haproxy.cfg and the map files.
    :param time: the time at which HAProxy confirmed it, ISO 8601, UTC.
    :param reason: why HAProxy was reloaded, or the runtime changes that led to it.
    :param cause: the trigger; empty if it is not known.
    :param digest: the digest of its texts (`Published.digest`).
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

    :param keep: maximum number of configurations to keep; with 0 nothing is archived.
    :param cause: returns the trigger of the configuration that is applied now.
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
        """Return the archived configurations, the oldest first, without those that cannot be read."""
        directory = self._state.file("archive")
        archived = []
        with suppress(OSError):
            for name in sorted(os.listdir(directory)):
                if name.endswith(".json") and name[:-5].isdigit():
                    with suppress(OSError, ValueError, KeyError, TypeError):
                        archived.append(self._read(directory, name))
        return tuple(archived)

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
        """Return the texts of a configuration; None if none has this number or it cannot be read."""
        path = self._state.file(f"archive/{number:08d}")
        with suppress(OSError):
            texts = {name: read_text(os.path.join(path, name)) or "" for name in os.listdir(path)}
            return Published(texts.pop("haproxy.cfg", ""), texts)
        return None

    @property
    def cause(self) -> str:
        """The trigger of the configuration that is applied now."""
        return self._cause()

    def add(self, published: Published, *, reason: str, seconds: float, cause: str | None = None) -> None:
        """
        Add a configuration, and remove the oldest ones above the number to keep.

        A failure is logged and not raised: the configuration is published nevertheless.

        :param seconds: the time of the confirmation, in seconds since 1970.
        :param cause: the trigger; None asks for the current one.
        """
        if self._keep <= 0:
            return
        time = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
        try:
            if not os.path.exists(self._state.file(PIN)):
                self._add(published, reason, time, self._cause() if cause is None else cause)
        except (OSError, PublishFailed) as error:
            self._log.warn(
                "The configuration was not archived: {reason}. It is published, but there is no rollback "
                "to it; check space and permissions of the state directory",
                reason=explain_error(error),
            )

    def _add(self, published: Published, reason: str, time: str, cause: str) -> None:
        directory = self._state.file("archive")
        os.makedirs(directory, 0o700, exist_ok=True)
        archived = self.list()
        digest = published.digest()
        if archived and (archived[-1].digest == digest or self._is_last(archived[-1], published)):
            return
        name = f"{archived[-1].number + 1 if archived else 1:08d}"
        path = os.path.join(directory, name)
        remove_tree(path)
        self._disk.make_directory(path)
        for file, text in published.maps.items():
            self._disk.write(os.path.join(path, file), text, PRIVATE, durable=False)
        self._disk.write(os.path.join(path, "haproxy.cfg"), published.parts, PRIVATE, durable=False)
        about = {"time": time, "reason": reason, "digest": digest, **({"cause": cause} if cause else {})}
        self._disk.replace(f"{path}.json", json.dumps(about) + "\n", PRIVATE, durable=False)
        self._prune(archived[: len(archived) + 1 - self._keep] if len(archived) >= self._keep else ())

    def _is_last(self, last: Archived, published: Published) -> bool:
        """Return whether this is the last one with other tasks, as after the release of a pin."""
        before = self.read(last.number)
        return before is not None and alike(before, published)

    def _prune(self, old: tuple[Archived, ...]) -> None:
        for archived in old:
            self._disk.remove(f"{archived.path}.json")
            remove_tree(archived.path)
