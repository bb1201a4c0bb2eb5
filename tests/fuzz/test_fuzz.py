"""A short run of the fuzzer, and that it would notice: its reader, its routes and its judge."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.model import App, Port, Task
from tests.fuzz.clusters import LB, Cluster, cluster
from tests.fuzz.judge import judge
from tests.fuzz.reader import PIECE, UnreadableError, entries, read, words
from tests.fuzz.routes import NOBODY, Request, Routes

CASES = 150
"""Cases of the short run; `make fuzz` takes more."""

TEXT = """\
global
  maxconn 10
frontend web
  bind *:80
  acl host_a req.hdr(host),host_only,lower -m str a.test
  acl path_a path_beg -i /Api
  http-request set-var(txn.host) req.hdr(host),host_only,lower
  http-request set-var(txn.path) path
  http-request deny deny_status 400 if { req.fhdr(host) -m sub , / }
  use_backend a if host_a path_a
  use_backend %[var(txn.host),concat(,txn.path),map_beg(/x/p.map)] if { var(txn.path) -m found } { path /x/y / /z }
  use_backend %[req.hdr(host),map_end(/x/w.map)] if { req.hdr(host),map_end(/x/w.map) -m found }
  default_backend rest
frontend own
  bind 192.0.2.1:80
  default_backend a
frontend asks
  bind :443
  use_backend inner if { req.ssl_sni -i a.test }
backend inner
  server x unix@/s/inner.sock send-proxy-v2
frontend behind
  bind unix@/s/inner.sock accept-proxy ssl
  default_backend b
backend a
  server a 10.0.0.1:80
backend b
  server b 10.0.0.2:80 # a comment
backend rest
  mode http
