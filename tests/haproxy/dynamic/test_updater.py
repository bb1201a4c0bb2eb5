"""The runtime API leads to what is wanted, and each change is read back."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred

from marathonlb.errors import InvalidConfiguration
from marathonlb.haproxy.outcome import action_word, changes_of, explanation
from tests.haproxy.installation import InstallationCase, S, shops
from tests.haproxy.samples import backend, config


class StepTests(InstallationCase):
    """A change of servers and maps."""

    def test_servers(self) -> None:
        """A change of servers is carried out by steps, says so, and is in the file at once without a service."""
        self.begin(S[1], S[2])
        wanted = shops(S[1], S[3])
        outcome = self.apply(wanted)
        self.assertEqual((action_word(outcome), explanation(outcome)), ("steps", "1 server added, 1 removed"))
        self.assertEqual(dict(changes_of(outcome).counts), {"added": 1, "removed": 1})
        self.assertEqual(list(outcome.seconds), ["steps"])
        self.assertEqual(
            self.worker.commands(),
            [
                "add server shop/s3 10.0.0.3:80 id 3",
                "enable server shop/s3",
                "set server shop/s2 state maint",
                "del server shop/s2",
            ],
        )
        self.assertIs(self.applier.running, wanted)
        self.assertTrue(self.installation.serves(wanted) and self.installation.holds(wanted))
        self.assertEqual(self.reloads(), 1)
        self.assertTrue(all(talk.closed for talk in self.worker.talks))

    def test_one_writing(self) -> None:
        """What replaces a drained server, that one's end and the question what came of it are written at once."""
        self.begin(S[1], S[2])
        self.successResultOf(self.applier.drain([("shop", "s2")]))
        self.worker.writings.clear()
        self.worker.commands()
        wanted = shops(S[1], S[3])
        self.assertEqual(action_word(self.apply(wanted)), "steps")
        self.assertEqual((len(self.worker.commands()), self.worker.writings), (4, [5]))
        self.assertTrue(self.installation.serves(wanted))
        self.apply(shops(S[3]))
        self.assertEqual(self.worker.writings, [5, 3])
        self.apply(shops(S[1]))
        self.assertEqual(self.worker.writings, [5, 3, 2, 3])

    def test_only_what_changed(self) -> None:
        """Nothing is asked about backends that did not change."""
        self.begin(S[1])
        self.worker.said.clear()
        self.apply(shops(S[1], S[2]))
        self.assertEqual([c for c in self.worker.said if c.startswith("show ")], ["show servers state shop"])

    def test_map(self) -> None:
        """A change of a map is carried out by steps."""
        self.begin(S[1])
        wanted = shops(S[1], maps={"a": "cart", "b": "shop"})
        self.assertEqual(explanation(self.apply(wanted)), "domain2backend.map changed")
        path = f"{self.installation.directory}/domain2backend.map"
        self.assertEqual(self.worker.commands(), [f"set map {path} a cart", f"add map {path} b shop"])
        self.assertTrue(self.installation.serves(wanted) and self.installation.holds(wanted))

    def test_map_not_in_use(self) -> None:
        """A map that HAProxy does not use is written and nothing else."""
        self.begin(S[1])
        self.worker.maps.clear()
        wanted = shops(S[1], maps={"b": "shop"})
        self.assertEqual(action_word(self.apply(wanted)), "nothing")
        self.assertTrue(self.installation.holds(wanted))

    def test_means_nothing(self) -> None:
        """Another order or id is written, and HAProxy is not asked."""
        self.begin(S[1], S[2])
        self.worker.said.clear()
        wanted = shops(S[2].replace("id 2", "id 7"), S[1])
        self.assertEqual(action_word(self.apply(wanted)), "nothing")
        self.assertEqual(self.worker.said, [])
        self.assertTrue(self.installation.holds(wanted))

    def test_reload_says_why(self) -> None:
        """What steps cannot do is a reload that names it; what they can is done before."""
        self.begin(S[1])
        outcome = self.apply(shops(S[1], f"{S[2]} track x/y", cart=[S[7]]))
        self.assertEqual(
            (action_word(outcome), explanation(outcome)), ("reload", "server shop/s2 has the argument track")
        )
        self.assertEqual(dict(changes_of(outcome).counts), {"added": 1, "removed": 1})

    def test_refused_by_the_check(self) -> None:
        """One service's mistake does not keep others from their steps."""
        self.begin(S[1])
        bad = config(
            backend("shop", "balance roundrobin", S[1], S[2]), backend("cart", "nonsense here"), a="shop"
        )
        self.failureResultOf(self.applier.apply(bad), InvalidConfiguration)
        self.assertIn("s2", self.worker.backends["shop"])
        running = self.applier.running
        assert running is not None
        self.assertIn("s2", running.sections[2].text)
        self.assertNotIn("nonsense", self.installation.text())
        self.assertTrue(self.installation.holds(running))

    def test_many(self) -> None:
        """Of very many changes a reload is the smaller one."""
        self.begin(S[1])
        many = [f"server m{n} 10.1.{n // 250}.{n % 250 + 1}:80" for n in range(10_001)]
        outcome = self.apply(shops(S[1], *many))
        self.assertEqual(
            (action_word(outcome), explanation(outcome)), ("reload", "10001 servers change at once")
        )


