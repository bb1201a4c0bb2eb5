"""The pages about the past."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.unified_diff import SectionDifference
from marathonlb.haproxy.files.publish import Published
from marathonlb.web.dashboard.history import LINES, changed_lines, lines_of
from tests.reconciling import web
from tests.web.contexts import NOW
from tests.web.dashboard.reading import DashboardTestCase, Read


class TimelineTests(DashboardTestCase):
    """The timeline."""

    def test_timeline(self) -> None:
        """The newest comes first, with what came and how long each stage took."""
        self.serve(web("shop"))
        self.serve(web("shop", tasks=2))
        self.record.asked("SIGHUP", "10.0.0.9")
        page = self.read("/timeline")
        self.assertLess(
            page.text.index("SIGHUP, requested by 10.0.0.9"),
            page.text.index("reloaded: there was no"),
        )
        self.assertIn("poll", page.text)
        self.assertTrue(any("check" in (a["aria-label"] or "") for a in page.all("svg", class_="track")))
        self.assertNotIn("SIGHUP", self.read("/timeline?kind=changes").text)


class ConfigurationPagesTests(DashboardTestCase):
    """Configurations, their difference, and the pin."""

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


class LinesTests(SynchronousTestCase):
    """Texts of configurations by lines."""

    def test_kinds(self) -> None:
        """Sections, comments and other lines are told apart."""
        text = ["global", "  log stdout", "# backend x", "", "backend a", "  # no", "  backend b"]
        kinds = [(line.number, line.kind) for line in lines_of(text, 7)]
        self.assertEqual(
            kinds,
            [
                (7, "section"),
                (8, "keyword"),
                (9, "comment"),
                (10, ""),
                (11, "section"),
                (12, "comment"),
                (13, "keyword"),
            ],
        )

    def test_numbers(self) -> None:
        """Unified lines have their numbers on both sides, also after a gap."""
        lines = ("@@ -1,2 +1,3 @@", " a", "+b", " c", "@@ -9 +10 @@", "-x", "+y")
        section = SectionDifference(kind="backend", name="b", fate="differs", added=2, removed=1, lines=lines)
        self.assertEqual(
            [(line.kind, line.old, line.new) for line in changed_lines(section)],
            [
                *(("gap", None, None), ("same", 1, 1), ("added", None, 2), ("same", 2, 3)),
                *(("gap", None, None), ("removed", 9, None), ("added", None, 10)),
            ],
        )
