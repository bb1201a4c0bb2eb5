"""What all pages of the dashboard have in common."""

from __future__ import annotations

import msgspec
from attrs import evolve

from marathonlb.controller.timeline import Entry, Kind
from marathonlb.haproxy.files.publish import Published
from marathonlb.marathon.model import Task
from tests.fakes.haproxy import NONSENSE
from tests.reconciling import web
from tests.web.contexts import NOW, SETTINGS, STAT
from tests.web.dashboard.reading import EVIL, PATHS, DashboardTestCase


class EveryPageTests(DashboardTestCase):
    """Every page."""

    def setUp(self) -> None:
        super().setUp()
        self.archive.add(Published("global\n", {}), reason="first", seconds=NOW)
        self.serve(web("shop", tasks=2), web("broken", 10001, HAPROXY_0_MODE="htpp"))

    def test_policy(self) -> None:
        """No page may be scripted, styled, framed or led elsewhere, and none is kept."""
        for path in PATHS:
            _, text, headers = self.ask("GET", path)
            policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
            self.assertEqual(policy.pop("default-src"), "'none'", path)
            self.assertEqual({policy.pop(name) for name in ("base-uri", "frame-ancestors")}, {"'none'"})
            self.assertEqual(set(policy.values()), {"'self'"}, path)
            self.assertEqual(headers["cache-control"], "no-store")
            self.assertNotIn("<style", text)

    def test_own_files_alone(self) -> None:
        """Pages need nothing from elsewhere, and hold no script, style or handler of their own."""
        for path in PATHS:
            page = self.read(path)
            self.assertEqual([a.get("src", "")[:8] for a in page.all("script")], ["/static/"], path)
            for tag, attributes in page.elements:
                for name, value in attributes.items():
                    self.assertFalse(name == "style" or name.startswith("on"), (path, tag, name))
                    if name in ("href", "src", "action"):
                        self.assertRegex(value or "", r"^(/(?!/)|#)", (path, tag))

    def test_landmarks(self) -> None:
        """Each page has one heading that says what it is, one main part, and a way past the navigation."""
        for path in PATHS:
            page = self.read(path)
            for tag in ("h1", "main", "header", "footer", "title"):
                titles = page.counts[tag] - (tag == "title" and page.counts["rect"])
                self.assertGreaterEqual(page.counts[tag], 1, (path, tag))
                self.assertTrue(tag == "title" or titles == 1, (path, tag))
            self.assertEqual(page.all("a", class_="skip"), [{"class": "skip", "href": "#main"}])
            self.assertTrue(page.all("main", id="main"))

    def test_where_one_is(self) -> None:
        """The navigation says where one is."""
        for path in PATHS:
            here = "/" + path.partition("?")[0].split("/")[1]
            here = "/configurations" if here == "/difference" else here
            self.assertEqual([a["href"] for a in self.read(path).all("a", aria_current="page")], [here], path)

    def test_names_of_controls(self) -> None:
        """Whatever takes input stands in a label or is named by one."""
        for path in PATHS:
            page = self.read(path)
            named = {a["for"] for a in page.all("label") if "for" in a}
            inside = page.counts["label"] - len(named)
            takers = [a for t, a in page.elements if t in ("input", "select") and a.get("type") != "hidden"]
            self.assertEqual(len([a for a in takers if a.get("id") not in named]), inside, path)

    def test_links_lead_somewhere(self) -> None:
        """Every link of every page is answered, but for those of HAProxy itself."""
        links = {
            a["href"].partition("#")[0]
            for path in PATHS
            for tag, a in self.read(path).elements
            if tag in ("a", "link") and a.get("href")
        }
        for link in sorted(links - {"", "/haproxy?stats"}):
            self.assertEqual(self.ask("GET", link)[0], 200, link)