"""
MAPS = {"p.map": "b.test/ b\nb.test/x a\n", "w.map": ".long.test a\n.test b\n# .no.test a\n"}


class ReaderTests(SynchronousTestCase):
    """Files as HAProxy reads them."""

    def test_pieces(self) -> None:
        """A line that is too long is several entries, the next of which begins where the piece ends."""
        host = "evil.test"
        path = "/" + "A" * (PIECE - len(host) - 1)
        found = list(entries(f"{host}{path}bank.test/ evil\na.test a\n"))
        self.assertEqual(found[1:], [("bank.test/", "evil"), ("a.test", "a")])
        self.assertEqual(len(found[0][0]), PIECE)

    def test_words(self) -> None:
        """Quotes, backslashes and comments are resolved; what is left open is an error."""
        self.assertEqual(words("a  b\\ c 'd \"e' \"f'g\"h # i"), ["a", "b c", 'd "e', "f'gh"])
        self.assertEqual(words("a # b"), ["a"])
        self.assertIn("environment", words('a "$HOME"')[1])
        for line in ('a "b', "a 'b", "a \\"):
            self.assertRaises(UnreadableError, words, line)

    def test_refused(self) -> None:
        """A line of too many words, or that leaves something open, is named."""
        self.assertEqual(read("frontend a\n" + "x " * 65, {}).refused, 2)
        self.assertEqual(read('frontend a\n  x "y\n', {}).refused, 2)
        self.assertIsNone(read("frontend a\n" + "x " * 64, {}).refused)


class RoutesTests(SynchronousTestCase):
    """Where requests go."""

    def test_table(self) -> None:
        """ACLs, maps, defaults, addresses and frontends behind others, as HAProxy goes through them."""
        routes = Routes(read(TEXT, MAPS))
        for address, port, request, backend in (
            ("127.0.0.1", 80, Request("A.test:8080", "/API/x"), "a"),
            ("127.0.0.1", 80, Request("a.test", "/z"), "503"),
            ("127.0.0.1", 80, Request("a.test", "/y"), "b"),
            ("127.0.0.1", 80, Request("b.test", "/x/y"), "a"),
            ("127.0.0.1", 80, Request("b.test", "/"), "b"),
            ("127.0.0.1", 80, Request("deep.long.test", "/y"), "a"),
            ("127.0.0.1", 80, Request("other", "/y"), "rest"),
            ("127.0.0.1", 80, Request("a,b"), "deny deny_status 400 if { req.fhdr(host) -m sub , / }"),
            (LB, 80, Request("b.test", "/"), "a"),
            ("127.0.0.1", 443, Request(sni="a.test"), "b"),
            ("127.0.0.1", 443, Request(sni="other"), "503"),
        ):
            self.assertEqual(routes.connect(address, port, request).backend, backend, request)
        self.assertEqual(routes.connect(LB, 81, Request()), NOBODY)

    def test_unknown(self) -> None:
        """A rule that is not understood is an error, and not passed over."""
        for line in (
            "http-request lua.x",
            "use_backend a if nobody",
            "use_backend a if { nothing }",
            "use_backend a if { path,nothing }",
            "use_backend a if { path -m dir x }",
            "use_backend a if { path -f /x }",
        ):
            written = read(f"frontend f\n  bind :80\n  {line}\nbackend a\n", {})
            self.assertRaises(UnreadableError, Routes(written).connect, LB, 80, Request("a.test"))


def hostile(app_id: str = "/evil", port: int = 20000, **labels: str) -> App:
    """An app that is younger than all others; ``VHOST`` is ``HAPROXY_0_VHOST``."""
    task = Task("evil.1", host="10.0.0.9", ports=(31999,), state="TASK_RUNNING")
    named = {f"HAPROXY_0_{name}": text for name, text in labels.items()}
    return App(
        app_id, named, ports=(Port(port),), tasks=(task,), config_changed_at="2021-01-01T00:00:00.000Z"
    )


class JudgeTests(SynchronousTestCase):
    """What a hostile app may not do, and that the judge would say it."""

    def case(self, app: App, **options: Any) -> Cluster:
        base = cluster(1)
        settings = evolve(base.settings, **{"haproxy_map": True, "group_https_by_vhost": False, **options})
        return evolve(base, settings=settings, policy="none", hostile=app)

    def test_attacks(self) -> None:
        """Each attack that once took something leaves the plain apps what they have."""
        path = "/" + "A" * (PIECE - len("evil.test") - 1)
        attacks = (
            hostile(VHOST="evil.test", PATH=f"{path}bank.test/"),
            hostile(VHOST="evil.test", PATH=f"{path}bank.test/pay"),
            hostile("/" + "a" * (PIECE - 1) + "/bank/web", VHOST="evil.test"),
            hostile(VHOST="bank.test", PATH="/"),
            hostile(VHOST="*.bank.test", PATH="/"),
            hostile(VHOST="weight.test,bank.test,own.test", BACKEND_WEIGHT="7"),
            hostile("/bank_web", 10000, VHOST="evil.test"),
            hostile("/bank_web_10000", 9095, VHOST="evil.test"),
            hostile(port=10000, BIND_ADDR=LB, MODE="tcp"),
            hostile(port=10007, BIND_ADDR="*", MODE="tcp"),
            hostile("/colours"),
        )
        for app in attacks:
            for options in ({}, {"haproxy_map": False}, {"group_https_by_vhost": True}):
                shown = (app.id[:40], {name: text[:40] for name, text in app.labels.items()}, options)
                self.assertEqual([], judge(self.case(app, **options)), shown)
        joined = App(
            "/evil", {"HAPROXY_DEPLOYMENT_GROUP": "colours"}, ports=(Port(20000),), tasks=attacks[0].tasks
        )
        self.assertEqual([], judge(self.case(joined)))

    def test_notices(self) -> None:
        """An older app that takes a host is said to take it: the judge compares what is with what was."""
        app = hostile(VHOST="bank.test,www.bank.test", PORT="10004")
        older = App(
            app.id, app.labels, ports=app.ports, tasks=app.tasks, config_changed_at="2019-01-01T00:00:00.000Z"
        )
        faults = judge(self.case(older))
        for word in ("bank.test/ at", "www.bank.test/ at", "its port at", "a problem of a plain app"):
            self.assertTrue(any(word in fault for fault in faults), (word, faults))

    def test_short_run(self) -> None:
        """Random hostile apps take nothing from anybody, break nothing, and are explained as they are."""
        for seed in range(CASES):
            self.assertEqual([], judge(cluster(seed)), f"make fuzz SEED={seed} CASES=1 shows it")
