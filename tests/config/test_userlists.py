"""Whose a userlist is."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.rendered import Rendered
from marathonlb.routing.services.model import Service
from tests.config.clusters import overriding, renderer
from tests.routing.apps import service

AUTH = ("realm", "joe", "$1$a$b")


def rendered(*services: Service, **templates: str) -> Rendered:
    """What is made of some services, with the operator's templates."""
    return renderer(overriding(**templates)).render(services)


def declares(name: str, port: int, *userlists: str, since: str = "2020") -> Service:
    """A service whose label declares some userlists."""
    text = "".join(f"userlist {each}\n  user a insecure-password b\n" for each in userlists)
    return service(name, port, since=since, overrides={"BACKEND_HEAD": text + "backend {backend}\n"})


class UserlistTests(SynchronousTestCase):
    """Of two of one name HAProxy takes the first."""

    def test_of_a_service(self) -> None:
        """The list that bears a service's name is that service's, however young it is, and however it is written."""
        victim = service("web", 1, hosts=("a.test",), auth=AUTH, since="2022")
        for name in ("user_web_1", '"user_web_1"', "user_w'eb'_1", r"user_\x77eb_1"):
            made = rendered(declares("evil", 2, name), victim)
            self.assertEqual(["/web"], [each.app_id for each in made.services], name)
            (problem,) = made.problems
            self.assertEqual(("/evil", "HAPROXY_0"), (problem.app_id, problem.label[:9]))
            self.assertIn("is /web's", problem.reason)
            self.assertNotIn("insecure", made.config.template)
        made = rendered(declares("evil", 2, '"user_w${X-eb}_1"'), victim)
        self.assertEqual(["/web"], [each.app_id for each in made.services])

    def test_of_two(self) -> None:
        """A list that two declare is the older one's."""
        made = rendered(
            declares("a", 1, "mine", since="2021"), declares("b", 2, "mine"), declares("c", 3, "own")
        )
        self.assertEqual(["/b", "/c"], [each.app_id for each in made.services])
        (problem,) = made.problems
        self.assertEqual(("/a", "HAPROXY_0_BACKEND_HEAD"), (problem.app_id, problem.label))

    def test_of_the_operator(self) -> None:
        """What an operator's template declares is everybody's, and no app's."""
        head = "global\n  maxconn 9\nuserlist ops\n  user a password b\n"
        every = "userlist all\n  user a password b\nbackend {backend}\n  mode {mode}\n"
        made = rendered(
            service("a", 1), service("b", 2), declares("c", 3, "ops"), HEAD=head, BACKEND_HEAD=every
        )
        self.assertEqual(["/a", "/b"], [each.app_id for each in made.services])
        self.assertEqual(["/c"], [each.app_id for each in made.problems])
        made = rendered(service("a", 1), declares("c", 3, "all"), HEAD=head, BACKEND_HEAD=every)
        self.assertEqual(["/a"], [each.app_id for each in made.services])
