"""The pages: what they say, to whom, and what they refuse."""

from __future__ import annotations

import msgspec
from attrs import evolve

from marathonlb.config.text.model import Config
from marathonlb.controller.status import RED_AFTER
from marathonlb.errors import PublishFailed
from marathonlb.haproxy.files.publish import Published
from marathonlb.haproxy.outcome import Written, explanation
from tests.fakes.haproxy import NONSENSE
from tests.reconciling import web
from tests.web.contexts import EVERYTHING, NOW, SETTINGS, STAT, PagesTestCase

AUTH = {"HAPROXY_0_AUTH": "realm:joe:$1$salt$hash"}


class OldPaths(PagesTestCase):
    """What scripts know."""

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
        self.assertEqual(self.record.timeline.entries()[0].summary, "SIGHUP, asked by 127.0.0.1")

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


class Routing(PagesTestCase):
    """What is no page."""

    def test_unknown(self) -> None:
        """An unknown path is 404, in JSON below /api/."""
        self.assertEqual(self.ask("GET", "/x")[:2], (404, "there is no page /x\n"))
        self.assertEqual(self.get("/api/x", 404), {"error": "there is no page /api/x"})

    def test_methods(self) -> None:
        """A method that a page does not take is 405, and what it takes is said."""
        self.assertEqual(self.post("/api/status", {}, 405), {"error": "use GET, not POST"})
        self.assertEqual(self.get("/api/what-if", 405), {"error": "use POST, not GET"})
        for method, path, allowed in (
            ("PUT", "/_mlb_signal/hup", "GET, POST"),
            ("OPTIONS", "/api/status", "GET, HEAD"),
            ("GET", "/api/pin", "POST"),
            ("BREW", "/", "GET, HEAD"),
        ):
            code, _, headers = self.ask(method, path)
            self.assertEqual((code, headers["allow"]), (405, allowed))

    def test_head(self) -> None:
        """HEAD is answered like GET, without the body."""
        code, text, headers = self.ask("HEAD", "/api/health/live")
        self.assertEqual((code, text), (200, ""))
        self.assertEqual(headers["content-type"], "application/json")

    def test_headers(self) -> None:
        """No answer may be framed, kept, guessed at or scripted."""
        for path in ("/api/status", "/x", "/_haproxy_getpids", "/"):
            _, _, headers = self.ask("GET", path)
            self.assertEqual(headers["cache-control"], "no-store")
            self.assertEqual(headers["x-content-type-options"], "nosniff")
            self.assertIn("frame-ancestors 'none'", headers["content-security-policy"])

    def test_defect(self) -> None:
        """A defect is a 500 that says where to look, and nothing of itself."""
        self.context.recorder.timeline.entries = lambda after: 1 / 0  # type: ignore[method-assign, assignment]
        code, text, _ = self.ask("GET", "/api/timeline")
        self.assertEqual(code, 500)
        self.assertNotIn("Zero", text)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class Status(PagesTestCase):
    """How everything is."""

    def test_well(self) -> None:
        """Versions, Marathons, HAProxy, generations and the last change are told."""
        self.serve(web("shop", tasks=2))
        said = self.get("/api/status")
        self.assertEqual((said["version"], said["mode"], said["ready"]), ("1.2.3", "sse", True))
        self.assertEqual(
            said["marathon"]["endpoints"],
            [
                {"url": "http://one:8080", "cluster": "", "preferred": True, "leader": False},
                {"url": "http://two:8080", "cluster": "", "preferred": False, "leader": True},
            ],
        )
        self.assertEqual(said["haproxy"]["version"], "2.8.1")
        self.assertEqual(said["haproxy"]["features"], ["OPENSSL"])
        self.assertEqual((said["haproxy"]["workers"], said["haproxy"]["draining"]), ([101], 0))
        self.assertEqual(said["generation"], {"wanted": 1, "running": 1})
        self.assertEqual((said["services"], said["servers"]), (1, 2))
        self.assertEqual(said["last_reload"]["seconds"]["reload"], 0.2)
        self.assertEqual(said["last_change"]["came"], {"poll": 1})
        self.assertTrue(said["admin"])

    def test_nothing_yet(self) -> None:
        """Before Marathon's first answer the status says why there is nothing."""
        self.marathon.fail("it does not answer")
        self.reconciler.poke(EVERYTHING)
        said = self.get("/api/status")
        self.assertFalse(said["ready"])
        self.assertIn("it does not answer", said["reasons"][0])
        self.assertIn("it does not answer", said["failure"])
        self.assertIsNone(said["last_reload"])

    def test_haproxy_is_silent(self) -> None:
        """A HAProxy that cannot be asked costs its own lines."""
        self.serve(web("shop"))
        self.haproxy.answers.clear()
        said = self.get("/api/status")
        self.assertEqual((said["haproxy"]["version"], said["haproxy"]["pid"]), ("", None))
        self.assertIn("nobody listens", said["haproxy"]["problem"])

    def test_foreign_haproxy(self) -> None:
        """Of a HAProxy that is not ours nobody knows which workers drain."""
        self.make(evolve(SETTINGS, manage_haproxy=False))
        self.serve(web("shop"))
        self.assertIsNone(self.get("/api/status")["haproxy"]["draining"])


