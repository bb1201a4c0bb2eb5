"""Whether a new port is free."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from marathonlb.errors import InvalidConfiguration, ReloadFailed
from marathonlb.haproxy.interfaces import IChecker
from marathonlb.haproxy.process.port_check import Bind, PortChecker, binds, probe, shared_binds, taken
from tests.fakes.haproxy import NONSENSE, FakeChecker
from tests.haproxy.samples import A, config, frontend
from tests.integration.haproxies import free_port, held_port

TABLE: tuple[tuple[str, tuple[Bind, ...]], ...] = (
    ("bind *:80", (Bind("0.0.0.0", 80),)),
    ("bind :80", (Bind("0.0.0.0", 80),)),
    ("\tbind 127.0.0.1:10100 ssl crt /x", (Bind("127.0.0.1", 10100),)),
    ("bind ipv4@1.2.3.4:5,1.2.3.4:6", (Bind("1.2.3.4", 5), Bind("1.2.3.4", 6))),
    ("bind [::1]:80", (Bind("::1", 80),)),
    ("bind :::80", (Bind("::", 80),)),
    ("bind ipv6@*:80", (Bind("::", 80),)),
    ("bind /run/x.sock", ()),
    ("bind unix@/run/x.sock", ()),
    ("bind abns@x", ()),
    ("bind fd@${FD}", ()),
    ("bind localhost:80", ()),
    ("bind *:8000-8010", ()),
    ("bind *:99999", ()),
    ("bind 10.0.0.1:80 transparent", ()),
    ("bind 10.0.0.1:80 interface eth0", ()),
    ("# bind *:80", ()),
    ("bind-process 1", ()),
)


class BindsTests(SynchronousTestCase):
    """The literal addresses of a text."""

    def test_table(self) -> None:
        """Each form that is literal is found, and no other."""
        for line, wanted in TABLE:
            self.assertEqual(binds(f"frontend f\n{line}\n"), dict.fromkeys(wanted, 2), line)


class TakenTests(SynchronousTestCase):
    """What another process holds."""

    def test_only_new_ones(self) -> None:
        """What HAProxy holds already is not asked for; what is new and held has its line and its owner."""
        wanted = config(frontend("f", "bind *:80", "bind *:81", "bind *:82"))
        asked: list[Bind] = []

        def held(bind: Bind) -> str | None:
            asked.append(bind)
            return "Address already in use" if bind.port == 82 else None

        (complaint,) = taken("frontend f\n  bind :80\n", wanted, "/etc/haproxy", held)
        self.assertEqual([bind.port for bind in asked], [81, 82])
        self.assertEqual(complaint.line, 8)
        self.assertEqual(complaint.owner, wanted.sections[-1].chunks[0].owner)
        self.assertEqual(taken("", A, "/", held), ())

    def test_probe(self) -> None:
        """A port that somebody listens on is held; a free one, and one that cannot be asked for, are not."""
        with held_port() as port:
            self.assertEqual(probe(Bind("127.0.0.1", port)), "Address already in use")
            self.assertEqual(probe(Bind("0.0.0.0", port)), "Address already in use")
            self.assertEqual(shared_binds(f"frontend f\n  bind 127.0.0.1:{port}\n"), ())
        self.assertIsNone(probe(Bind("127.0.0.1", free_port())))
        self.assertIsNone(probe(Bind("192.0.2.1", 80)))

    def test_shared(self) -> None:
        """A port whose holder shares it, as HAProxy does, is not held, and no connection of its goes astray."""
        with socket.socket() as sharing:
            sharing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sharing.bind(("127.0.0.1", 0))
            sharing.listen()
            port = sharing.getsockname()[1]
            self.assertIsNone(probe(Bind("127.0.0.1", port)))
            text = f"frontend f\n  bind 127.0.0.1:{port}\n  bind 127.0.0.1:{free_port()}\n"
            self.assertEqual(shared_binds(text), (Bind("127.0.0.1", port),))
            for _ in range(10):
                with socket.create_connection(("127.0.0.1", port), 5):
                    sharing.accept()[0].close()


class PortCheckerTests(SynchronousTestCase):
    """A checker that looks at the ports last."""

    def setUp(self) -> None:
        self.inner = FakeChecker()
        self.inner.warnings = "missing timeouts"
        self.probed: list[Bind] = []
        self.checker = PortChecker(self.inner, "/etc/haproxy", self.held)
        self.path = self.mktemp()
        with open(self.path, "w", encoding="utf-8"):
            pass

    def held(self, bind: Bind) -> str | None:
        self.probed.append(bind)
        return "Address already in use"

    def test_interface(self) -> None:
        """It is a checker."""
        self.assertTrue(verifyObject(IChecker, self.checker))

    def test_taken(self) -> None:
        """An address that another process holds is a reload that HAProxy surely refuses, with its owner."""
        wanted = config(frontend("f", "bind *:81"))
        error = self.failureResultOf(self.checker.check(self.path, wanted, running=""), ReloadFailed).value
        self.assertTrue(error.refused)
        self.assertIn("cannot bind socket (Address already in use) for [0.0.0.0:81]", str(error))
        self.assertEqual(error.complaints[0].owner, wanted.sections[-1].chunks[0].owner)

    def test_accepted(self) -> None:
        """What is held by HAProxy itself, and what runs unknown, is not asked for; the warnings come through."""
        wanted, running = config(frontend("f", "bind *:81")), "frontend f\n  bind *:81\n"
        for known in (running, None):
            accepted = self.checker.check(self.path, wanted, running=known)
            self.assertEqual(self.successResultOf(accepted), "missing timeouts")
        self.assertEqual((self.probed, len(self.inner.checked)), ([], 2))

    def test_refused_before(self) -> None:
        """What the other checker refuses is refused with no look at its ports."""
        wanted = config(frontend("f", "bind *:81", NONSENSE))
        self.failureResultOf(self.checker.check(self.path, wanted, running=""), InvalidConfiguration)
        self.assertEqual(self.probed, [])
