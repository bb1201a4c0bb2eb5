"""Selection of the services of a list: filters, order and page, from the query of a URL. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from attrs import asdict, evolve, frozen

from marathonlb.routing.hosts import covers
from marathonlb.web.api.services import ServiceView

ROWS = 100
"""Maximum number of services on one page."""

STATES = ("down", "degraded", "empty", "unknown", "up")
"""The states, the most urgent first."""

SortKey = Callable[[ServiceView], Any]


def responses(view: ServiceView, digit: str) -> int:
    """Return the number of a service's responses whose status begins with this digit."""
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
"""The sort key of each column, and True if the default order is descending."""


@frozen(kw_only=True)
class Selection:
    """
    The filters, the order and the page.

    :param q: words that must all occur in a service's app, backend, hosts, paths, port or groups.
    :param host: part of a host name, or a name that a wildcard covers.
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
        """Return the selection of a query; invalid parameters are ignored."""
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
        """Return whether the order differs from the default order of the column."""
        return self.order != _first_order(self.sort)

    def url(self, **changes: Any) -> str:
        """Return the URL of this selection with some changes; a changed selection begins on its first page."""
        other = evolve(self, **{"page": 1, **changes})
        values = {k: v for k, v in asdict(other).items() if v != getattr(_NOTHING, k)}
        values.pop("order", None)
        if other.turned:
            values["order"] = other.order
        return "/services" + ("?" + urlencode(values) if values else "")

    def sorted_by(self, name: str) -> str:
        """Return the URL that sorts by this column, or reverses the order."""
        if name == self.sort:
            return self.url(order="desc" if self.order == "asc" else "asc")
        return self.url(sort=name, order=_first_order(name))


_NOTHING = Selection()


def _first_order(sort: str) -> str:
    return "desc" if SORTS[sort][1] else "asc"


@frozen
class Selected:
    """
    The selected services.

    :param rows: the services of this page.
    :param found: number of matches on all pages.
    :param states: number of matches of each state, without the filter by state.
    """

    selection: Selection
    rows: tuple[ServiceView, ...]
    found: int
    total: int
    states: Mapping[str, int]
    groups: Sequence[tuple[str, int]]

    @property
    def first(self) -> int:
        """Return the number of the page's first row, from 1; 0 without rows."""
        return (self.selection.page - 1) * ROWS + 1 if self.rows else 0

    @property
    def last(self) -> int:
        """Return the number of the page's last row."""
        return self.first + len(self.rows) - 1 if self.rows else 0

    @property
    def pages(self) -> int:
        """Return the number of pages, at least one."""
        return max(1, -(-self.found // ROWS))


class Index:
    """
    A searchable list of services.

    :param views: all services, sorted by app id and port.
    """

    def __init__(self, views: Sequence[ServiceView]) -> None:
        self._views = views
        self._texts = [_text(view) for view in views]
        self._groups = Counter(group for view in views for group in view.groups)

    def select(self, selection: Selection) -> Selected:
        """Return one page of the matching services in the selected order."""
        matching = list(self._matching(selection))
        states = Counter(view.state for view in matching)
        if selection.state:
            matching = [view for view in matching if view.state == selection.state]
        key, _ = SORTS[selection.sort]
        if (selection.sort, selection.order) != ("service", "asc"):
            matching.sort(key=key, reverse=selection.order == "desc")
        pages = max(1, -(-len(matching) // ROWS))
        selection = evolve(selection, page=min(selection.page, pages))
        start = (selection.page - 1) * ROWS
        return Selected(
            selection=selection,
            rows=tuple(matching[start : start + ROWS]),
            found=len(matching),
            total=len(self._views),
            states=states,
            groups=sorted(self._groups.items()),
        )

    def _matching(self, selection: Selection) -> Iterable[ServiceView]:
        wanted = selection.q.lower().split()
        for view, text in zip(self._views, self._texts, strict=True):
            if (
                all(word in text for word in wanted)
                and (not selection.group or selection.group in view.groups)
                and (not selection.host or any(_covers(host, selection.host) for host in view.hosts))
            ):
                yield view


def _text(view: ServiceView) -> str:
    texts = (
        view.app_id,
        *view.apps,
        view.backend,
        *view.hosts,
        *view.paths,
        str(view.service_port),
        *view.groups,
    )
    return "\n".join(texts).lower()


def _covers(host: str, wanted: str) -> bool:
    return wanted in host or covers(host, wanted)
