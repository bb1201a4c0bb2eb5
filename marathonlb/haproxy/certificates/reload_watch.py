"""
Serve certificates that change on the disk: through the runtime API if that can replace them, else by a reload.

``set ssl cert`` and ``commit ssl cert`` (HAProxy management guide) need no reload and lose no connection. They cannot
replace a file of authorities, add a file to a directory, or take a large chain; these need a reload.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.certificates.loaded import LoadedCertificates
from marathonlb.haproxy.certificates.survey import to_be_served
from marathonlb.haproxy.runtime.connection import MAX_COMMAND

WATCH_INTERVAL = 5.0
"""Seconds between two looks at the files."""

RuntimeCommands = Callable[[Sequence[str]], Awaitable[list[str]]]
"""Commands to HAProxy's worker → their replies. Raises `HAProxyUnavailable`."""


class ReloadRequests(Protocol):
    """The reconciler, as the watch needs it."""

    def plan_again(self, cause: Cause) -> None:
        """Plan again: another configuration may follow."""

    def reload(self, cause: Cause) -> None:
        """Reload HAProxy, so that it reads its files again."""


class CertificateWatch(Service):
    """
    Looks at the certificates every `WATCH_INTERVAL` seconds, and has HAProxy serve those that have changed.

    :param send: sends commands to the running HAProxy's runtime API.
    """

    name = "certificates"
    _log = Logger()

    def __init__(
        self,
        loaded: LoadedCertificates,
        send: RuntimeCommands,
        reconciler: ReloadRequests,
        clock: IReactorTime,
    ) -> None:
        self._certificates = loaded.certificates
        self._loaded = loaded
        self._send = send
        self._reconciler = reconciler
        self._requested: dict[str, str] = {}
        self._watching = LoopingCall(self.look)
        self._watching.clock = clock
        self._lock = DeferredLock()
        self._looking: Deferred[None] | None = None

    def startService(self) -> None:
        """Look every few seconds."""
        super().startService()  # type: ignore[no-untyped-call]
        self._watching.start(WATCH_INTERVAL, now=False).addErrback(self._ended)

    def stopService(self) -> None:
        """Stop looking; commands that wait for a reply are given up."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._watching.running:
            self._watching.stop()
        if self._looking is not None:
            self._looking.cancel()

    def look(self) -> Deferred[None]:
        """Look now. Fires when HAProxy serves what has changed, or a reload has been requested."""
        return self._lock.run(self._begin)

    def _begin(self) -> Deferred[None]:
        self._looking = Deferred.fromCoroutine(self._look())
        return self._looking.addErrback(lambda failure: failure.trap(CancelledError) and None)

    def _ended(self, failure: Failure) -> None:
        self._log.failure(
            "Certificates are no longer watched because of a defect in marathon-lb; restart it", failure
        )

    async def _look(self) -> None:
        if await self._certificates.look():
            self._reconciler.plan_again(Cause(CauseKind.CERTIFICATES))
        changed = self._loaded.changed()
        self._requested = {path: digest for path, digest in self._requested.items() if path in changed}
        for path in changed:
            digest = self._certificates.used.get(path, "")
            shown = self._certificates.sources.get(path, ("", path))[1]
            reason = await self._loaded.lock.run(self._replacing, path)
            if not reason:
                self._loaded.add(path, digest)
                self._log.info(
                    "Certificate {path} has changed: HAProxy serves the new one, without a reload", path=shown
                )
            elif self._requested.get(path) != digest:
                self._requested[path] = digest
                self._log.info(
                    "Certificate {path} has changed: reloading HAProxy, since {reason}",
                    path=shown,
                    reason=reason,
                )
                self._reconciler.reload(Cause(CauseKind.CERTIFICATE, shown))

    def _replacing(self, path: str) -> Deferred[str]:
        return Deferred.fromCoroutine(self._replace(path))

    async def _replace(self, path: str) -> str:
        """Make the running HAProxy serve the new content; return why a reload is needed, empty if none is."""
        try:
            text, fingerprint = to_be_served(self._certificates.source(path))
            return await self._commit(path, text, fingerprint)
        except (OSError, ValueError) as error:
            return f"it is not a single certificate ({error})"
        except HAProxyUnavailable as error:
            return str(error)

    async def _commit(self, path: str, text: str, fingerprint: str) -> str:
        setting = f"set ssl cert {path} <<\n{text}"
        if len(setting) + 100 > MAX_COMMAND or any(letter in path for letter in " ;\\\n"):
            return "it does not fit into one command of the runtime API"
        *replies, shown = await self._send([setting, f"commit ssl cert {path}", f"show ssl cert {path}"])
        if "Success" in replies[1] and fingerprint in shown and "Status: Used" in shown:
            return ""
        await self._send([f"abort ssl cert {path}"])
        return "HAProxy replied: " + " ".join(" ".join(replies).split())[:300]
