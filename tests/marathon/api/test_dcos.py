"""`ServiceAccount`: signing in to DC/OS, and the life of its tokens."""

from __future__ import annotations

import json
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request
from zope.interface.verify import verifyObject

from marathonlb.errors import SourceError, UsageError
from marathonlb.marathon.api.auth import IAuthorization
from marathonlb.marathon.api.client import MarathonClient
from marathonlb.marathon.api.dcos import FRESH, PATIENCE, ServiceAccount
from tests.fakes.dcos import DAY, DCOSLogin, RefusingAgent

MARATHON = "https://dcos.example.com/service/marathon"


@cache
def key() -> rsa.RSAPrivateKey:
    """The key of every account here; making one takes a while."""
    return rsa.generate_private_key(65537, 2048)


class Case(SynchronousTestCase):
    """An account, its login and a clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(int(time.time()))
        public = (
            key()
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        self.login = DCOSLogin(public, self.clock)
        self.agent = RequestTraversalAgent(self.login)
        self.private = (
            key()
            .private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            .decode()
        )

    def json(self, **more: Any) -> str:
        """The account as JSON."""
        return json.dumps({"uid": "lb", "private_key": self.private, "scheme": "RS256", **more})

    def account(self, given: str | None = None, agent: Any = None) -> ServiceAccount:
        """The credentials of an account."""
        return ServiceAccount(given or self.json(), MARATHON, agent or self.agent, self.clock, lambda: 1.0)

    def ask(self, account: ServiceAccount) -> Deferred[dict[str, str]]:
        """Ask for headers, and let the answer come."""
        asked = account.headers(MARATHON)
        self.agent.flush()
        return asked

    def headers(self, account: ServiceAccount) -> dict[str, str]:
        """The headers now."""
        return self.successResultOf(self.ask(account))

    def refusal(self, account: ServiceAccount) -> SourceError:
        """Why there are none."""
        error: SourceError = self.failureResultOf(self.ask(account), SourceError).value  # type: ignore[assignment]
        return error


class Tokens(Case):
    """The life of a token."""

    def test_login(self) -> None:
        """The login token that the key signs is exchanged for a token, which goes with every request."""
        account = self.account()
        self.assertTrue(verifyObject(IAuthorization, account))
        first = self.headers(account)
        self.assertRegex(first["Authorization"], r"^token=ey[\w.-]+$")
        self.clock.advance(DAY / 2)
        self.assertEqual(self.headers(account), first)
        ((path, said),) = self.login.asked
        self.assertEqual((path, said["uid"]), ("dcos.example.com/acs/api/v1/auth/login", "lb"))

    def test_renewed_before_its_end(self) -> None:
        """A new token is requested while the old one is still valid."""
        account = self.account()
        first = self.headers(account)
        self.clock.advance(DAY - 3600)
        second = self.headers(account)
        self.assertNotEqual(first, second)
        self.assertEqual(self.headers(account), second)

    def test_old_token_while_it_holds(self) -> None:
        """If a login fails the old token is used to its end."""
        account = self.account()
        first = self.headers(account)
        self.login.status = 503
        self.clock.advance(DAY - 3600)
        self.assertEqual(self.headers(account), first)
        self.clock.advance(3600)
        self.assertEqual(self.refusal(account).status, 503)

    def test_refused(self) -> None:
        """A token that Marathon refuses is replaced, unless it is so new that another would fare no better."""
        account = self.account()
        first = self.headers(account)
        self.assertFalse(account.refused(first))
        self.clock.advance(FRESH)
        self.assertTrue(account.refused(first))
        second = self.headers(account)
        self.assertNotEqual(first, second)
        self.assertTrue(account.refused(first))
        self.assertEqual(self.headers(account), second)

    def test_single_flight(self) -> None:
        """One login serves all requests that wait for it."""
        self.login.held = []
        account = self.account()
        asked = [self.ask(account) for _ in range(5)]
        for each in asked:
            self.assertNoResult(each)
        self.login.release()
        self.agent.flush()
        (headers,) = {self.successResultOf(each)["Authorization"] for each in asked}
        self.assertEqual(len(self.login.asked), 1)
        self.assertEqual(self.headers(account)["Authorization"], headers)

    def test_cancel(self) -> None:
        """A cancelled request leaves the login to the others; without any the login ends, and the next one is new."""
        self.login.held = []
        account = self.account()
        one, other = self.ask(account), self.ask(account)
        one.cancel()
        self.failureResultOf(one, CancelledError)
        self.assertNoResult(other)
        other.cancel()
        self.failureResultOf(other, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.login.held = None
        self.headers(account)
        self.assertEqual(len(self.login.asked), 2)

    def test_without_end(self) -> None:
        """A token without an end is used until it is refused."""
        self.login.body = b'{"token": "opaque"}'
        account = self.account()
        first = self.headers(account)
        self.clock.advance(100 * DAY)
        self.assertEqual(self.headers(account), first)
        self.assertEqual(first, {"Authorization": "token=opaque"})

    def test_clocks_apart(self) -> None:
        """A token that has expired by the local clock is not requested again and again."""
        self.login.life = -5.0
        account = self.account()
        first = self.headers(account)
        self.clock.advance(FRESH / 2)
        self.assertEqual(self.headers(account), first)


class Behind(Case):
    """A Marathon that accepts tokens of DC/OS."""

    def test_refused_token(self) -> None:
        """A token that is refused in the middle of its life is replaced, and the same question asked again."""
        root = Resource()  # type: ignore[no-untyped-call]
        for path in (("acs", "api", "v1", "auth", "login"), ("service", "marathon", "v2", "apps")):
            at = root
            for name in path[:-1]:
                at = at.children.get(name.encode()) or _put(at, name, Resource())  # type: ignore[no-untyped-call]
            _put(at, path[-1], self.login if path[0] == "acs" else Apps(self.login))
        self.agent = RequestTraversalAgent(root)
        client = MarathonClient([MARATHON], self.agent, self.clock, self.account())
        for logins in (1, 2):
            asked = client.apps()
            self.agent.flush()
            self.assertEqual(self.successResultOf(asked).apps, ())
            self.assertEqual(len(self.login.asked), logins)
            self.login.revoked = True
            self.clock.advance(FRESH)


def _put(parent: Resource, name: str, child: Resource) -> Resource:
    parent.putChild(name.encode(), child)
    return child


class Apps(Resource):
    """No apps, for requests with the last token unless it was revoked."""

    isLeaf = True

    def __init__(self, login: DCOSLogin) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._login = login
        self._taken = ""

    def render_GET(self, request: Request) -> bytes:
        """The answer of a Marathon without pods, too."""
        given = request.getHeader("authorization") or ""
        fresh = given.startswith("token=") and (not self._login.revoked or given != self._taken)
        request.setResponseCode(200 if fresh else 401)
        if fresh:
            self._taken, self._login.revoked = given, False
        return b'{"apps": []}'


class Refusals(Case):
    """The errors if there is no token."""

    def test_backoff(self) -> None:
        """After a failure no login is sent for a delay that grows up to a maximum; the reason stays."""
        self.login.status = 401
        account = self.account()
        for pause in (1.0, 2.0, 4.0):
            self.assertIn("check uid and private_key", self.refusal(account).reason)
            logins = len(self.login.asked)
            self.clock.advance(pause * 0.9)
            self.assertIn("check uid and private_key", self.refusal(account).reason)
            self.assertIn("the next login is in", self.refusal(account).reason)
            self.assertEqual(len(self.login.asked), logins)
            self.clock.advance(pause * 0.2)
        for _ in range(10):
            self.refusal(account)
            self.clock.advance(PATIENCE)
        self.login.status = 200
        self.headers(account)

    def test_words(self) -> None:
        """Each refusal names the login's address and what to do, and no secret."""
        for status, word in (
            (400, "uid and scheme"),
            (401, "clock"),
            (403, "private_key"),
            (404, "login_endpoint"),
            (307, "not sent"),
            (502, "log"),
        ):
            self.login.status = status
            error = self.refusal(self.account())
            self.assertIn(word, error.reason)
            self.assertIn("https://dcos.example.com/acs/api/v1/auth/login", str(error))
            self.assertNotIn("hunter2", str(error))

    def test_odd_answers(self) -> None:
        """An answer without a token that a header can hold is none."""
        for body in (b"", b"{}", b'{"token": 1}', b"<html>", b'{"token": "a\\nb"}', b"x" * 100_000):
            self.login.body = body
            self.assertIn("no token", self.refusal(self.account()).reason)

    def test_refusing(self) -> None:
        """The error of a login that cannot be reached names the place of its address."""
        refusing = RefusingAgent()
        account = self.account(agent=refusing)
        reason = self.refusal(account).reason
        self.assertIn("refused; check login_endpoint of --dcos-auth-credentials, and that DC/OS runs", reason)
        self.refusal(account)
        self.assertEqual(refusing.asked, 1)

    def test_silence(self) -> None:
        """A login that does not answer is cancelled."""
        self.login.held = []
        asked = self.ask(self.account())
        self.clock.advance(20)
        self.failureResultOf(asked, SourceError)


