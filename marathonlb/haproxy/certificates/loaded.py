"""
The certificates that HAProxy has in memory, noted as digests by path in the state directory.

A reload reads every file again, so after it HAProxy surely has the contents of the last look before it. A file that
changes while HAProxy reads it differs at the next look, and is sent again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from zope.interface import implementer

from marathonlb.base.files import Ownership
from marathonlb.config.text.model import Config
from marathonlb.errors import PublishFailed
from marathonlb.haproxy.certificates.inventory import Certificates
from marathonlb.haproxy.certificates.survey import FileKey
from marathonlb.haproxy.files.disk import Disk, read_text
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.interfaces import IReloader, ReloadResult

FILE = "certificates"
"""The file in the state directory: by path the digest, and the kind and path of the file that it was read from."""


class LoadedCertificates:
    """
    The digests of the files that HAProxy has in memory, by path; they outlive the controller.

    :ivar lock: held while HAProxy reads a file, at a reload or by a command.
    """

    _log = Logger()

    def __init__(self, certificates: Certificates, state: StateDirectory, disk: Disk | None = None) -> None:
        self.lock = DeferredLock()
        self.certificates = certificates
        self._state = state
        self._disk = disk or Disk()
        self._digests: dict[str, str] | None = None
        self._sources: dict[str, FileKey] = {}

    def changed(self) -> list[str]:
        """
        Return the files in use whose content HAProxy does not have.

        Of a file that is not noted yet HAProxy is assumed to have the content.
        """
        noted, used = self._noted(), self.certificates.used
        new = {path: digest for path, digest in used.items() if path not in noted}
        if new:
            self._note({**noted, **new})
        return sorted(path for path, digest in used.items() if path in noted and noted[path] != digest)

    async def out_of_date(self) -> list[str]:
        """Return the files that have changed since HAProxy loaded them, as the last controller noted it."""
        noted = self._noted()
        sources = {name: self._sources.get(name, ("crt", name)) for name in noted}
        digests = await self.certificates.digests(sources)
        return sorted(
            sources[name][1] for name, digest in noted.items() if digests.get(name, "") not in (digest, "")
        )

    def now(self) -> dict[str, str]:
        """Return the digests of what a reload that begins now surely reads."""
        return dict(self.certificates.used)

    def replace(self, digests: Mapping[str, str]) -> None:
        """Record that HAProxy has read its files again, and has these contents and no others."""
        self._note(dict(digests))

    def add(self, path: str, digest: str) -> None:
        """Record that HAProxy has this content."""
        self._note({**self._noted(), path: digest})

    def _noted(self) -> dict[str, str]:
        if self._digests is None:
            self._digests = {}
            try:
                table = json.loads(read_text(self._state.file(FILE)) or "{}")
                for name, noted in table.items():
                    digest, kind, path = noted if isinstance(noted, list) else (noted, "crt", name)
                    self._digests[str(name)] = str(digest)
                    self._sources[str(name)] = str(kind), str(path)
            except (OSError, PublishFailed, ValueError, AttributeError) as error:
                self._log.info(
                    "The record of the certificates that HAProxy has loaded cannot be read: {error}. HAProxy is "
                    "assumed to have the contents that are on the disk now",
                    error=str(error),
                )
        return self._digests

    def _note(self, digests: dict[str, str]) -> None:
        if self.certificates.copies is not None:
            self.certificates.copies.keep(digests.items())
        if digests == self._digests:
            return
        self._digests = digests
        self._sources |= self.certificates.sources
        self._sources = {name: key for name, key in self._sources.items() if name in digests}
        table = {name: (digest, *self._sources.get(name, ("crt", name))) for name, digest in digests.items()}
        try:
            text = json.dumps(table, indent=1, sort_keys=True)
            path = self._state.file(FILE)
            self._disk.replace(path, text + "\n", Ownership(0o640), durable=False)
        except (OSError, PublishFailed) as error:
            self._log.warn(
                "The certificates that HAProxy has loaded could not be recorded: {error}. The next controller will not "
                "notice what changes while none runs; check space and permissions of the state directory",
                error=str(error),
            )


@implementer(IReloader)
class RememberingReloader:
    """A reloader that records the certificates that each reload reads."""

    def __init__(self, reloader: IReloader, loaded: LoadedCertificates) -> None:
        self._reloader = reloader
        self._loaded = loaded

    def reload(self, config: Config, *, once: bool = False) -> Deferred[ReloadResult]:
        """See `IReloader.reload`."""
        return self._loaded.lock.run(lambda: Deferred.fromCoroutine(self._reload(config, once)))

    async def _reload(self, config: Config, once: bool) -> ReloadResult:
        digests = self._loaded.now()
        reloaded: ReloadResult = await self._reloader.reload(config, once=once)
        self._loaded.replace(digests)
        return reloaded

    def serving(self) -> Deferred[bool]:
        """See `IReloader.serving`."""
        return self._reloader.serving()

    def pids(self) -> Deferred[tuple[int, ...]]:
        """See `IReloader.pids`."""
        return self._reloader.pids()
