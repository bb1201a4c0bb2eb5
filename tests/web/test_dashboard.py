"""The dashboard's pages: what they show, to whom, and that nothing of what they show can do anything."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser
from typing import Any

import msgspec
from attrs import evolve

from marathonlb.controller.timeline import Entry, Kind
from marathonlb.haproxy.files.publish import Published
from marathonlb.marathon.model import Task
from marathonlb.problem_kinds.apps import LABEL_VALUE
from marathonlb.problem_kinds.operators import SSL_CERTS_UNUSABLE
from marathonlb.routing.problems import Problem
from marathonlb.web.dashboard.assets import CACHE_FOREVER, DIRECTORY
from marathonlb.web.dashboard.history import LINES
from marathonlb.web.dashboard.selection import ROWS
from tests.fakes.haproxy import NONSENSE
from tests.reconciling import cluster, web
from tests.web.contexts import EVERYTHING, NOW, SETTINGS, STAT, PagesTestCase

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>"

PATHS = (
    "/",
    "/services",
    "/services?q=shop&sort=servers&state=unknown",
    "/services/shop_10000",
    "/problems",
    "/problems?kind=label",
    "/problems/MLB-101",
    "/timeline",
    "/timeline?kind=changes",
    "/configurations",
    "/configurations/1",
    "/configurations/running?find=shop&line=3",
    "/configurations/running?file=app2backend.map",
    "/difference",
    "/difference?from=1&to=running",
    "/explain",
    "/explain?q=http://shop.example.com/",
    "/explain?q=/shop",
    "/explain?q=a+b",
)


class Read(HTMLParser):
    """
    What a browser would make of a page.

    :ivar elements: each with its attributes.
    :ivar text: all of it.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        """The attributes of the elements of a kind that have these values."""
        found = {name.rstrip("_").replace("_", "-"): value for name, value in wanted.items()}
        return [a for t, a in self.elements if t == tag and all(a.get(n) == v for n, v in found.items())]

    @property
    def counts(self) -> Counter[str]:
        """How many elements of each kind there are."""
        return Counter(tag for tag, _ in self.elements)


class DashboardTestCase(PagesTestCase):
    """Pages that are read."""

    def read(self, path: str, status: int = 200) -> Read:
        """A page."""
        code, text, headers = self.ask("GET", path)
        self.assertEqual((code, headers["content-type"]), (status, "text/html; charset=utf-8"), text)
        return Read(text)

    def haproxy_says(self, backend: str, *servers: tuple[str, str], active: int = 1, **more: int) -> None:
        """HAProxy's numbers of a backend, and the status of its servers by name."""

        def row(name: str, status: str, act: int) -> str:
            values = {"pxname": backend, "svname": name, "status": status, "act": act, **more}
            return ",".join(str(values.get(column, 0)) for column in STAT[2:].split(","))

        whole = row("BACKEND", "UP" if active else "DOWN", active)
        self.haproxy.answers["show stat -1 2 -1"] = f"{STAT}\n{whole}\n"
        lines = [*(row(name, status, 1) for name, status in servers), whole]
        self.haproxy.answers[f"show stat {backend} 6 -1"] = "\n".join([STAT, *lines, ""])


class EveryPage(DashboardTestCase):
    """What holds for all of them."""

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


class Hostile(DashboardTestCase):
    """App ids, labels, hosts, tasks and HAProxy's own words try to be more than text."""

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


