"""The paths of earlier versions."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred

from marathonlb.haproxy.outcome import explanation
from tests.reconciling import web
from tests.web.contexts import SETTINGS, PagesTestCase

try:
    from marathon_acme.clients import MarathonLbClient

    absent = ""
except ImportError:
    absent = "marathon-acme is not installed"

AUTH = {"HAPROXY_0_AUTH": "realm:joe:$1$salt$hash"}


class LegacyPathsTests(PagesTestCase):
    """The answers that scripts and tools expect."""

    def test_config(self) -> None:
        """The configuration that runs is told as text, with its passwords for admins alone."""
        self.serve(web("shop", **AUTH))
        code, text, headers = self.ask("GET", "/_haproxy_getconfig")
        self.assertEqual((code, headers["content-type"]), (200, "text/plain; charset=utf-8"))
        self.assertIn("user joe password $1$salt$hash", text)
        self.assertNotIn("\0", text)
        self.client = "10.0.0.1"
        code, text, _ = self.ask("GET", "/_haproxy_getconfig")
        self.assertIn("user joe password ***\n", text)
        self.assertNotIn("hash", text)

    def test_nothing_yet(self) -> None:
        """Before there is a configuration, that is said."""
        for path in ("/_haproxy_getconfig", "/_haproxy_getvhostmap", "/_haproxy_getappmap"):
            code, text, _ = self.ask("GET", path)
            self.assertEqual((code, text), (503, "there is no configuration yet\n"), path)

    def test_maps(self) -> None:
        """The map files are told as they are."""
        self.serve(web("shop"))
        self.assertEqual(self.ask("GET", "/_haproxy_getvhostmap")[1], "shop.example.com shop_10000\n")
        self.assertEqual(self.ask("GET", "/_haproxy_getappmap")[1], "/shop shop_10000\n")

    def test_no_maps(self) -> None:
        """Where there are none, the option that makes them is named."""
        self.make(evolve(SETTINGS, haproxy_map=False))
        self.serve(web("shop"))
        code, text, _ = self.ask("GET", "/_haproxy_getappmap")
        self.assertEqual(code, 404)
        self.assertIn("--haproxy-map", text)

    def test_pids(self) -> None:
        """The workers are told, and that HAProxy cannot be asked."""
        self.serve(web("shop"))
        self.assertEqual(self.ask("GET", "/_haproxy_getpids")[:2], (200, "101"))
        self.applier.unavailable = True
        self.assertEqual(self.ask("GET", "/_haproxy_getpids")[:2], (503, "no master\n"))

    def test_hup(self) -> None:
        """SIGHUP looks at everything, by GET and POST."""
        self.serve(web("shop"))
        for method in ("GET", "POST"):
            self.marathon.asked.clear()
            self.assertEqual(self.ask(method, "/_mlb_signal/hup")[:2], (200, "SIGHUP"))
            self.assertEqual(self.marathon.asked, ["*"])

    def test_usr1(self) -> None:
        """SIGUSR1 reloads though nothing differs."""
        self.serve(web("shop"))
        self.assertEqual(self.ask("POST", "/_mlb_signal/usr1")[:2], (200, "SIGUSR1"))
        self.assertEqual(len(self.applier.applied), 2)
        self.assertEqual(explanation(self.reconciler.status.last_outcome), "SIGUSR1")

    def test_who_asked(self) -> None:
        """Who asked stands in the timeline."""
        self.ask("POST", "/_mlb_signal/hup")
        self.assertEqual(self.record.timeline.entries()[0].summary, "SIGHUP, requested by 127.0.0.1")

    def test_strangers(self) -> None:
        """Clients outside --admin-allow change nothing, whatever their headers claim."""
        self.client = "10.0.0.1"
        self.serve(web("shop"))
        self.marathon.asked.clear()
        for path in ("hup", "usr1"):
            for method in ("GET", "POST"):
                headers = {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1"}
                code, text, _ = self.ask(method, f"/_mlb_signal/{path}", headers=headers)
                self.assertEqual((code, text), (403, "10.0.0.1 is not in --admin-allow\n"))
        self.assertEqual((self.marathon.asked, len(self.applier.applied)), ([], 1))

    def test_other_sites(self) -> None:
        """A page of another site cannot make an admin's browser change anything."""
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://lb:9091"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            self.assertEqual(self.ask("POST", "/_mlb_signal/hup", headers=headers)[0], 403, headers)
            self.assertEqual(self.ask("GET", "/_mlb_signal/hup", headers=headers)[0], 403, headers)
        self.assertEqual(self.marathon.asked, [])
        own = {"Origin": "http://lb:9090", "Sec-Fetch-Site": "same-origin", "Host": "lb:9090"}
        self.assertEqual(self.ask("POST", "/_mlb_signal/hup", headers=own)[0], 200)

    def test_images(self) -> None:
        """An image on a page of another site, of which a browser says nothing over plain HTTP, makes nothing happen."""
        code, text, _ = self.ask("GET", "/_mlb_signal/usr1", headers={"Accept-Language": "en"})
        self.assertEqual(code, 403)
        self.assertIn("curl -X POST", text)
        self.assertEqual(self.applier.applied, [])

    def test_rebinding(self) -> None:
        """Who has a name of his own lead to our address changes nothing, and sees no password hashes."""
        self.serve(web("shop", HAPROXY_0_AUTH="realm:joe:$1$salt$hash"))
        host = "evil.example:9090"
        posted = {"Host": host, "Origin": f"http://{host}", "Accept-Language": "en"}
        code, text, _ = self.ask("POST", "/_mlb_signal/hup", headers=posted)
        self.assertEqual((code, host in text), (403, True), text)
        for path in ("/_haproxy_getconfig", "/configurations/running"):
            _, text, _ = self.ask("GET", path, headers={"Host": host, "Accept-Language": "en"})
            self.assertNotIn("$1$salt$hash", text)
            _, text, _ = self.ask("GET", path, headers={"Host": host})
            self.assertIn("$1$salt$hash", text, "a program that an admin uses")

    def test_head(self) -> None:
        """HEAD, which is asked without a thought, changes nothing: it is no method of these paths."""
        for path in ("hup", "usr1"):
            self.assertEqual(self.ask("HEAD", f"/_mlb_signal/{path}")[0], 405)
        self.assertEqual((self.marathon.asked, self.applier.applied), ([], []))


