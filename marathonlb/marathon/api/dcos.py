"""
Signing in as a DC/OS service account: a signed word for a token, the token for every request.

The account's private key signs who we are; ``/acs/api/v1/auth/login`` gives a token for it that holds for some days.
One login serves all who wait for it. What fails is tried again with back-off, so that a key which was revoked does not
become a storm of logins.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from math import inf
from pathlib import Path
from random import random
from typing import Any
from urllib.parse import urlsplit

import msgspec
from attrs import field, frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers as HTTPHeaders
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from marathonlb.errors import SourceError, UsageError
from marathonlb.marathon.api.auth import Headers, IAuthorization
from marathonlb.marathon.api.body import BodyReader, TooBig
from marathonlb.marathon.api.failures import FAILURES, Whom, failure
from marathonlb.marathon.api.request import ERROR_BODY
from marathonlb.marathon.api.single_flight import SingleFlight
from marathonlb.timers import Backoff

OPTION = "--dcos-auth-credentials"
LOGIN = "/acs/api/v1/auth/login"

WORD = 300
"""Seconds that the signed word holds; DC/OS takes it at once, so this is what its clock may differ by."""

TIMEOUT = 20.0
"""Seconds that one login may take."""

PATIENCE = 60.0
"""Seconds at most between two logins that fail."""

FRESH = 60.0
"""Seconds for which a new token is not replaced, whatever is said of it: another one would fare no better."""

_DCOS = Whom(f"login_endpoint of {OPTION}", "DC/OS")

SHARE = 0.9
"""Of a token's life, after which a new one is asked for."""


class UnusableAccount(Exception):
    """Why a text is no service account, without a word of it."""


