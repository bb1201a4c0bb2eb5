"""The client of Marathon's API, on pages in memory; with real sockets in ``integration/test_marathon_client.py``."""

from __future__ import annotations

from typing import Any

from treq.testing import RequestTraversalAgent
from twisted.internet.address import HostnameAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IAgent
from zope.interface import implementer
from zope.interface.verify import verifyObject

from marathonlb.errors import SourceError
from marathonlb.marathon.api.client import ASK_FOR_PODS_AGAIN, MarathonClient
from marathonlb.marathon.interfaces import AppsAnswer, IMarathon
from tests.fakes.marathon_pages import MarathonPages

ONE, TWO = "http://m1:8080", "http://m2:8080"
APP = {"id": "/a", "tasks": []}
POD = {"id": "/pod", "spec": {"containers": []}, "instances": []}


@implementer(IAgent)
class Connecting:
    """An agent that connects for ever."""

    def request(self, *_: object) -> Deferred[Any]:
        """End as an endpoint does that is cancelled."""
        return Deferred(lambda d: d.errback(Failure(ConnectingCancelledError(HostnameAddress(b"x", 1)))))


class CancelTests(SynchronousTestCase):
    """Cancelling and timing out while the connection is being made."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.client = MarathonClient(["http://x:1"], Connecting(), self.clock, timeout=5)

    def test_cancelled(self) -> None:
        """A request that is cancelled here is neither a failure of Marathon's nor a defect."""
        for asked in (
            self.client.apps(),
            self.client.event_stream("http://x:1", lambda url: None, lambda data: None),
        ):
            asked.cancel()
            self.failureResultOf(asked, CancelledError)

    def test_too_late(self) -> None:
        """A request that takes too long is a failure of Marathon's."""
        asked = self.client.apps()
        self.clock.advance(5)
        self.assertIn("within 5 seconds", str(self.failureResultOf(asked, SourceError).value))


class Case(SynchronousTestCase):
    """Pages of two Marathons, and a client of them."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.pages = MarathonPages()
        self.agent = RequestTraversalAgent(self.pages)
        self.client = MarathonClient([ONE, TWO], self.agent, self.clock)

    def answer(self, asked: Deferred[Any]) -> Any:
        """Return the result of a request."""
        self.agent.flush()
        return self.successResultOf(asked)

    def error(self, asked: Deferred[Any]) -> SourceError:
        """Return the error of a request."""
        self.agent.flush()
        error: SourceError = self.failureResultOf(asked, SourceError).value  # type: ignore[assignment]
        return error

    def ids(self, answer: AppsAnswer) -> list[str]:
        """Return the ids of an answer's apps."""
        return [app.id for app in answer.apps]

    def paths(self) -> list[str]:
        """Return host and path of each request since the last call."""
        asked, self.pages.asked[:] = list(self.pages.asked), []
        return [page.host.partition(":")[0] + page.path for page in asked]


class TurnTests(Case):
    """The order in which Marathons are asked."""

    def test_interface(self) -> None:
        """The client provides the interface."""
        self.assertTrue(verifyObject(IMarathon, self.client))

    def test_next(self) -> None:
        """If a Marathon gives no usable answer the next one is asked, and asked first from then on."""
        self.pages.put("/v2/apps", b"<html>", host="m1:8080")
        self.pages.put("/v2/apps", {"apps": [APP]}, host="m2:8080")
        answer = self.answer(self.client.apps())
        self.assertEqual((["/a"], TWO, TWO), (self.ids(answer), answer.url, self.client.preferred))
        self.assertEqual(["m1/v2/apps", "m2/v2/apps", "m2/v2/pods::status"], self.paths())
        self.answer(self.client.apps())
        self.assertEqual(["m2/v2/apps"], self.paths())

    def test_avoid(self) -> None:
        """The Marathon to avoid is asked last."""
        self.pages.put("/v2/apps", {"apps": [APP]})
        self.assertEqual(TWO, self.answer(self.client.apps(avoid=ONE)).url)

    def test_none(self) -> None:
        """If no Marathon gives an answer the error names each with its fault, and has the first one's status."""
        self.pages.put("/v2/apps", {}, 503, host="m1:8080")
        self.pages.put("/v2/apps", {}, 401, host="m2:8080")
        error = self.error(self.client.apps())
        self.assertEqual(503, error.status)
        for word in (ONE, "knows no leader", TWO, "--auth-credentials"):
            self.assertIn(word, str(error))

    def test_elected(self) -> None:
        """A leader is elected if ``/v2/info`` says so, or names one."""
        for info, elected in (
            ({"elected": True}, True),
            ({"leader": "m1:8080"}, True),
            ({"elected": False}, False),
            ({"leader": None}, False),
        ):
            self.pages.put("/v2/info", info)
            self.assertIs(elected, self.answer(self.client.elected()))

    def test_leader(self) -> None:
        """The leader that a Marathon names in its answers is known by its base URL of the list."""
        self.assertIsNone(self.client.leader())
        for named, leader in ((TWO + "/", TWO), ("http://m9:8080", "http://m9:8080")):
            self.pages.put("/v2/info", {"elected": True}, X_Marathon_Leader=named)
            self.answer(self.client.elected())
            self.assertEqual(leader, self.client.leader())


