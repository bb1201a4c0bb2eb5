"""The router, and the endpoints of tasks, groups, the queue and info."""

from __future__ import annotations

from minimarathon.tasks.processes import Exit
from tests.minimarathon.api.resources import WEB, ResourceTestCase, ServedMarathon


class RouterTests(ResourceTestCase):
    """Every path but those of apps."""

    def test_unknown_path_of_later_versions(self) -> None:
        """Later Marathons call an unknown path an error of their own."""
        self.use(ServedMarathon("1.11"))
        self.assertEqual((500, {"message": "URI not found"}), self.ask("GET", "/v2/nothing"))

    def test_tasks(self) -> None:
        """Tasks are listed everywhere alike, as JSON and as the old text, and one that is killed is answered."""
        self.ask("POST", "/v2/apps", WEB)
        self.cluster.rest()
        (task,) = self.ask("GET", "/v2/tasks")[1]["tasks"]
        self.assertEqual([task], self.ask("GET", "/v2/apps/shop/web/tasks")[1]["tasks"])
        self.assertEqual([], self.ask("GET", "/v2/tasks?status=staging")[1]["tasks"])
        _, text = self.ask("GET", "/v2/tasks", headers={"Accept": "text/plain"})
        self.assertEqual("shop_web\t10000\t127.0.0.1:31000\n", text)
        _, body = self.ask("DELETE", f"/v2/apps/shop/web/tasks/{task['id']}")
        self.assertEqual(task["id"], body["task"]["id"])
        status, body = self.ask("DELETE", "/v2/apps/shop/web/tasks/no")
        self.assertEqual((404, "Task 'no' does not exist"), (status, body["message"]))

    def test_queue(self) -> None:
        """What waits after a failure is in the queue, until its delay is taken away."""
        self.ask("POST", "/v2/apps", {**WEB, "backoffSeconds": 100})
        self.cluster.rest()
        self.cluster.runner.finish(self.cluster.state.tasks("/shop/web")[0].id, Exit(1, "died"))
        self.cluster.rest()
        (row,) = self.ask("GET", "/v2/queue")[1]["queue"]
        self.assertEqual((1, {"timeLeftSeconds": 100, "overdue": False}), (row["count"], row["delay"]))
        self.assertEqual((204, None), self.ask("DELETE", "/v2/queue//shop/web/delay"))
        self.cluster.rest()
        self.assertEqual([], self.ask("GET", "/v2/queue")[1]["queue"])
        app = self.ask("GET", "/v2/apps/shop/web")[1]["app"]
        self.assertEqual("died", app["lastTaskFailure"]["message"])

    def test_the_rest(self) -> None:
        """Groups, info, leader, ping and pods answer."""
        self.ask("POST", "/v2/apps", WEB)
        root = self.ask("GET", "/v2/groups")[1]
        self.assertEqual("/shop/web", root["groups"][0]["apps"][0]["id"])
        self.assertEqual("/shop", self.ask("GET", "/v2/groups/shop")[1]["id"])
        self.assertEqual("1.5.15", self.ask("GET", "/v2/info")[1]["version"])
        self.assertEqual({"leader": "127.0.0.1:8080"}, self.ask("GET", "/v2/leader")[1])
        self.assertEqual((200, "pong\n"), self.ask("GET", "/ping"))
        self.assertEqual((200, []), self.ask("GET", "/v2/pods::status"))

    def test_wrong_method(self) -> None:
        """A method that a path does not know is 405, as a page."""
        status, body = self.ask("POST", "/v2/info")
        self.assertEqual((405, "GET"), (status, self.header("Allow")))
        self.assertIn("<html>", body)


class SubscriptionTests(ResourceTestCase):
    """``/v2/eventSubscriptions``."""

    def test_until_1_4(self) -> None:
        """1.4 takes and drops subscribers, and tells everybody of both."""
        self.use(ServedMarathon("1.4"))
        url = "http://lb:8081/"
        status, body = self.ask("POST", f"/v2/eventSubscriptions?callbackUrl={url}")
        self.assertEqual((200, "subscribe_event", url), (status, body["eventType"], body["callbackUrl"]))
        self.assertEqual([url], self.ask("GET", "/v2/eventSubscriptions")[1]["callbackUrls"])
        self.assertEqual([url], self.ask("GET", "/v2/info")[1]["event_subscriber"]["http_endpoints"])
        self.ask("DELETE", f"/v2/eventSubscriptions?callbackUrl={url}")
        self.assertEqual([], self.ask("GET", "/v2/eventSubscriptions")[1]["callbackUrls"])
        self.assertEqual(["subscribe_event", "unsubscribe_event"], self.cluster.kinds())
        self.assertEqual(422, self.ask("POST", "/v2/eventSubscriptions?callbackUrl=nonsense")[0])

    def test_since_1_5(self) -> None:
        """1.5 does not know the path."""
        status, body = self.ask("GET", "/v2/eventSubscriptions")
        self.assertEqual((404, "URI not found: /v2/eventSubscriptions"), (status, body["message"]))
