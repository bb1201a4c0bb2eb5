"""The pages about the present."""

from __future__ import annotations

import msgspec

from marathonlb.controller.timeline import Entry, Kind
from marathonlb.marathon.model import Task
from marathonlb.problem_kinds.apps import LABEL_VALUE
from marathonlb.problem_kinds.operators import SSL_CERTS_UNUSABLE
from marathonlb.routing.problems import Problem
from marathonlb.web.dashboard.selection import ROWS
from tests.fakes.haproxy import NONSENSE
from tests.reconciling import cluster, web
from tests.web.contexts import EVERYTHING, NOW, STAT
from tests.web.dashboard.reading import DashboardTestCase


class OverviewTests(DashboardTestCase):
    """The overview."""

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
        self.assertIn("holds 5000 bytes; the maximum is 255", self.read("/problems").text)

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


class ServicesPageTests(DashboardTestCase):
    """The list of services, and one service."""

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


class ProblemsAndExplainTests(DashboardTestCase):
    """Problems and explanations."""

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