class Services(PagesTestCase):
    """What is offered."""

    def test_list(self) -> None:
        """Each service is one row with HAProxy's own numbers, and one question to HAProxy serves many."""
        self.serve(web("shop", tasks=3), web("cart", 10001, HAPROXY_GROUP="a,b", HAPROXY_0_GROUP=""))
        self.serve(web("shop", tasks=3), web("cart", 10001))
        row = "shop_10000,BACKEND,4,100,7,1,10,20,UP,3,2,0,1,2,3,4,60,99,"
        self.haproxy.answers["show stat -1 2 -1"] = f"{STAT}\n{row}\n\n"
        self.haproxy.asked.clear()
        said = self.get("/api/services")
        cart, shop = said["services"]
        self.assertEqual((shop["app_id"], shop["state"], shop["server_count"]), ("/shop", "degraded", 3))
        self.assertEqual(shop["hosts"], ["shop.example.com"])
        self.assertEqual(shop["haproxy"]["sessions"], 4)
        self.assertEqual((shop["haproxy"]["errors"], shop["haproxy"]["retries"]), (3, 7))
        self.assertEqual(shop["haproxy"]["responses"], {"2xx": 99})
        self.assertEqual((cart["state"], cart["haproxy"]), ("unknown", None))
        self.get("/api/services")
        self.assertEqual(self.haproxy.asked, ["show stat -1 2 -1"])

    def test_silent(self) -> None:
        """Without HAProxy the services are told all the same, and why there are no numbers."""
        self.serve(web("shop", tasks=0), web("cart", 10001))
        said = self.get("/api/services")
        self.assertIn("nobody listens", said["problem"])
        self.assertEqual([each["state"] for each in said["services"]], ["unknown", "empty"])

    def test_one(self) -> None:
        """One service has its servers with HAProxy's and Marathon's word, its rules, its text and its problems."""
        self.serve(web("shop", tasks=2, HAPROXY_0_VHOSTS="x", **AUTH))
        server = "127_0_0_1_41000"
        self.haproxy.answers["show stat shop_10000 6 -1"] = (
            f"{STAT}\nshop_10000,{server},1,2,3,0,5,6,UP,1,1,0,0,0,0,0,9,2,127.0.0.1:41000\n"
            "shop_10000,gone,1,2,3,0,5,6,MAINT,1,1,0,0,0,0,0,,2,127.0.0.1:1\n"
            "shop_10000,BACKEND,1,2,3,0,5,6,UP,1,1,0,0,0,0,0,9,2,\n"
        )
        said = self.get("/api/services/shop_10000")
        by_name = {each["name"]: each for each in said["servers"]}
        self.assertEqual(by_name[server]["haproxy"]["status"], "UP")
        self.assertEqual(by_name["127_0_0_1_41001"]["haproxy"], None)
        self.assertEqual(list(said["unexpected"]), ["gone"])
        self.assertIsNone(said["unexpected"]["gone"]["changed_seconds"])
        self.assertEqual(said["rules"][0]["key"], "shop.example.com")
        self.assertEqual([each["label"] for each in said["problems"]], ["HAPROXY_0_VHOSTS"])
        self.assertEqual([each["kind"] for each in said["text"]], ["userlist", "frontend", "backend"])
        text = self.applier.texts()
        assert text is not None
        for each in said["text"]:
            lines = "\n".join(text.text.split("\n")[each["line"] - 1 :])
            self.assertTrue(lines.startswith(each["text"]), each)

    def test_secrets(self) -> None:
        """Outside --admin-allow the text of a service has no hash."""
        self.serve(web("shop", **AUTH))
        self.client = "10.0.0.1"
        for path in ("/api/services/shop_10000", "/api/configurations/running", "/api/explain?q=/shop"):
            self.assertNotIn("hash", self.ask("GET", path)[1], path)

    def test_unknown(self) -> None:
        """A service that is not there is 404; before Marathon's answer there is none to ask for."""
        self.get("/api/services", 503)
        self.serve(web("shop"))
        self.assertIn("nothing", self.get("/api/services/nothing", 404)["error"])


