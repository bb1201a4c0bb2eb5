"""From apps to services: groups, ports, modes, checks, and what one label forbids another."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.model import App, HealthCheck, Networking, Port
from marathonlb.routing.lines.passwords import COMMAND, LOCKED
from marathonlb.routing.names import acl_stem, backend_name, clean_app_id
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.routing.apps import app, offered, task


def one(made: App, settings: Settings | None = None) -> Service:
    """The one service of an app that has nothing wrong."""
    found = offered(made, settings)
    assert not found.problems, found.problems
    (service,) = found.services
    return service


class WhichTests(SynchronousTestCase):
    """Which ports are offered."""

    def test_groups(self) -> None:
        """No group serves apps without one, ``*`` serves all, others serve their members."""
        table: tuple[tuple[dict[str, str], tuple[str, ...], bool], ...] = (
            ({}, (), True),
            ({}, ("*",), True),
            ({}, ("external",), False),
            ({"GROUP": "external"}, (), False),
            ({"GROUP": "external"}, ("*",), True),
            ({"GROUP": "external, internal"}, ("internal", "x"), True),
            ({"GROUP": "external"}, ("internal",), False),
            ({"GROUP": "external", "0_GROUP": "internal"}, ("internal",), True),
            ({"GROUP": "external", "0_GROUP": "internal"}, ("external",), False),
            ({"GROUP": "external", "0_GROUP": ""}, (), True),
            ({"GROUP": "External"}, ("external",), False),
        )
        for labels, groups, wanted in table:
            found = offered(app(labels=labels), Settings(groups=frozenset(groups)))
            self.assertEqual((bool(found.services), found.problems), (wanted, ()), (labels, groups))

    def test_group_by_port(self) -> None:
        """Each port's own group decides about that port alone."""
        made = app(labels={"GROUP": "a", "1_GROUP": "b"}, ports=(Port(1), Port(2), Port(3)))
        found = offered(made, Settings(groups=frozenset({"b"})))
        self.assertEqual([service.port_index for service in found.services], [1])

    def test_undecided(self) -> None:
        """Where the group or the switch itself is wrong the port is out, with a problem, in every instance."""
        for labels in ({"0_GROUP": "a\nb"}, {"GROUP": "a\nb"}, {"0_ENABLED": "maybe"}):
            for settings in (Settings(), Settings(strict_mode=True), Settings(groups=frozenset({"x"}))):
                found = offered(app(labels=labels), settings)
                if labels != {"GROUP": "a\nb"}:
                    self.assertEqual(found.services, ())
                self.assertEqual(len(found.problems), 1, (labels, settings.groups))

    def test_enabled(self) -> None:
        """A port is on, or under ``--strict-mode`` off, unless its label says otherwise."""
        for label, strict, wanted in (
            (None, False, True), (None, True, False), ("true", True, True), ("false", False, False), ("", False, False),
        ):  # fmt: skip
            labels = {} if label is None else {"0_ENABLED": label}
            found = offered(app(labels=labels), Settings(strict_mode=strict))
            self.assertEqual((bool(found.services), found.problems), (wanted, ()))

    def test_other_groups_are_quiet(self) -> None:
        """What is odd about an app of another group is not this instance's to say."""
        labels = {"GROUP": "x", "MODE": "http", "0_VHOSTT": "a", "7_PORT": "1"}
        self.assertEqual(offered(app(labels=labels)).problems, ())
        found = offered(app(labels=labels), Settings(groups=frozenset({"x"})))
        self.assertEqual(len(found.problems), 3)
        self.assertEqual(len(found.services), 1)

    def test_own_app(self) -> None:
        """The load balancer's own app is skipped."""
        self.assertEqual(offered(app(), Settings(own_app_ids=frozenset({"/shop"}))).services, ())

    def test_udp(self) -> None:
        """A UDP port is not served, with a warning; one for both is."""
        made = app(ports=(Port(1, protocol="udp"), Port(2, protocol="udp,tcp")), tasks=(task(ports=(1, 2)),))
        found = offered(made)
        self.assertEqual([(s.port_index, s.servers[0].port) for s in found.services], [(1, 2)])
        self.assertEqual([(p.port_index, p.fatal) for p in found.problems], [(0, False)])

    def test_labels_beyond_the_ports(self) -> None:
        """Labels of a port that the app has not are a warning."""
        (problem,) = offered(app(labels={"1_VHOST": "a.example.com"})).problems
        self.assertFalse(problem.fatal)
        self.assertIn("has 1 port", problem.reason)

    def test_one_bad_port(self) -> None:
        """A bad value takes out that port, and no other of the app."""
        made = app(labels={"0_PORT": "x", "1_VHOST": "a.example.com"}, ports=(Port(1), Port(2)))
        found = offered(made)
        self.assertEqual([service.port_index for service in found.services], [1])
        self.assertEqual([problem.label for problem in found.problems], ["HAPROXY_0_PORT"])