@frozen
class Account:
    """A service account, as ``dcos security org service-accounts`` makes it."""

    uid: str
    key: str = field(repr=False)
    login: str

    def word(self, now: float) -> str:
        """
        What shows that we hold the key.

        :param now: seconds since the epoch.
        :raises UnusableAccount: it is no key that RS256 can sign with, or PyJWT is not installed.
        """
        try:
            import jwt
        except ImportError:
            raise UnusableAccount("possible without PyJWT: pip install 'marathon-lb[dcos]'") from None
        try:
            return jwt.encode({"uid": self.uid, "exp": int(now) + WORD}, self.key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise UnusableAccount("an account with an RSA private key as PEM in private_key") from None


class _Given(msgspec.Struct):
    uid: str
    private_key: str
    login_endpoint: str = ""
    scheme: str = "RS256"


class _Login(msgspec.Struct):
    token: str


def read_account(given: str, login: str) -> Account:
    """
    The account that an option gives.

    :param given: JSON, or the path of a file that holds it.
    :param login: where to sign in where the account does not say.
    :raises UnusableAccount: it is none.
    """
    text = given
    if not given.lstrip().startswith("{"):
        try:
            text = Path(given).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            raise UnusableAccount(
                "the JSON of a service account, nor the path of a file that can be read"
            ) from None
    try:
        # Secret stores like to turn \n into real line ends, which JSON does not have in its strings.
        account = msgspec.convert(json.loads(text, strict=False), _Given)
    except (ValueError, RecursionError):
        raise UnusableAccount("the JSON of a service account, with uid and private_key") from None
    if account.scheme != "RS256":
        raise UnusableAccount("an account of the scheme RS256, the only one that is known here")
    endpoint = account.login_endpoint or login
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise UnusableAccount("an account whose login_endpoint is a URL")
    return Account(account.uid, account.private_key.replace("\\n", "\n"), endpoint)


def check_account(given: str) -> None:
    """
    See whether an option gives an account with which one can sign in.

    :raises UsageError: it does not, or PyJWT is not installed.
    """
    try:
        read_account(given, "http://localhost" + LOGIN).word(0)
    except UnusableAccount as error:
        shown = given if given.startswith(("/", "./")) else "***"
        raise UsageError(option=OPTION, value=shown, expected=str(error)) from None


@frozen
class _Token:
    """
    A token that was given. Times are in the clock's seconds.

    :param renew_at: when a new one is to be asked for, though this one still holds.
    """

    text: str = field(repr=False)
    got_at: float
    renew_at: float
    ends_at: float

    @property
    def headers(self) -> Headers:
        """As DC/OS wants it."""
        return {"Authorization": f"token={self.text}"}


@implementer(IBodyProducer)
class _Body:
    """A body of a few bytes."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self.length = len(text)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """All of it."""
        consumer.write(self._text)
        return succeed(None)

    def pauseProducing(self) -> None:
        """It is over already."""

    resumeProducing = stopProducing = pauseProducing


@implementer(IAuthorization)
class ServiceAccount:
    """
    The credentials of a DC/OS service account (``--dcos-auth-credentials``).

    :param given: as `read_account` takes it; a file is read at each login, so it may be replaced.
    :param marathon: a Marathon's base URL; its host is asked where the account names no login endpoint.
    :param clock: whose seconds are since the epoch.
    :param jitter: gives a number from 0 to 1.
    :raises UsageError: the account cannot be used, or PyJWT is not installed.
    """

    _log = Logger()

    def __init__(
        self,
        given: str,
        marathon: str,
        agent: IAgent,
        clock: IReactorTime,
        jitter: Callable[[], float] = random,
    ) -> None:
        self._given = given
        self._endpoint = "{0.scheme}://{0.netloc}".format(urlsplit(marathon)) + LOGIN
        self._agent = agent
        self._clock = clock
        self._backoff = Backoff(longest=PATIENCE, jitter=jitter)
        self._token: _Token | None = None
        self._failures = 0
        self._not_before = -inf
        self._reason = ""
        self._login = SingleFlight(lambda: Deferred.fromCoroutine(self._sign_in()))
        check_account(given)

    def headers(self, url: str) -> Deferred[Headers]:
        """The token, which may have to be asked for first."""
        return Deferred.fromCoroutine(self._headers())

    def refused(self, headers: Headers) -> bool:
        """Whether another token is there, or can be asked for."""
        token = self._token
        if token is None or token.headers != headers:
            return True
        if self._clock.seconds() - token.got_at < FRESH:
            return False
        self._token = None
        return True

    async def _headers(self) -> Headers:
        token = self._token
        if token is not None and self._clock.seconds() < token.renew_at:
            return token.headers
        try:
            return (await self._login.join()).headers
        except SourceError:
            if token is not None and token is self._token and self._clock.seconds() < token.ends_at:
                return token.headers
            raise

    async def _sign_in(self) -> _Token:
        """A new token, or the reason why there is none; after a failure nobody is asked for a while."""
        wait = self._not_before - self._clock.seconds()
        if wait > 0:
            raise SourceError(
                url=self._endpoint, reason=f"{self._reason}; the next login is in {wait:.0f} seconds"
            )
        try:
            token = await self._asked()
        except SourceError as error:
            self._failures += 1
            self._reason = error.reason
            self._not_before = self._clock.seconds() + self._backoff.delay(self._failures)
            raise
        self._failures = 0
        self._token = token
        self._log.info(
            "DC/OS takes the service account at {url}; the next login is in {hours:.1f} hours",
            url=self._endpoint,
            hours=(token.renew_at - token.got_at) / 3600,
        )
        return token

    async def _asked(self) -> _Token:
        try:
            account = read_account(self._given, self._endpoint)
            word = account.word(self._clock.seconds())
        except UnusableAccount as error:
            raise SourceError(url=self._endpoint, reason=f"{OPTION} is not {error}") from None
        self._endpoint = account.login
        asked = Deferred.fromCoroutine(self._post(account, word))
        status, body = await asked.addTimeout(TIMEOUT, self._clock, onTimeoutCancel=self._too_late)
        if status != 200:
            raise SourceError(url=account.login, reason=_REFUSALS.get(status, _ODD), status=status)
        try:
            text = msgspec.json.decode(body, type=_Login).token
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise SourceError(
                url=account.login, reason="its answer holds no token; is this DC/OS's login?"
            ) from None
        if not text.isascii() or not text.isprintable():
            raise SourceError(url=account.login, reason="its answer holds no token that a header could hold")
        return _token(text, self._clock.seconds())

    async def _post(self, account: Account, word: str) -> tuple[int, bytes]:
        body = bytearray()
        headers = {"Accept": ["application/json"], "Content-Type": ["application/json"]}
        said = _Body(msgspec.json.encode({"uid": account.uid, "token": word}))
        try:
            url = account.login.encode("ascii")
            response: IResponse = await self._agent.request(b"POST", url, HTTPHeaders(headers), said)
            await BodyReader(body.extend, ERROR_BODY).read(response)
        except TooBig:
            body.clear()
        except FAILURES as error:
            raise failure(account.login, error, whom=_DCOS) from None
        return response.code, bytes(body)

    def _too_late(self, result: object, timeout: float) -> Failure:
        return Failure(SourceError(url=self._endpoint, reason=f"no answer within {timeout:g} seconds"))


_ODD = "DC/OS cannot sign us in; its log says why"
_REFUSALS = {
    400: f"DC/OS does not understand the login; check uid and scheme of {OPTION}",
    401: f"DC/OS refuses the service account; check uid and private_key of {OPTION}, and this machine's clock",
    403: f"DC/OS refuses the service account; check uid and private_key of {OPTION}",
    404: f"there is no login here; check login_endpoint of {OPTION}",
    **dict.fromkeys(
        (301, 302, 303, 307, 308),
        f"it wants the login elsewhere, where it is not sent; correct login_endpoint of {OPTION}",
    ),
}


def _token(text: str, now: float) -> _Token:
    """A token with its times, as its ``exp`` says; one that does not say so holds until it is refused."""
    import jwt

    try:
        said: Any = jwt.decode(text, options={"verify_signature": False}).get("exp")
    except jwt.PyJWTError:
        said = None
    if not isinstance(said, int | float):
        return _Token(text, now, inf, inf)
    life = said - now
    return _Token(text, now, now + (SHARE * life if life > 0 else FRESH), float(said))