class Problems(PagesTestCase):
    """What is wrong."""

    def test_kinds(self) -> None:
        """Each problem has its kind, its owner, when it came, and HAProxy's words where they are HAProxy's."""
        self.serve(
            web("bad", 10001, HAPROXY_0_MODE="x"),
            web("late", 10000, HAPROXY_0_BALANCE="first"),
            web("broken", 10002, HAPROXY_0_BACKEND_HEAD=f"backend {{backend}}\n  {NONSENSE}\n"),
            msgspec.structs.replace(web("shop", 10000), config_changed_at="2025"),
        )
        self.clock.advance(5)
        found = {each["app_id"]: each for each in self.get("/api/problems")["problems"]}
        self.assertEqual(
            {app_id: each["kind"] for app_id, each in found.items()},
            {"/bad": "label", "/late": "collision", "/broken": "quarantine"},
        )
        self.assertTrue(found["/broken"]["haproxy"].startswith(f"unknown keyword {NONSENSE!r}"))
        self.assertEqual(found["/bad"]["since"], NOW)
        self.assertEqual(len(self.get("/api/problems?app=/bad")["problems"]), 1)

    def test_mended(self) -> None:
        """What is mended is gone, and the timeline has both."""
        self.serve(web("shop", HAPROXY_0_MODE="x"))
        self.serve(web("shop"))
        self.assertEqual(self.get("/api/problems"), {"problems": []})
        kinds = [each["kind"] for each in self.get("/api/timeline")["entries"]]
        self.assertEqual([kind for kind in kinds if kind in ("problem", "mended")], ["problem", "mended"])


class History(PagesTestCase):
    """The configurations that HAProxy ran."""

    def keep(self, text: str, reason: str) -> None:
        """Archive a text."""
        self.archive.add(Published(text, {"a.map": "x y\n"}), reason=reason, seconds=0)

    def test_versions(self) -> None:
        """They are listed, the newest first, with why HAProxy was reloaded."""
        self.serve(web("shop"))
        self.keep("global\n", "first")
        running = self.applier.texts()
        assert running is not None
        self.archive.add(running, reason="second", seconds=60)
        self.serve(web("shop", tasks=3))  # the last one is what runs, also where its tasks have moved
        said = self.get("/api/configurations")["configurations"]
        self.assertEqual(
            [(v["number"], v["reason"], v["running"]) for v in said],
            [(2, "second", True), (1, "first", False)],
        )
        self.assertEqual(said[0]["cause"], "poll")

    def test_texts(self) -> None:
        """One has its texts; passwords are for admins."""
        self.keep("global\nuserlist u\n  user a password secret\n", "first")
        self.assertIn("secret", self.get("/api/configurations/1")["text"])
        self.client = "10.0.0.1"
        said = self.get("/api/configurations/1")
        self.assertEqual(said["text"], "global\nuserlist u\n  user a password ***\n")
        self.assertEqual(said["maps"], {"a.map": "x y\n"})

    def test_difference(self) -> None:
        """What differs is told section by section."""
        self.keep("global\nbackend a\n  server x 1.1.1.1:1\n", "first")
        self.keep("global\nbackend a\n  server y 1.1.1.1:1\n\nbackend b\n", "second")
        said = self.get("/api/difference?from=1&to=2")
        self.assertEqual(said["summary"], "backend a differs, backend b is new")
        first = said["sections"][0]
        self.assertEqual((first["added"], first["removed"]), (1, 1))
        self.assertEqual(first["lines"][-2:], ["-  server x 1.1.1.1:1", "+  server y 1.1.1.1:1"])
        self.assertEqual(self.get("/api/difference?from=2&to=2")["sections"], [])

    def test_refused(self) -> None:
        """A number that is not kept is 404, a path is no number, and from= is needed."""
        self.get("/api/configurations/7", 404)
        self.get("/api/configurations/..%2F..%2Fetc", 404)
        self.get("/api/configurations/running", 503)
        self.get("/api/difference", 400)