class PortTests(SynchronousTestCase):
    """Service ports and names."""

    def test_port(self) -> None:
        """The label's port wins over Marathon's, and is part of the backend's name."""
        self.assertEqual(one(app()).backend, "shop_10000")
        service = one(app("/shop/web.v2", labels={"0_PORT": "8080"}))
        self.assertEqual((service.service_port, service.backend), (8080, "shop_web.v2_8080"))

    def test_frontend(self) -> None:
        """The frontend has another name than the backend."""
        service = one(app())
        self.assertNotEqual(service.frontend, service.backend)

    def test_no_port(self) -> None:
        """No service port, or an absurd one, is a problem."""
        for port in (0, 65536, 10**9):
            found = offered(app(ports=(Port(port),)))
            self.assertEqual(found.services, ())
            self.assertIn("port", found.problems[0].reason)

    def test_assigned(self) -> None:
        """A port that was assigned stands in where Marathon gives none."""
        made = app(ports=(Port(0, container_port=80, on_host=False),), networking=Networking.CONTAINER)
        (service,) = offered(made, assigned={0: 10050}).services
        self.assertEqual(service.service_port, 10050)

    def test_names(self) -> None:
        """Names are clean, and those of ACLs begin with the first virtual host."""
        self.assertEqual(backend_name("/a/b-c.d", 80), "a_b-c.d_80")
        self.assertEqual(backend_name("/a b#\"'", 80), "a_b____80")
        self.assertEqual(clean_app_id("/a/b-c.d"), "a_b-c_d")
        self.assertEqual(acl_stem(("www.a-b.com", "x"), "/a/b"), "www_a-b_com_a_b")


