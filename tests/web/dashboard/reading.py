"""Test case for pages of the dashboard, which it reads like a browser."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

from tests.web.contexts import STAT, PagesTestCase

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
