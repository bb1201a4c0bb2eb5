"""
Services that HAProxy has refused, held so that one app's mistake does not affect other apps.

A refused service keeps the last text that HAProxy accepted, with today's tasks in it, or is left out if there is none.
The verdict is remembered together with the refused text, so a broken app costs one check and not one for each event.
The verdict is lifted when the service's own text changes.

After a failure that names no line several services are suspected (`marathonlb.routing.quarantine.suspects`). Such a
verdict holds for every text of a service but its last good one, until the search admits it: an app that made HAProxy
hang once cannot do so again by changing a letter of a label.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from attrs import evolve, frozen

from marathonlb.problem_kinds.kind import ProblemKind
from marathonlb.problem_kinds.running import SERVICE_FAILS, SERVICE_REFUSED, SERVICE_SUSPECTED
from marathonlb.routing.names import plain_backend
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.model import Service

Key = tuple[str, int]


@frozen(kw_only=True)
class QuarantineVerdict:
    """
    Why a service is held.

    :param refused: the service as it was offered, `bare`.
    :param fallback: the service as HAProxy last accepted it, `bare`; None if it never did.
    :param label: the app's label that wrote the line, or the template's name.
    :param message: HAProxy's message, or how HAProxy failed.
    :param until: seconds, on the caller's clock, at which it is tried again though nothing changed; None means never.
    :param silent: True if HAProxy named no line; the verdict then holds for every text but the last good one.
    :param suspected: True if it is one of several services that may be to blame.
    """

    refused: Service
    fallback: Service | None
    label: str
    message: str
    until: float | None = None
    silent: bool = False
    suspected: bool = False

    @property
    def problem(self) -> Problem:
        """The problem as the owner sees it."""
        consequence = "; its last good text stays in use" if self.fallback else ""
        if self.until is not None:
            consequence += "; it is retried periodically"
        cause = f"HAProxy says: {self.message}"
        if self.silent:
            fails = (
                "HAProxy fails with it or with another change" if self.suspected else "HAProxy fails with it"
            )
            cause = f"{fails}: {self.message}"
        if self.suspected and self.until is None:
            consequence = f"; the cause is being searched{consequence}"
        return Problem(
            self.refused.app_id,
            self.refused.port_index,
            self.label,
            "",
            f"{cause}{consequence}",
            fatal=self.fallback is None,
            kind=self.kind,
            haproxy=self.message,
        )

    @property
    def kind(self) -> ProblemKind:
        """The kind of that problem: refused for sure, found by a search, or suspected."""
        if not self.silent:
            return SERVICE_REFUSED
        return SERVICE_SUSPECTED if self.suspected else SERVICE_FAILS


class Quarantine:
    """The verdicts, by service."""

    def __init__(self) -> None:
        self._verdicts: dict[Key, QuarantineVerdict] = {}
        self._failures: dict[Key, int] = {}
        self._offered: dict[Key, Service] = {}
        self._tried: frozenset[Key] = frozenset()
        self.admitted: Mapping[Key, Service] = {}

    def copy(self) -> Quarantine:
        """Return a copy with the same verdicts, to answer what-if questions."""
        other = Quarantine()
        other._verdicts, other._failures = dict(self._verdicts), dict(self._failures)
        other._offered, other._tried = dict(self._offered), self._tried
        return other

    def __len__(self) -> int:
        return len(self._verdicts)

    def admit(self, services: Iterable[Service], now: float) -> tuple[list[Service], list[Problem]]:
        """
        Return the services as they may be served, and a problem for each that may not be served as it is offered.

        :param now: seconds, on the clock of `QuarantineVerdict.until`.
        """
        kept: list[Service] = []
        problems: list[Problem] = []
        seen = self._offered = {}
        admitted: dict[Key, Service] = {}
        for service in services:
            seen[service.key] = service
            verdict = self._standing(service, now)
            if verdict is None:
                kept.append(service)
                admitted[service.key] = service
                continue
            problems.append(verdict.problem)
            if verdict.fallback is not None:
                kept.append(evolve(verdict.fallback, servers=service.servers, since=service.since))
        for key in self._verdicts.keys() - seen.keys():
            del self._verdicts[key]
        for key in self._failures.keys() - seen.keys():
            del self._failures[key]
        self.admitted = admitted
        return kept, problems

    def _standing(self, service: Service, now: float) -> QuarantineVerdict | None:
        """Return the verdict that holds for a service; lift it if the service has changed or its time has come."""
        verdict = self._verdicts.get(service.key)
        if verdict is None or (verdict.silent and service.key in self._tried):
            return None
        if verdict.silent and verdict.fallback != bare(service):
            return verdict
        if verdict.refused == bare(service) and (verdict.until is None or now < verdict.until):
            return verdict
        del self._verdicts[service.key]
        return None

    def add(
        self, service: Service, accepted: Service | None, label: str, message: str, until: float | None = None
    ) -> None:
        """
        Quarantine a service.

        The verdict remembers the service as its owner offered it. A change of what collisions have left it does not
        lift the verdict.

        :param service: the service as HAProxy refused it.
        :param accepted: the service as HAProxy last accepted it; None if it never did.
        :param label: the label that wrote the line, or the template's name.
        :param message: HAProxy's message.
        :param until: see `QuarantineVerdict`.
        """
        self._failures[service.key] = self._failures.get(service.key, 0) + 1
        before = self._verdicts.get(service.key)
        if before is not None and service.key not in self._tried:
            # Its last good text is refused too: drop that; what was offered stays the same.
            self._verdicts[service.key] = evolve(before, fallback=None, label=label, message=message)
            return
        fallback = bare(accepted) if accepted is not None and bare(accepted) != bare(service) else None
        offered = self._offered.get(service.key, service)
        self._verdicts[service.key] = QuarantineVerdict(
            refused=bare(offered), fallback=fallback, label=label, message=message, until=until
        )

    def release(self, keys: Iterable[Key]) -> None:
        """Release these services, because the wrong text was not theirs."""
        for key in keys:
            self._verdicts.pop(key, None)
            self._failures.pop(key, None)

    def suspect(self, services: Iterable[Service], good: Mapping[Key, Service], message: str) -> None:
        """
        Hold services of which one may make HAProxy fail.

        :param good: the services that HAProxy has read, by key.
        :param message: how HAProxy failed.
        """
        for service in services:
            before, offered = good.get(service.key), self._offered.get(service.key, service)
            self._verdicts[service.key] = QuarantineVerdict(
                refused=bare(offered),
                fallback=bare(before) if before is not None and bare(before) != bare(offered) else None,
                label="",
                message=message,
                silent=True,
                suspected=True,
            )

    def try_these(self, keys: Collection[Key]) -> None:
        """Admit these suspects on trial as they are offered, and no other suspects."""
        self._tried = frozenset(keys)

    def acquit(self, keys: Iterable[Key]) -> None:
        """Release suspects; earlier convictions still count for the next one."""
        self._tried = frozenset()
        for key in keys:
            verdict = self._verdicts.get(key)
            if verdict is not None and verdict.silent:
                del self._verdicts[key]

    def convict(self, keys: Iterable[Key], message: str, until: float, *, alone: bool) -> None:
        """
        Hold suspects until a time, without searching among them.

        :param message: how HAProxy failed.
        :param until: seconds; when they are tried again.
        :param alone: True if these are to blame; False if one of them is, and the search ended before it was found.
        """
        for key in keys:
            verdict = self._verdicts.get(key)
            if verdict is not None:
                self._failures[key] = self._failures.get(key, 0) + int(alone)
                self._verdicts[key] = evolve(verdict, message=message, until=until, suspected=not alone)

    def due(self, now: float) -> list[Key]:
        """Return the suspects whose time has come; the search admits them."""
        return [
            key for key, v in self._verdicts.items() if v.silent and v.until is not None and v.until <= now
        ]

    def suspect_again(self, keys: Iterable[Key]) -> None:
        """Search again among suspects whose time has come."""
        for key in keys:
            self._verdicts[key] = evolve(self._verdicts[key], until=None, suspected=True)

    @property
    def suspects(self) -> list[Key]:
        """The keys of the services that are held while the cause is searched."""
        return [key for key, v in self._verdicts.items() if v.suspected and v.until is None]

    def failures(self, key: Key) -> int:
        """Return how often a service has been quarantined since it appeared."""
        return self._failures.get(key, 0)

    def next_retry(self) -> float | None:
        """Return when the next service is tried again, in seconds; None if none is."""
        return min((v.until for v in self._verdicts.values() if v.until is not None), default=None)

    def verdicts(self) -> Collection[QuarantineVerdict]:
        """Return the current verdicts."""
        return tuple(self._verdicts.values())


def bare(service: Service) -> Service:
    """Return a service as its owner defines it: without servers, the app's date and the outcome of collisions."""
    plain = plain_backend(service.backend)
    return evolve(service, servers=(), since="", binds_port=True, backend=plain, copied_files=None)