class HostileTextTests(DashboardTestCase):
    """App ids, labels, hosts, tasks and HAProxy's messages that try to be more than text."""

    def test_escaped(self) -> None:
        """They are text, wherever they stand."""
        app = web("shop", **{"HAPROXY_0_MODE": EVIL, "HAPROXY_GROUP": EVIL, f"HAPROXY_{EVIL}": EVIL})
        task = Task(f"t{EVIL}", host="127.0.0.1", ports=(31000,))
        self.make(evolve(SETTINGS, groups=frozenset({"*"})))
        evil = msgspec.structs.replace(
            web(f"a{EVIL}", 10001, HAPROXY_GROUP=EVIL, HAPROXY_0_VHOST="evil.example.com"), tasks=(task,)
        )
        self.serve(
            app, evil, web("b", 10002, HAPROXY_0_BACKEND_HEAD=f"backend {{backend}}\n  {NONSENSE}{EVIL}\n")
        )
        self.archive.add(
            Published(f"global\n  # {EVIL}\n", {EVIL.replace("/", ""): EVIL}), reason=EVIL, seconds=NOW
        )
        self.record.timeline.add(
            Entry(time=NOW, kind=Kind.FAILED, summary=EVIL, came={EVIL: 2}, apps=(EVIL,))
        )
        backend = next(s.backend for s in self.reconciler.planned.services if s.app_id.startswith("/a"))
        self.haproxy.answers["show stat -1 2 -1"] = f"{STAT}\n"
        evil_row = '"' + EVIL.replace('"', '""') + '"'
        self.haproxy.answers[f"show stat {backend} 6 -1"] = (
            f"{STAT}\n{backend},{evil_row},1,2,3,0,5,6,{evil_row},1,1,0,0,0,0,0,9,2,{evil_row}\n"
        )
        self.haproxy.answers["show info"] = f"Version: {EVIL}\n"
        quoted = "%22%27%3E%3Cscript%3Ealert(1)%3C/script%3E"
        pages = (
            *("/", "/services", "/problems", "/timeline", "/configurations", "/configurations/1"),
            *(f"/services/{backend}", "/difference?from=1", f"/explain?q=/a{quoted}", f"/explain?q={quoted}"),
            *(f"/services?q={quoted}&group={quoted}&host={quoted}", f"/configurations/running?find={quoted}"),
            *(f"/configurations/1?file={quoted}", f"/timeline?kind={quoted}", f"/problems?kind={quoted}"),
        )
        for path in pages:
            page = self.read(path)
            self.assertEqual((page.counts["script"], page.counts["img"]), (1, 0), path)
            for tag, attributes in page.elements:
                self.assertFalse([name for name in attributes if name.startswith("on")], (path, tag))
        for path in pages[:9]:
            self.assertIn("<script>alert(1)</script>", self.read(path).text, path)
        for path in (
            f"/services/{quoted.replace('/', '%2F')}",
            f"/configurations/{quoted.replace('/', '%2F')}",
        ):
            self.assertEqual(self.read(path, 404).counts["script"], 1)

    def test_unseen(self) -> None:
        """What would turn a line around, or not be seen at all, is written out."""
        self.make(evolve(SETTINGS, groups=frozenset({"*"})))
        odd = "\u202egpj.exe\u200b"
        self.serve(web("shop", HAPROXY_0_MODE=odd), web("cart", 10001, HAPROXY_GROUP=odd))
        for path in ("/problems", "/services", "/services/cart_10001"):
            text = self.ask("GET", path)[1]
            self.assertFalse(set("\u202e\u200b") & set(text), path)
            self.assertIn("\\u202egpj.exe\\u200b", text, path)

    def test_secrets(self) -> None:
        """Passwords are shown to admins alone, in every text."""
        auth = {"HAPROXY_0_AUTH": "realm:joe:$1$salt$hash"}
        self.serve(web("shop", **auth))
        paths = (
            "/services/shop_10000",
            "/configurations/running",
            "/configurations/running?find=joe",
            "/difference?from=1",
        )
        self.archive.add(Published("global\n", {}), reason="first", seconds=NOW)
        for path in paths:
            self.assertIn("$1$salt$hash", self.read(path).text, path)
        self.client = "10.0.0.1"
        for path in paths:
            page = self.read(path).text
            self.assertNotIn("salt", page, path)
            self.assertIn("password ***", page, path)
        self.assertIn("No matching line", self.read("/configurations/running?find=hash").text)