class RefusalTests(InstallationCase):
    """HAProxy refuses, or says nothing."""

    def test_remembered(self) -> None:
        """A refused argument is a reload with HAProxy's words, and is not tried again."""
        self.begin(S[1])
        self.worker.refusing = {"cookie"}
        words = "'cookie' option is not accepted for dynamic server"
        outcome = self.apply(shops(S[1], f"{S[2]} cookie x"))
        self.assertEqual(action_word(outcome), "reload")
        self.assertEqual(explanation(outcome), f"HAProxy refuses 'add server shop/s2': {words}")
        self.worker.commands()
        outcome = self.apply(shops(S[1], f"{S[2]} cookie x", f"{S[3]} cookie y"))
        self.assertEqual(
            explanation(outcome), f"server shop/s3 has the argument cookie, which HAProxy refuses: {words}"
        )
        self.assertEqual(self.worker.commands(), [])
        self.assertEqual(action_word(self.apply(shops(S[1], S[4]))), "steps")

    def test_nothing_is_taken_away(self) -> None:
        """Where what is to come is refused, nothing goes."""
        self.begin(S[1])
        self.worker.answers["add server"] = "no"
        self.apply(shops(S[2]), may_reload=False)
        self.assertEqual(list(self.worker.backends["shop"]), ["s1"])

    def test_silence(self) -> None:
        """Silence is no success."""
        self.begin(S[1])
        self.worker.answers["add server"] = ""
        outcome = self.apply(shops(S[1], S[2]))
        self.assertEqual(explanation(outcome), "HAProxy refuses 'add server shop/s2': the reply is empty")

    def test_not_held(self) -> None:
        """A command that was acknowledged and not carried out is found in what reads back."""
        self.begin(S[1], S[2])
        self.worker.answers["set server shop/s1 weight"] = ""
        outcome = self.apply(shops(f"{S[1]} weight 5", S[2]))
        self.assertEqual(
            (action_word(outcome), explanation(outcome)),
            ("reload", "server shop/s1 does not read back as set"),
        )

    def test_moves_later(self) -> None:
        """An address that changes a moment after HAProxy said so is waited for."""
        self.begin(S[1], S[2])
        wanted = shops(S[1].replace(":80", ":81"), S[2])
        self.worker.answers["set server shop/s1 addr"] = (
            "port changed from '80' to '81' by 'stats socket command'"
        )
        waiting = self.applier.apply(wanted)
        self.installation.clock.advance(0.002)
        self.assertNoResult(waiting)
        self.worker.server("shop/s1").port = 81
        self.installation.clock.advance(0.02)
        self.assertEqual(action_word(self.successResultOf(waiting)), "steps")

    def test_map_not_held(self) -> None:
        """An entry of a map that was acknowledged and is not there is found by the count."""
        self.begin(S[1])
        self.worker.answers["add map"] = ""
        outcome = self.apply(shops(S[1], maps={"a": "shop", "b": "cart"}))
        self.assertEqual(explanation(outcome), "map domain2backend.map holds 1 entries in place of 2")

    def test_map_changed_by_somebody(self) -> None:
        """A map whose count is not what it was is looked at before it is changed."""
        self.begin(S[1])
        (held,) = self.worker.maps.values()
        held.versions[0].append(("hand", "made"))
        wanted = shops(S[1], maps={"a": "shop", "b": "cart"})
        self.assertEqual(action_word(self.apply(wanted)), "steps")
        self.assertTrue(self.installation.serves(wanted))

    def test_corrected(self) -> None:
        """What somebody changed by hand in a backend is put right with its next step."""
        self.begin(S[1], S[2])
        self.worker.server("shop/s1").admin = 1
        self.worker.server("shop/s2").weight = 9
        wanted = shops(S[1], S[2], S[3])
        outcome = self.apply(wanted)
        self.assertEqual(
            (action_word(outcome), dict(changes_of(outcome).counts)),
            ("steps", {"added": 1, "revived": 1, "weighed": 1}),
        )
        self.assertTrue(self.installation.serves(wanted))

    def test_id_taken(self) -> None:
        """A server whose id another one has is added without one."""
        self.begin(S[1], S[2])
        self.apply(shops(S[1], S[2].replace("id 2", "id 3")))
        wanted = shops(S[1], S[2].replace("id 2", "id 3"), S[5].replace("id 5", "id 2"))
        self.assertEqual(action_word(self.apply(wanted)), "steps")
        self.assertTrue(self.installation.serves(wanted))

    def test_broken_off(self) -> None:
        """Where HAProxy hangs up in the middle, what it holds is looked at before anything else is said."""
        self.begin(S[1], S[2])

        def break_off(command: str) -> None:
            self.worker.up = not command.startswith("del server")

        self.worker.before = break_off
        outcome = self.apply(shops(S[1], S[3]), may_reload=False)
        self.assertEqual((action_word(outcome), explanation(outcome)), ("postponed", "it hung up"))
        self.assertIsNot(self.applier.running, None)
        self.worker.before, self.worker.up = lambda command: None, True
        self.worker.said.clear()
        wanted = shops(S[1], S[3])
        self.assertEqual(action_word(self.apply(wanted)), "steps")
        self.assertEqual(self.worker.said[0], "show servers state shop")
        self.assertTrue(self.installation.serves(wanted))
        self.assertEqual(self.reloads(), 1)

    def test_over_and_not_noticed(self) -> None:
        """A conversation that has ended unnoticed is begun again, and what HAProxy holds is looked at before."""
        self.begin(S[1], S[2])
        self.worker.over = 1
        self.worker.said.clear()
        wanted = shops(S[1], S[3])
        self.assertEqual(action_word(self.apply(wanted, may_reload=False)), "steps")
        self.assertEqual(self.worker.said[0], "show servers state shop")
        self.assertTrue(self.installation.serves(wanted))
        self.assertEqual(self.reloads(), 1)

    def test_cancelled(self) -> None:
        """An application that is given up in its steps leaves nothing believed."""
        self.begin(S[1])
        self.worker.held = Deferred()
        waiting = self.applier.apply(shops(S[1], S[2]))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.worker.held = None
        self.assertEqual(action_word(self.apply(shops(S[1]))), "steps")
        self.assertTrue(self.installation.serves(shops(S[1])))

    def test_cannot_be_asked(self) -> None:
        """Where the runtime API does not answer, a change is a reload."""
        self.begin(S[1])
        self.worker.up = False
        outcome = self.apply(shops(S[1], S[2]), may_reload=False)
        self.assertEqual((action_word(outcome), explanation(outcome)), ("postponed", "nobody listens"))
