"""The selection of services by the query of a URL."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.haproxy.runtime.stats import BackendState
from marathonlb.web.api.services import ServiceView
from marathonlb.web.dashboard.selection import ROWS, SORTS, STATES, Index, Selection

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


class SelectionTests(SynchronousTestCase):
    """Filters, order and pages."""

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