class AppTests(Case):
    """One app, and pods."""

    def test_gone(self) -> None:
        """Only Marathon's own refusal means that an app is gone; other 404 and 500 answers are errors."""
        self.pages.message("/v2/apps/a", 404, "App '/a' does not exist")
        self.assertEqual([], self.ids(self.answer(self.client.app("/a"))))
        for status, text in (
            (404, "no Route matched with those values"),
            (404, "URI not found"),
            (500, "boom"),
        ):
            self.pages.message("/v2/apps/a", status, text)
            self.assertEqual(status, self.error(self.client.app("/a")).status)
        self.pages.put("/v2/apps/a", b"<html>", 404)
        self.assertEqual(404, self.error(self.client.app("/a")).status)

    def test_other_app(self) -> None:
        """An answer about another app is an error."""
        self.pages.put("/v2/apps/a", {"app": {"id": "/b", "tasks": []}})
        self.assertIn("the answer is about /b", self.error(self.client.app("/a")).reason)

    def test_pods(self) -> None:
        """Pods come with the apps; a known pod is asked for as a pod, an unknown id as an app first."""
        self.pages.put("/v2/apps", {"apps": [APP]})
        self.pages.put("/v2/pods::status", [POD])
        self.pages.put("/v2/pods/pod::status", POD)
        self.assertEqual(["/a", "/pod"], self.ids(self.answer(self.client.apps())))
        self.paths()
        self.assertEqual(["/pod"], self.ids(self.answer(self.client.app("/pod"))))
        self.assertEqual(["m1/v2/pods/pod::status"], self.paths())
        self.pages.message("/v2/apps/new", 404, "App '/new' does not exist")
        self.pages.put("/v2/pods/new::status", {**POD, "id": "/new"})
        self.assertEqual(["/new"], self.ids(self.answer(self.client.app("/new"))))
        self.assertEqual(["m1/v2/apps/new", "m1/v2/pods/new::status"], self.paths())

    def test_without_pods(self) -> None:
        """A Marathon without pods is asked for them again after an hour."""
        self.pages.put("/v2/apps", {"apps": [APP]})
        for seconds, asked in ((0, 1), (ASK_FOR_PODS_AGAIN - 1, 0), (1, 1)):
            self.clock.advance(seconds)
            self.answer(self.client.apps())
            self.assertEqual(asked, self.paths().count("m1/v2/pods::status"))


class SubscriptionTests(Case):
    """The registration of a callback."""

    def test_steps(self) -> None:
        """A callback is listed, registered and removed at ``/v2/eventSubscriptions``."""
        self.pages.put("/v2/eventSubscriptions", {"callbackUrls": ["http://lb/"]})
        self.assertEqual(("http://lb/",), self.answer(self.client.subscriptions()))
        self.answer(self.client.subscribe("http://lb/?a=b"))
        self.answer(self.client.unsubscribe("http://lb/?a=b"))
        methods = [(page.method, page.query.get("callbackUrl")) for page in self.pages.asked]
        self.assertEqual(
            [("GET", None), ("POST", ["http://lb/?a=b"]), ("DELETE", ["http://lb/?a=b"])], methods
        )

    def test_refused(self) -> None:
        """A refusal names what to do, whichever request it answers."""
        self.pages.message("/v2/eventSubscriptions", 400, "event callback system is not running")
        for asked in (self.client.subscriptions(), self.client.subscribe("http://lb/")):
            self.assertIn("--event_subscriber http_callback", self.error(asked).reason)

    def test_odd_list(self) -> None:
        """An answer that is no list of callbacks is an error."""
        self.pages.put("/v2/eventSubscriptions", {"callbackUrls": None})
        self.assertIn("no list of callbacks", self.error(self.client.subscriptions()).reason)


class EventStreamTests(Case):
    """`MarathonClient.event_stream`."""

    def test_follow(self) -> None:
        """The stream of one Marathon is opened with filters, and its bytes are passed on until its end."""
        seen: list[object] = []
        self.pages.put("/v2/events", b"data: {}\n\n", Content_Type="text/event-stream;charset=UTF-8")
        self.answer(self.client.event_stream(TWO, seen.append, seen.append, ("a_event", "b_event")))
        self.assertEqual([TWO, b"data: {}\n\n"], seen)
        (asked,) = self.pages.asked
        self.assertEqual({"plan-format": ["light"], "event_type": ["a_event", "b_event"]}, asked.query)

    def test_refused(self) -> None:
        """A page that is no event stream, or does not exist, is an error before anything is passed on."""
        for status, document, word in (
            (404, {"message": "URI not found"}, "use --mode=event or --mode=poll"),
            (405, b"", "a proxy changes the header Accept"),
            (200, b"<html>", "instead of an event stream"),
        ):
            seen: list[object] = []
            self.pages.put("/v2/events", document, status, Content_Type="text/html")
            self.assertIn(word, self.error(self.client.event_stream(ONE, seen.append, seen.append)).reason)
            self.assertEqual([], seen)
