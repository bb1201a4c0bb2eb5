"""Services that HAProxy has refused."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.quarantine.refused import Quarantine, bare
from tests.routing.apps import app, offered, service, task

BAD = service("bad", 1, balance="nonsense")
GOOD = service("good", 2)


class QuarantineTests(SynchronousTestCase):
    """Verdicts, what they cost, and how they end."""

    def setUp(self) -> None:
        self.quarantine = Quarantine()

    def admitted(self, *services: object, now: float = 0) -> tuple[list[object], list[str]]:
        """Which services may be served, and the reasons of the problems."""
        kept, problems = self.quarantine.admit(services, now)  # type: ignore[arg-type]
        return list(kept), [problem.reason for problem in problems]

    def test_nothing(self) -> None:
        """Without a verdict everything is admitted."""
        self.assertEqual(self.admitted(BAD, GOOD), ([BAD, GOOD], []))

    def test_left_out(self) -> None:
        """A refused service that never was good is left out with HAProxy's words; the others are not."""
        self.quarantine.add(BAD, None, "HAPROXY_0_BALANCE", "no such algorithm")
        kept, problems = self.quarantine.admit([BAD, GOOD], 0)
        self.assertEqual(kept, [GOOD])
        (problem,) = problems
        self.assertEqual(
            str(problem), "MLB-701 /bad port 0: HAPROXY_0_BALANCE: HAProxy says: no such algorithm"
        )
        self.assertEqual(
            (problem.app_id, problem.port_index, problem.label), ("/bad", 0, "HAPROXY_0_BALANCE")
        )
        self.assertIn("no such algorithm", problem.reason)
        self.assertTrue(problem.fatal)

    def test_last_good_text(self) -> None:
        """A refused service keeps what HAProxy accepted before, with today's tasks; that is a warning."""
        (before,) = offered(app("/bad", labels={"0_BALANCE": "leastconn"})).services
        (after,) = offered(app("/bad", tasks=(task(7),))).services
        self.quarantine.add(after, before, "HAPROXY_0_BALANCE", "no")
        kept, problems = self.quarantine.admit([after], 0)
        self.assertEqual(kept, [evolve(before, servers=after.servers)])
        self.assertEqual([problem.fatal for problem in problems], [False])

    def test_last_good_text_is_refused_too(self) -> None:
        """Where even that is refused now the service is left out."""
        self.quarantine.add(BAD, evolve(BAD, balance="leastconn"), "", "no")
        self.quarantine.add(evolve(BAD, balance="leastconn"), None, "", "no to that as well")
        kept, (reason,) = self.admitted(BAD)
        self.assertEqual(kept, [])
        self.assertIn("no to that as well", reason)

    def test_remembered(self) -> None:
        """Other tasks, another date or a lost port do not lift the verdict: the text is the same."""
        self.quarantine.add(BAD, None, "", "no")
        (other,) = offered(app("/other")).services
        for same in (
            evolve(BAD, servers=other.servers),
            evolve(BAD, since="2030"),
            evolve(BAD, binds_port=False),
        ):
            self.assertEqual(self.admitted(same)[0], [])
            self.assertEqual(bare(same), bare(BAD))

    def test_lifted_by_a_change(self) -> None:
        """A change of what the owner wrote lifts it, and the old text is refused anew only if HAProxy says so."""
        self.quarantine.add(BAD, None, "", "no")
        mended = evolve(BAD, balance="leastconn")
        self.assertEqual(self.admitted(mended), ([mended], []))
        self.assertEqual(self.admitted(BAD), ([BAD], []))

    def test_lifted_by_time(self) -> None:
        """A verdict with a time is lifted when it has come; the failures are counted on."""
        self.quarantine.add(BAD, None, "", "port in use", 30)
        self.assertEqual(self.quarantine.next_retry(), 30)
        self.assertIn("retried", self.admitted(BAD)[1][0])
        self.assertEqual(self.admitted(BAD, now=29.9)[0], [])
        self.assertEqual(self.admitted(BAD, now=30)[0], [BAD])
        self.assertIsNone(self.quarantine.next_retry())
        self.assertEqual(self.quarantine.failures(BAD.key), 1)

    def test_forgotten(self) -> None:
        """What is gone leaves neither verdict nor failures."""
        self.quarantine.add(BAD, None, "", "no")
        self.admitted(GOOD)
        self.assertEqual((len(self.quarantine), self.quarantine.failures(BAD.key)), (0, 0))
        self.assertEqual(self.admitted(BAD), ([BAD], []))
