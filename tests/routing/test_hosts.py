"""Which wildcards are about which hosts: the answers of a comparison of each with each, without one."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.hosts import above, below, covered
from marathonlb.routing.rules import AclRule
from marathonlb.routing.sni import Concerned
from tests.routing.apps import service


def covers(wildcard: str, host: str) -> bool:
    """Whether a wildcard is about a host, as HAProxy's ``-m end`` compares them."""
    return wildcard.startswith("*.") and host != wildcard and host.removeprefix("*").endswith(wildcard[1:])


def names(chance: random.Random) -> tuple[list[str], set[str]]:
    """Some hosts and some wildcards of few labels, so that they overlap."""
    made = {".".join(chance.choices("abc", k=chance.randint(1, 4))) for _ in range(chance.randint(1, 12))}
    wildcards = {f"*.{name}" for name in made if chance.random() < 0.5}
    return sorted(made), wildcards


class WildcardTests(SynchronousTestCase):
    """Each question, on random names."""

    def test_above(self) -> None:
        """The longest wildcard comes first, and none is about itself."""
        self.assertEqual(["*.b.c", "*.c"], list(above("a.b.c")))
        self.assertEqual(["*.c"], list(above("*.b.c")))
        self.assertEqual([], list(above("c")))

    def test_as_compared(self) -> None:
        """What is covered, and what lies below."""
        for seed in range(500):
            hosts, wildcards = names(random.Random(seed))
            every = [*hosts, *sorted(wildcards)]
            for host in every:
                self.assertEqual(
                    any(covers(w, host) for w in wildcards), covered(host, wildcards), (seed, host)
                )
            expected = {w: found for w in wildcards if (found := [each for each in every if covers(w, each)])}
            self.assertEqual(expected, below(every, wildcards), seed)

    def test_concerned(self) -> None:
        """A frontend has the rules of its host, of what covers it and of what it covers, with those hosts alone."""
        for seed in range(300):
            chance = random.Random(seed)
            hosts, wildcards = names(chance)
            rules = [
                AclRule(service(str(number)), tuple(chance.sample(group, chance.randint(1, len(group)))), ())
                for number in range(4)
                for group in (hosts, sorted(wildcards))
                if group
            ]
            for host in (*hosts, *wildcards):
                expected = []
                for rule in rules:
                    kept = [
                        name
                        for name in rule.hosts
                        if name == host or covers(name, host) or covers(host, name)
                    ]
                    if kept:
                        expected.append((rule.service.key, tuple(kept)))
                found = Concerned(rules, (*hosts, *wildcards)).about(host)
                self.assertEqual(expected, [(rule.service.key, rule.hosts) for rule in found], (seed, host))

    def test_first_host_of_a_template(self) -> None:
        """The ACLs that somebody's template writes are named after the first host, which stays."""
        rule = AclRule(service(), ("a.test", "b.test", "c.test"), (), overridden=True)
        (found,) = Concerned([rule], ["b.test"]).about("b.test")
        self.assertEqual(("a.test", "b.test"), found.hosts)