class Overview(DashboardTestCase):
    """Is it up to date?"""

    def test_up_to_date(self) -> None:
        """It is, and says what runs and what was done last."""
        self.haproxy_says("shop_10000", active=2)
        self.serve(web("shop", tasks=2))
        page = self.read("/")
        self.assertIn("Up to date", page.text)
        self.assertIn("HAProxy 2.8.1 runs the current configuration: 1 service, 2 servers.", page.text)
        self.assertIn("leader http://two:8080", page.text)
        self.assertIn("1 up", page.text)
        self.assertIn("All services have their servers. No open problems.", page.text)
        self.assertEqual(page.all("body")[0]["data-refresh"], "5")

    def test_latency(self) -> None:
        """How long the last changes took from event to traffic is drawn, and told in words."""
        for seconds in (0.004, 0.1, 0.02):
            self.record.timeline.add(
                Entry(time=NOW, kind=Kind.CONVERGED, summary="steps", event_to_traffic_seconds=seconds)
            )
        page = self.read("/")
        self.assertIn("median 20 ms, slowest 100 ms of 3", page.text)
        drawing = page.all("svg", class_="spark")[0]
        self.assertEqual(drawing["aria-label"], "last 3 changes: median 20 ms, slowest 100 ms")
        bars = page.all("rect", class_="by-steps")
        self.assertEqual(
            [(bar["x"], bar["height"]) for bar in bars],
            [("57.0", "12.0"), ("58.0", "40.0"), ("59.0", "26.0")],
        )

    def test_needs_attention(self) -> None:
        """What is down comes first, then what is wrong."""
        self.serve(web("shop", tasks=0), web("cart", 10001), web("broken", 10002, HAPROXY_0_MODE="htpp"))
        self.haproxy_says("cart_10001", active=0)
        text = self.read("/").text.partition("Needs attention")[2]
        down, empty, wrong = (text.index(words) for words in ("/cart", "/shop", "HAPROXY_0_MODE=htpp"))
        self.assertLess(down, empty)
        self.assertLess(empty, wrong)

    def test_many_need_attention(self) -> None:
        """Where more services are not well than are shown, it is said how many, and where they are."""
        self.haproxy.answers["show stat -1 2 -1"] = f"{STAT}\n"
        self.serve(*(web(f"idle{number}", 10000 + number, tasks=0) for number in range(8)))
        page = self.read("/")
        self.assertIn("6 of 8 services with missing servers: 8 empty", page.text)
        self.assertTrue(page.all("a", href="/services?state=empty"))

    def test_long(self) -> None:
        """A label that goes on and on is cut; the page of the problems has more of it."""
        self.serve(web("shop", HAPROXY_0_MODE="x" * 5000))
        self.assertLess(self.ask("GET", "/")[1].count("x"), 1500)
        self.assertIn("holds 5000 bytes; 255 are the most", self.read("/problems").text)

    def test_options(self) -> None:
        """What is wrong with an option's value is no template's."""
        self.serve(web("shop"))
        wrong = Problem(
            "", None, "--ssl-certs", "/nowhere.pem", "is not there", fatal=False, kind=SSL_CERTS_UNUSABLE
        )
        self.reconciler.event_log.problems_are((wrong,))
        page = self.read("/problems").text
        self.assertIn("warning operator’s option operator MLB-506", page)
        self.assertNotIn("template", page)

    def test_nothing_yet(self) -> None:
        """Before Marathon's first answer it says why there is nothing."""
        self.marathon.fail("it does not answer")
        self.reconciler.poke(EVERYTHING)
        page = self.read("/")
        self.assertIn("Not ready", page.text)
        self.assertIn("it does not answer", page.text)
        self.assertEqual(page.text.count("not known yet"), 2)
        for path in ("/", "/problems"):
            self.assertIn("Waiting for Marathon’s first answer.", self.read(path).text)
            self.assertNotIn("No open problems", self.read(path).text)
        self.clock.advance(1000)
        self.assertRegex(
            self.read("/").text, r"it does not answer \(status 503\) \d+ times, first \d+ min ago"
        )

    def test_failing(self) -> None:
        """What could not be applied is said, though what was served goes on."""
        self.serve(web("shop"))
        self.marathon.fail("it is on fire")
        self.reconciler.poke(EVERYTHING)
        page = self.read("/")
        self.assertIn("Not up to date", page.text)
        self.assertIn("it is on fire", page.text)

    def test_silence(self) -> None:
        """A HAProxy that cannot be asked costs its own words."""
        self.serve(web("shop"))
        self.haproxy.answers.clear()
        self.applier.unavailable = True
        page = self.read("/")
        self.assertIn("HAProxy does not run, or its master does not answer", page.text)
        self.assertIn("nobody listens", page.text)


