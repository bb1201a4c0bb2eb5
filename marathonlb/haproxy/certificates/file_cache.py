"""
A cache of certificate files: they are read in threads, and again when their size, time or inode has changed.

A good file that becomes invalid keeps its last good content for `GRACE` seconds: it may be half written, or its key may
not be in place yet, and HAProxy has the good one in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Protocol

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from marathonlb.haproxy.certificates.survey import (
    CertificateFile,
    CertificateListing,
    CopyWriter,
    FileKey,
    Surveyed,
    survey,
)
from marathonlb.haproxy.files.reader import Reads

GRACE = 15.0
"""Seconds for which a good file that becomes invalid keeps its last good content."""

LIMIT = 2.0
"""Seconds without any progress after which the wait for files ends."""

PATIENCE = 6.0
"""Maximum number of seconds to wait for files that labels name."""

CompanionCheck = Callable[[Mapping[str, tuple[str, ...]]], Deferred[Mapping[str, frozenset[str]]]]
"""Copies of certificates and the ends of their companions' names → the companions that HAProxy refuses, by the copy."""


class CopyStore(CopyWriter, Protocol):
    """The copies that HAProxy is given in place of files."""

    def fresh(self, kind: str, path: str) -> str:
        """Return the path to which `bring` writes."""

    def settle(self, kind: str, path: str, digest: str, without: Iterable[str] = ()) -> bool:
        """Give HAProxy the copy that `bring` wrote, without some companions; return whether it exists."""


