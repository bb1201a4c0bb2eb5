"""
Copies of the certificates that HAProxy has: what is served where a file turns bad, or goes, after it was served.

HAProxy reads every file again at a reload, and at a start. So what it has is kept in the state directory, for the next
controller, too, and stands in there. A copy is as secret as the file: it is for the controller's user alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress

from twisted.logger import Logger

from marathonlb.haproxy.certificatefiles import COMPANIONS, content_of, digest_of

NAME = ".pem"


class CertificateCopies:
    """
    The copies, one for each path.

    :param directory: where they lie; it is made when there is something to keep.
    """

    _log = Logger()

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._kept: dict[str, str] = {}

    def of(self, path: str) -> str | None:
        """The copy of what this file held when it was served last; None where there is none, or it is a copy itself."""
        copy = self._place(path)
        return copy if not self._is_copy(path) and os.path.exists(copy) else None

    def keep(self, digests: Iterable[tuple[str, str]]) -> None:
        """
        Copy what HAProxy has, and forget what it has no more.

        :param digests: paths and the digests of what HAProxy has read there; a file that has changed since is left as
            it was kept before.
        """
        wanted = dict(digests)
        try:
            os.makedirs(self._directory, 0o700, exist_ok=True)
            for path, digest in wanted.items():
                if self._kept.get(path) != digest and not self._is_copy(path) and os.path.isfile(path):
                    self._copy(path, digest)
            self._prune(wanted)
        except OSError as error:
            self._log.warn(
                "Certificates that are served could not be copied: {error}. One that turns bad on the disk will be "
                "left out; check the state directory",
                error=str(error),
            )

    def _copy(self, path: str, digest: str) -> None:
        copy = self._place(path)
        try:
            parts = [content_of(path)]
            parts += [content_of(path + end) if os.path.exists(path + end) else b"" for end in COMPANIONS]
        except (OSError, ValueError):  # it has just turned bad
            return
        if digest_of(parts) != digest:
            return
        for end, content in reversed(list(zip(("", *COMPANIONS), parts, strict=True))):
            if content:
                _write(copy + end, content)
            else:
                with suppress(FileNotFoundError):
                    os.unlink(copy + end)
        self._kept[path] = digest

    def _prune(self, wanted: Iterable[str]) -> None:
        """Remove the copies of files that nobody names any more; one that stands in is named itself."""
        stay = {self._place(path) for path in wanted if not self._is_copy(path)} | set(wanted)
        for name in os.listdir(self._directory):
            if os.path.join(self._directory, name.partition(NAME)[0] + NAME) not in stay:
                os.unlink(os.path.join(self._directory, name))
        self._kept = {path: digest for path, digest in self._kept.items() if self._place(path) in stay}

    def _place(self, path: str) -> str:
        name = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return os.path.join(self._directory, name + NAME)

    def _is_copy(self, path: str) -> bool:
        return os.path.dirname(path) == self._directory


def _write(path: str, content: bytes) -> None:
    descriptor = os.open(path + ".writing", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
    os.replace(path + ".writing", path)
