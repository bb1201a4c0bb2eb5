"""
Which services of a list are shown, and in which order: what the address of the page says. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from attrs import asdict, evolve, frozen

from marathonlb.routing.hosts import covers
from marathonlb.web.api.services import ServiceView

ROWS = 100
"""So many services are on one page."""

STATES = ("down", "degraded", "empty", "unknown", "up")
"""From what needs somebody to what does not."""

SortKey = Callable[[ServiceView], Any]


def responses(view: ServiceView, digit: str) -> int:
    """How many answers of a service began with this digit."""
    return view.haproxy.responses.get(f"{digit}xx", 0) if view.haproxy else 0


def _of_haproxy(name: str) -> SortKey:
    return lambda view: getattr(view.haproxy, name) if view.haproxy else -1


SORTS: Mapping[str, tuple[SortKey, bool]] = {
    "service": (lambda view: (view.app_id, view.port_index), False),
    "state": (lambda view: STATES.index(view.state), False),
    "port": (lambda view: view.service_port, False),
    "servers": (lambda view: view.server_count, True),
    "sessions": (_of_haproxy("sessions"), True),
    "rate": (_of_haproxy("rate"), True),
    "queue": (_of_haproxy("queue"), True),
    "errors": (lambda view: responses(view, "5"), True),
    "problems": (lambda view: view.problems, True),
}
"""By name what is compared, and whether the highest come first where nothing else is said."""


@frozen(kw_only=True)
class Selection:
    """
    What somebody wants to see.

    :param q: words that all occur in a service's app, backend, hosts, paths, port or groups.
    :param host: a part of a host name, or a name that a wildcard covers.
    :param order: ``asc`` or ``desc``.
    :param page: from 1.
    """

    q: str = ""
    state: str = ""
    group: str = ""
    host: str = ""
    sort: str = "service"
    order: str = "asc"
    page: int = 1

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Selection:
        """From the parameters of an address; what makes no sense is as if it were not there."""
        sort = query.get("sort", "")
        sort = sort if sort in SORTS else "service"
        order = query.get("order", "")
        page = query.get("page", "")
        return cls(
            q=query.get("q", "").strip(),
            state=query["state"] if query.get("state") in STATES else "",
            group=query.get("group", ""),
            host=query.get("host", "").strip().lower(),
            sort=sort,
            order=order if order in ("asc", "desc") else _first_order(sort),
            page=max(1, int(page)) if page.isascii() and page.isdecimal() and len(page) < 9 else 1,
        )

    @property
    def turned(self) -> bool:
        """Whether the order is not the one that the column begins with."""
        return self.order != _first_order(self.sort)

    def url(self, **changes: Any) -> str:
        """The address of this selection with something changed; another selection begins on its first page."""
        other = evolve(self, **{"page": 1, **changes})
        values = {k: v for k, v in asdict(other).items() if v != getattr(_NOTHING, k)}
        values.pop("order", None)
        if other.turned:
            values["order"] = other.order
        return "/services" + ("?" + urlencode(values) if values else "")

    def sorted_by(self, name: str) -> str:
        """The address where this column decides, or where it is turned around."""
        if name == self.sort:
            return self.url(order="desc" if self.order == "asc" else "asc")
        return self.url(sort=name, order=_first_order(name))


_NOTHING = Selection()


def _first_order(sort: str) -> str:
    return "desc" if SORTS[sort][1] else "asc"


@frozen
class Selected:
    """
    What is shown of a list.

    :param rows: those of this page.
    :param found: how many fit, on all pages.
    :param states: how many of each state would fit if the state did not matter.
    """

    selection: Selection
    rows: tuple[ServiceView, ...]
    found: int
    total: int
    states: Mapping[str, int]
    groups: Sequence[tuple[str, int]]

    @property
    def first(self) -> int:
        """The number of the page's first row, from 1; 0 where there is none."""
        return (self.selection.page - 1) * ROWS + 1 if self.rows else 0

    @property
    def last(self) -> int:
        """The number of its last row."""
        return self.first + len(self.rows) - 1 if self.rows else 0

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(1, -(-self.found // ROWS))


class Index:
    """
    A list of services that can be searched.

    :param views: all of them, by app id and port.
    """

    def __init__(self, views: Sequence[ServiceView]) -> None:
        self._views = views
        self._words = [_words(view) for view in views]
        self._groups = Counter(group for view in views for group in view.groups)

    def select(self, selection: Selection) -> Selected:
        """What fits, in the order that is wanted, one page of it."""
        fitting = list(self._fitting(selection))
        states = Counter(view.state for view in fitting)
        if selection.state:
            fitting = [view for view in fitting if view.state == selection.state]
        key, _ = SORTS[selection.sort]
        if (selection.sort, selection.order) != ("service", "asc"):
            fitting.sort(key=key, reverse=selection.order == "desc")
        pages = max(1, -(-len(fitting) // ROWS))
        selection = evolve(selection, page=min(selection.page, pages))
        start = (selection.page - 1) * ROWS
        return Selected(
            selection=selection,
            rows=tuple(fitting[start : start + ROWS]),
            found=len(fitting),
            total=len(self._views),
            states=states,
            groups=sorted(self._groups.items()),
        )

    def _fitting(self, selection: Selection) -> Iterable[ServiceView]:
        wanted = selection.q.lower().split()
        for view, text in zip(self._views, self._words, strict=True):
            if (
                all(word in text for word in wanted)
                and (not selection.group or selection.group in view.groups)
                and (not selection.host or any(_covers(host, selection.host) for host in view.hosts))
            ):
                yield view


def _words(view: ServiceView) -> str:
    words = (
        view.app_id,
        *view.apps,
        view.backend,
        *view.hosts,
        *view.paths,
        str(view.service_port),
        *view.groups,
    )
    return "\n".join(words).lower()


def _covers(host: str, wanted: str) -> bool:
    return wanted in host or covers(host, wanted)