class CertificateFiles:
    """
    Reads files, and remembers their contents' digests, faults and refusals.

    :param clock: its seconds are those since 1970.
    :param reads: runs what reads files.
    :param copies: writes the copies; None makes none.
    :param trial: asks HAProxy about companions; None takes those that look good.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        reads: Reads,
        copies: CopyStore | None = None,
        trial: CompanionCheck | None = None,
    ) -> None:
        self._clock = clock
        self._reads = reads
        self._copies = copies
        self._trial = trial
        self._files: dict[FileKey, Surveyed] = {}
        self._latest: dict[FileKey, Surveyed] = {}
        self._bad_since: dict[FileKey, float] = {}
        self._refused: dict[tuple[str | None, str], tuple[str, str]] = {}
        self._left_out: dict[FileKey, tuple[str, frozenset[str]]] = {}
        self._reading: set[FileKey] = set()
        self._late: set[FileKey] = set()
        self._arrived: dict[FileKey, Surveyed] = {}
        self._waiting: list[Deferred[bool]] = []
        self._beats = 0

    @property
    def complainants(self) -> frozenset[str | None]:
        """The apps in whose lines HAProxy has refused a file, and None for the shared ones."""
        return frozenset(app_id for app_id, _ in self._refused)

    def seen(self, kind: str, path: str, app_id: str | None = None) -> Surveyed | None:
        """
        Return the state of a path, for `GRACE` seconds its last good one; None if it was not read yet.

        :param app_id: the app that the file is for: what HAProxy refused in that app's lines counts too.
        """
        entry = self._files.get((kind, path))
        if isinstance(entry, CertificateFile) and kind == "crt" and not entry.reason:
            for complainant in (None, app_id):
                digest, message = self._refused.get((complainant, path), ("", ""))
                if digest == entry.digest:
                    return evolve(entry, reason=f"is refused by HAProxy: {message}", haproxy=message)
        return entry

    def left_out(self, kind: str, path: str) -> frozenset[str]:
        """Return the companions of a file that HAProxy refuses, by the ends of their names."""
        entry = self._files.get((kind, path))
        digest, ends = self._left_out.get((kind, path), ("", frozenset[str]()))
        return ends if isinstance(entry, CertificateFile) and digest == entry.digest else frozenset()

    def is_refused(self, path: str, app_id: str | None) -> bool:
        """Return whether HAProxy has refused a copy of a file's last good content."""
        return (None, path) in self._refused or (app_id, path) in self._refused

    def is_late(self, kind: str, path: str) -> bool:
        """Return whether a file is being read for longer than the wait lasts."""
        return (kind, path) in self._late

    def keep_only(self, keys: Iterable[FileKey]) -> None:
        """Forget every file but these and the files of directories among them."""
        kept = set(keys)
        for key in tuple(kept):
            entry = self._files.get(key)
            if isinstance(entry, CertificateListing):
                kept.update((key[0], file) for file in entry.files)
        for table in (self._files, self._latest, self._bad_since, self._left_out):
            for key in table.keys() - kept:
                table.pop(key)

    # reading

    async def refresh(self, keys: Iterable[FileKey], patience: float | None = None) -> None:
        """
        Read these files again if they have changed, and wait as long as there is progress.

        :param patience: maximum number of seconds to wait; None for no maximum.
        """
        wanted = set(keys)
        for kind, path in sorted(wanted - self._reading):
            self._reading.add((kind, path))
            work = partial(survey, kind, path, dict(self._known(kind, path)), self._copies, self._beat)
            reading: Deferred[dict[FileKey, Surveyed]] = self._reads.run(path, work)
            reading.addCallbacks(self._arrive, self._log_defect)
            reading.addBoth(self._is_read, (kind, path))
        until = None if patience is None else self._clock.seconds() + patience
        while self._reading & wanted - self._late:
            if not await self._progress() or (until is not None and self._clock.seconds() >= until):
                self._late |= self._reading & wanted
        await self._settle()

    def _known(self, kind: str, path: str) -> Iterable[tuple[FileKey, Surveyed]]:
        entry = self._latest.get((kind, path))
        files = entry.files if isinstance(entry, CertificateListing) else ()
        for key in ((kind, file) for file in (path, *files)):
            if key in self._files:
                yield key, self._files[key]

    def _beat(self) -> None:
        self._beats += 1

    def _arrive(self, entries: dict[FileKey, Surveyed]) -> None:
        self._arrived |= entries

    def _log_defect(self, failure: Failure) -> None:
        self._log.failure(
            "Certificates could not be read because of a defect in marathon-lb; their last known state stays in use",
            failure,
        )

    def _is_read(self, _: None, key: FileKey) -> None:
        self._reading.discard(key)
        self._late.discard(key)
        waiting, self._waiting = self._waiting, []
        for wait in waiting:
            wait.callback(True)

    async def _progress(self) -> bool:
        """Wait until a file has been read; return False if there is no progress for `LIMIT` seconds."""
        while True:
            beats = self._beats
            wait: Deferred[bool] = Deferred()
            self._waiting.append(wait)
            limit = self._clock.callLater(LIMIT, self._give_up, wait)
            try:
                arrived = await wait
            finally:
                if limit.active():
                    limit.cancel()
                if wait in self._waiting:
                    self._waiting.remove(wait)
            if arrived or self._beats == beats:
                return arrived

    def _give_up(self, wait: Deferred[bool]) -> None:
        self._waiting.remove(wait)
        wait.callback(False)

    # judging

    async def _settle(self) -> None:
        """Accept the files that were read, once HAProxy was asked about their companions."""
        arrived, self._arrived = self._arrived, {}
        asked = {
            self._copies.fresh(*key): (key, seen)
            for key, seen in arrived.items()
            if self._copies is not None
            and isinstance(seen, CertificateFile)
            and seen.companions
            and seen.copied
            and seen is not self._files.get(key)
        }
        if asked and self._trial is not None:
            bad = await self._trial({path: seen.companions for path, (_, seen) in asked.items()})
            for path, ends in bad.items():
                key, entry = asked[path]
                self._left_out[key] = entry.digest, ends
        for key, seen in arrived.items():
            self._accept(key, seen)

    def _accept(self, key: FileKey, fresh: Surveyed) -> None:
        known = self._files.get(key)
        self._latest[key] = fresh
        if fresh is known:
            self._bad_since.pop(key, None)
            return
        if isinstance(fresh, CertificateFile) and isinstance(known, CertificateFile):
            turned_bad = bool(fresh.reason and not known.reason)
            now = self._clock.seconds()
            if turned_bad and now - self._bad_since.setdefault(key, now) < GRACE:
                return
        self._bad_since.pop(key, None)
        self._files[key] = self._settled(key, fresh)

    def _settled(self, key: FileKey, fresh: Surveyed) -> Surveyed:
        if not isinstance(fresh, CertificateFile) or not fresh.copied or self._copies is None:
            return fresh
        digest, ends = self._left_out.get(key, ("", frozenset[str]()))
        without = ends if digest == fresh.digest else frozenset[str]()
        return evolve(fresh, copied=self._copies.settle(*key, fresh.digest, without))

    # refusals

    def refuse(self, path: str, message: str, app_id: str | None = None) -> bool:
        """
        Record that HAProxy refuses a certificate that looks good, until its file has changed.

        :param message: HAProxy's.
        :param app_id: the app in whose lines it was refused; for other apps it is still good.
        :return: False if the certificate was bad already.
        """
        file = self.seen("crt", path, app_id)
        if not isinstance(file, CertificateFile) or file.reason:
            return False
        latest = self._latest.get(("crt", path))
        if isinstance(latest, CertificateFile) and latest.reason:
            # The file has just become invalid: HAProxy did not refuse its last good content.
            self._files["crt", path] = latest
        else:
            self._refused[app_id, path] = (file.digest, message)
        return True

    def refuse_copy(self, path: str, app_id: str | None = None) -> bool:
        """Record that HAProxy refuses a copy of the last good content; return False if that is known."""
        known = self.is_refused(path, app_id)
        self._refused[app_id, path] = ("", "")
        return not known

    def leave_out(self, path: str, end: str) -> bool:
        """Record that HAProxy refuses a companion of a certificate; return False if that is known."""
        file = self._files.get(("crt", path))
        before = self.left_out("crt", path)
        if not isinstance(file, CertificateFile) or end not in file.companions or end in before:
            return False
        self._left_out["crt", path] = file.digest, before | {end}
        self._files["crt", path] = self._settled(("crt", path), file)
        return True
