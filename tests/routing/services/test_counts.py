"""The limits of one app: ports, hosts, paths, and hosts with TLS of their own."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base import limits
from marathonlb.marathon.model import Port
from marathonlb.settings import Settings
from tests.routing.apps import app, offered, task
from tests.routing.test_limits import many_ports, numbered


class AppLimitTests(SynchronousTestCase):
    """What is served up to the limit, and what beyond."""

    def test_entries(self) -> None:
        """Of more hosts and paths than an app may have none is served, and its service port is."""
        for hosts, paths, served in ((100, 100, True), (101, 100, False), (1000, 1000, False)):
            labels = {"0_VHOST": numbered("h{}.test", hosts), "0_PATH": numbered("/{}", paths, " ")}
            found = offered(
                app(
                    "/shop",
                    {**labels, "0_AUTH": "r:u:$5$rounds=1000$s$abcdef", "0_REDIRECT_TO_HTTPS": "true"},
                )
            )
            self.assertEqual(hosts if served else 0, len(found.services[0].hosts))
            self.assertEqual(10000, found.services[0].service_port)
            self.assertEqual(
                [] if served else ["HAPROXY_0_VHOST"], [problem.label for problem in found.problems]
            )
            self.assertEqual(served, found.services[0].auth is not None)

    def test_entries_of_all_ports(self) -> None:
        """The ports of one app share that number, the first ones first."""
        found = offered(many_ports(4, {"{}_VHOST": numbered("h{{}}{}.test", 4000).replace("{}", "p{0}")}))
        self.assertEqual([True, True], [bool(each.hosts) for each in found.services])
        self.assertEqual([2, 3], [problem.port_index for problem in found.problems if problem.fatal])

    def test_tls_of_all_ports(self) -> None:
        """They share another one for hosts that each TLS connection is compared with."""
        hosts = {"{}_VHOST": numbered("h{{}}{}.test", limits.ACL_RULES // 2).replace("{}", "p{0}")}
        for more in (
            {"{}_TLS_PASSTHROUGH": "true"},
            {"{}_SSL_CERT": "/c.pem"},
            {"{}_BIND_OPTIONS": "maxconn 9"},
        ):
            for grouped in (False, True):
                settings = Settings(group_https_by_vhost=grouped)
                found = offered(many_ports(4, {**hosts, **more}), settings=settings)
                served = 2 if grouped or "{}_TLS_PASSTHROUGH" in more else 4
                with_hosts = [bool(each.hosts or each.passthrough) for each in found.services]
                self.assertEqual([True] * served + [False] * (4 - served), with_hosts, (more, grouped))
                self.assertEqual(4 - served, len(found.problems))

    def test_ports(self) -> None:
        """Of 5,000 ports the first thousand are served, and of so many servers as no app has so many ports."""
        found = offered(app("/evil", ports=tuple(Port(1 + number) for number in range(5000))))
        self.assertEqual(1000, len(found.services) + sum(p.port_index is not None for p in found.problems))
        self.assertIn("the first 1000 are served", str(found.problems[-1]))
        tasks = tuple(task(n, ports=(31000, 31001)) for n in range(limits.SERVERS // 2 + 1))
        ports = (Port(10000, on_host=True), Port(10001))
        self.assertEqual(1, len(offered(app("/big", ports=ports, tasks=tasks)).services))