class Questions(PagesTestCase):
    """Explain and what-if."""

    def test_explain(self) -> None:
        """A URL is explained as the script explains it."""
        self.serve(web("shop"))
        said = self.get("/api/explain?q=http://shop.example.com/x")
        self.assertTrue(said["served"])
        self.assertEqual(said["rule"]["backend"], "shop_10000")

    def test_no_question(self) -> None:
        """What is no question is 400."""
        self.serve(web("shop"))
        self.assertIn("a URL", self.get("/api/explain?q=a%20b", 400)["error"])
        self.get("/api/explain", 400)

    def definition(self, name: str, **labels: str) -> dict[str, object]:
        """An app as its owner writes it."""
        return {"id": f"/{name}", "portDefinitions": [{"port": 10000}], "labels": labels, "instances": 2}

    def test_what_if(self) -> None:
        """A definition is answered with what would differ, and nothing is done."""
        self.serve(web("shop"))
        before, applied = self.reconciler.planned, len(self.applier.wanted)
        said = self.post("/api/what-if", self.definition("cart", HAPROXY_0_PORT="10001"))
        self.assertEqual((said["app_id"], said["exists"], said["services"]), ("/cart", False, ["cart_10001"]))
        self.assertIn("backend cart_10001 is new", said["reload"])
        self.assertIn("cart_10001", [each["name"] for each in said["difference"]["sections"]])
        self.assertEqual((said["new_problems"], said["refused"], said["unchecked"]), ([], [], ""))
        self.assertIs(self.reconciler.planned, before)
        self.assertEqual(len(self.applier.wanted), applied)
        self.serve(web("shop"))
        self.assertEqual(self.applier.served(), {"shop_10000"})

    def test_collision(self) -> None:
        """A port that an older app has is told as a collision of the new one."""
        self.serve(web("shop"))
        said = self.post("/api/what-if", self.definition("cart"))
        self.assertEqual([(p["app_id"], p["kind"]) for p in said["new_problems"]], [("/cart", "collision")])

    def test_refused_by_haproxy(self) -> None:
        """HAProxy's words are told where it would refuse the text; that app goes on as it is."""
        self.serve(web("shop"))
        labels = {"HAPROXY_0_BACKEND_HEAD": f"backend {{backend}}\n  {NONSENSE}\n"}
        said = self.post("/api/what-if", self.definition("shop", **labels))
        self.assertTrue(said["exists"])
        self.assertEqual(said["servers"], 1)
        self.assertIn(NONSENSE, said["refused"][0])
        unasked = self.post("/api/what-if?check=no", self.definition("shop", **labels))
        self.assertEqual((unasked["refused"], unasked["unchecked"]), ([], "check=no"))

    def test_bad_definitions(self) -> None:
        """What is no definition is 400, with what is wrong."""
        self.serve(web("shop"))
        for body in (b"{", b"[]", b"{}", b'{"id": 1}', b'{"id": "a b"}', b'"x"', b"1}", b'{"id":"/a"},"x":{'):
            self.post("/api/what-if", body, 400)

    def test_content_type(self) -> None:
        """Only JSON is taken, which a form of another site cannot send."""
        self.serve(web("shop"))
        self.post("/api/what-if", {}, 415, Content_Type="text/plain")

    def test_strangers(self) -> None:
        """It is for admins."""
        self.serve(web("shop"))
        self.client = "10.0.0.1"
        self.post("/api/what-if", self.definition("cart"), 403)