class Services(DashboardTestCase):
    """The list and one of them."""

    def rows(self, path: str) -> list[str]:
        """The backends of a list, in their order."""
        return [a["data-key"] or "" for a in self.read(path).all("tr") if "data-key" in a]

    def test_search(self) -> None:
        """Words, a host, a group and a state narrow the list, and the address says how."""
        self.serve(web("shop"), web("cart", 10001), web("wild", 10002, HAPROXY_0_VHOST="*.example.org"))
        for query, found in (
            ("", ["cart_10001", "shop_10000", "wild_10002"]),
            ("?q=SHOP", ["shop_10000"]),
            ("?q=example.com+10001", ["cart_10001"]),
            ("?host=a.example.org", ["wild_10002"]),
            ("?host=cart", ["cart_10001"]),
            ("?state=unknown", ["cart_10001", "shop_10000", "wild_10002"]),
            ("?state=down", []),
            ("?sort=port&order=desc", ["wild_10002", "cart_10001", "shop_10000"]),
        ):
            self.assertEqual(self.rows(f"/services{query}"), found, query)

    def test_pages(self) -> None:
        """A page has so many rows; more are on the next one."""
        self.serve(*cluster(ROWS + 5))
        self.assertEqual(len(self.rows("/services")), ROWS)
        page = self.read("/services?sort=port")
        self.assertIn("105 services, 1–100 shown", page.text)
        self.assertEqual([a["href"] for a in page.all("a", rel="next")], ["/services?sort=port&page=2"])
        self.assertEqual(len(self.rows("/services?sort=port&page=2")), 5)

    def test_sorted_columns(self) -> None:
        """The column that decides says so, and leads to the other direction."""
        self.serve(web("shop"))
        page = self.read("/services?sort=servers")
        self.assertEqual([a["aria-sort"] for a in page.all("th") if "aria-sort" in a], ["descending"])
        self.assertTrue(page.all("a", href="/services?sort=servers&order=asc"))

    def test_not_yet(self) -> None:
        """Before Marathon's first answer the list is an error in words."""
        self.assertIn("Marathon has not answered", self.read("/services", 503).text)

    def test_service(self) -> None:
        """One service has its servers, in HAProxy's words and Marathon's, its rules, text and problems."""
        self.haproxy_says(
            "shop_10000", ("127_0_0_1_41000", "UP"), ("127_0_0_1_41001", "DOWN"), ("old", "UP"), scur=12
        )
        app = web("shop", tasks=2, HAPROXY_0_VHOSTS="x")
        lost = Task("shop.lost", host="", ports=())
        self.serve(msgspec.structs.replace(app, tasks=(*app.tasks, lost)))
        page = self.read("/services/shop_10000")
        for words in (
            "degraded",
            "127.0.0.1:41001 shop.1",
            "finishes its open sessions",
            "shop.lost it has no host yet",
            "shop.example.com in domain2backend.map → shop_10000",
            "HAPROXY_0_VHOSTS",
            "server 127_0_0_1_41000 127.0.0.1:41000",
        ):
            self.assertIn(words, page.text)
        names = [a["data-key"] for a in page.all("tr") if "data-key" in a]
        self.assertEqual(names, ["127_0_0_1_41000", "127_0_0_1_41001", "+old"])

    def test_line_numbers(self) -> None:
        """The numbers beside a service's text are those of the file."""
        self.serve(web("shop"), web("cart", 10001))
        page = self.read("/services/shop_10000")
        numbers = [int(a["data-no"] or 0) for a in page.all("a", class_="no")]
        whole = self.ask("GET", "/_haproxy_getconfig")[1].splitlines()
        self.assertEqual(whole[numbers[0] - 1], "frontend shop_10000_in")
        self.assertTrue(page.all("a", href=f"/configurations/running?line={numbers[0]}#L{numbers[0]}"))
        marked = self.read(f"/configurations/running?line={numbers[0]}")
        self.assertEqual(
            [a["id"] for a in marked.all("span", class_="line is-marked is-section")], [f"L{numbers[0]}"]
        )

    def test_unknown(self) -> None:
        """There is no page of a service that does not exist."""
        self.serve(web("shop"))
        self.assertIn(
            "there is no service with the backend nothing", self.read("/services/nothing", 404).text
        )


