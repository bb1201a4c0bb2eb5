"""Whose turn it is while the cause of a failure is searched."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.quarantine.refused import Quarantine
from marathonlb.routing.quarantine.suspects import FEW_PORTS, MAX_RUNS, MAX_SECONDS, RETRY, Suspects
from marathonlb.routing.services.model import Service
from tests.routing.apps import service

Fails = Callable[[set[str]], bool]


class SuspectsTests(SynchronousTestCase):
    """The search as a function of what fails."""

    def setUp(self) -> None:
        self.quarantine = Quarantine()
        self.suspects = Suspects(self.quarantine)
        self.runs: list[set[str]] = []

    def admit(self, services: list[Service], now: float = 0) -> set[str]:
        return {each.backend for each in self.quarantine.admit(services, now)[0]}

    def search(self, services: list[Service], fails: Fails, now: float = 0) -> set[str]:
        """Search to the end, and return who serves then."""
        while self.suspects.next(now):
            admitted = self.admit(services, now)
            self.runs.append(admitted)
            if not fails(admitted):
                self.suspects.cleared()
            elif unit := self.suspects.failed():
                self.suspects.convict(unit, "it hangs", now)
        return self.admit(services, now)

    def begin(self, services: list[Service], now: float = 0) -> None:
        self.admit(services, now)
        self.suspects.begin(services, {}, "it hangs", now)
        self.assertEqual(self.admit(services, now), set())

    def test_each_pair(self) -> None:
        """Whichever two of some are to blame, these are found and nobody else."""
        services = [service(f"a{n}", n) for n in range(7)]
        for one in range(7):
            for other in range(7):
                self.setUp()
                bad = {services[one].backend, services[other].backend}
                self.begin(services)
                served = self.search(services, lambda some, bad=bad: bool(some & bad))  # type: ignore[misc]
                self.assertEqual(served, {each.backend for each in services} - bad)
                self.assertFalse(self.suspects.searching)

    def test_cost(self) -> None:
        """One of a thousand costs twice the logarithm."""
        services = [service(f"a{n}", n) for n in range(1000)]
        self.begin(services)
        self.search(services, lambda some: "a777_777" in some)
        self.assertLess(len(self.runs), 22)

    def test_older_first(self) -> None:
        """Of those that fail together only the youngest is convicted, whatever their names."""
        dates = {"c": "2023", "a": "2024", "b": "2022"}
        services = [service(name, n + 1, since=since) for n, (name, since) in enumerate(dates.items())]
        self.begin(services)
        self.assertEqual(self.search(services, lambda some: {"a_2", "b_3"} <= some), {"c_1", "b_3"})

    def test_ports(self) -> None:
        """The ports of one app are told apart where they are few; of many all are held."""
        for count, served in ((FEW_PORTS, FEW_PORTS - 1), (FEW_PORTS + 1, 0)):
            self.setUp()
            services = [service("a", 100 + n, port_index=n) for n in range(count)]
            self.begin(services)
            self.assertEqual(len(self.search(services, lambda some: "a_103" in some)), served)

    def test_back_off(self) -> None:
        """Who is convicted is tried alone when the time has come, which is doubled each time."""
        bad, good = service("bad", 1), service("good", 2)
        self.begin([bad, good])
        self.search([bad, good], lambda some: "bad_1" in some)
        now = 0.0
        for wait in (RETRY, 2 * RETRY, 4 * RETRY):
            self.runs.clear()
            self.assertEqual(self.quarantine.next_retry(), now + wait)
            self.assertFalse(self.suspects.next(now + wait - 1))
            now += wait
            self.search([bad, good], lambda some: "bad_1" in some, now)
            self.assertEqual(self.runs, [{"bad_1", "good_2"}])
        self.assertEqual(self.search([bad, good], lambda some: False, now + 8 * RETRY), {"bad_1", "good_2"})

    def test_end(self) -> None:
        """A search is given up after some runs, or some time; those that are left are held together for a while."""
        services = [service(f"a{n}", n) for n in range(200)]
        for runs, seconds in ((MAX_RUNS, 0.0), (0, MAX_SECONDS)):
            self.setUp()
            self.begin(services)
            self.suspects.runs = runs
            self.assertTrue(self.suspects.give_up("it hangs", seconds))
            self.assertFalse(self.suspects.searching)
            reasons = [problem.reason for problem in self.quarantine.admit(services, seconds)[1]]
            self.assertEqual(len(reasons), 200)
            self.assertIn("one of 200 services", reasons[0])
            self.assertTrue(self.suspects.next(seconds + RETRY))

    def test_newcomers(self) -> None:
        """What changes during a search is no part of others' trials, and has every second turn."""
        services = [service(f"a{n}", n) for n in range(8)]
        new = service("new", 99)
        self.begin(services)
        self.suspects.next(0)
        self.admit([*services, new])
        self.suspects.join([new], {}, "it hangs")
        self.assertNotIn("new_99", self.admit([*services, new]))
        self.suspects.failed()
        self.suspects.next(0)
        self.assertEqual(self.admit([*services, new]), {"new_99"})

    def test_gone(self) -> None:
        """Whoever goes during a search takes no turn."""
        services = [service(f"a{n}", n) for n in range(4)]
        self.begin(services)
        self.admit(services[:1])
        self.assertEqual(self.search(services[:1], lambda some: False), {"a0_0"})
        self.assertEqual(len(self.runs), 1)