class MarathonAcmeTests(PagesTestCase):
    """The client of marathon-acme, a program of others that tells marathon-lb of new certificates."""

    if absent:
        skip = absent

    def make_client(self, *endpoints: str) -> Any:
        """The client, which asks our pages whatever the endpoint."""
        return MarathonLbClient(list(endpoints), client=self.treq, reactor=self.clock)

    def result(self, asked: Deferred[list[Any]]) -> list[tuple[int, str] | None]:
        """What was answered: of each endpoint the status and the text, None where it failed."""
        self.agent.flush()
        return [
            None if each is None else (each.code, self.successResultOf(each.text()))
            for each in self.successResultOf(asked)
        ]

    def test_hup(self) -> None:
        """Its SIGHUP looks at everything, on each marathon-lb it knows."""
        self.serve(web("shop"))
        self.marathon.asked.clear()
        asked = self.make_client("http://lb1:9090", "http://lb2:9090").mlb_signal_hup()
        self.assertEqual(self.result(asked), [(200, "SIGHUP"), (200, "SIGHUP")])
        self.assertEqual(self.marathon.asked, ["*", "*"])

    def test_usr1(self) -> None:
        """Its SIGUSR1, which follows each new certificate, reloads HAProxy."""
        self.serve(web("shop"))
        self.assertEqual(
            self.result(self.make_client("http://lb:9090").mlb_signal_usr1()), [(200, "SIGUSR1")]
        )
        self.assertEqual(len(self.applier.applied), 2)

    def test_not_allowed(self) -> None:
        """Where it is not let in, it notices."""
        self.client = "10.0.0.1"
        asked = self.make_client("http://lb:9090").mlb_signal_usr1()
        self.agent.flush()
        self.assertIn("Failed to make a request", str(self.failureResultOf(asked, RuntimeError).value))
        self.flushLoggedErrors()
        self.assertEqual(self.applier.applied, [])