class Health(PagesTestCase):
    """Live and ready."""

    settings = evolve(SETTINGS, max_staleness=100)

    def ready(self, status: int) -> str:
        """The first reason why it is not ready; empty where it is."""
        said = self.get("/api/health/ready", status)
        self.assertEqual(said["ok"], status == 200)
        return str(said["reasons"][0]) if said["reasons"] else ""

    def test_live(self) -> None:
        """It lives as long as it answers, whatever else is wrong."""
        self.assertEqual(self.get("/api/health/live"), {"ok": True, "reasons": [], "remarks": []})

    def test_ready(self) -> None:
        """Ready comes with the first confirmed configuration."""
        self.assertIn("no Marathon has answered", self.ready(503))
        self.serve(web("shop"))
        self.assertEqual(self.ready(200), "")

    def test_stale(self) -> None:
        """Marathon's word grows old, and is new again."""
        self.serve(web("shop"))
        self.marathon.fail("it does not answer")
        self.clock.advance(98)
        self.assertEqual(self.ready(200), "")
        self.clock.advance(3)
        self.assertIn("--max-staleness=100", self.ready(503))
        self.marathon.fail(None)
        self.serve(web("shop"))
        self.assertEqual(self.ready(200), "")

    def test_from_disk(self) -> None:
        """Before Marathon's first answer it says whether HAProxy runs what was known at the last run, or nothing."""
        self.marathon.fail("it does not answer")
        self.reconciler.poke(EVERYTHING)
        self.assertIn("not confirmed a configuration yet", self.get("/api/health/ready", 503)["reasons"][1])
        self.applier.running = Config()
        self.assertIn("was on disk", self.get("/api/health/ready", 503)["reasons"][1])

    def test_deaf(self) -> None:
        """Where nothing was asked yet since the events broke off, the reason is why they did."""
        self.serve(web("shop"))
        self.source.problem = "http://one:8080/v2/events: the connection is refused"
        self.clock.advance(101)
        self.assertIn(
            "--max-staleness=100: http://one:8080/v2/events: the connection is refused", self.ready(503)
        )

    def test_unconfirmed(self) -> None:
        """It is not ready where HAProxy has not confirmed, does not run, or cannot be asked."""
        self.serve(web("shop"))
        self.applier.confirmed = False
        self.assertIn("not confirmed", self.ready(503))
        self.applier.confirmed, self.applier.unavailable = True, True
        self.assertIn("does not run", self.ready(503))

    def test_nobody_runs_it(self) -> None:
        """It is not ready where the files are written and no HAProxy runs with them."""
        self.serve(web("shop"))
        self.applier.outcome = Written
        self.serve(web("shop"), web("cart", 10001))
        self.assertIn("no HAProxy runs with /etc/haproxy/haproxy.cfg", self.ready(503))

    def test_cannot_apply(self) -> None:
        """What is wanted and could not be applied three times in a row turns it red, until it can."""
        self.serve(web("shop"))
        self.applier.fail_next(*[PublishFailed(path="/etc/haproxy", reason="full disk")] * RED_AFTER)
        self.serve(web("shop"), web("cart", 10001))
        self.assertEqual(self.ready(200), "")
        blocked = self.get("/api/status")["blocked"]
        self.assertEqual((blocked["attempts"], blocked["red"]), (1, False))
        for _ in range(RED_AFTER - 1):
            self.clock.advance(2)
            self.reconciler.poke(EVERYTHING)
        self.assertIn("full disk", self.ready(503))
        self.assertEqual(self.get("/api/status")["blocked"]["attempts"], RED_AFTER)
        self.clock.advance(2)
        self.reconciler.poke(EVERYTHING)
        self.assertEqual((self.ready(200), self.get("/api/status")["blocked"]), ("", None))

    def test_marathon_blocks_nothing(self) -> None:
        """A Marathon that fails is no reason why what is known could not be applied."""
        self.serve(web("shop"))
        self.marathon.fail("it does not answer")
        for _ in range(2 * RED_AFTER):
            self.reconciler.poke(EVERYTHING)
            self.clock.advance(2)
        self.assertEqual((self.ready(200), self.get("/api/status")["blocked"]), ("", None))
