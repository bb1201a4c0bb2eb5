"""
Sign in as a DC/OS service account, and authorize each request with the token of that login.

The account's private key signs a login token; ``/acs/api/v1/auth/login`` exchanges it for an authentication token that
is valid for some days. One login serves all requests that wait for it. A failed login is repeated with back-off, so
that a revoked key does not cause a storm of logins.
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
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers as HTTPHeaders
from twisted.web.iweb import IAgent, IResponse
from zope.interface import implementer

from marathonlb.errors import SourceError, UsageError
from marathonlb.marathon.api.auth import Headers, IAuthorization
from marathonlb.marathon.api.body import BodyReader, BytesBody, TooBig
from marathonlb.marathon.api.failures import FAILURES, AskedServer, failure
from marathonlb.marathon.api.request import ERROR_BODY
from marathonlb.marathon.api.single_flight import SingleFlight
from marathonlb.timers import Backoff

OPTION = "--dcos-auth-credentials"
LOGIN = "/acs/api/v1/auth/login"

LOGIN_TOKEN_LIFETIME = 300
"""Seconds that a login token is valid. It is used at once, so this is how far the clock of DC/OS may be off."""

TIMEOUT = 20.0
"""Maximum number of seconds of one login."""

PATIENCE = 60.0
"""Maximum number of seconds between two failed logins."""

FRESH = 60.0
"""Seconds for which a new token is not replaced though it is refused: another one would be refused, too."""

_DCOS = AskedServer(f"login_endpoint of {OPTION}", "DC/OS")

RENEWAL = 0.9
"""Part of a token's lifetime after which a new one is requested."""


class UnusableAccount(Exception):
    """A text is not a usable service account; the message says what was expected, and quotes nothing of it."""


@frozen
class DCOSAccount:
    """
    A service account, as ``dcos security org service-accounts`` makes it.

    :param key: the private key, in PEM.
    :param login: the URL of the login.
    """

    uid: str
    key: str = field(repr=False)
    login: str

    def login_token(self, now: float) -> str:
        """
        Return a login token, signed with the key.

        :param now: seconds since the epoch.
        :raises UnusableAccount: RS256 cannot sign with this key, or PyJWT is not installed.
        """
        try:
            import jwt
        except ImportError:
            raise UnusableAccount("possible without PyJWT: pip install 'marathon-lb[dcos]'") from None
        try:
            return jwt.encode(
                {"uid": self.uid, "exp": int(now) + LOGIN_TOKEN_LIFETIME}, self.key, algorithm="RS256"
            )
        except (ValueError, TypeError, jwt.PyJWTError):
            raise UnusableAccount("an account with an RSA private key as PEM in private_key") from None


class _AccountJSON(msgspec.Struct):
    """The JSON of a service account."""

    uid: str
    private_key: str
    login_endpoint: str = ""
    scheme: str = "RS256"


class _LoginAnswer(msgspec.Struct):
    """The answer to a login."""

    token: str


