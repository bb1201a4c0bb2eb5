"""Servers that are drained early, and backends that cannot be read back."""

from __future__ import annotations

from marathonlb.haproxy.outcome import action_word, explanation
from tests.haproxy.installation import InstallationCase, S, shops


class DrainTests(InstallationCase):
    """Servers that are drained early."""

    def setUp(self) -> None:
        super().setUp()
        self.begin(S[1], S[2])
        self.installation.clock.advance(100)

    def drain(self, *targets: tuple[str, str]) -> None:
        self.successResultOf(self.applier.drain(targets))

    def test_at_once(self) -> None:
        """They take no new request at once; those that are not there are left out."""
        self.drain(("shop", "s1"), ("shop", "nobody"), ("nowhere", "s1"))
        self.assertEqual(self.worker.commands(), ["set server shop/s1 state drain"])
        self.drain(("shop", "s1"))
        self.assertEqual(self.worker.commands(), [])

    def test_last(self) -> None:
        """The last one that takes requests is left alone: while it ends it may still answer."""
        self.drain(("shop", "s2"), ("shop", "s1"))
        self.assertEqual(self.worker.commands(), ["set server shop/s2 state drain"])
        self.assertEqual(explanation(self.apply(shops(S[3]), as_of=101.0)), "1 server added, 2 removed")

    def test_confirmed(self) -> None:
        """The next configuration confirms it: the server goes."""
        self.drain(("shop", "s1"))
        self.worker.commands()
        self.assertEqual(explanation(self.apply(shops(S[2]), as_of=101.0)), "1 server removed")

    def test_undone(self) -> None:
        """The next configuration undoes it where the server is still wanted, though the text is the same."""
        self.drain(("shop", "s1"))
        self.worker.commands()
        self.assertEqual(explanation(self.apply(shops(S[1], S[2]), as_of=101.0)), "1 server put back")
        self.assertEqual(self.worker.commands(), ["set server shop/s1 state ready"])
        self.assertEqual(action_word(self.apply(shops(S[1], S[2]))), "nothing")

    def test_older_knowledge(self) -> None:
        """A configuration that was asked for before the drain does not undo it, and other steps go on."""
        self.drain(("shop", "s1"))
        self.worker.commands()
        self.assertEqual(action_word(self.apply(shops(S[1], S[2]), as_of=99.0)), "nothing")
        self.assertEqual(self.worker.commands(), [])
        self.assertEqual(explanation(self.apply(shops(S[1], S[2], S[3]), as_of=99.0)), "1 server added")
        self.assertEqual(self.worker.server("shop/s1").admin, 8)
        self.assertEqual(explanation(self.apply(shops(S[1], S[2], S[3]), as_of=101.0)), "1 server put back")

    def test_over_a_reload(self) -> None:
        """A reload for older knowledge keeps it drained."""
        self.drain(("shop", "s1"))
        self.assertEqual(
            action_word(self.apply(shops(S[1], S[2], f"{S[3]} track x/y"), as_of=99.0)), "reload"
        )
        self.assertEqual(self.worker.server("shop/s1").admin, 8)
        self.assertEqual(
            explanation(self.apply(shops(S[1], S[2], f"{S[3]} track x/y"), as_of=101.0)), "1 server put back"
        )

    def test_before_anything_is_known(self) -> None:
        """A controller that has not found out yet what runs leaves it be."""
        self.successResultOf(self.installation.controller().drain([("shop", "s1")]))
        self.assertEqual(self.worker.commands(), [])

    def test_cannot_be_asked(self) -> None:
        """Where HAProxy cannot be asked it does not fail, and the next configuration makes it right."""
        self.worker.up = False
        self.drain(("shop", "s1"))
        self.worker.up = True
        self.assertEqual(action_word(self.apply(shops(S[2]), as_of=101.0)), "steps")
        self.assertTrue(self.installation.serves(shops(S[2])))

    def test_with_weight_0(self) -> None:
        """Where the text drains it, too, and takes that back later, it serves again."""
        self.drain(("shop", "s1"))
        self.apply(shops(f"{S[1]} weight 0", S[2]), as_of=101.0)
        self.assertEqual(self.worker.server("shop/s1").admin, 8)
        self.apply(shops(S[1], S[2]), as_of=102.0)
        self.assertTrue(self.installation.serves(shops(S[1], S[2])))


class OddBackendTests(InstallationCase):
    """A backend whose servers are more than its server lines say."""

    def setUp(self) -> None:
        super().setUp()
        self.odd = shops("default-server weight 7", "server-template w 2 10.9.9.9:80", S[1])
        self.apply(self.odd)
        self.worker.server("shop/s1").weight = 7
        self.successResultOf(self.worker.say(["add server shop/w1 10.9.9.9:80", "enable server shop/w1"]))
        self.worker.commands()

    def test_adopted(self) -> None:
        """It is adopted as it is."""
        self.assertEqual(action_word(self.apply(self.odd, self.installation.controller())), "nothing")
        self.assertEqual(self.worker.commands(), [])

    def test_drained(self) -> None:
        """Its servers are drained and put back without a reload."""
        more = shops("default-server weight 7", "server-template w 2 10.9.9.9:80", S[1], S[2])
        self.apply(more)
        self.worker.server("shop/s2").weight = 7
        self.worker.commands()
        self.successResultOf(self.applier.drain([("shop", "s1")]))
        self.assertEqual(explanation(self.apply(more)), "1 server put back")
        self.assertEqual(
            self.worker.commands(), ["set server shop/s1 state drain", "set server shop/s1 state ready"]
        )