class Elsewhere(DashboardTestCase):
    """Problems, timeline, explanations."""

    def test_problems(self) -> None:
        """The newest come first; each says whose it is, what it costs and why."""
        self.serve(web("shop", HAPROXY_0_VHOSTS="x"))
        self.clock.advance(100)
        self.serve(web("shop", HAPROXY_0_VHOSTS="x"), web("cart", 10001, HAPROXY_0_MODE="htpp"))
        page = self.read("/problems").text
        self.assertLess(page.index("not served /cart :0"), page.index("warning /shop"))
        self.assertIn("HAPROXY_0_MODE=htpp is neither tcp nor http", page)
        self.serve(web("shop"))
        self.assertIn("No open problems", self.read("/problems").text)

    def test_code(self) -> None:
        """Each problem links to a page that says what its code means, what is served meanwhile and what to do."""
        self.serve(web("shop", HAPROXY_0_MODE="htpp"))
        for path in ("/problems", "/"):
            links = [names.get("href") for tag, names in self.read(path).elements if tag == "a"]
            self.assertIn("/problems/MLB-101", links, path)
        page = self.read("/problems/mlb-101")
        self.assertIn(f"MLB-101 {LABEL_VALUE.title}", page.text)
        for text in (LABEL_VALUE.meaning, LABEL_VALUE.meanwhile, LABEL_VALUE.remedy):
            self.assertIn(text.replace("`", ""), page.text)
        self.assertIn("1 problem of this kind now", page.text)
        self.assertIn("No problem of this kind now", self.read("/problems/MLB-303").text)
        self.assertEqual(404, self.ask("GET", "/problems/MLB-999")[0])

    def test_kinds(self) -> None:
        """A kind narrows the list; one that does not exist narrows nothing."""
        self.serve(
            web("shop", HAPROXY_0_VHOSTS="x"),
            web("b", 10001, HAPROXY_0_BACKEND_HEAD=f"backend {{backend}}\n  {NONSENSE}\n"),
        )
        self.assertIn("1 problem ", self.read("/problems?kind=quarantine").text)
        self.assertIn("2 problems ", self.read("/problems?kind=x").text)

    def test_timeline(self) -> None:
        """The newest comes first, with what came and how long each stage took."""
        self.serve(web("shop"))
        self.serve(web("shop", tasks=2))
        self.record.asked("SIGHUP", "10.0.0.9")
        page = self.read("/timeline")
        self.assertLess(
            page.text.index("SIGHUP, asked by 10.0.0.9"),
            page.text.index("reloaded: there was no"),
        )
        self.assertIn("poll", page.text)
        self.assertTrue(any("check" in (a["aria-label"] or "") for a in page.all("svg", class_="track")))
        self.assertNotIn("SIGHUP", self.read("/timeline?kind=changes").text)

    def test_explain(self) -> None:
        """A question is answered by the rule, the service and its servers; what is none is told what one is."""
        self.serve(web("shop"))
        page = self.read("/explain?q=http://shop.example.com/cart").text
        self.assertIn("leads to /shop port 0", page)
        self.assertIn("127.0.0.1:41000", page)
        self.assertIn("Marathon runs no app and no pod of this id", self.read("/explain?q=/nothing").text)
        self.assertIn("Not a valid question", self.read("/explain?q=a+b").text)

    def test_bad_numbers(self) -> None:
        """A page's number that is none is refused in words, one that is too high shows what there is."""
        self.serve(web("shop"))
        self.assertIn("page='x' is not a whole number", self.read("/problems?page=x", 400).text)
        self.assertIn("No open problems", self.read("/problems?page=99").text)
        self.assertIn("1 service", self.read("/services?page=99").text)


