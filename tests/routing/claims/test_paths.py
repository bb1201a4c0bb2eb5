"""Paths of hosts that several services want."""

from __future__ import annotations

import random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.claims.settle import settle
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.routing.apps import service
from tests.routing.claims.test_settle import settled


class PathTests(SynchronousTestCase):
    """Virtual hosts and paths."""

    def test_same_path(self) -> None:
        """Of one host and path the older app keeps it, and the other keeps what else it has."""
        older = service("a", 1, hosts=("x.com",), paths=("/a", "/b"))
        younger = service("b", 2, hosts=("x.com", "y.com"), paths=("/b",), since="2021")
        outcome = settled(younger, older)
        self.assertEqual(outcome.lost, {("/b", 0): frozenset({("x.com", "/b")})})
        (problem,) = outcome.problems
        self.assertEqual((problem.label, problem.value), ("HAPROXY_0_VHOST", "x.com/b"))

    def test_weight(self) -> None:
        """Of one owner's apps the one with the larger weight has a path that both want; a path's own weight counts."""
        table: tuple[tuple[dict[str, Any], dict[str, Any], str], ...] = (
            ({}, {"weight": 1}, "/a"),
            ({"weight": 2}, {"weight": 1}, "/b"),
            ({"paths": ("/x",)}, {"paths": ("/x",), "weight": 0}, "/b"),
            ({"paths": ("/x",)}, {"paths": ("/x",), "weight": 1}, "/b"),
            ({"paths": ("/x",)}, {"paths": ("/x",), "weight": 2}, "/a"),
        )
        for first, second, loser in table:
            for older, loses in (("t/a", f"/t{loser}"), ("a", "/t/b")):
                outcome = settled(
                    service(older, 1, hosts=("x",), since="2019", **first),
                    service("t/b", 2, hosts=("x",), **second),
                )
                self.assertEqual([key[0] for key in outcome.lost], [loses], (first, second))

    def test_whole_host(self) -> None:
        """The path / is every path: it takes nothing from an older app that has the host, nor the other way round."""
        for first, second in (
            ((), ("/",)),
            (("/",), ()),
            (("/",), ("/",)),
            ((), ("/x", "/")),
            (("/a", "/"), ("/",)),
        ):
            for more in ({}, {"weight": 9}, {"ignore_path_case": True}):
                outcome = settled(
                    service("old", 1, hosts=("x.com",), paths=first, since="2019"),
                    service("new", 2, hosts=("x.com",), paths=second, **more),
                )
                wanted = frozenset({("x.com", "/" if "/" in second else "")})
                self.assertEqual(outcome.lost, {("/new", 0): wanted}, (first, second, more))

    def test_same_path_in_another_case(self) -> None:
        """Where one side ignores the case of paths, the younger app gets nothing of the older one's path."""
        table = (
            ("/cart", False, "/Cart", False, False),
            ("/cart", True, "/Cart", False, True),
            ("/cart", False, "/Cart", True, True),
            ("/cart", True, "/CART", True, True),
            ("/cart", True, "/carts", True, False),
            ("/\u00fc", True, "/\u00dc", True, False),  # HAProxy knows the letters of ASCII alone
        )
        for first, ignored, second, too, lost in table:
            older = service("z", 1, hosts=("x",), paths=(first,), ignore_path_case=ignored)
            younger = service("a", 2, hosts=("x",), paths=(second, "/b"), ignore_path_case=too, since="2021")
            wanted = {("/a", 0): frozenset({("x", second)})} if lost else {}
            outcome = settled(younger, older)
            self.assertEqual(outcome.lost, wanted, (first, second))
            self.assertEqual([problem.value for problem in outcome.problems], [f"x{second}"] * lost)

    def test_no_collision(self) -> None:
        """Other hosts, other paths, and a wildcard over a name are no collisions."""
        outcome = settled(
            service("a", 1, hosts=("x.com",)),
            service("b", 2, hosts=("x.com",), paths=("/b",)),
            service("c", 3, hosts=("*.com",)),
            service("d", 4, hosts=("y.x.com",)),
        )
        self.assertEqual((outcome.lost, outcome.problems, outcome.contested), ({}, (), frozenset()))


class PathHolderTests(SynchronousTestCase):
    """Who has a path that differs in case from others."""

    def test_as_one_after_another(self) -> None:
        """The answer is that of a comparison with every older service."""
        for seed in range(300):
            chance = random.Random(seed)
            services = [
                service(
                    f"app{number}",
                    10000 + number,
                    hosts=("a.test",),
                    paths=tuple(chance.sample(("/a", "/A", "/b", "/B", "/aB", "/AB"), chance.randint(1, 3))),
                    ignore_path_case=chance.random() < 0.3,
                    since=str(number),
                )
                for number in range(6)
            ]
            taken: list[tuple[str, Service]] = []
            lost: dict[tuple[str, int], set[tuple[str, str]]] = {}
            for each in services:
                for path in each.paths:
                    for theirs, other in taken:
                        fold = other.ignore_path_case or each.ignore_path_case
                        if theirs == path or (fold and theirs.lower() == path.lower()):
                            if other is not each:
                                lost.setdefault(each.key, set()).add(("a.test", path))
                            break
                    else:
                        taken.append((path, each))
            self.assertEqual(
                lost, {key: set(pairs) for key, pairs in settle(services, Settings()).lost.items()}, seed
            )
