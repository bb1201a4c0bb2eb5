"""Apps of several clusters, whose ids begin with their cluster's name."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.errors import UsageError
from marathonlb.marathon.model import App, Port, cluster_of, id_in_cluster, qualified
from marathonlb.routing.explain.question import AppQuestion, PortQuestion, UrlQuestion, question_of
from marathonlb.routing.names import cluster_of_backend
from marathonlb.routing.offers import Offers
from marathonlb.routing.policy.file import policy_of, read_policy
from marathonlb.settings import Settings
from tests.routing.apps import app, offered, task


def offers(*apps: App) -> Offers:
    """What these apps offer."""
    made = Offers(Settings(groups=frozenset({"*"})), PER_APP_NAMES, lambda host: host)
    by_id = {each.id: each for each in apps}
    made.update(by_id, by_id)
    return made


class IdTests(SynchronousTestCase):
    """Ids among those of several clusters."""

    def test_both_ways(self) -> None:
        """An id is put together and taken apart again; one without a cluster stays as it is."""
        for cluster, app_id, expected in (
            ("", "/shop/web", "/shop/web"),
            ("east", "/shop/web", "east:/shop/web"),
        ):
            made = qualified(cluster, app_id)
            self.assertEqual(expected, made)
            self.assertEqual((cluster, app_id), (cluster_of(made), id_in_cluster(made)))

    def test_backends(self) -> None:
        """Equal apps of two clusters have backends of their own, which begin with the cluster's name."""
        names = [
            offered(app(each)).services[0].backend
            for each in ("/shop/web", "east:/shop/web", "west:/shop/web")
        ]
        self.assertEqual(names, ["shop_web_10000", "east__shop_web_10000", "west__shop_web_10000"])
        clusters = [cluster_of_backend(name, ("east", "west")) for name in names]
        self.assertEqual(clusters, ["", "east", "west"])
        self.assertEqual(cluster_of_backend("other__shop_10000", ("east",)), "")
        self.assertEqual(cluster_of_backend("east", ("east",)), "")

    def test_own(self) -> None:
        """The load balancer's own app is not served, whatever the cluster that it runs in."""
        own = Settings(own_app_ids=frozenset({"/marathon-lb"}))
        self.assertEqual(offered(app("east:/marathon-lb"), own).services, ())


class GroupTests(SynchronousTestCase):
    """Deployment groups."""

    def test_apart(self) -> None:
        """Groups of one name in two clusters are two groups."""
        labels = {"DEPLOYMENT_GROUP": "shop", "GROUP": "x"}
        made = offers(
            app("east:/blue", labels),
            app("east:/green", labels),
            app("west:/blue", labels, ports=(Port(10001),)),
        )
        found = {service.backend: service.app_id for service in made.services()}
        self.assertEqual(found, {"east__shop_10000": "east:/shop", "west__shop_10001": "west:/shop"})
        self.assertEqual(made.members("east:/shop"), ("east:/blue", "east:/green"))
        self.assertEqual(made.problems(), [])

    def test_third(self) -> None:
        """A third app's problem shows the label as it stands."""
        made = offers(
            *(app(f"east:/{name}", {"DEPLOYMENT_GROUP": "shop"}, tasks=(task(),)) for name in "abc")
        )
        (problem,) = made.problems()
        self.assertEqual((problem.app_id, problem.value), ("east:/c", "shop"))

    def test_name_of_an_app(self) -> None:
        """An app of another cluster that has the group's name as its id is not in its way."""
        made = offers(app("/shop"), app("east:/blue", {"DEPLOYMENT_GROUP": "shop"}))
        self.assertEqual({service.app_id for service in made.services()}, {"/shop", "east:/shop"})


class PolicyTests(SynchronousTestCase):
    """A policy of several clusters."""

    def test_longest(self) -> None:
        """A prefix without a name holds in every cluster; the longest wins, then the one with the name."""
        text = "".join(
            f'[apps."{prefix}"]\nhosts = ["{number}.example"]\n'
            for number, prefix in enumerate(("/", "/shop", "east:/", "east:/shop", "/shop/web"))
        )
        made = policy_of(text, PER_APP_NAMES)
        for app_id, number in (
            ("/other", 0), ("west:/other", 0), ("west:/shop/x", 1), ("/shop", 1), ("east:/other", 2),
            ("east:/shop", 3), ("east:/shop/x", 3), ("east:/shop/web", 4), ("east:/shopping", 2),
        ):  # fmt: skip
            self.assertEqual(made.grant(app_id).hosts, (f"{number}.example",), app_id)

    def test_prefixes(self) -> None:
        """What is no prefix of an id is refused, and two ways to write one are one."""
        for text, words in (
            ('[apps."shop"]', "cluster's name"),
            ('[apps."East:/shop"]', "cluster's name"),
            ('[apps."east:/"]\n[apps."east://"]', "twice"),
        ):
            path = self.mktemp()
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            self.assertIn(words, str(self.assertRaises(UsageError, read_policy, path, PER_APP_NAMES)))


class QuestionTests(SynchronousTestCase):
    """What can be asked."""

    def test_kinds(self) -> None:
        """A name, a colon and a slash begin an app's id; a host with a port is a URL as ever."""
        for text, expected in (
            ("east:/shop/web", AppQuestion("east:/shop/web")),
            ("east:/shop/web/", AppQuestion("east:/shop/web")),
            ("shop.example.com/cart", UrlQuestion("http", "shop.example.com", None, "/cart")),
            ("shop:81/cart", UrlQuestion("http", "shop", 81, "/cart")),
            (":81", PortQuestion(81)),
        ):
            self.assertEqual(expected, question_of(text), text)
