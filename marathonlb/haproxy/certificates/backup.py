"""
Copies of certificates: the content that was read last of each file, and the content that HAProxy accepted last.

HAProxy reads every file again at a reload and at a start. Of a file that a label names it reads the copy that the
controller has read and judged, so nothing that happens to the file meanwhile (garbage, a FIFO, removal) can block it.
The accepted content is kept in another directory, for the next controller too, and is served if a file becomes invalid.
A copy is as secret as the file: only the controller's user can read it.
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

from marathonlb.base.files import replace
from marathonlb.haproxy.certificates.survey import COMPANIONS

SUFFIX = ".pem"
"""The end of a copy's name."""

FRESH = ".new"
"""The end of the name of a copy that is not judged yet."""

KEEP_UNUSED = 7 * 86400.0
"""Seconds for which a copy that no option and no label names is kept, for a rollback."""


class CertificateCopies:
    """
    The copies: for each path the content that was read last, and the content that HAProxy accepted last.

    :param directory: the directory of the accepted contents; it is made when there is something to keep.
    :param read: the directory of the contents that were read last; by default `directory` with ``-read`` appended.
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
        """Return the copy of the content that HAProxy accepted last; None if there is none."""
        copy = os.path.join(self._directory, stem_of(kind, path) + SUFFIX)
        return copy if os.path.exists(copy) else None

    def as_read(self, kind: str, path: str) -> str:
        """Return the path of the copy of the content that was read last, which may not exist."""
        return os.path.join(self._read, stem_of(kind, path) + SUFFIX)

    def fresh(self, kind: str, path: str) -> str:
        """Return the path to which `bring` writes."""
        return self.as_read(kind, path) + FRESH

    def source(self, name: str) -> str:
        """Return the copy that was read last of a file that the configuration names; its name if there is none."""
        copy = os.path.join(self._read, self._stem(name) + SUFFIX)
        return copy if not self._is_kept(name) and os.path.exists(copy) else name

    def bring(self, kind: str, path: str, parts: Mapping[str, bytes]) -> None:
        """
        Write the content that was just read, beside the copy of the content before; for a thread.

        :param parts: the texts of the file and of its companions, by the end of the name.
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
        Put the content that `bring` wrote in the place of the copy that HAProxy is given.

        :param digest: the digest of the content.
        :param without: the ends of the names of the companions that HAProxy would refuse.
        :return: True if the copy exists.
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
            self._log_failure(error)
            return False
        if not os.path.exists(copy):
            return False
        self._stems[path] = stem_of(kind, path)
        self._settled[self._stems[path]] = digest
        return True

    def keep(self, digests: Iterable[tuple[str, str]]) -> None:
        """
        Keep the contents that HAProxy has accepted, and remove the copies that it does not use any more.

        :param digests: the paths that the configuration names, each with the digest of the content that HAProxy has
            read; of a file that has changed since, the copy from before stays.
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
            self._log_failure(error)

    def _log_failure(self, error: OSError) -> None:
        self._log.warn(
            "Certificates could not be copied to the state directory: {error}. A certificate that becomes invalid on "
            "the disk will be left out until this works; check space and permissions of the directory",
            error=str(error),
        )

    def _keep(self, stem: str, digest: str) -> None:
        os.makedirs(self._directory, 0o700, exist_ok=True)
        source, copy = (os.path.join(place, stem + SUFFIX) for place in (self._read, self._directory))
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
        """Remove the copies of files that are not named any more; a copy that is served is named itself."""
        stems = frozenset(self._stem(path) for path in wanted)
        forgotten, self._named = self._named - stems, stems
        for directory, seconds in ((self._directory, 0.0), (self._read, KEEP_UNUSED)):
            for name in os.listdir(directory) if os.path.isdir(directory) else ():
                path, stem = os.path.join(directory, name), name.partition(SUFFIX)[0]
                if seconds and stem in forgotten:
                    os.utime(path)
                elif stem not in stems and time() - os.stat(path).st_mtime >= seconds:
                    os.unlink(path)
        self._kept = {stem: digest for stem, digest in self._kept.items() if stem in stems}

    def _stem(self, path: str) -> str:
        """Return the stem of the names of a file's copies; that of a copy is its own."""
        if os.path.dirname(path) in (self._directory, self._read):
            return os.path.basename(path).partition(SUFFIX)[0]
        return self._stems.get(path) or stem_of("crt", path)

    def _is_kept(self, path: str) -> bool:
        return os.path.dirname(path) == self._directory


def stem_of(kind: str, path: str) -> str:
    """Return the stem of the names of a file's copies."""
    name = path if kind == "crt" else f"{kind} {path}"
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def link(source: str, path: str) -> None:
    """Link a file that is never written again, or copy it if the file system has no links."""
    try:
        os.link(source, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        shutil.copy(source, path)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
