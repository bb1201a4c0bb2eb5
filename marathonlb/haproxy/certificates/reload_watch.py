"""
A certificate that changes on the disk is served from then on: said to the running HAProxy, or read by it at a reload.

What HAProxy has in memory is remembered as digests by path. A reload reads every file again, so the digests of the last
look before it are what it surely has; one that is read while it changes differs at the next look, and is said again.
``set ssl cert`` and ``commit ssl cert`` (HAProxy management guide) need no reload and lose no connection; what they
cannot do (a file of authorities, a new file in a directory, a large chain) takes one.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from marathonlb.causes import Cause, CauseKind
from marathonlb.config.text.model import Config
from marathonlb.errors import HAProxyUnavailable, PublishFailed
from marathonlb.files import Ownership
from marathonlb.haproxy.certificates.inventory import Certificates
from marathonlb.haproxy.certificates.survey import FileKey, to_be_served
from marathonlb.haproxy.files.disk import Disk, read_text
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.interfaces import IReloader, ReloadResult
from marathonlb.haproxy.runtime.connection import MAX_COMMAND

WATCH_INTERVAL = 5.0
"""Seconds between two looks at the files."""

RuntimeCommands = Callable[[Sequence[str]], Awaitable[list[str]]]
"""Commands to HAProxy's worker → their answers. Raises `HAProxyUnavailable`."""


