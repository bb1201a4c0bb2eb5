"""
Single files of certificates: read in threads, and again when their size, time or inode have changed.

One that was good and is bad now is held to be good for a while: it may be half written, or its key not yet beside it,
and HAProxy has the good one in memory.
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

from marathonlb.haproxy.certificates.survey import Copier, Entry, Key, Listing, Seen, survey
from marathonlb.haproxy.files.reader import Reads

GRACE = 15.0
"""Seconds for which a file that was good and is bad now is held to be good."""

LIMIT = 2.0
"""Seconds without any progress after which files that are being read are not waited for any longer."""

PATIENCE = 6.0
"""Seconds that files named by labels are waited for at most."""

Trial = Callable[[Mapping[str, tuple[str, ...]]], Deferred[Mapping[str, frozenset[str]]]]
"""Copies of certificates with the ends of their companions' names → those companions that HAProxy refuses."""


class Copies(Copier, Protocol):
    """What HAProxy is given in place of files."""

    def fresh(self, kind: str, path: str) -> str:
        """Where `bring` writes."""

    def settle(self, kind: str, path: str, digest: str, without: Iterable[str] = ()) -> bool:
        """Take what was brought for what HAProxy is given, without some companions."""


class CertificateFiles:
    """
    Has files read, and remembers what was read.

    :param clock: its seconds are those since 1970.
    :param reads: runs what reads.
    :param copies: None makes none.
    :param trial: asks HAProxy about companions; None takes those for good that look good.
    """

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, reads: Reads, copies: Copies | None = None, trial: Trial | None = None
    ) -> None:
        self._clock = clock
        self._reads = reads
        self._copies = copies
        self._trial = trial
        self._files: dict[Key, Seen] = {}
        self._latest: dict[Key, Seen] = {}
        self._doubted: dict[Key, float] = {}
        self._refused: dict[tuple[str | None, str], tuple[str, str]] = {}
        self._left_out: dict[Key, tuple[str, frozenset[str]]] = {}
        self._reading: set[Key] = set()
        self._late: set[Key] = set()
        self._arrived: dict[Key, Seen] = {}
        self._news: list[Deferred[bool]] = []
        self._beats = 0

    @property
    def complainants(self) -> frozenset[str | None]:
        """The apps in whose lines HAProxy has refused a file, and None for the shared ones."""
        return frozenset(who for who, _ in self._refused)

    def seen(self, kind: str, path: str, who: str | None = None) -> Seen | None:
        """
        What is there, or what was there while it was good a moment ago; None where it was not read yet.

        :param who: the app that it is for: what HAProxy refused in its lines counts, too.
        """
        found = self._files.get((kind, path))
        if isinstance(found, Entry) and kind == "crt" and not found.reason:
            for complainant in (None, who):
                digest, reason = self._refused.get((complainant, path), ("", ""))
                if digest == found.digest:
                    return evolve(found, reason=reason, refused=True)
        return found

    def left_out(self, kind: str, path: str) -> frozenset[str]:
        """The companions of a file that HAProxy refuses."""
        found = self._files.get((kind, path))
        digest, ends = self._left_out.get((kind, path), ("", frozenset[str]()))
        return ends if isinstance(found, Entry) and digest == found.digest else frozenset()

    def is_refused(self, path: str, who: str | None) -> bool:
        """Whether HAProxy refuses a copy that stood in."""
        return (None, path) in self._refused or (who, path) in self._refused

    def is_late(self, kind: str, path: str) -> bool:
        """Whether it has been tried to read this for longer than anybody waits."""
        return (kind, path) in self._late

    def forget(self, stay: Iterable[Key]) -> None:
        """Remember nothing but these and the files of directories among them."""
        kept = set(stay)
        for key in tuple(kept):
            found = self._files.get(key)
            if isinstance(found, Listing):
                kept.update((key[0], file) for file in found.files)
        for table in (self._files, self._latest, self._doubted, self._left_out):
            for key in table.keys() - kept:
                table.pop(key)

    # reading

    async def refresh(self, keys: Iterable[Key], patience: float | None = None) -> None:
        """
        Look at these again, and wait as long as there is progress.

        :param patience: seconds that are waited at most.
        """
        wanted = set(keys)
        for kind, path in sorted(wanted - self._reading):
            self._reading.add((kind, path))
            work = partial(survey, kind, path, dict(self._known(kind, path)), self._copies, self._beat)
            reading: Deferred[dict[Key, Seen]] = self._reads.run(path, work)
            reading.addCallbacks(self._has_arrived, self._broke)
            reading.addBoth(self._is_read, (kind, path))
        until = None if patience is None else self._clock.seconds() + patience
        while self._reading & wanted - self._late:
            if not await self._next() or (until is not None and self._clock.seconds() >= until):
                self._late |= self._reading & wanted
        await self._settle()

    def _known(self, kind: str, path: str) -> Iterable[tuple[Key, Seen]]:
        found = self._latest.get((kind, path))
        files = found.files if isinstance(found, Listing) else ()
        for key in ((kind, each) for each in (path, *files)):
            if key in self._files:
                yield key, self._files[key]

    def _beat(self) -> None:
        self._beats += 1

    def _has_arrived(self, found: dict[Key, Seen]) -> None:
        self._arrived |= found

    def _broke(self, failure: Failure) -> None:
        self._log.failure("Certificates could not be looked at: a defect", failure)

    def _is_read(self, _: None, key: Key) -> None:
        self._reading.discard(key)
        self._late.discard(key)
        news, self._news = self._news, []
        for each in news:
            each.callback(True)

    async def _next(self) -> bool:
        """Wait until something has been read; False where nothing goes on."""
        while True:
            beats = self._beats
            news: Deferred[bool] = Deferred()
            self._news.append(news)
            limit = self._clock.callLater(LIMIT, self._give_up, news)
            try:
                arrived = await news
            finally:
                if limit.active():
                    limit.cancel()
                if news in self._news:
                    self._news.remove(news)
            if arrived or self._beats == beats:
                return arrived

    def _give_up(self, news: Deferred[bool]) -> None:
        self._news.remove(news)
        news.callback(False)

    # judging

    async def _settle(self) -> None:
        """Take what has arrived for what is there, once HAProxy was asked about the companions."""
        arrived, self._arrived = self._arrived, {}
        asked = {
            self._copies.fresh(*key): (key, seen)
            for key, seen in arrived.items()
            if self._copies is not None
            and isinstance(seen, Entry)
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

    def _accept(self, key: Key, fresh: Seen) -> None:
        known = self._files.get(key)
        self._latest[key] = fresh
        if fresh is known:
            self._doubted.pop(key, None)
            return
        if isinstance(fresh, Entry) and isinstance(known, Entry):
            turned_bad = bool(fresh.reason and not known.reason)
            now = self._clock.seconds()
            if turned_bad and now - self._doubted.setdefault(key, now) < GRACE:
                return
        self._doubted.pop(key, None)
        self._files[key] = self._settled(key, fresh)

    def _settled(self, key: Key, fresh: Seen) -> Seen:
        if not isinstance(fresh, Entry) or not fresh.copied or self._copies is None:
            return fresh
        digest, ends = self._left_out.get(key, ("", frozenset[str]()))
        without = ends if digest == fresh.digest else frozenset[str]()
        return evolve(fresh, copied=self._copies.settle(*key, fresh.digest, without))

    # refusals

    def refuse(self, path: str, reason: str, who: str | None = None) -> bool:
        """
        Take note that a certificate which was thought to be good is none, until its file has changed.

        :param who: the app in whose lines it was refused; for the others it is good still.
        """
        file = self.seen("crt", path, who)
        if not isinstance(file, Entry) or file.reason:
            return False
        now = self._latest.get(("crt", path))
        if (
            isinstance(now, Entry) and now.reason
        ):  # it has just turned bad: what it held before was not refused
            self._files["crt", path] = now
        else:
            self._refused[who, path] = (file.digest, reason)
        return True

    def refuse_copy(self, path: str, who: str | None = None) -> bool:
        """Take note that HAProxy refuses a copy that stood in; False where that is known."""
        known = self.is_refused(path, who)
        self._refused[who, path] = ("", "")
        return not known

    def leave_out(self, path: str, end: str) -> bool:
        """Take note that HAProxy refuses a companion of a certificate; False where that is known."""
        file = self._files.get(("crt", path))
        before = self.left_out("crt", path)
        if not isinstance(file, Entry) or end not in file.companions or end in before:
            return False
        self._left_out["crt", path] = file.digest, before | {end}
        self._files["crt", path] = self._settled(("crt", path), file)
        return True
