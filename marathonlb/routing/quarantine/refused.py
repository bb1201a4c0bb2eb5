"""
Services that HAProxy has refused, so that one team's mistake is that team's alone.

A refused service keeps the last text that HAProxy accepted, with today's tasks in it, or is left out where it never had
one. The verdict is remembered with what was refused: a broken app costs one check, not one for each event. It is lifted
when the service's own text changes.

A failure that names no line leaves several services under suspicion (`marathonlb.routing.quarantine.suspects`). Such a
verdict stands for every text of a service but its last good one, until the search admits it: whoever made HAProxy hang
once cannot do so again by another letter in a label.
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
class Verdict:
    """
    What HAProxy said of a service.

    :param refused: the service as it was offered, `bare`.
    :param fallback: the last one that HAProxy accepted, `bare`; None where there is none.
    :param label: which of the app's labels wrote the line, or the template's name.
    :param words: HAProxy's.
    :param until: when it is tried again though nothing changed, on the clock of the one who asks; None means never.
    :param silent: HAProxy named no line, so that it stands for every text but the last good one.
    :param suspected: whether it is one of several that may be to blame.
    """

    refused: Service
    fallback: Service | None
    label: str
    words: str
    until: float | None = None
    silent: bool = False
    suspected: bool = False

    @property
    def problem(self) -> Problem:
        """What the owner is told."""
        fate = "; its last good text serves on" if self.fallback else ""
        if self.until is not None:
            fate += "; it is tried again now and then"
        says = f"HAProxy says: {self.words}"
        if self.silent:
            fails = (
                "HAProxy fails with it or with another change" if self.suspected else "HAProxy fails with it"
            )
            says = f"{fails}: {self.words}"
        if self.suspected and self.until is None:
            fate = f"; the cause is being searched{fate}"
        return Problem(
            self.refused.app_id,
            self.refused.port_index,
            self.label,
            "",
            f"{says}{fate}",
            fatal=self.fallback is None,
            kind=self.kind,
            haproxy=self.words,
        )

    @property
    def kind(self) -> ProblemKind:
        """How sure it is that this service is to blame."""
        if not self.silent:
            return SERVICE_REFUSED
        return SERVICE_SUSPECTED if self.suspected else SERVICE_FAILS


class Quarantine:
    """The verdicts by service."""

    def __init__(self) -> None:
        self._verdicts: dict[Key, Verdict] = {}
        self._failures: dict[Key, int] = {}
        self._offered: dict[Key, Service] = {}
        self._tried: frozenset[Key] = frozenset()
        self.admitted: Mapping[Key, Service] = {}

    def copy(self) -> Quarantine:
        """Another one that knows the same, for a question of what would be."""
        other = Quarantine()
        other._verdicts, other._failures = dict(self._verdicts), dict(self._failures)
        other._offered, other._tried = dict(self._offered), self._tried
        return other

    def __len__(self) -> int:
        return len(self._verdicts)

    def admit(self, services: Iterable[Service], now: float) -> tuple[list[Service], list[Problem]]:
        """
        The services as they may be served, and a problem for each that may not be served as it is offered.

        :param now: seconds, on the clock that `Verdict.until` is of.
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

    def _standing(self, service: Service, now: float) -> Verdict | None:
        """The verdict on a service; it is lifted where the service is another one now, or its time has come."""
        verdict = self._verdicts.get(service.key)
        if verdict is None or (verdict.silent and service.key in self._tried):
            return None
        if verdict.silent and verdict.fallback != bare(service):
            return verdict
        if verdict.refused == bare(service) and (verdict.until is None or now < verdict.until):
            return verdict
        del self._verdicts[service.key]
        return None

    def condemn(
        self, service: Service, accepted: Service | None, label: str, words: str, until: float | None = None
    ) -> None:
        """
        Serve a service as it is no more.

        What is remembered is the service as its owner offered it: what it was given of what others want too may change,
        and that mends nothing.

        :param service: as HAProxy refused it.
        :param accepted: as HAProxy accepted it last; None where it never did.
        """
        self._failures[service.key] = self._failures.get(service.key, 0) + 1
        before = self._verdicts.get(service.key)
        if before is not None and service.key not in self._tried:
            # even its last good text is refused now: it goes, what is offered stays the same
            self._verdicts[service.key] = evolve(before, fallback=None, label=label, words=words)
            return
        fallback = bare(accepted) if accepted is not None and bare(accepted) != bare(service) else None
        offered = self._offered.get(service.key, service)
        self._verdicts[service.key] = Verdict(
            refused=bare(offered), fallback=fallback, label=label, words=words, until=until
        )

    def release(self, keys: Iterable[Key]) -> None:
        """Serve these services as they are offered: somebody else's text was wrong."""
        for key in keys:
            self._verdicts.pop(key, None)
            self._failures.pop(key, None)

    def suspect(self, services: Iterable[Service], good: Mapping[Key, Service], words: str) -> None:
        """
        Hold services that may make HAProxy fail; which of them does is not known yet.

        :param good: those that HAProxy has read, by key.
        :param words: what happened.
        """
        for service in services:
            before, offered = good.get(service.key), self._offered.get(service.key, service)
            self._verdicts[service.key] = Verdict(
                refused=bare(offered),
                fallback=bare(before) if before is not None and bare(before) != bare(offered) else None,
                label="",
                words=words,
                silent=True,
                suspected=True,
            )

    def try_these(self, keys: Collection[Key]) -> None:
        """Admit these suspects as they are offered, and no others, until it is known what comes of it."""
        self._tried = frozenset(keys)

    def acquit(self, keys: Iterable[Key]) -> None:
        """Serve suspects as they are offered; that they were convicted before is not forgotten."""
        self._tried = frozenset()
        for key in keys:
            verdict = self._verdicts.get(key)
            if verdict is not None and verdict.silent:
                del self._verdicts[key]

    def convict(self, keys: Iterable[Key], words: str, until: float, *, alone: bool) -> None:
        """
        Give the search up for these suspects: they are not tried again before its time.

        :param alone: whether these are to blame; else one of them is, and there was no time to find out which.
        """
        for key in keys:
            verdict = self._verdicts.get(key)
            if verdict is not None:
                self._failures[key] = self._failures.get(key, 0) + int(alone)
                self._verdicts[key] = evolve(verdict, words=words, until=until, suspected=not alone)

    def due(self, now: float) -> list[Key]:
        """The suspects whose time has come; it is for the search to admit them."""
        return [
            key for key, v in self._verdicts.items() if v.silent and v.until is not None and v.until <= now
        ]

    def suspect_again(self, keys: Iterable[Key]) -> None:
        """Search among these, whose time has come."""
        for key in keys:
            self._verdicts[key] = evolve(self._verdicts[key], until=None, suspected=True)

    @property
    def suspects(self) -> list[Key]:
        """The services that are held while the cause is searched."""
        return [key for key, v in self._verdicts.items() if v.suspected and v.until is None]

    def failures(self, key: Key) -> int:
        """How often a service has been condemned since it came."""
        return self._failures.get(key, 0)

    def next_retry(self) -> float | None:
        """When the next one is to be tried again."""
        return min((v.until for v in self._verdicts.values() if v.until is not None), default=None)

    def verdicts(self) -> Collection[Verdict]:
        """What is in quarantine now."""
        return tuple(self._verdicts.values())


def bare(service: Service) -> Service:
    """A service without its servers, the app's date and what others have left it: what its owner says, tasks aside."""
    plain = plain_backend(service.backend)
    return evolve(service, servers=(), since="", binds_port=True, backend=plain, copied_files=None)
