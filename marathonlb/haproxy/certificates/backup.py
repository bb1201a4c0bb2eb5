"""
Copies of certificates: of each file what was read last, and what HAProxy has accepted last.

HAProxy reads every file again at a reload, and at a start. A file that a label names it reads as the copy of what the
controller has read and judged, so what becomes of the file meanwhile (garbage, a FIFO, nothing) cannot hold it up. What
it has accepted is kept apart, for the next controller, too, and stands in where a file turns bad. A copy is as secret
as the file: it is for the controller's user alone.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from threading import get_ident
from time import time

from twisted.logger import Logger

from marathonlb.files import replace
from marathonlb.haproxy.certificates.survey import COMPANIONS

NAME = ".pem"

FRESH = ".new"
"""The end of what has been read and is not judged yet."""

UNUSED = 7 * 86400.0
"""Seconds for which what was read is kept after its last change, where nobody names it: for a rollback."""


class CertificateCopies:
    """
    The copies, one of each kind for each path.

    :param directory: where those lie that HAProxy has accepted; it is made when there is something to keep.
    :param read: where those lie that were read last; beside the other one where none is named.
    """

    _log = Logger()

    def __init__(self, directory: str, read: str = "") -> None:
        self._directory = directory
        self._read = read or f"{directory}-read"
        self._settled: dict[str, str] = {}
        self._kept: dict[str, str] = {}
        self._stems: dict[str, str] = {}
        self._named: frozenset[str] = frozenset()

    def of(self, kind: str, path: str) -> str | None:
        """The copy of what HAProxy accepted of this file last; None where there is none."""
        copy = os.path.join(self._directory, stem_of(kind, path) + NAME)
        return copy if os.path.exists(copy) else None

    def as_read(self, kind: str, path: str) -> str:
        """The copy of what was read of this file last, whether it is there or not."""
        return os.path.join(self._read, stem_of(kind, path) + NAME)

    def fresh(self, kind: str, path: str) -> str:
        """Where `bring` writes."""
        return self.as_read(kind, path) + FRESH

    def source(self, name: str) -> str:
        """The copy of what was read last of what the configuration names; the name itself where there is none."""
        copy = os.path.join(self._read, self._stem(name) + NAME)
        return copy if not self._is_kept(name) and os.path.exists(copy) else name

    def bring(self, kind: str, path: str, parts: Mapping[str, bytes]) -> None:
        """
        Write what was just read, beside what was read before; for a thread.

        :param parts: the texts of the file and of its companions, by what is appended to its name.
        :raises OSError: it cannot be written.
        """
        os.makedirs(self._read, 0o700, exist_ok=True)
        fresh = self.fresh(kind, path)
        for end in ("", *COMPANIONS):
            if end in parts:
                target = fresh + end
                replace(target, parts[end], durable=False, temporary=f"{target}.{get_ident()}")
            else:
                _remove(fresh + end)

    def settle(self, kind: str, path: str, digest: str, without: Iterable[str] = ()) -> bool:
        """
        Take what was just read for what HAProxy is given.

        :param digest: of it.
        :param without: the companions that HAProxy would refuse.
        :return: whether it is there.
        """
        copy, fresh, left_out = self.as_read(kind, path), self.fresh(kind, path), frozenset(without)
        try:
            if os.path.exists(fresh):
                for end in (*COMPANIONS, ""):
                    if end not in left_out and os.path.exists(fresh + end):
                        os.replace(fresh + end, copy + end)
                    else:
                        _remove(copy + end)
                        _remove(fresh + end)
            else:
                for end in left_out:
                    _remove(copy + end)
        except OSError as error:
            self._complain(error)
            return False
        if not os.path.exists(copy):
            return False
        self._stems[path] = stem_of(kind, path)
        self._settled[self._stems[path]] = digest
        return True

    def keep(self, digests: Iterable[tuple[str, str]]) -> None:
        """
        Keep what HAProxy has accepted, and forget what it has no more.

        :param digests: what the configuration names, and the digests of what HAProxy has read there; a file that has
            changed since is left as it was kept before.
        """
        wanted = dict(digests)
        try:
            for path, digest in wanted.items():
                stem = self._stem(path)
                if (
                    self._kept.get(stem) != digest
                    and self._settled.get(stem) == digest
                    and not self._is_kept(path)
                ):
                    self._keep(stem, digest)
            self._prune(wanted)
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        self._log.warn(
            "Certificates that are served could not be copied: {error}. One that turns bad on the disk will be "
            "left out; check the state directory",
            error=str(error),
        )

    def _keep(self, stem: str, digest: str) -> None:
        os.makedirs(self._directory, 0o700, exist_ok=True)
        source, copy = (os.path.join(place, stem + NAME) for place in (self._read, self._directory))
        for end in (*COMPANIONS, ""):
            if not os.path.exists(source + end):
                _remove(copy + end)
                continue
            _remove(copy + end + ".writing")
            link(source + end, copy + end + ".writing")
            os.replace(copy + end + ".writing", copy + end)
            _remove(copy + end + ".writing")  # a link to itself was no change
        self._kept[stem] = digest

    def _prune(self, wanted: Iterable[str]) -> None:
        """Remove the copies of files that nobody names any more; one that stands in is named itself."""
        stems = frozenset(self._stem(path) for path in wanted)
        forgotten, self._named = self._named - stems, stems
        for directory, least in ((self._directory, 0.0), (self._read, UNUSED)):
            for name in os.listdir(directory) if os.path.isdir(directory) else ():
                path, stem = os.path.join(directory, name), name.partition(NAME)[0]
                if least and stem in forgotten:
                    os.utime(path)
                elif stem not in stems and time() - os.stat(path).st_mtime >= least:
                    os.unlink(path)
        self._kept = {stem: digest for stem, digest in self._kept.items() if stem in stems}

    def _stem(self, path: str) -> str:
        """What the copies of a file are called; those of a copy are called as it is."""
        if os.path.dirname(path) in (self._directory, self._read):
            return os.path.basename(path).partition(NAME)[0]
        return self._stems.get(path) or stem_of("crt", path)

    def _is_kept(self, path: str) -> bool:
        return os.path.dirname(path) == self._directory


def stem_of(kind: str, path: str) -> str:
    """What the copies of a file are called."""
    name = path if kind == "crt" else f"{kind} {path}"
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def link(source: str, path: str) -> None:
    """Make a second name for a file that is never written again, or a copy where the file system has no links."""
    try:
        os.link(source, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        shutil.copy(source, path)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
