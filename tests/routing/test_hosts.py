"""Which wildcards cover which hosts: the look-up by name answers as a comparison of each with each would."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.hosts import covers, has_wildcard_above, hosts_below, is_wildcard, wildcards_above


def is_above(wildcard: str, host: str) -> bool:
    """Return True if a wildcard covers a host and is another one, as HAProxy's ``-m end`` compares them."""
    return wildcard.startswith("*.") and host != wildcard and host.removeprefix("*").endswith(wildcard[1:])


def names(chance: random.Random) -> tuple[list[str], set[str]]:
    """Some hosts and some wildcards of few labels, so that they overlap."""
    made = {".".join(chance.choices("abc", k=chance.randint(1, 4))) for _ in range(chance.randint(1, 12))}
    wildcards = {f"*.{name}" for name in made if chance.random() < 0.5}
    return sorted(made), wildcards


class WildcardTests(SynchronousTestCase):
    """Each question, on random names."""

    def test_above(self) -> None:
        """The longest wildcard comes first, and none is above itself."""
        self.assertEqual(["*.b.c", "*.c"], list(wildcards_above("a.b.c")))
        self.assertEqual(["*.c"], list(wildcards_above("*.b.c")))
        self.assertEqual([], list(wildcards_above("c")))

    def test_covers(self) -> None:
        """A name covers itself, and a wildcard every deeper name and wildcard at any depth, but not its own root."""
        for pattern, host, expected in (
            ("a.test", "a.test", True),
            ("a.test", "b.a.test", False),
            ("*.a.test", "b.a.test", True),
            ("*.a.test", "c.b.a.test", True),
            ("*.a.test", "*.b.a.test", True),
            ("*.a.test", "*.a.test", True),
            ("*.a.test", "a.test", False),
            ("*.a.test", "*.test", False),
            ("*.a.test", "ba.test", False),
            ("b.a.test", "*.a.test", False),
        ):
            self.assertEqual(expected, covers(pattern, host), (pattern, host))

    def test_as_compared(self) -> None:
        """On random names the look-up by name finds what comparing each with each finds."""
        for seed in range(500):
            hosts, wildcards = names(random.Random(seed))
            every = [*hosts, *sorted(wildcards)]
            for host in every:
                compared = {wildcard for wildcard in wildcards if is_above(wildcard, host)}
                self.assertEqual(bool(compared), has_wildcard_above(host, wildcards), (seed, host))
                self.assertEqual(compared, {name for name in wildcards_above(host) if name in wildcards})
                self.assertEqual(
                    compared | ({host} if is_wildcard(host) else set()),
                    {wildcard for wildcard in wildcards if covers(wildcard, host)},
                    (seed, host),
                )
            expected = {
                wildcard: below
                for wildcard in wildcards
                if (below := [host for host in every if is_above(wildcard, host)])
            }
            self.assertEqual(expected, hosts_below(every, wildcards), seed)
