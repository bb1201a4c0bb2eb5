"""Weights that are not used, since they would take requests from an older app of another owner."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing import precedence
from tests.routing.apps import service
from tests.routing.claims.test_settle import settled


class UnusedWeightTests(SynchronousTestCase):
    """The weight label and older apps of other owners."""

    def test_weight_of_a_younger_app(self) -> None:
        """A weight takes nothing from an older app of another owner: it is not used, and the reason names both."""
        table: tuple[tuple[dict[str, Any], dict[str, Any], bool], ...] = (
            ({"hosts": ("www.x.com",)}, {"hosts": ("*.x.com",), "weight": 5}, False),
            ({"hosts": ("www.x.com",)}, {"hosts": ("*.com",), "weight": 0}, True),
            ({"hosts": ("www.x.com",)}, {"hosts": ("*.com",), "weight": -1}, True),
            ({"hosts": ("*.x.com",)}, {"hosts": ("*.com",), "weight": 1}, False),
            ({"hosts": ("*.x.com",)}, {"hosts": ("www.x.com",), "weight": 1}, True),
            ({"hosts": ("x.com",), "paths": ("/cart",)}, {"hosts": ("x.com",), "weight": 2}, False),
            ({"hosts": ("x.com",), "paths": ("/cart",)}, {"hosts": ("x.com",), "weight": 1}, True),
            ({"hosts": ("x.com",), "paths": ("/cart",)}, {"hosts": ("x.com",), "paths": ("/c",), "weight": 2}, False),
            ({"hosts": ("x.com",), "paths": ("/cart",)}, {"hosts": ("x.com",), "paths": ("/d",), "weight": 2}, True),
            ({"hosts": ("x.com",), "paths": ("/Cart",)},
             {"hosts": ("x.com",), "paths": ("/c",), "ignore_path_case": True, "weight": 2}, False),
            ({"hosts": ("x.com",)}, {"hosts": ("x.com",), "paths": ("/c",), "weight": 9}, True),
            ({"hosts": ("x.com",), "weight": 5}, {"hosts": ("x.com",), "paths": ("/c",), "weight": 9}, False),
            ({"hosts": ("x.com",), "paths": ("/c",), "weight": -5}, {"hosts": ("x.com",), "weight": -1}, True),
            ({"hosts": ("y.com",)}, {"hosts": ("x.com",), "weight": 9}, True),
        )  # fmt: skip
        for first, second, used in table:
            old = service("old", 1, since="2019", **first)
            new = service("new", 2, **second)
            outcome = settled(new, old)
            kept = next(each for each in outcome.services if each.app_id == "/new")
            self.assertEqual(kept.weight, second["weight"] if used else None, (first, second))
            told = [(p.app_id, p.label, p.fatal) for p in outcome.problems]
            self.assertEqual(told, [] if used else [("/new", "HAPROXY_0_BACKEND_WEIGHT", False)])
            if not used:
                self.assertIn("requests from /old, which is older", outcome.problems[0].reason)
                self.assertEqual(outcome.contested, {old.key, new.key})
                for mine in (evolve(old, since="2021"), evolve(old, app_id="/t/old")):
                    younger = evolve(new, app_id="/t/new") if mine.app_id == "/t/old" else new
                    again = settled(mine, younger)
                    self.assertEqual([p.label for p in again.problems], [], (first, second))
                self.assertEqual(settled(evolve(old, since="2021"), new).contested, {old.key, new.key})

    def test_weights_of_equally_old_apps(self) -> None:
        """Of apps that are equally old weights order the paths of one host, and take no other host."""
        for mine, used in (
            ((("x.com",), ("/c",)), True),
            ((("x.com",), ()), True),
            ((("*.com",), ()), False),
        ):
            old = service("a", 1, hosts=("x.com",), paths=("/cart",))
            new = service("b", 2, hosts=mine[0], paths=mine[1], weight=9)
            told = [problem.label for problem in settled(old, new).problems]
            self.assertEqual(told, [] if used else ["HAPROXY_0_BACKEND_WEIGHT"])

    def test_younger_rules_without_end(self) -> None:
        """No number of hosts that younger apps claim below an older one's wildcard takes its weight away."""
        old = service("bank/web", 1, hosts=("*.bank.test",), paths=("/a", "/b"), weight=9, since="2019")
        new = service("evil/x", 2, hosts=tuple(f"h{n}.bank.test" for n in range(2000)), since="2020")
        self.patch(precedence, "MOST_COMPARED", 1000)
        outcome = settled(new, old)
        self.assertEqual((), outcome.problems)
        self.assertEqual({old.key, new.key}, outcome.contested)

    def test_too_many_moved(self) -> None:
        """A weight that would take many hosts of others out of the map files is not used, be it small or large."""
        many = [service(f"a{n}", 1000 + n, hosts=(f"h{n}.x.com",)) for n in range(1, 102)]
        for hosts, weight in (
            (("*.x.com",), -3),
            (("*.com",), 0),
            (("*.h1.x.com", "*.x.com"), 5),
            (("y.x.com",), -1),
        ):
            mine = service("new", 999, hosts=hosts, weight=weight, since="2021")
            cover = service("wide", 998, hosts=("*.x.com",), since="2022")
            for others, used in ((many, False), (many[:50], weight < 5)):
                outcome = settled(*others, *([cover] if hosts == ("y.x.com",) else []), mine)
                self.assertEqual(
                    [p.label for p in outcome.problems],
                    [] if used else ["HAPROXY_0_BACKEND_WEIGHT"],
                    (hosts, used),
                )
            own = [evolve(each, app_id=f"/t/{n}") for n, each in enumerate(many)]
            self.assertEqual(settled(*own, evolve(mine, app_id="/t/new")).problems, ())

    def test_too_many_to_compare(self) -> None:
        """A weight that meets too many rules is not used, which is found out soon."""
        self.patch(precedence, "MOST_COMPARED", 10)
        many = service("old", 1, hosts=tuple(f"h{n}.com" for n in range(11)))
        wide = service("new", 2, hosts=("*.com",), weight=-1, since="2021")
        self.assertEqual([p.label for p in settled(many, wide).problems], ["HAPROXY_0_BACKEND_WEIGHT"])
