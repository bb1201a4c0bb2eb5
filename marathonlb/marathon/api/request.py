"""
One request to one Marathon: credentials, redirects to the leader, limits, and errors in an operator's words.

Credentials go to the Marathons of the list, and to the leader that one of them names, never along a redirect to
anyone else, and never from https down to http. A client's certificate is such a credential.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast
from urllib.parse import urljoin, urlsplit, urlunsplit

import msgspec
import treq.client
from attrs import frozen
from hyperlink import EncodedURL
from twisted.internet.defer import Deferred
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse

from marathonlb.errors import SourceError
from marathonlb.marathon.api.auth import IAuthorization
from marathonlb.marathon.api.body import BodyReader, Content, TooBig
from marathonlb.marathon.api.failures import FAILURES, failure
from marathonlb.marathon.api.unpack import UnpackingAgent

REDIRECTS = 3
ERROR_BODY = 64 * 1024
"""Bytes of an error's body that are read; the rest is of no interest."""


class _Message(msgspec.Struct):
    """Marathon's own errors."""

    message: str = ""


_message = msgspec.json.Decoder(_Message)


@frozen
class Answer:
    """
    What a Marathon said.

    :param url: who said it in the end, without the query.
    :param trusted: it is of the list, or was named leader by one that is: it got the credentials.
    """

    url: str
    status: int
    headers: Headers
    body: bytes | bytearray
    trusted: bool = True

    @property
    def message(self) -> str | None:
        """The message of one of Marathon's own errors; None where this is something else, such as a proxy's page."""
        try:
            return _message.decode(self.body).message
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def error(self) -> SourceError:
        """What this status means, and what can be done."""
        reason = _STATUS.get(self.status, "an answer that was not expected")
        if self.status == 401 and not self.trusted:
            reason = (
                "it got no credentials, since no listed Marathon names it as the leader; add it to --marathon"
            )
        message = self.message
        if message:
            said = "".join(letter if letter.isprintable() else " " for letter in message[:200])
            reason = f"{reason}; it says: {said}"
        return SourceError(url=self.url, reason=reason, status=self.status)


_STATUS = {
    401: "it wants credentials; check --auth-credentials, --marathon-auth-credential-file or --dcos-auth-credentials",
    403: "it does not let these credentials in; give them the right to view apps",
    404: "there is no such page; check that --marathon is Marathon's address, without a path",
    500: "it failed; its log says why",
    502: "it cannot reach its leader",
    503: "it knows no leader, or has too much to do",
    504: "its leader does not answer",
}


Observe = Callable[[str, str, int], object]


class Fetcher:
    """
    Requests, each to one Marathon.

    :param endpoints: base URLs, as the settings have them.
    :param max_body: bytes, after decompression.
    :param observe: is told of each request that ended: the endpoint, the status or ``error``, bytes of the body.
    :param anonymous: an agent that shows nobody who we are, where the other one does.
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
            trusted: treq.client.HTTPClient(UnpackingAgent(each)) for trusted, each in self._agents.items()
        }
        self._identified = anonymous is not None
        self._authorization = authorization
        self._max_body = max_body
        self._listed = {origin(endpoint): endpoint for endpoint in endpoints}
        self._leaders: dict[str, str] = {}
        self._leader: str | None = None

    async def fetch(self, endpoint: str, path: str, method: str = "GET", content: bytes = b"") -> Answer:
        """
        Ask for a page and read it whole.

        :param content: JSON to send along.
        :raises SourceError: there was no whole answer. A status that is an error is an answer.
        """
        try:
            answer = await self._fetch(endpoint, path, method, content)
        except SourceError:
            self._observe(endpoint, "error", 0)
            raise
        self._observe(endpoint, str(answer.status), len(answer.body))
        return answer

    async def _fetch(self, endpoint: str, path: str, method: str, content: bytes) -> Answer:
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
        return Answer(url, response.code, response.headers, body, trusted)

    def leader(self) -> str | None:
        """The origin that a listed Marathon called its leader last; None where none has named one."""
        return self._leader

    async def open(
        self, endpoint: str, path: str, accept: str, refused: Callable[[Answer], SourceError] = Answer.error
    ) -> tuple[IResponse, str]:
        """
        Ask for a page that never ends; its status must be 200.

        :param refused: says what another status means.
        :return: the response, whose body was not read, and the URL it came from.
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
        raise refused(Answer(url, response.code, response.headers, body, trusted))

    async def _follow(
        self, endpoint: str, path: str, method: str, accept: str, ask: _Ask
    ) -> tuple[IResponse, str, bool]:
        url, asked_again = endpoint + path, False
        came_from = ""
        for _ in range(REDIRECTS + 2):
            headers = await self._authorization.headers(_shown(url))
            trusted = not (headers or self._identified) or await self._trusts(url, came_from)
            said = {"Accept": accept, **(headers if trusted else {})}
            try:
                response = await ask(method, url, said, trusted)
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
        """``host:port`` of whom a listed Marathon calls its leader; empty where it says none, or redirects."""
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
        """Note whom a listed Marathon calls its leader."""
        here = origin(url)
        named = response.headers.getRawHeaders("X-Marathon-Leader")
        if named and here in self._listed:
            self._leaders[here] = self._leader = origin(named[0])

    def _ask_treq(
        self, method: str, url: str, headers: Mapping[str, str], trusted: bool, content: bytes = b""
    ) -> Deferred[IResponse]:
        raw = Headers({name: [value] for name, value in headers.items()})
        data = (
            Content(content) if trusted and content else None
        )  # a stranger gets no definition of an app either
        if data is not None:
            raw.setRawHeaders("Content-Type", ["application/json"])
        return cast(
            "Deferred[IResponse]",
            self._treq[trusted].request(
                method, _Ready(url), headers=raw, data=data, allow_redirects=False, unbuffered=True
            ),
        )

    def _ask_agent(
        self, method: str, url: str, headers: Mapping[str, str], trusted: bool
    ) -> Deferred[IResponse]:
        """Without treq, which would allow a compressed stream, whose events come late."""
        raw = Headers({name: [value] for name, value in headers.items()})
        asked: Deferred[IResponse] = self._agents[trusted].request(method.encode(), url.encode("ascii"), raw)
        return asked


class _Ready(EncodedURL):
    """
    A URL as it goes over the wire. Raises `UnicodeEncodeError` where it is none.

    Any other is taken apart by treq and put together again, which is a third of what a request costs.
    """

    def __init__(self, text: str) -> None:
        text.encode("ascii")
        self._text = text

    def to_uri(self) -> _Ready:
        """It is one."""
        return self

    def to_text(self, with_password: bool = False) -> str:
        """All of it."""
        return self._text


_Ask = Callable[[str, str, Mapping[str, str], bool], Deferred[IResponse]]


class _Leader(msgspec.Struct):
    leader: str


def origin(url: str) -> str:
    """Scheme, host and port: what credentials are bound to. Empty for what is no URL."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    except ValueError:
        return ""
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}" if host else ""


def _shown(url: str) -> str:
    """A URL for people: without its query, and without the credentials that a redirect may have brought."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _target(url: str, response: IResponse) -> str:
    location = (response.headers.getRawHeaders("Location") or [""])[0]
    target: str = urljoin(url, location)
    if not location or not origin(target).startswith(("http://", "https://")):
        raise SourceError(url=_shown(url), reason="it redirects to nowhere", status=response.code)
    parts = urlsplit(target)
    clean: str = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
    return clean


async def _discard(response: IResponse) -> None:
    try:
        await BodyReader(lambda data: None, ERROR_BODY).read(response)
    except (TooBig, *FAILURES):
        return
