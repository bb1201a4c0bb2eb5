"""Marathons of pages in memory, behind a real HTTP client and server: ``RequestTraversalAgent(MarathonPages())``."""

from __future__ import annotations

import json
from typing import Any

from attrs import frozen
from twisted.web.resource import Resource
from twisted.web.server import Request


@frozen
class AskedPage:
    """
    One request.

    :param host: the header ``Host``; it has no port where that is the scheme's own.
    """

    method: str
    host: str
    path: str
    query: dict[str, list[str]]
    authorization: str | None
    body: bytes


class MarathonPages(Resource):
    """
    The pages of one or several Marathons.

    :ivar asked: the requests, in order.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.asked: list[AskedPage] = []
        self._pages: dict[tuple[str, str], tuple[int, bytes, dict[str, str]]] = {}

    def put(
        self, path: str, document: Any = None, status: int = 200, *, host: str = "", **headers: str
    ) -> None:
        """
        Answer a path from now on, of every host or of this one.

        :param document: JSON, or bytes that are sent as they are.
        :param headers: with ``_`` for ``-``.
        """
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self._pages[host, path] = (status, body, {name.replace("_", "-"): headers[name] for name in headers})

    def message(self, path: str, status: int, text: str) -> None:
        """Answer a path with an error of Marathon's from now on."""
        self.put(path, {"message": text}, status)

    def render(self, request: Request) -> bytes:
        """Note the request, and answer it; other pages do not exist."""
        assert request.content is not None
        host, path = request.getHeader("host") or "", request.path.decode()
        self.asked.append(
            AskedPage(
                request.method.decode(),
                host,
                path,
                {
                    name.decode(): [value.decode() for value in values]
                    for name, values in request.args.items()
                },
                request.getHeader("authorization"),
                request.content.read(),
            )
        )
        unknown = (404, b'{"message": "URI not found"}', {})
        page = self._pages.get((host, path)) or self._pages.get(("", path)) or unknown
        request.setResponseCode(page[0])
        for name, value in page[2].items():
            request.setHeader(name, value)
        return page[1]