class Given(Case):
    """What an option may hold."""

    def test_endpoint(self) -> None:
        """The account's own login endpoint goes before Marathon's host."""
        account = self.account(self.json(login_endpoint="https://leader.mesos/acs/api/v1/auth/login"))
        self.headers(account)
        self.assertEqual(self.login.asked[0][0], "leader.mesos/acs/api/v1/auth/login")

    def test_line_ends(self) -> None:
        """Line ends in the key may be real ones, which JSON forbids, or escaped twice."""
        for text in (
            self.json().replace("\\n", "\n"),
            self.json().replace("\\n", "\\\\n"),
            "\n " + self.json(),
        ):
            self.headers(self.account(text))

    def test_file(self) -> None:
        """A file is read at each login, so that another key may take its place."""
        path = Path(self.mktemp())
        path.write_text(self.json())
        account = self.account(str(path))
        self.headers(account)
        path.write_text(self.json(uid="other"))
        self.clock.advance(DAY)
        self.headers(account)
        self.assertEqual([said["uid"] for _, said in self.login.asked], ["lb", "other"])
        path.unlink()
        self.clock.advance(DAY)
        self.assertIn("--dcos-auth-credentials", self.refusal(account).reason)

    def test_without_pyjwt(self) -> None:
        """Without PyJWT the start ends with what to install."""
        held = sys.modules["jwt"]
        self.addCleanup(sys.modules.__setitem__, "jwt", held)
        sys.modules["jwt"] = None  # type: ignore[assignment]
        self.assertIn("marathon-lb[dcos]", str(self.assertRaises(UsageError, self.account)))

    def test_unusable(self) -> None:
        """A text that is not a service account ends the start, and is not quoted."""
        public = "-----BEGIN PUBLIC KEY-----\nhunter2\n-----END PUBLIC KEY-----"
        for given in (
            "/nowhere",
            '{"uid": "hunter2"',
            '{"uid": "hunter2"}',
            '["hunter2"]',
            "{" * 100_000,
            self.json(private_key="hunter2"),
            self.json(private_key=public),
            self.json(scheme="HS256"),
            self.json(login_endpoint="ftp://x"),
            self.json(login_endpoint="https://u:hunter2@x/"),
            self.json(uid=1),
        ):
            error = self.assertRaises(UsageError, self.account, given)
            self.assertEqual(error.option, "--dcos-auth-credentials")
            self.assertNotIn("hunter2", str(error) + repr(error))
