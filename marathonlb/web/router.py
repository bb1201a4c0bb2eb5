"""
Routes requests to pages by path and method, checks permissions, and turns failures into answers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, unquote

from attrs import evolve, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import RESPONSES
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from marathonlb.errors import MarathonLBError, described
from marathonlb.web.access import VARY, Access, client_of
from marathonlb.web.page import JSON, Answer, ClientRequest, ErrorAnswer, Page, Refusal, data, text

LIMIT = 1024 * 1024
"""Maximum number of bytes of a posted body; an app's definition has a few thousand."""

PER_CLIENT = 20
"""Maximum number of requests of one client that are answered at a time; streams are counted by themselves."""

_NAME = re.compile(r"\{(\w+)\}")

HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Server": "marathon-lb",
    "Vary": VARY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every answer; a page's own headers replace them."""


@frozen
class Route:
    """
    A path and its page.

    :param path: where ``{name}`` stands for one or more characters other than ``/``.
    """

    path: str
    page: Page
    _pattern: re.Pattern[str] = field(init=False, repr=False)

    @_pattern.default
    def _compile(self) -> re.Pattern[str]:
        parts = _NAME.split(self.path)
        return re.compile("".join("([^/]+)" if n % 2 else re.escape(part) for n, part in enumerate(parts)))

    def arguments(self, path: str) -> dict[str, str] | None:
        """Return the decoded values of the names; None if the path does not match."""
        match = self._pattern.fullmatch(path)
        return (
            dict(zip(_NAME.findall(self.path), map(unquote, match.groups()), strict=True)) if match else None
        )


class Router(Resource):
    """
    The pages of the controller.

    :param routes: the first one that matches answers.
    """

    isLeaf = True
    _log = Logger()

    def __init__(self, routes: Iterable[Route], access: Access) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._routes = tuple(routes)
        self._access = access
        self._busy: Counter[str] = Counter()

    def close(self) -> None:
        """End open streams: the controller stops."""
        for route in self._routes:
            route.page.close()

    def render(self, request: Request) -> int:
        """Answer a request by its page."""
        answering = Deferred.fromCoroutine(self._render(request))
        gone = request.notifyFinish()
        gone.addErrback(lambda _: answering.cancel())
        answering.addErrback(self._failed, request)
        return NOT_DONE_YET

    async def _render(self, request: Request) -> None:
        path = request.path.decode("ascii", "replace")
        try:
            answer = await self._answer(request, path)
        except Refusal as error:
            answer = evolve(refused(path, error.status, str(error)), headers=error.headers)
        except MarathonLBError as error:
            reason = described(error) if path.startswith("/api/") else str(error)
            answer = refused(path, 503, reason)
        request.setResponseCode(answer.status)
        for name, value in headers_of(answer).items():
            request.setHeader(name.encode(), value.encode())
        if answer.stream is not None:
            if request.method != b"HEAD":
                await answer.stream(request)
        else:
            request.setHeader(b"Content-Length", b"%d" % len(answer.body))
            request.write(answer.body)
        request.finish()

    def _failed(self, failure: Failure, request: Request) -> None:
        """Handle a client that left, or a defect."""
        if failure.check(CancelledError):
            return
        self._log.failure(
            "{path} failed because of a defect in marathon-lb; please report it", failure, path=request.path
        )
        if request.startedWriting:
            request.loseConnection()
            return
        request.setResponseCode(500)
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        request.write(b"Internal error; the reason is in the controller's log.\n")
        request.finish()

    async def _answer(self, request: Request, path: str) -> Answer:
        method = request.method.decode("ascii", "replace")
        page, arguments = self._find(path, method)
        client = client_of(request.getClientAddress())
        headers = request.requestHeaders
        permissions = self._access.permissions(client, headers, method)
        if page.changes and permissions.refused:
            raise Refusal(403, permissions.refused)
        barred = permissions.barred
        query = dict(reversed(parse_qsl(_query(request), keep_blank_values=True)))
        client_request = ClientRequest(
            method, path, arguments, query, headers, _body(request), client, not barred, barred
        )
        if self._busy[client] >= PER_CLIENT:
            raise Refusal(
                503,
                f"{client} already has {PER_CLIENT} open requests",
                {"Retry-After": "1"},
            )
        self._busy[client] += 1
        try:
            return await page.answer(client_request)
        finally:
            self._busy[client] -= 1
            if not self._busy[client]:
                del self._busy[client]

    def early(self, request: Request, length: int | None) -> bytes:
        """
        Return the complete answer to a request that is refused before its body; empty if the body may come.

        Only changes have a body, whatever the path, so a client that may not change anything is refused at once.

        :param length: of the body; None if the client does not say.
        """
        client = client_of(request.getClientAddress())
        try:
            permissions = self._access.permissions(client, request.requestHeaders, "POST")
            if permissions.refused:
                raise Refusal(403, permissions.refused)
            if length is not None and length > LIMIT:
                raise _TOO_BIG
        except Refusal as error:
            answer = evolve(data(ErrorAnswer(str(error)), error.status), headers=error.headers)
        else:
            return b""
        more = {"Connection": "close", "Content-Length": str(len(answer.body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in {**headers_of(answer), **more}.items())
        reason = RESPONSES[answer.status].decode()
        return f"HTTP/1.1 {answer.status} {reason}\r\n{head}\r\n".encode() + answer.body

    def _find(self, path: str, method: str) -> tuple[Page, dict[str, str]]:
        allowed: list[str] = []
        for route in self._routes:
            arguments = route.arguments(path)
            if arguments is None:
                continue
            page = route.page
            methods = methods_of(page)
            if method in methods:
                return page, arguments
            allowed += methods
        if allowed:
            named = [each for each in dict.fromkeys(allowed) if each != "HEAD"]
            raise Refusal(
                405,
                f"use {' or '.join(named)}, not {method}",
                {"Allow": ", ".join(dict.fromkeys(allowed))},
            )
        raise Refusal(404, f"there is no page {path}")


def headers_of(answer: Answer) -> dict[str, str]:
    """Return the headers of an answer, except its length."""
    return {**HEADERS, "Content-Type": answer.content_type, **answer.headers}


def methods_of(page: Page) -> list[str]:
    """Return the methods of a page: HEAD, too, if a GET changes nothing."""
    also = "HEAD" if page.method == "GET" and not page.changes else ""
    return [each for each in (page.method, also, page.also) if each]


def refused(path: str, status: int, reason: str) -> Answer:
    """Return an error: JSON below ``/api/``, otherwise text."""
    return data(ErrorAnswer(reason), status) if path.startswith("/api/") else text(f"{reason}\n", status)


_TOO_BIG = Refusal(413, f"more than {LIMIT} bytes")


def _query(request: Request) -> str:
    return request.uri.partition(b"?")[2].decode("ascii", "replace")


def _body(request: Request) -> bytes:
    content = request.content
    if content is None:
        return b""
    body: bytes = content.read(LIMIT + 1)
    if len(body) > LIMIT or getattr(content, "too_big", False):
        raise _TOO_BIG
    return body


def is_json(headers: object) -> bool:
    """Return whether a request claims to bring JSON: a form on another site's page cannot."""
    kind: str = (headers.getRawHeaders("Content-Type") or [""])[0]  # type: ignore[attr-defined]
    return kind.partition(";")[0].strip().lower() == JSON