class History(DashboardTestCase):
    """Configurations, what differs, and the pin."""

    def setUp(self) -> None:
        super().setUp()
        self.archive.add(Published("global\n  maxconn 10\n  nbthread 2\n", {}), reason="first", seconds=NOW)
        self.serve(web("shop"))

    def test_list(self) -> None:
        """Each configuration has its reason, and leads to what differs."""
        self.archive.add(self.applier.texts(), reason="backend shop_10000 is new", seconds=NOW)
        page = self.read("/configurations")
        self.assertIn("backend shop_10000 is new Running, identical", page.text)
        for link in ("/configurations/1", "/difference?from=1&to=2", "/difference?from=2&to=running"):
            self.assertTrue(page.all("a", href=link), link)

    def test_lines(self) -> None:
        """A long text comes in pages; a line is found by its number, and lines by a word."""
        text = "".join(f"# line {n}\n" for n in range(1, LINES + 11))
        self.archive.add(Published(text, {"x.map": "a b\n"}), reason="long", seconds=NOW)
        self.assertEqual(len(self.read("/configurations/2").all("a", class_="no")), LINES)
        page = self.read(f"/configurations/2?line={LINES + 5}")
        self.assertEqual(len(page.all("a", class_="no")), 10)
        self.assertTrue(page.all("span", id=f"L{LINES + 5}", class_="line is-marked is-comment"))
        found = self.read(f"/configurations/2?find=LINE+{LINES}")
        self.assertTrue(found.all("a", href=f"/configurations/2?line={LINES}#L{LINES}"))
        self.assertIn("a b", self.read("/configurations/2?file=x.map").text)
        self.assertEqual(self.read("/configurations/99", 404).counts["pre"], 0)

    def test_difference(self) -> None:
        """What differs is told by section, with the numbers of the lines on both sides."""
        self.archive.add(Published("global\n  maxconn 20\n  nbthread 2\n", {}), reason="more", seconds=NOW)
        _, text, _ = self.ask("GET", "/difference?from=1&to=2")
        rows = [row.partition("</tr>")[0] for row in text.split("<tr class=")[1:]]
        self.assertEqual(
            [Read(f"<tr class={row}").text for row in rows],
            ["1 1 global", "2 − maxconn 10", "2 + maxconn 20", "3 3 nbthread 2"],
        )
        self.assertIn("No differences", self.read("/difference?from=1&to=1").text)

    def test_who_may_pin(self) -> None:
        """Admins have buttons; others are told that they can only read."""
        posts = [a["data-body"] for a in self.read("/configurations").all("button", data_post="/api/pin")]
        self.assertEqual(posts, ['{"name": "running"}', '{"name": "1"}'])
        self.client = "10.0.0.1"
        page = self.read("/configurations")
        self.assertEqual(page.all("button", data_post="/api/pin"), [])
        self.assertIn("Read-only", page.text)

    def test_pinned(self) -> None:
        """A pin stands on every page with the button that releases it, for admins."""
        self.post("/api/pin", {"name": "1"})
        for path in ("/", "/services", "/explain", "/configurations/99"):
            code, text, _ = self.ask("GET", path)
            page = Read(text)
            self.assertIn("Pinned to configuration 1", page.text, (path, code))
            self.assertEqual(len(page.all("button", data_post="/api/unpin")), 1, path)
        self.client = "10.0.0.1"
        page = self.read("/")
        self.assertIn("Pinned to configuration 1", page.text)
        self.assertEqual(page.all("button", data_post="/api/unpin"), [])
        self.client = "127.0.0.1"
        self.post("/api/unpin", {})
        self.assertNotIn("Pinned", self.read("/").text)


class Files(DashboardTestCase):
    """Style, script, icon."""

    def links(self) -> list[str]:
        """Where a page says that they are."""
        return [
            value
            for _, attributes in self.read("/").elements
            for name, value in attributes.items()
            if name in ("href", "src") and value and value.startswith("/static/")
        ]

    def test_types(self) -> None:
        """Each has its type, and may be kept for ever, since its path changes with its content."""
        links = self.links()
        self.assertEqual(len(links), 3)
        for link in links:
            code, text, headers = self.ask("GET", link)
            name = link.rpartition("/")[2]
            self.assertEqual((code, headers["cache-control"]), (200, CACHE_FOREVER))
            self.assertEqual(text, (DIRECTORY / "static" / name).read_text("utf-8"))
            kind = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}[
                name.rpartition(".")[2]
            ]
            self.assertEqual(headers["content-type"].partition(";")[0], kind)

    def test_old_page(self) -> None:
        """Who asks for another version is given the present one, not to be kept."""
        code, _, headers = self.ask("GET", "/static/0123456789abcdef/dashboard.css")
        self.assertEqual((code, headers["cache-control"]), (200, "no-store"))

    def test_nothing_else(self) -> None:
        """Nothing but these files can be had."""
        for path in (
            "/static/x/y.css",
            "/static/x/%2e%2e%2fassets.py",
            "/static/x/..%2f..%2fassets.py",
            "/static/",
            "/static/x",
        ):
            self.assertEqual(self.ask("GET", path)[0], 404, path)

    def test_no_inline(self) -> None:
        """No template holds a script, a style or a handler, and none says that something is safe as it is."""
        for file in (DIRECTORY / "templates").iterdir():
            text = file.read_text("utf-8")
            for words in ("|safe", "autoescape", "<style", " style=", " onclick="):
                self.assertNotIn(words, text, file.name)

    def test_posted(self) -> None:
        """Pages of the dashboard are asked by GET alone."""
        self.serve(web("shop"))
        said: Any = self.ask("POST", "/services")
        self.assertEqual(said[0], 405)
