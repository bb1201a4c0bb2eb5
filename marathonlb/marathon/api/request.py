"""
Send one request to one Marathon: credentials, redirects to the leader, limits, and errors.

Credentials go only to the listed Marathons and to the leader that one of them names. They never follow a redirect to
another host, nor from https to http. The client certificate counts as a credential.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast
from urllib.parse import urljoin, urlsplit, urlunsplit

import msgspec
import treq.client
from hyperlink import EncodedURL
from twisted.internet.defer import Deferred
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse

from marathonlb.errors import SourceError
from marathonlb.marathon.api.answer import MarathonAnswer
from marathonlb.marathon.api.auth import IAuthorization
from marathonlb.marathon.api.body import BodyReader, BytesBody, TooBig
from marathonlb.marathon.api.failures import FAILURES, failure
from marathonlb.marathon.api.unpack import UnpackingAgent

REDIRECTS = 3
"""Maximum number of redirects of one request."""

ERROR_BODY = 64 * 1024
"""Maximum number of bytes of an error's body."""

Observe = Callable[[str, str, int], object]
MakeError = Callable[[MarathonAnswer], SourceError]


class Fetcher:
    """
    Sends requests, each to one Marathon.

    :param endpoints: base URLs, as the settings list them.
    :param max_body: maximum number of bytes of an answer, after decompression.
    :param observe: called at the end of each request with the endpoint, the status or ``error``, and the bytes of the
        body.
    :param anonymous: an agent without client certificate; None if the first agent has none either.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        agent: IAgent,
        authorization: IAuthorization,
        max_body: int,
        observe: Observe = lambda endpoint, code, size: None,
        anonymous: IAgent | None = None,
    ) -> None:
        self._observe = observe
        self._agents = {True: agent, False: anonymous or agent}
        self._treq = {
            trusted: treq.client.HTTPClient(UnpackingAgent(agent)) for trusted, agent in self._agents.items()
        }
        self._identified = anonymous is not None
        self._authorization = authorization
        self._max_body = max_body
        self._listed = {origin(endpoint): endpoint for endpoint in endpoints}
        self._leaders: dict[str, str] = {}
        self._leader: str | None = None

    async def fetch(
        self, endpoint: str, path: str, method: str = "GET", content: bytes = b""
    ) -> MarathonAnswer:
        """
        Send a request and read the whole answer.

        :param content: JSON to send along.
        :raises SourceError: there was no complete answer. An error status is an answer.
        """
        try:
            answer = await self._fetch(endpoint, path, method, content)
        except SourceError:
            self._observe(endpoint, "error", 0)
            raise
        self._observe(endpoint, str(answer.status), len(answer.body))
        return answer

    async def _fetch(self, endpoint: str, path: str, method: str, content: bytes) -> MarathonAnswer:
        def ask(method: str, url: str, headers: Mapping[str, str], trusted: bool) -> Deferred[IResponse]:
            return self._ask_treq(method, url, headers, trusted, content)

        response, url, trusted = await self._follow(endpoint, path, method, "application/json", ask)
        body = bytearray()
        limit = self._max_body if response.code == 200 else ERROR_BODY
        reader = BodyReader(body.extend, limit)
        try:
            await reader.read(response)
        except TooBig:
            if response.code == 200:
                raise SourceError(url=url, reason=f"the answer is longer than {limit} bytes") from None
        except FAILURES as error:
            raise failure(url, error, "the answer broke off: ") from None
        return MarathonAnswer(url, response.code, response.headers, body, trusted)

    def leader(self) -> str | None:
        """Return the origin that a listed Marathon named as leader last; None if none has named one."""
        return self._leader

    async def open(
        self, endpoint: str, path: str, accept: str, refused: MakeError = MarathonAnswer.error
    ) -> tuple[IResponse, str]:
        """
        Request an endless page, whose status must be 200.

        :param refused: makes the error of another status.
        :return: the response, with its body still to be read, and the URL that gave it.
        :raises SourceError: there was no answer, or it is an error.
        """
        response, url, trusted = await self._follow(endpoint, path, "GET", accept, self._ask_agent)
        if response.code == 200:
            return response, url
        body = bytearray()
        try:
            await BodyReader(body.extend, ERROR_BODY).read(response)
        except (TooBig, *FAILURES):
            body.clear()
        raise refused(MarathonAnswer(url, response.code, response.headers, body, trusted))

    async def _follow(
        self, endpoint: str, path: str, method: str, accept: str, ask: _Ask
    ) -> tuple[IResponse, str, bool]:
        """Send a request and follow its redirects; return the response, its URL, and if credentials were sent."""
        url, asked_again = endpoint + path, False
        came_from = ""
        for _ in range(REDIRECTS + 2):
            headers = await self._authorization.headers(_shown(url))
            trusted = not (headers or self._identified) or await self._trusts(url, came_from)
            sent = {"Accept": accept, **(headers if trusted else {})}
            try:
                response = await ask(method, url, sent, trusted)
            except FAILURES as error:
                raise failure(_shown(url), error) from None
            self._learn(url, response)
            if response.code == 401 and trusted and not asked_again and self._authorization.refused(headers):
                asked_again = True
            elif response.code in (301, 302, 303, 307, 308):
                came_from, url = url, _target(url, response)
            else:
                return response, _shown(url), trusted
            await _discard(response)
        raise SourceError(url=_shown(url), reason=f"it redirects more than {REDIRECTS} times")

    async def _trusts(self, url: str, came_from: str) -> bool:
        """Return whether a URL may get the credentials: it is listed, or the listed one before names it as leader."""
        there = origin(url)
        if there in self._listed:
            return True
        here = origin(came_from)
        if here not in self._listed or (here.startswith("https:") and not there.startswith("https:")):
            return False
        if self._leaders.get(here) != there and await self._leader_of(here) == there.partition("://")[2]:
            self._leaders[here] = there
        return self._leaders.get(here) == there

    async def _leader_of(self, here: str) -> str:
        """Return the leader that a listed Marathon names, as ``host:port``; empty if it names none, or redirects."""
        url, body = self._listed[here] + "/v2/leader", bytearray()
        headers = await self._authorization.headers(url)
        try:
            response = await self._ask_treq("GET", url, {"Accept": "application/json", **headers}, True)
            await BodyReader(body.extend, ERROR_BODY).read(response)
            return msgspec.json.decode(body, type=_Leader).leader.lower() if response.code == 200 else ""
        except (TooBig, msgspec.DecodeError, UnicodeDecodeError):
            return ""
        except FAILURES as error:
            raise failure(url, error) from None

    def _learn(self, url: str, response: IResponse) -> None:
        """Record the leader that a listed Marathon names."""
        here = origin(url)
        named = response.headers.getRawHeaders("X-Marathon-Leader")
        if named and here in self._listed:
            self._leaders[here] = self._leader = origin(named[0])

    def _ask_treq(
        self, method: str, url: str, headers: Mapping[str, str], trusted: bool, content: bytes = b""
    ) -> Deferred[IResponse]:
        raw = Headers({name: [value] for name, value in headers.items()})
        # The definition of an app may hold secrets, so it goes to trusted Marathons only.
        data = BytesBody(content) if trusted and content else None
        if data is not None:
            raw.setRawHeaders("Content-Type", ["application/json"])
        return cast(
            "Deferred[IResponse]",
            self._treq[trusted].request(
                method, _EncodedText(url), headers=raw, data=data, allow_redirects=False, unbuffered=True
            ),
        )

    def _ask_agent(
        self, method: str, url: str, headers: Mapping[str, str], trusted: bool
    ) -> Deferred[IResponse]:
        """Send a request without treq, which would accept a compressed stream, whose events come late."""
        raw = Headers({name: [value] for name, value in headers.items()})
        asked: Deferred[IResponse] = self._agents[trusted].request(method.encode(), url.encode("ascii"), raw)
        return asked


class _EncodedText(EncodedURL):
    """
    A URL that is sent as it is. Raises `UnicodeEncodeError` if it is not ASCII.

    treq would parse and rebuild any other URL, which is a third of the cost of a request.
    """

    def __init__(self, text: str) -> None:
        text.encode("ascii")
        self._text = text

    def to_uri(self) -> _EncodedText:
        """Return this URL, which is encoded already."""
        return self

    def to_text(self, with_password: bool = False) -> str:
        """Return the URL."""
        return self._text


_Ask = Callable[[str, str, Mapping[str, str], bool], Deferred[IResponse]]


class _Leader(msgspec.Struct):
    """The answer of ``/v2/leader``."""

    leader: str


def origin(url: str) -> str:
    """Return scheme, host and port of a URL, to which credentials are bound; empty if it is not a URL."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    except ValueError:
        return ""
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}" if host else ""


def _shown(url: str) -> str:
    """Return a URL for messages: without its query and without credentials that a redirect may have added."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _target(url: str, response: IResponse) -> str:
    """
    Return the URL that a redirect leads to, without credentials.

    :raises SourceError: it is not an HTTP URL.
    """
    location = (response.headers.getRawHeaders("Location") or [""])[0]
    target: str = urljoin(url, location)
    if not location or not origin(target).startswith(("http://", "https://")):
        raise SourceError(
            url=_shown(url), reason="it redirects, but not to an HTTP URL", status=response.code
        )
    parts = urlsplit(target)
    clean: str = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
    return clean


async def _discard(response: IResponse) -> None:
    try:
        await BodyReader(lambda data: None, ERROR_BODY).read(response)
    except (TooBig, *FAILURES):
        return
