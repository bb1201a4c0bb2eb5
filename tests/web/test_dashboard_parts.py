"""What the dashboard is made of: words for figures, small drawings, and what an address selects."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.unified_diff import SectionDifference
from marathonlb.controller.timeline import Entry, Kind
from marathonlb.figures import ago, duration, iso, moment, number, plural, seconds_of, size
from marathonlb.haproxy.runtime.stats import BackendState
from marathonlb.web.api.services import ServiceView
from marathonlb.web.dashboard.assets import Assets
from marathonlb.web.dashboard.charts import BARS, latencies, stages
from marathonlb.web.dashboard.history import changed_lines, lines_of
from marathonlb.web.dashboard.selection import ROWS, SORTS, STATES, Index, Selection


class Words(SynchronousTestCase):
    """Figures as people read them."""

    def test_duration(self) -> None:
        """A duration has the unit that fits, and two or three digits that count."""
        for seconds, words in (
            (0, "0 s"),
            (0.0000425, "42 µs"),
            (0.00123, "1.2 ms"),
            (0.0421, "42 ms"),
            (0.9999, "1.00 s"),
            (1.234, "1.23 s"),
            (59.96, "60.0 s"),
            (200, "3 min 20 s"),
            (3600 * 5 + 720, "5 h 12 min"),
            (86400 * 3 + 3600 * 4, "3 d 4 h"),
        ):
            self.assertEqual(duration(seconds), words)

    def test_whole_seconds(self) -> None:
        """What is known in whole seconds, as HAProxy says it, is told in whole seconds."""
        self.assertEqual(
            (duration(9), duration(9.0), duration(59), duration(61)), ("9 s", "9.00 s", "59 s", "1 min 1 s")
        )

    def test_ago(self) -> None:
        """How long ago something was is told in its biggest unit; what is to come is now."""
        for seconds, words in (
            *((-5, "now"), (0.9, "now"), (1, "1 s ago"), (59.9, "59 s ago"), (60, "1 min ago")),
            *((3599, "59 min ago"), (3600, "1 h ago"), (86400 * 40, "40 d ago")),
        ):
            self.assertEqual(ago(seconds), words)

    def test_times(self) -> None:
        """A time is told in UTC, to people and to machines, and read again."""
        self.assertEqual((iso(0.7), moment(0.7)), ("1970-01-01T00:00:00Z", "1970-01-01 00:00:00"))
        self.assertEqual(seconds_of("1970-01-01T00:01:00+00:00"), 60)
        self.assertIsNone(seconds_of("yesterday"))

    def test_counts(self) -> None:
        """Numbers have their thousands apart, sizes their unit, and words their number."""
        self.assertEqual(
            (number(1234567), plural(1, "app"), plural(2000, "app")), ("1,234,567", "1 app", "2,000 apps")
        )
        sizes = [size(count) for count in (0, 999, 1000, 99_960, 123_456_789, 10**15)]
        self.assertEqual(sizes, ["0 B", "999 B", "1.0 kB", "100 kB", "123 MB", "1000.0 TB"])


class Charts(SynchronousTestCase):
    """Drawings as numbers."""

    def test_latencies(self) -> None:
        """The last changes that an event led to are drawn, the newest at the right end; others are not."""
        entries = [
            Entry(time=n, kind=Kind.CONVERGED, summary="", action="steps", event_to_traffic_seconds=0.001 * n)
            for n in range(1, BARS + 10)
        ]
        others = [Entry(time=0, kind=Kind.CONVERGED, summary=""), Entry(time=0, kind=Kind.FAILED, summary="")]
        drawn = latencies([*entries, *others])
        assert drawn is not None
        self.assertEqual(len(drawn.bars), BARS)
        self.assertEqual(
            (drawn.bars[0].x, drawn.bars[-1].x, drawn.last),
            (0.0, BARS - 1.0, entries[-1].event_to_traffic_seconds),
        )
        self.assertEqual(max(bar.height for bar in drawn.bars), 40.0)
        self.assertIsNone(latencies(others))

    def test_stages(self) -> None:
        """Stages follow one another in their order, as long as they took; each can be seen."""
        bars = stages({"reload": 0.5, "gather": 0.0, "check": 0.25}, 1.0)
        self.assertEqual(
            [(b.name, b.x, b.width) for b in bars],
            [("gather", 0.0, 0.4), ("check", 0.4, 25.0), ("reload", 25.4, 50.0)],
        )
        self.assertEqual(stages({"new": 1.0}, 0.0)[0].width, 0.4)


class Lines(SynchronousTestCase):
    """Texts of configurations."""

    def test_kinds(self) -> None:
        """Sections, comments and other lines are told apart."""
        text = ["global", "  log stdout", "# backend x", "", "backend a", "  # no", "  backend b"]
        kinds = [(line.number, line.kind) for line in lines_of(text, 7)]
        self.assertEqual(
            kinds,
            [
                (7, "section"),
                (8, "words"),
                (9, "comment"),
                (10, ""),
                (11, "section"),
                (12, "comment"),
                (13, "words"),
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


NUMBERS = dict.fromkeys(
    "active_servers backup_servers queue bytes_in bytes_out errors retries sessions_total".split(), 0
)


def view(name: str, **more: Any) -> ServiceView:
    """A service of a list."""
    values: dict[str, Any] = {
        "app_id": f"/{name}",
        "port_index": 0,
        "service_port": 10000,
        "apps": (f"/{name}",),
        "groups": (),
        "bind": "",
        "hosts": (f"{name}.example.com",),
        "paths": (),
        "backend": f"{name}_10000",
        "mode": "http",
        "balance": "roundrobin",
        "sticky": False,
        "state": "up",
        "server_count": 1,
        "drained": 0,
        "problems": 0,
        "haproxy": None,
    }
    known = {field.name for field in msgspec.structs.fields(ServiceView)}
    return ServiceView(**{name: value for name, value in (values | more).items() if name in known})


def busy(sessions: int, errors: int = 0) -> BackendState:
    """What HAProxy says of a backend with so many sessions."""
    return BackendState(status="UP", sessions=sessions, rate=0, responses={"5xx": errors}, **NUMBERS)


class Selecting(SynchronousTestCase):
    """What an address selects."""

    def found(self, *views: ServiceView, **query: str) -> list[str]:
        """The apps that are shown."""
        return [each.app_id for each in Index(views).select(Selection.of(query)).rows]

    def test_groups(self) -> None:
        """A group is taken to the letter; all of them can be chosen, with how many services each has."""
        views = (view("a", groups=("x", "y")), view("b", groups=("x",)), view("c"))
        self.assertEqual(self.found(*views, group="x"), ["/a", "/b"])
        self.assertEqual(self.found(*views, group="X"), [])
        self.assertEqual(Index(views).select(Selection()).groups, [("x", 2), ("y", 1)])

    def test_hosts(self) -> None:
        """A host is found by a part of its name, and a wildcard by a name that it covers."""
        views = (view("a"), view("b", hosts=("*.example.org",)), view("c", hosts=()))
        self.assertEqual(self.found(*views, host="A.EXAMPLE"), ["/a"])
        self.assertEqual(self.found(*views, host="shop.example.org"), ["/b"])
        self.assertEqual(self.found(*views, host="example.org"), ["/b"])
        self.assertEqual(self.found(*views, host="anexample.org"), [])

    def test_states(self) -> None:
        """How many there are of each state is told for what else is wanted, whatever state is chosen."""
        views = (view("a"), view("ab", state="down"), view("b", state="down"))
        selected = Index(views).select(Selection.of({"q": "/a", "state": "up"}))
        self.assertEqual(
            (dict(selected.states), selected.found, selected.total), ({"up": 1, "down": 1}, 1, 3)
        )

    def test_sorting(self) -> None:
        """Numbers begin with the highest, words with the first; what HAProxy does not know comes last."""
        views = (view("a", haproxy=busy(1, 9)), view("b", haproxy=busy(3)), view("c", state="down"))
        self.assertEqual(self.found(*views, sort="sessions"), ["/b", "/a", "/c"])
        self.assertEqual(self.found(*views, sort="sessions", order="asc"), ["/c", "/a", "/b"])
        self.assertEqual(self.found(*views, sort="errors")[0], "/a")
        self.assertEqual(self.found(*views, sort="state")[0], "/c")
        self.assertEqual(self.found(*views, sort="service", order="desc"), ["/c", "/b", "/a"])

    def test_every_sort(self) -> None:
        """Every column can decide."""
        views = (view("a"), view("b", haproxy=busy(1)))
        for name in SORTS:
            for order in ("asc", "desc"):
                self.assertEqual(len(self.found(*views, sort=name, order=order)), 2)

    def test_last_page(self) -> None:
        """Past the last page is the last page."""
        selected = Index([view(f"a{n}") for n in range(ROWS + 1)]).select(Selection(page=7))
        self.assertEqual(
            (selected.selection.page, selected.first, selected.last, selected.pages),
            (2, ROWS + 1, ROWS + 1, 2),
        )

    def test_turned_around(self) -> None:
        """A column that decides leads to the other direction, another one to its first."""
        self.assertEqual(Selection(sort="port").sorted_by("port"), "/services?sort=port&order=desc")
        self.assertEqual(Selection(sort="port", order="desc").sorted_by("port"), "/services?sort=port")
        self.assertEqual(Selection(q="x", page=3).sorted_by("rate"), "/services?q=x&sort=rate")
        self.assertEqual(Selection().sorted_by("service"), "/services?order=desc")

    @given(
        st.builds(
            Selection,
            q=st.text(max_size=9).map(str.strip),
            state=st.sampled_from(("", *STATES)),
            group=st.text(max_size=9),
            host=st.text(max_size=9)
            .map(lambda text: text.strip().lower())
            .filter(lambda t: t == t.strip().lower()),
            sort=st.sampled_from(tuple(SORTS)),
            order=st.sampled_from(("asc", "desc")),
            page=st.integers(1, 10**6),
        )
    )
    def test_addresses(self, selection: Selection) -> None:
        """Every selection has an address that leads back to it."""
        address = selection.url(page=selection.page)
        self.assertEqual(Selection.of(dict(parse_qsl(urlsplit(address).query))), selection)

    @given(
        st.dictionaries(
            st.sampled_from(("q", "state", "group", "host", "sort", "order", "page")), st.text(max_size=9)
        )
    )
    def test_anything(self, query: dict[str, str]) -> None:
        """Whatever stands in an address, something is shown."""
        Index([view("a")]).select(Selection.of(query))


def luminance(colour: str) -> float:
    """How light a colour is (WCAG 2.1, "relative luminance")."""
    digits = colour.lstrip("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    parts = (int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4))
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Between two colours: 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


class Colours(SynchronousTestCase):
    """The colours of both schemes."""

    def test_contrast(self) -> None:
        """Every colour of a text can be read on every ground, the one of what has just changed included."""
        css = Assets().by_name["dashboard.css"].content.decode()
        light, dark = (
            dict(re.findall(r"--([\w-]+): (#\w+);", part)) for part in css.split("@media")[0:2]
        )  # the two blocks of variables stand first
        for name, scheme in (("light", light), ("dark", {**light, **dark})):
            pairs = [
                (text, ground)
                for text in ("text", "muted", "accent", "good", "waiting", "bad")
                for ground in ("ground", "surface", "sunken", "flash")
            ]
            pairs += [(each, f"{each}-soft") for each in ("accent", "good", "waiting", "bad")]
            pairs += [
                ("text", "waiting-soft"),
                ("text", "good-soft"),
                ("text", "bad-soft"),
                ("on-accent", "accent"),
            ]
            for text, ground in pairs:
                self.assertGreaterEqual(contrast(scheme[text], scheme[ground]), 4.5, (name, text, ground))