class ModeTests(SynchronousTestCase):
    """Modes and health checks."""

    def test_mode(self) -> None:
        """http for virtual hosts and HTTP checks of that port, else tcp; the label decides where it is set."""
        table: tuple[tuple[dict[str, str], str | None, str], ...] = (
            ({}, None, "tcp"),
            ({"0_VHOST": "a"}, None, "http"),
            ({}, "HTTP", "http"),
            ({}, "HTTPS", "http"),
            ({}, "MESOS_HTTP", "http"),
            ({}, "MESOS_HTTPS", "http"),
            ({}, "TCP", "tcp"),
            ({}, "MESOS_TCP", "tcp"),
            ({}, "COMMAND", "tcp"),
            ({"0_MODE": "tcp"}, "HTTP", "tcp"),
            ({"0_MODE": "HTTP"}, None, "http"),
        )
        for labels, protocol, wanted in table:
            checks = (HealthCheck(protocol=protocol, port_index=0),) if protocol else ()
            self.assertEqual(one(app(labels=labels, health_checks=checks)).mode, wanted, (labels, protocol))

    def test_check(self) -> None:
        """A port's check is the one that names it; the first port's also one that names none."""
        first, second, fixed = HealthCheck(), HealthCheck(port_index=1), HealthCheck(port=9000)
        made = app(ports=(Port(1), Port(2)), health_checks=(HealthCheck(protocol="COMMAND"), first, second))
        self.assertEqual([service.health_check for service in offered(made).services], [first, second])
        made = app(ports=(Port(1), Port(2)), health_checks=(fixed,))
        services = offered(made).services
        self.assertEqual([service.health_check for service in services], [fixed, fixed])
        self.assertEqual(services[0].servers[0].check_port, 9000)

    def test_other_port(self) -> None:
        """A label has the port checked by way of another one: its check, its port, the port's own mode."""
        check = HealthCheck(protocol="HTTP", path="/up", port_index=1)
        made = app(
            labels={"0_BACKEND_HEALTHCHECK_PORT_INDEX": "1"},
            ports=(Port(1), Port(2)),
            tasks=(task(ports=(31000, 31001)),),
            health_checks=(check,),
        )
        service = offered(made).services[0]
        self.assertEqual((service.mode, service.health_check), ("tcp", check))
        self.assertEqual((service.servers[0].port, service.servers[0].check_port), (31000, 31001))

    def test_no_such_port(self) -> None:
        """A check of a port that the app has not is a problem."""
        (problem,) = offered(app(labels={"0_BACKEND_HEALTHCHECK_PORT_INDEX": "1"})).problems
        self.assertTrue(problem.fatal)

    def test_check_with_a_newline(self) -> None:
        """A check's path with a newline is a problem, since it would write configuration."""
        found = offered(app(health_checks=(HealthCheck(path="/\n  server evil"),)))
        self.assertEqual((found.services, len(found.problems)), ((), 1))


class HostAndPasswordTests(SynchronousTestCase):
    """Labels of hosts and passwords."""

    def test_host_warning(self) -> None:
        """A URL as a virtual host is taken, with one warning."""
        found = offered(app(labels={"0_VHOST": "http://a.example.com:80/,b.example.com"}))
        self.assertEqual(found.services[0].hosts, ("a.example.com", "b.example.com"))
        (problem,) = found.problems
        self.assertFalse(problem.fatal)

    def test_no_hash(self) -> None:
        """A password that is no crypt(3) hash lets nobody in, as HAProxy takes it: said, and served otherwise."""
        for passwd in ("secret", "$1$"):
            found = offered(app(labels={"0_VHOST": "a", "0_AUTH": f"r:u:{passwd}"}))
            self.assertEqual([service.auth for service in found.services], [("r", "u", passwd)])
            (problem,) = found.problems
            self.assertEqual((problem.label, problem.value, problem.fatal), ("HAPROXY_0_AUTH", "***", False))
            self.assertIn(f"`{COMMAND}`", problem.reason)

    def test_costly_hash(self) -> None:
        """A hash that costs HAProxy too much, or nobody knows how much, is replaced by one that lets nobody in."""
        for passwd in ("$6$rounds=999999999$salt$hash", "$5$salt$default", "$apr1$salt$hashed", "$y$j9T$a$b"):
            found = offered(app(labels={"0_VHOST": "a", "0_AUTH": f"r:u:{passwd}"}))
            self.assertEqual([service.auth for service in found.services], [("r", "u", LOCKED)])
            (problem,) = found.problems
            self.assertEqual((problem.label, problem.value, problem.fatal), ("HAPROXY_0_AUTH", "***", False))
            self.assertIn(f"no user can sign in; `{COMMAND}`", problem.reason)
        allowed = offered(
            app(labels={"0_VHOST": "a", "0_AUTH": "r:u:$5$salt$default"}), Settings(max_password_cost=5)
        )
        self.assertEqual((), allowed.problems)
        self.assertEqual([("r", "u", "$5$salt$default")], [service.auth for service in allowed.services])

    def test_secret_repr(self) -> None:
        """A service's password reaches no text of it."""
        service = one(app(labels={"0_VHOST": "a", "0_AUTH": "r:u:$1$salt$hashed"}))
        self.assertEqual(service.auth, ("r", "u", "$1$salt$hashed"))
        self.assertNotIn("hashed", repr(service))
