"""
Services that HAProxy has refused: left out until their text changes, so that one team's mistake is that team's alone.

The verdict is remembered with what was refused. A broken app costs one check, not one for each event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import evolve, frozen

from marathonlb.routing.problems import Problem
from marathonlb.routing.services import Service

Key = tuple[str, int]


@frozen
class Verdict:
    """
    What HAProxy said of a service.

    :param refused: the service as it was, its servers aside.
    :param label: which of the app's labels wrote the line, or the template's name.
    :param words: HAProxy's.
    :param until: when it is tried again though nothing changed, on the clock of the one who asks; None means never.
    """

    refused: Service
    label: str
    words: str
    until: float | None = None


class Quarantine:
    """The verdicts by service."""

    def __init__(self) -> None:
        self._verdicts: dict[Key, Verdict] = {}
        self._failures: dict[Key, int] = {}

    @property
    def verdicts(self) -> Mapping[Key, Verdict]:
        """What is in quarantine now."""
        return dict(self._verdicts)

    def admit(self, services: Iterable[Service], now: float) -> tuple[list[Service], list[Problem]]:
        """
        The services that may be served, and a problem for each that may not.

        :param now: seconds, on the clock that `Verdict.until` is of.
        """
        kept: list[Service] = []
        problems: list[Problem] = []
        seen: set[Key] = set()
        for service in services:
            seen.add(service.key)
            verdict = self._verdicts.get(service.key)
            if verdict is not None and (
                verdict.refused != bare(service) or (verdict.until is not None and verdict.until <= now)
            ):
                del self._verdicts[service.key]
                verdict = None
            if verdict is None:
                kept.append(service)
            else:
                problems.append(
                    Problem(service.app_id, service.port_index, verdict.label, "", f"HAProxy says: {verdict.words}")
                )
        for key in self._verdicts.keys() - seen:
            del self._verdicts[key]
        for key in self._failures.keys() - seen:
            del self._failures[key]
        return kept, problems

    def condemn(self, service: Service, label: str, words: str, retry_at: float | None = None) -> None:
        """Leave a service out from now on; `retry_at` tries it again though its text did not change."""
        self._failures[service.key] = self._failures.get(service.key, 0) + 1
        self._verdicts[service.key] = Verdict(bare(service), label, words, retry_at)

    def failures(self, key: Key) -> int:
        """How often a service has been condemned since it came."""
        return self._failures.get(key, 0)

    def next_retry(self) -> float | None:
        """When the next one is to be tried again."""
        return min((v.until for v in self._verdicts.values() if v.until is not None), default=None)


def bare(service: Service) -> Service:
    """A service without its servers and the app's date: what its text depends on, tasks aside."""
    return evolve(service, servers=(), since="", binds_port=True)
