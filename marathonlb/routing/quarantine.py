"""
Services that HAProxy has refused, so that one team's mistake is that team's alone.

A refused service keeps the last text that HAProxy accepted, with today's tasks in it, or is left out where it never had
one. The verdict is remembered with what was refused: a broken app costs one check, not one for each event. It is lifted
when the service's own text changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from attrs import evolve, frozen

from marathonlb.routing.names import plain_backend
from marathonlb.routing.problems import Problem
from marathonlb.routing.services import Service

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
    """

    refused: Service
    fallback: Service | None
    label: str
    words: str
    until: float | None = None

    @property
    def problem(self) -> Problem:
        """What the owner is told."""
        fate = "; its last good text serves on" if self.fallback else ""
        if self.until is not None:
            fate += "; it is tried again now and then"
        return Problem(
            self.refused.app_id,
            self.refused.port_index,
            self.label,
            "",
            f"HAProxy says: {self.words}{fate}",
            fatal=self.fallback is None,
        )


class Quarantine:
    """The verdicts by service."""

    def __init__(self) -> None:
        self._verdicts: dict[Key, Verdict] = {}
        self._failures: dict[Key, int] = {}
        self._offered: dict[Key, Service] = {}

    def copy(self) -> Quarantine:
        """Another one that knows the same, for a question of what would be."""
        other = Quarantine()
        other._verdicts, other._failures = dict(self._verdicts), dict(self._failures)
        other._offered = dict(self._offered)
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
        for service in services:
            seen[service.key] = service
            verdict = self._standing(service, now)
            if verdict is None:
                kept.append(service)
                continue
            problems.append(verdict.problem)
            if verdict.fallback is not None:
                kept.append(evolve(verdict.fallback, servers=service.servers, since=service.since))
        for key in self._verdicts.keys() - seen.keys():
            del self._verdicts[key]
        for key in self._failures.keys() - seen.keys():
            del self._failures[key]
        return kept, problems

    def _standing(self, service: Service, now: float) -> Verdict | None:
        """The verdict on a service; it is lifted where the service is another one now, or its time has come."""
        verdict = self._verdicts.get(service.key)
        if verdict is None:
            return None
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
        if (
            before is not None
        ):  # even its last good text is refused now: it goes, what is offered stays the same
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
    return evolve(service, servers=(), since="", binds_port=True, backend=plain, given=None)
