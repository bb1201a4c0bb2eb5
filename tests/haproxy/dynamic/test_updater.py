"""The applier where steps lead: without a reload, believed only when read back."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred

from marathonlb.config.text.model import Config
from marathonlb.errors import InvalidConfiguration
from marathonlb.haproxy.outcome import Outcome, action_word, changes_of, explanation
from marathonlb.haproxy.reload_reason import ReasonKind, ReloadReason
from tests.haproxy.dynamic.steered import S, SteeredCase, shops
from tests.haproxy.samples import backend, config, frontend


class StepTests(SteeredCase):
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
        self.assertTrue(self.house.serves(wanted) and self.house.holds(wanted))
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
        self.assertTrue(self.house.serves(wanted))
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
        path = f"{self.house.directory}/domain2backend.map"
        self.assertEqual(self.worker.commands(), [f"set map {path} a cart", f"add map {path} b shop"])
        self.assertTrue(self.house.serves(wanted) and self.house.holds(wanted))

    def test_map_not_in_use(self) -> None:
        """A map that HAProxy does not use is written and nothing else."""
        self.begin(S[1])
        self.worker.maps.clear()
        wanted = shops(S[1], maps={"b": "shop"})
        self.assertEqual(action_word(self.apply(wanted)), "nothing")
        self.assertTrue(self.house.holds(wanted))

    def test_means_nothing(self) -> None:
        """Another order or id is written, and HAProxy is not asked."""
        self.begin(S[1], S[2])
        self.worker.said.clear()
        wanted = shops(S[2].replace("id 2", "id 7"), S[1])
        self.assertEqual(action_word(self.apply(wanted)), "nothing")
        self.assertEqual(self.worker.said, [])
        self.assertTrue(self.house.holds(wanted))

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
        self.assertNotIn("nonsense", self.house.text())
        self.assertTrue(self.house.holds(running))

    def test_many(self) -> None:
        """Of very many changes a reload is the smaller one."""
        self.begin(S[1])
        many = [f"server m{n} 10.1.{n // 250}.{n % 250 + 1}:80" for n in range(10_001)]
        outcome = self.apply(shops(S[1], *many))
        self.assertEqual(
            (action_word(outcome), explanation(outcome)), ("reload", "10001 servers change at once")
        )


class PostponedTests(SteeredCase):
    """A reload that may not be now."""

    def test_postponed(self) -> None:
        """What takes a reload waits, and says why; what does not is done."""
        self.begin(S[1])
        wanted = config(
            frontend("new", "bind :1"), *shops(S[1], S[2]).sections[2:], backend("fresh", S[3]), a="fresh"
        )
        outcome = self.apply(wanted, may_reload=False)
        self.assertEqual(action_word(outcome), "postponed")
        self.assertEqual(
            explanation(outcome), "frontend new is new, backend fresh is new, map domain2backend.map differs"
        )
        self.assertEqual(dict(changes_of(outcome).counts), {"added": 1})
        self.assertIn("s2", self.worker.backends["shop"])
        self.assertTrue(self.house.holds(shops(S[1], S[2])))
        self.assertEqual(self.reloads(), 1)
        again = self.apply(wanted, may_reload=False)
        self.assertEqual((action_word(again), dict(changes_of(again).counts)), ("postponed", {}))
        self.assertEqual(action_word(self.apply(wanted)), "reload")
        self.assertTrue(self.house.serves(wanted))

    def test_changes_while_postponed(self) -> None:
        """While a reload is postponed each change costs what has changed; the reload does all that is left."""
        self.begin(S[1])
        shop, cart = shops(S[1]).sections[2:]
        wanted = config(shop, cart, backend("fresh", "balance roundrobin", S[3]), a="fresh")
        self.assertEqual(action_word(self.apply(wanted, may_reload=False)), "postponed")
        for place, section, counts in (
            (2, backend("shop", "balance roundrobin", S[1], S[2]), {"added": 1}),
            (4, backend("fresh", "balance roundrobin", S[3], S[4]), {}),
            (3, backend("cart", "balance source", S[9]), {}),
            (2, shop, {"removed": 1}),
            (3, cart, {}),
        ):
            wanted = wanted.replace({place: section})
            outcome = self.apply(wanted, may_reload=False)
            self.assertEqual((action_word(outcome), dict(changes_of(outcome).counts)), ("postponed", counts))
        self.assertEqual(explanation(outcome), "backend fresh is new, map domain2backend.map differs")
        outcome = self.apply(wanted)
        self.assertEqual(
            (action_word(outcome), explanation(outcome)),
            ("reload", "backend fresh is new, map domain2backend.map differs"),
        )
        self.assertTrue(self.house.serves(wanted) and self.house.holds(wanted))

    def test_distrusted(self) -> None:
        """A reload that was asked for is not forgotten when it is postponed."""
        self.begin(S[1])
        self.applier.distrust(ReloadReason(ReasonKind.REQUESTED, "SIGUSR1"))
        self.assertEqual(action_word(self.apply(shops(S[1]), may_reload=False)), "postponed")
        outcome = self.apply(shops(S[1]))
        self.assertEqual((action_word(outcome), explanation(outcome)), ("reload", "SIGUSR1"))
        self.assertEqual(action_word(self.apply(shops(S[1]))), "nothing")


class RefusalTests(SteeredCase):
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
        self.house.clock.advance(0.002)
        self.assertNoResult(waiting)
        self.worker.server("shop/s1").port = 81
        self.house.clock.advance(0.02)
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
        self.assertTrue(self.house.serves(wanted))

    def test_mended(self) -> None:
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
        self.assertTrue(self.house.serves(wanted))

    def test_id_taken(self) -> None:
        """A server whose id another one has is added without one."""
        self.begin(S[1], S[2])
        self.apply(shops(S[1], S[2].replace("id 2", "id 3")))
        wanted = shops(S[1], S[2].replace("id 2", "id 3"), S[5].replace("id 5", "id 2"))
        self.assertEqual(action_word(self.apply(wanted)), "steps")
        self.assertTrue(self.house.serves(wanted))

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
        self.assertTrue(self.house.serves(wanted))
        self.assertEqual(self.reloads(), 1)

    def test_over_and_not_noticed(self) -> None:
        """A conversation that has ended unnoticed is begun again, and what HAProxy holds is looked at before."""
        self.begin(S[1], S[2])
        self.worker.over = 1
        self.worker.said.clear()
        wanted = shops(S[1], S[3])
        self.assertEqual(action_word(self.apply(wanted, may_reload=False)), "steps")
        self.assertEqual(self.worker.said[0], "show servers state shop")
        self.assertTrue(self.house.serves(wanted))
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
        self.assertTrue(self.house.serves(shops(S[1])))

    def test_cannot_be_asked(self) -> None:
        """Where nobody answers, a change is a reload."""
        self.begin(S[1])
        self.worker.up = False
        outcome = self.apply(shops(S[1], S[2]), may_reload=False)
        self.assertEqual((action_word(outcome), explanation(outcome)), ("postponed", "nobody listens"))


class ReplacementTests(SteeredCase):
    """Servers whose arguments change are made anew."""

    def setUp(self) -> None:
        super().setUp()
        self.begin(S[1], S[2], S[3])

    def test_one_at_a_time(self) -> None:
        """All servers of a backend change one after another, so that there are always others."""
        taken: set[str] = set()

        def watch(command: str) -> None:
            out = {name for name, server in self.worker.backends["shop"].items() if server.admin & 1}
            self.assertLessEqual(len(out) + 3 - len(self.worker.backends["shop"]), 1)
            taken.update(out)

        self.worker.before = watch
        wanted = shops(*(f"{S[n]} maxconn 5" for n in (1, 2, 3)))
        outcome = self.apply_slowly(wanted)
        self.assertEqual((action_word(outcome), explanation(outcome)), ("steps", "3 servers replaced"))
        self.assertEqual(taken, {"s1", "s2", "s3"})
        self.assertTrue(self.house.serves(wanted))

    def apply_slowly(self, wanted: Config) -> Outcome:
        waiting = self.applier.apply(wanted)
        self.house.clock.pump([0.01] * 60)
        return self.successResultOf(waiting)

    def test_becomes_idle(self) -> None:
        """One that is in use for a moment is waited for, and takes no new request meanwhile."""
        self.worker.server("shop/s1").busy = True
        waiting = self.applier.apply(shops(f"{S[1]} maxconn 5", S[2], S[3]))
        self.house.clock.advance(0.002)
        self.assertEqual(self.worker.server("shop/s1").admin, 1)
        self.worker.server("shop/s1").busy = False
        self.house.clock.advance(0.01)
        self.assertEqual(action_word(self.successResultOf(waiting)), "steps")

    def test_cannot_be_made(self) -> None:
        """One that cannot be made with its new arguments is put back with the old ones before the reload."""
        self.worker.refusing = {"maxconn"}
        outcome = self.apply(shops(f"{S[1]} maxconn 5", S[2], S[3]), may_reload=False)
        self.assertEqual(action_word(outcome), "postponed")
        self.assertTrue(self.house.serves(shops(S[1], S[2], S[3])))

    def test_given_up(self) -> None:
        """Where the next refuses, those that are done are not done again."""
        self.worker.answers["del server shop/s2"] = "This server cannot be removed at runtime"
        wanted = shops(f"{S[1]} maxconn 5", f"{S[2]} maxconn 5", S[3])
        waiting = self.applier.apply(wanted, may_reload=False)
        self.house.clock.pump([0.01] * 60)
        self.assertEqual(action_word(self.successResultOf(waiting)), "postponed")
        self.assertEqual(self.worker.server("shop/s2").admin, 0)
        self.assertEqual(action_word(self.apply(wanted)), "reload")


class WorkerTests(SteeredCase):
    """The worker may be another one."""

    def test_started_anew(self) -> None:
        """A worker that was started anew holds its file, and is led on from there."""
        self.begin(S[1])
        self.apply(shops(S[1], S[2]))
        with open(self.house.path, "w", encoding="utf-8") as file:
            file.write(shops(S[1]).text(self.house.directory))
        digest = self.house.reloader.files.texts(shops(S[1])).digest()
        with open(f"{self.house.directory}/state/confirmed", "w", encoding="utf-8") as file:
            file.write(digest)
        self.reloader.read()
        self.worker.commands()
        wanted = shops(S[1], S[2], S[3])
        outcome = self.apply(wanted)
        self.assertEqual((action_word(outcome), dict(changes_of(outcome).counts)), ("steps", {"added": 2}))
        self.assertTrue(self.house.serves(wanted) and self.house.holds(wanted))

    def test_unconfirmed_file(self) -> None:
        """A worker that was started anew from a file that nobody confirmed takes a reload."""
        self.begin(S[1])
        self.reloader.read()
        with open(f"{self.house.directory}/state/confirmed", "w", encoding="utf-8") as file:
            file.write("something else")
        outcome = self.apply(shops(S[1], S[2]))
        self.assertEqual(action_word(outcome), "reload")

    def test_waits_for_a_reload(self) -> None:
        """While a reload is under way no step is said; after it the difference is planned again."""
        self.begin(S[1])
        self.reloader.held = Deferred()
        reloading = self.applier.apply(shops("server s1 10.0.0.1:80 id 1 track x/y", S[2], cart=[]))
        stepping = self.applier.apply(shops("server s1 10.0.0.1:80 id 1 track x/y", S[3], cart=[]))
        draining = self.applier.drain([("shop", "s2")])
        self.worker.commands()
        self.assertNoResult(stepping)
        self.assertNoResult(draining)
        self.assertEqual(self.worker.commands(), [])
        held, self.reloader.held = self.reloader.held, None
        held.callback(None)
        self.assertEqual(action_word(self.successResultOf(reloading)), "reload")
        self.assertEqual(action_word(self.successResultOf(stepping)), "steps")
        self.successResultOf(draining)

    def test_after_a_reload(self) -> None:
        """What a reload did to the backends that differed is read back, and put right."""
        self.begin(S[1])
        wanted = shops(S[1], f"{S[2]} track x/y")
        load = self.worker.load

        def misread(*arguments: object) -> None:
            load(*arguments)  # type: ignore[arg-type]
            self.worker.server("shop/s1").weight = 200

        self.worker.load = misread  # type: ignore[method-assign]
        self.apply(wanted)
        self.assertEqual(self.worker.server("shop/s1").weight, 1)

    def test_health(self) -> None:
        """A server that is down stays down over a reload, in the state file of that reload alone."""
        checked = f"{S[1]} check"
        self.begin(checked, S[2])
        self.worker.server("shop/s1").up = False
        self.worker.server("shop/s2").up = False
        self.apply(shops(checked, S[2], f"{S[3]} track x/y"))
        (line,) = self.reloader.health[-1].splitlines()[1:]
        self.assertEqual(line.split()[1:5], ["shop", "1", "s1", "10.0.0.1"])
        with open(f"{self.house.directory}/state/server-state", encoding="utf-8") as file:
            self.assertEqual(file.read(), "1\n")