class LoadedCertificates:
    """
    What HAProxy has in memory, by path; it outlives the controller.

    :param lock: held by whatever makes HAProxy read a file: a reload, or a command.
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
        """The files in use that HAProxy has not as they are now. Of one that is new here it is thought to have it."""
        held, used = self._known(), self.certificates.used
        news = {path: digest for path, digest in used.items() if path not in held}
        if news:
            self._keep({**held, **news})
        return sorted(path for path, digest in used.items() if path in held and held[path] != digest)

    async def out_of_date(self) -> list[str]:
        """The files that were in use when HAProxy was told last, and have changed since."""
        held = self._known()
        sources = {name: self._sources.get(name, ("crt", name)) for name in held}
        now = await self.certificates.digests(sources)
        return sorted(
            sources[name][1] for name, digest in held.items() if now.get(name, "") not in (digest, "")
        )

    def now(self) -> dict[str, str]:
        """The digests of what a reload that begins now surely reads."""
        return dict(self.certificates.used)

    def take(self, digests: Mapping[str, str]) -> None:
        """HAProxy has read its files again, and nothing else."""
        self._keep(dict(digests))

    def add(self, path: str, digest: str) -> None:
        """HAProxy has taken this one."""
        self._keep({**self._known(), path: digest})

    def _known(self) -> dict[str, str]:
        if self._digests is None:
            self._digests = {}
            try:
                found = json.loads(read_text(self._state.file("certificates")) or "{}")
                for name, noted in found.items():
                    digest, kind, path = noted if isinstance(noted, list) else (noted, "crt", name)
                    self._digests[str(name)] = str(digest)
                    self._sources[str(name)] = str(kind), str(path)
            except (OSError, PublishFailed, ValueError, AttributeError) as error:
                self._log.info("What HAProxy has of the certificates is not known: {error}", error=str(error))
        return self._digests

    def _keep(self, digests: dict[str, str]) -> None:
        if self.certificates.copies is not None:
            self.certificates.copies.keep(digests.items())
        if digests == self._digests:
            return
        self._digests = digests
        self._sources |= self.certificates.sources
        self._sources = {name: key for name, key in self._sources.items() if name in digests}
        noted = {name: (digest, *self._sources.get(name, ("crt", name))) for name, digest in digests.items()}
        try:
            text = json.dumps(noted, indent=1, sort_keys=True)
            path = self._state.file("certificates")
            self._disk.replace(path, text + "\n", Ownership(0o640), durable=False)
        except (OSError, PublishFailed) as error:
            self._log.warn(
                "What HAProxy has of the certificates could not be noted: {error}; check the state directory",
                error=str(error),
            )


@implementer(IReloader)
class RememberingReloader:
    """A reloader that takes note of the certificates which a reload reads."""

    def __init__(self, reloader: IReloader, loaded: LoadedCertificates) -> None:
        self._reloader = reloader
        self._loaded = loaded

    def reload(self, config: Config, *, once: bool = False) -> Deferred[ReloadResult]:
        """See `IReloader.reload`."""
        return self._loaded.lock.run(lambda: Deferred.fromCoroutine(self._reload(config, once)))

    async def _reload(self, config: Config, once: bool) -> ReloadResult:
        digests = self._loaded.now()
        reloaded: ReloadResult = await self._reloader.reload(config, once=once)
        self._loaded.take(digests)
        return reloaded

    def serving(self) -> Deferred[bool]:
        """See `IReloader.serving`."""
        return self._reloader.serving()

    def pids(self) -> Deferred[tuple[int, ...]]:
        """See `IReloader.pids`."""
        return self._reloader.pids()


class ReloadRequests(Protocol):
    """Who makes HAProxy run what is wanted."""

    def plan_again(self, cause: Cause) -> None:
        """Another configuration may follow."""

    def reload(self, cause: Cause) -> None:
        """HAProxy has to read its files again."""


class CertificateWatch(Service):
    """
    Looks at the certificates now and then.

    :param say: tells a running HAProxy.
    """

    name = "certificates"
    _log = Logger()

    def __init__(
        self,
        loaded: LoadedCertificates,
        say: RuntimeCommands,
        reconciler: ReloadRequests,
        clock: IReactorTime,
    ) -> None:
        self._certificates = loaded.certificates
        self._loaded = loaded
        self._say = say
        self._reconciler = reconciler
        self._asked: dict[str, str] = {}
        self._watching = LoopingCall(self.look)
        self._watching.clock = clock
        self._lock = DeferredLock()
        self._looking: Deferred[None] | None = None

    def startService(self) -> None:
        """Look every few seconds."""
        super().startService()  # type: ignore[no-untyped-call]
        self._watching.start(WATCH_INTERVAL, now=False).addErrback(self._ended)

    def stopService(self) -> None:
        """Look no more; what is being said to HAProxy is given up."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._watching.running:
            self._watching.stop()
        if self._looking is not None:
            self._looking.cancel()

    def look(self) -> Deferred[None]:
        """Look now; fires when HAProxy has what has changed, or a reload is asked for."""
        return self._lock.run(self._begin)

    def _begin(self) -> Deferred[None]:
        self._looking = Deferred.fromCoroutine(self._look())
        return self._looking.addErrback(lambda failure: failure.trap(CancelledError) and None)

    def _ended(self, failure: Failure) -> None:
        self._log.failure("Certificates are not watched any more: a defect; restart the controller", failure)

    async def _look(self) -> None:
        if await self._certificates.look():
            self._reconciler.plan_again(Cause(CauseKind.CERTIFICATES))
        changed = self._loaded.changed()
        self._asked = {path: digest for path, digest in self._asked.items() if path in changed}
        for path in changed:
            digest = self._certificates.used.get(path, "")
            shown = self._certificates.sources.get(path, ("", path))[1]
            reason = await self._loaded.lock.run(self._telling, path)
            if not reason:
                self._loaded.add(path, digest)
                self._log.info("Certificate {path} has changed, and HAProxy serves the new one", path=shown)
            elif self._asked.get(path) != digest:
                self._asked[path] = digest
                self._log.info(
                    "Certificate {path} has changed: {reason}, so HAProxy is reloaded",
                    path=shown,
                    reason=reason,
                )
                self._reconciler.reload(Cause(CauseKind.CERTIFICATE, shown))

    def _telling(self, path: str) -> Deferred[str]:
        return Deferred.fromCoroutine(self._tell(path))

    async def _tell(self, path: str) -> str:
        """Make the running HAProxy serve what a file holds now; why that cannot be, or nothing where it does."""
        try:
            text, fingerprint = to_be_served(self._certificates.source(path))
            return await self._commit(self._say, path, text, fingerprint)
        except (OSError, ValueError) as error:
            return f"it is no single certificate ({error})"
        except HAProxyUnavailable as error:
            return str(error)

    async def _commit(self, say: RuntimeCommands, path: str, text: str, fingerprint: str) -> str:
        setting = f"set ssl cert {path} <<\n{text}"
        if len(setting) + 100 > MAX_COMMAND or any(letter in path for letter in " ;\\\n"):
            return "it cannot be said in one command"
        *answers, seen = await say([setting, f"commit ssl cert {path}", f"show ssl cert {path}"])
        if "Success" in answers[1] and fingerprint in seen and "Status: Used" in seen:
            return ""
        await say([f"abort ssl cert {path}"])
        return "HAProxy says: " + " ".join(" ".join(answers).split())[:300]
