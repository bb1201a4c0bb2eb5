"""Two texts of a map → the commands in between."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.haproxy.dynamic.maps import (
    MAX_PAYLOAD,
    NEW_VERSION,
    parse_entries,
    parse_maps,
    plan_map,
    same_entries,
    version_of,
)
from marathonlb.haproxy.runtime.connection import MAX_COMMAND

HOSTS, WILDCARDS = "domain2backend.map", "wildcard2backend.map"
PATH = "/etc/domain2backend.map"


def commands(name: str, old: dict[str, str], new: dict[str, str]) -> list[str]:
    steps = plan_map(name, PATH, list(old.items()), list(new.items()))
    return [command for step in (*steps.gains, *steps.losses) for command in step.commands]


class PlanTests(SynchronousTestCase):
    """The commands for one map."""

    def test_entries(self) -> None:
        """Entries are added, set and deleted one by one; what is taken away comes last."""
        many = {f"h{n}": "x" for n in range(5)}
        self.assertEqual(
            commands(
                HOSTS,
                {"gone": "a", "kept": "a", "other": "a", **many},
                {**many, "new": "b", "other": "b", "kept": "a"},
            ),
            [f"add map {PATH} new b", f"set map {PATH} other b", f"del map {PATH} gone"],
        )

    def test_order(self) -> None:
        """The order of a map of exact keys or longest prefixes means nothing."""
        for name in (HOSTS, "path2backend.map", "app2backend.map"):
            self.assertEqual(commands(name, {"a": "1", "b": "2"}, {"b": "2", "a": "1"}), [])

    def test_order_that_matters(self) -> None:
        """A map in which the first entry that fits wins, or of which nothing is known, changes as a whole."""
        for name in (WILDCARDS, "mine.map"):
            self.assertEqual(
                commands(name, {"a": "1", "b": "2"}, {"b": "2", "a": "1"}),
                [
                    f"prepare map {PATH}",
                    f"add map {NEW_VERSION} {PATH} <<\nb 2\na 1\n",
                    f"commit map {NEW_VERSION} {PATH}",
                ],
            )

    def test_emptied(self) -> None:
        """A map that loses all its entries is put in force without any."""
        self.assertEqual(
            commands(WILDCARDS, {"a": "1"}, {}), [f"prepare map {PATH}", f"commit map {NEW_VERSION} {PATH}"]
        )
        self.assertEqual(commands(HOSTS, {"a": "1"}, {})[-1], f"commit map {NEW_VERSION} {PATH}")

    def test_parcels(self) -> None:
        """No command is longer than HAProxy reads at once, and no entry is lost."""
        new = {f"h{n}.example.com": "backend" for n in range(2000)}
        said = commands(WILDCARDS, {}, new)
        self.assertGreater(len(said), 5)
        self.assertLess(max(len(command) for command in said), MAX_PAYLOAD + 200)
        self.assertLess(MAX_PAYLOAD + 200, MAX_COMMAND)
        lines = [line for command in said for line in command.split("\n")[1:] if line]
        self.assertEqual(lines, [f"{key} {value}" for key, value in new.items()])

    def test_odd_keys(self) -> None:
        """A key that a command line would read otherwise is said in a payload, which is taken as it is."""
        many = {f"h{n}": "x" for n in range(5)}
        self.assertEqual(commands(HOSTS, many, {**many, "a;b": "x"})[0], f"prepare map {PATH}")

    def test_twice(self) -> None:
        """A map with one key twice changes as a whole, since a deletion would take both."""
        steps = plan_map(HOSTS, PATH, [("a", "1"), ("a", "2"), ("b", "1")], [("a", "1"), ("b", "1")])
        self.assertEqual(steps.gains[0].commands[0], f"prepare map {PATH}")

    def test_same(self) -> None:
        """Two texts mean the same where their entries do."""
        self.assertTrue(same_entries(HOSTS, [("a", "1"), ("b", "1")], [("b", "1"), ("a", "1")]))
        self.assertFalse(same_entries(WILDCARDS, [("a", "1"), ("b", "1")], [("b", "1"), ("a", "1")]))
        self.assertFalse(same_entries(HOSTS, [("a", "1")], [("a", "1"), ("a", "1")]))


class AnswerTests(SynchronousTestCase):
    """HAProxy's answers."""

    def test_maps(self) -> None:
        """The maps in use are listed with their counts."""
        self.assertEqual(
            parse_maps(
                "# id (file) description\n"
                "2 (/run/a.map) pattern loaded from file '/run/a.map' used by map at file '/run/haproxy.cfg' line 11. "
                "curr_ver=0 next_ver=0 entry_cnt=17\n"
                "-1 (/run/b.map) pattern loaded from file '/run/b.map' used by map at file '/run/haproxy.cfg' line 12, "
                "by map at file '/run/haproxy.cfg' line 15. curr_ver=0 next_ver=0 entry_cnt=0\n"
            ),
            {"/run/a.map": 17, "/run/b.map": 0},
        )

    def test_entries(self) -> None:
        """Entries are told from their addresses in memory."""
        self.assertEqual(
            parse_entries("0x55952de3c520 a.example.com shop\n0x1 b c d\n"),
            [("a.example.com", "shop"), ("b", "c d")],
        )

    def test_version(self) -> None:
        """A version is named, or there is none."""
        self.assertEqual(version_of("New version created: 12"), "@12")
        self.assertIsNone(version_of("Unknown map identifier."))
