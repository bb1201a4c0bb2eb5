"""What tests of certificates have in common: a directory of them, a clock, and files that are read at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

from attrs import evolve
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.controller.certificates.admission import CertificateAdmission, SharedCertificates
from marathonlb.haproxy.certificates.backup import CertificateCopies
from marathonlb.haproxy.certificates.inventory import Certificates
from marathonlb.haproxy.files.reader import Reads
from marathonlb.routing.policy.prefixes import OPEN, Policy
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.integration.authorities import Authority

T = TypeVar("T")


class AtOnce:
    """Reads on the thread that asks."""

    def run(self, path: str, work: Callable[[], Any]) -> Deferred[Any]:
        """See `marathonlb.haproxy.files.reader.Reads`."""
        return maybeDeferred(work)


class Hanging(AtOnce):
    """Reads at once what does not hang."""

    def __init__(self) -> None:
        self.hangs: set[str] = set()
        self.hung: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def run(self, path: str, work: Callable[[], Any]) -> Deferred[Any]:
        """See `marathonlb.haproxy.files.reader.Reads`."""
        if path not in self.hangs:
            return super().run(path, work)
        self.hung.append((work, Deferred()))
        return self.hung[-1][1]

    def go_on(self) -> None:
        """The file system answers."""
        self.hangs.clear()
        hung, self.hung = self.hung, []
        for work, done in hung:
            done.callback(work())


class Prepared(CertificateAdmission):
    """An admission that reads what is new whenever it is asked, as the reconciler has it done."""

    @classmethod
    def of(
        cls,
        settings: Settings,
        clock: IReactorTime,
        lists: Callable[[], str],
        reads: Reads | None = None,
        copies: CertificateCopies | None = None,
        policy: Policy = OPEN,
    ) -> Prepared:
        """Make one with an inventory of its own."""
        return cls(Certificates(clock, lists, reads or AtOnce(), copies), settings, policy)

    def shared(self) -> SharedCertificates:
        """See `CertificateAdmission.shared`."""
        finished(self.prepare(()))
        return super().shared()

    def admit(self, services: Iterable[Service]) -> tuple[list[Service], list[Problem]]:
        """See `CertificateAdmission.admit`."""
        known = list(services)
        finished(self.prepare(known))
        return super().admit(known)

    async def look(self) -> bool:
        """See `Certificates.look`."""
        return await self.certificates.look()


def finished(work: Coroutine[Deferred[object], object, T]) -> T:
    """The result of what does not wait."""
    results: list[T] = []
    Deferred.fromCoroutine(work).addCallback(results.append)
    return results[0]


class CertificateTestCase(SynchronousTestCase):
    """A directory of certificates and a clock; the files' times are real, so the clock begins now."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir(parents=True)
        self.authority = Authority(self.directory)
        self.clock = Clock()
        self.clock.advance(os.stat(self.authority.path).st_mtime)
        self.good = self.authority.issue("good.pem", "good.test")
        self.made = 0

    def of(self, *paths: str, **more: object) -> Prepared:
        """What looks at these as the shared ones."""
        settings = evolve(Settings(**more), ssl_certs=paths)  # type: ignore[arg-type]
        return Prepared.of(settings, self.clock, self.lists)

    def lists(self) -> str:
        """Where lists of certificates go."""
        directory = self.directory / "lists"
        directory.mkdir(exist_ok=True)
        return str(directory)

    def write(self, name: str, *parts: bytes) -> str:
        """A file of these parts."""
        path = self.directory / name
        path.write_bytes(b"".join(parts))
        self.made += 1
        os.utime(path, ns=(self.made, self.made))
        return str(path)

    def read(self, path: str) -> bytes:
        """A file's bytes."""
        return Path(path).read_bytes()
