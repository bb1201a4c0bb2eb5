"""The TLS of one host: which services decide, and which certificates it has."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base import limits
from marathonlb.problem_kinds.operators import HOST_CERTIFICATE
from marathonlb.problem_kinds.sharing import CERTIFICATE_LIMIT, TLS_OPTIONS_UNUSED
from marathonlb.routing.rules import rules_of
from marathonlb.routing.services.model import Service
from marathonlb.routing.tls_hosts import HostTls, asks_for_certificates, services_by_host
from marathonlb.settings import Settings
from tests.routing.apps import service

DEMAND = "ca-file /x verify required"


def tls(*services: Service, settings: Settings | None = None) -> HostTls:
    """The decision for the host h.test of these services."""
    rules = rules_of(services, {}, lambda service: False, maps=True)
    return HostTls(services_by_host(rules)["h.test"], settings or Settings(ssl_certs=("/shared.pem",)))


class HostTlsTests(SynchronousTestCase):
    """One host with several services."""

    def test_shared(self) -> None:
        """A host without certificates and bind options has the TLS of the shared certificates."""
        decision = tls(service("a", hosts=("h.test",)))
        self.assertEqual((None, [], frozenset()), (decision.own, decision.problems, decision.excluded))

    def test_holder_of_the_whole_host(self) -> None:
        """Of equally old apps of two owners the one that has all of the host decides, not the smaller app id."""
        decision = tls(
            service("a/x", 1, hosts=("h.test",), paths=("/x",), ssl_certs=("/x.pem",)),
            service("b/y", 2, hosts=("h.test",), ssl_certs=("/y.pem",)),
        )
        assert decision.own is not None
        self.assertEqual((("/y.pem",), "/b/y"), (decision.own.certs, decision.own.service.app_id))
        (problem,) = decision.problems
        self.assertEqual(("/a/x", "/b/y"), (problem.app_id, problem.rival))

    def test_excluded(self) -> None:
        """A service of another owner that asks for client certificates has no part of a host that does not ask."""
        decision = tls(
            service("a/x", 1, hosts=("h.test",), since="2019"),
            service("b/y", 2, hosts=("h.test",), paths=("/y",), bind_options=DEMAND),
            service("b/z", 3, hosts=("h.test",), paths=("/z",), bind_options="no-tlsv12"),
        )
        self.assertEqual(frozenset({("/b/y", 0)}), decision.excluded)
        self.assertEqual([TLS_OPTIONS_UNUSED] * 2, [problem.kind for problem in decision.problems])
        self.assertEqual(
            [True, False], ["no part of the host" in problem.reason for problem in decision.problems]
        )

    def test_one_owner(self) -> None:
        """Among the services of one owner nobody is excluded: the oldest bind options hold for all."""
        decision = tls(
            service("t/x", 1, hosts=("h.test",), bind_options="no-tlsv12", since="2019"),
            service("t/y", 2, hosts=("h.test",), paths=("/y",), bind_options=DEMAND),
        )
        assert decision.own is not None
        self.assertEqual(("no-tlsv12", False), (decision.own.bind_options, decision.own.demands))
        self.assertEqual(frozenset(), decision.excluded)
        self.assertEqual(["/t/y"], [problem.app_id for problem in decision.problems])

    def test_room(self) -> None:
        """Certificates that do not fit on one line are left out and reported; those of older apps come first."""
        many = tuple(f"/old{number}.pem" for number in range(limits.CERTIFICATES - 1))
        decision = tls(
            service("t/x", 1, hosts=("h.test",), ssl_certs=many, since="2019"),
            service("t/y", 2, hosts=("h.test",), paths=("/y",), ssl_certs=("/a.pem", "/b.pem")),
            service("t/z", 3, hosts=("h.test",), paths=("/z",), ssl_certs=("/c.pem",), since="2021"),
        )
        assert decision.own is not None
        self.assertEqual((*many, "/c.pem"), decision.own.certs)
        self.assertEqual(
            [("/t/y", CERTIFICATE_LIMIT)], [(problem.app_id, problem.kind) for problem in decision.problems]
        )

    def test_no_certificate(self) -> None:
        """Bind options alone give a host TLS of its own only where there are shared certificates."""
        asking = service("a", hosts=("h.test",), bind_options=DEMAND)
        self.assertIsNotNone(tls(asking).own)
        decision = tls(asking, settings=Settings(ssl_certs=()))
        self.assertIsNone(decision.own)
        self.assertEqual([HOST_CERTIFICATE], [problem.kind for problem in decision.problems])


class DemandTests(SynchronousTestCase):
    """Bind options that ask for client certificates."""

    def test_words(self) -> None:
        """The word verify with required or optional asks for them, wherever it stands."""
        for options, expected in (
            ("verify required ca-file /x", True),
            ("ca-file /x  verify   optional", True),
            ("verify none", False),
            ("noverify required", False),
            ("", False),
        ):
            self.assertEqual(expected, asks_for_certificates(options), options)