def read_account(given: str, login: str) -> DCOSAccount:
    """
    Return the account that an option names.

    :param given: JSON, or the path of a file that holds it.
    :param login: the URL of the login if the account names none.
    :raises UnusableAccount: it is not a service account.
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
        account = msgspec.convert(json.loads(text, strict=False), _AccountJSON)
    except (ValueError, RecursionError):
        raise UnusableAccount("the JSON of a service account, with uid and private_key") from None
    if account.scheme != "RS256":
        raise UnusableAccount("an account of the scheme RS256, the only one that is known here")
    endpoint = account.login_endpoint or login
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise UnusableAccount("an account whose login_endpoint is a URL")
    return DCOSAccount(account.uid, account.private_key.replace("\\n", "\n"), endpoint)


def check_account(given: str) -> None:
    """
    Check that an option names a usable account, without a login.

    :raises UsageError: it does not, or PyJWT is not installed.
    """
    try:
        read_account(given, "http://localhost" + LOGIN).login_token(0)
    except UnusableAccount as error:
        shown = given if given.startswith(("/", "./")) else "***"
        raise UsageError(option=OPTION, value=shown, expected=str(error)) from None


@frozen
class _Token:
    """
    An authentication token. Times are in the clock's seconds.

    :param renew_at: when a new one is to be requested, though this one is still valid.
    """

    text: str = field(repr=False)
    got_at: float
    renew_at: float
    ends_at: float

    @property
    def headers(self) -> Headers:
        """The header that DC/OS expects."""
        return {"Authorization": f"token={self.text}"}


@implementer(IAuthorization)
class ServiceAccount:
    """
    The credentials of a DC/OS service account (``--dcos-auth-credentials``).

    :param given: see `read_account`; a file is read at each login, so it may be replaced.
    :param marathon: a Marathon's base URL; its host has the login if the account names no login endpoint.
    :param clock: its seconds are since the epoch.
    :param jitter: returns a number from 0 to 1.
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
        """Return the token as a header, after a login if there is none yet."""
        return Deferred.fromCoroutine(self._headers())

    def refused(self, headers: Headers) -> bool:
        """Return whether there is another token, or one may be requested."""
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
        """Return a new token. After a failure no login is sent until the back-off is over. Raises `SourceError`."""
        wait = self._not_before - self._clock.seconds()
        if wait > 0:
            raise SourceError(
                url=self._endpoint, reason=f"{self._reason}; the next login is in {wait:.0f} seconds"
            )
        try:
            token = await self._login_once()
        except SourceError as error:
            self._failures += 1
            self._reason = error.reason
            self._not_before = self._clock.seconds() + self._backoff.delay(self._failures)
            raise
        self._failures = 0
        self._token = token
        self._log.info(
            "Signed in to DC/OS at {url}; the next login is in {hours:.1f} hours",
            url=self._endpoint,
            hours=(token.renew_at - token.got_at) / 3600,
        )
        return token

    async def _login_once(self) -> _Token:
        try:
            account = read_account(self._given, self._endpoint)
            login_token = account.login_token(self._clock.seconds())
        except UnusableAccount as error:
            raise SourceError(url=self._endpoint, reason=f"{OPTION} is not {error}") from None
        self._endpoint = account.login
        asked = Deferred.fromCoroutine(self._post(account, login_token))
        status, body = await asked.addTimeout(TIMEOUT, self._clock, onTimeoutCancel=self._too_late)
        if status != 200:
            raise SourceError(url=account.login, reason=_REASONS.get(status, _OTHER_REASON), status=status)
        try:
            text = msgspec.json.decode(body, type=_LoginAnswer).token
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise SourceError(
                url=account.login, reason="its answer holds no token; is this DC/OS's login?"
            ) from None
        if not text.isascii() or not text.isprintable():
            raise SourceError(url=account.login, reason="its answer holds no token that a header could hold")
        return _token(text, self._clock.seconds())

    async def _post(self, account: DCOSAccount, login_token: str) -> tuple[int, bytes]:
        body = bytearray()
        headers = {"Accept": ["application/json"], "Content-Type": ["application/json"]}
        content = BytesBody(msgspec.json.encode({"uid": account.uid, "token": login_token}))
        try:
            url = account.login.encode("ascii")
            response: IResponse = await self._agent.request(b"POST", url, HTTPHeaders(headers), content)
            await BodyReader(body.extend, ERROR_BODY).read(response)
        except TooBig:
            body.clear()
        except FAILURES as error:
            raise failure(account.login, error, server=_DCOS) from None
        return response.code, bytes(body)

    def _too_late(self, result: object, timeout: float) -> Failure:
        return Failure(SourceError(url=self._endpoint, reason=f"no answer within {timeout:g} seconds"))


_OTHER_REASON = "DC/OS cannot complete the login; see its log"
_REASONS = {
    400: f"DC/OS does not understand the login; check uid and scheme of {OPTION}",
    401: f"DC/OS refuses the service account; check uid and private_key of {OPTION}, and this machine's clock",
    403: f"DC/OS refuses the service account; check uid and private_key of {OPTION}",
    404: f"there is no login here; check login_endpoint of {OPTION}",
    **dict.fromkeys(
        (301, 302, 303, 307, 308),
        f"it redirects the login, which is not sent elsewhere; correct login_endpoint of {OPTION}",
    ),
}


def _token(text: str, now: float) -> _Token:
    """Return a token with the times that its ``exp`` gives; without one it is used until it is refused."""
    import jwt

    try:
        expires: Any = jwt.decode(text, options={"verify_signature": False}).get("exp")
    except jwt.PyJWTError:
        expires = None
    if not isinstance(expires, int | float):
        return _Token(text, now, inf, inf)
    lifetime = expires - now
    return _Token(text, now, now + (RENEWAL * lifetime if lifetime > 0 else FRESH), float(expires))
