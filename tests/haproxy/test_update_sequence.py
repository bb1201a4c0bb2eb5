"""What the next controller adopts, and a worker that was restarted."""

from __future__ import annotations

from marathonlb.haproxy.background import DELETE_INTERVAL
from marathonlb.haproxy.outcome import action_word, changes_of, explanation
from tests.haproxy.installation import InstallationCase, S, shops
from tests.haproxy.samples import backend, config


class AdoptionTests(InstallationCase):
    """The next controller."""

    def setUp(self) -> None:
        super().setUp()
        self.begin(S[1], S[2])

    def test_difference(self) -> None:
        """What has changed while there was no controller is made up for by steps."""
        wanted = shops(S[1], S[3], maps={"a": "shop", "b": "cart"})
        outcome = self.apply(wanted, self.installation.controller())
        self.assertEqual(
            (action_word(outcome), explanation(outcome)),
            ("steps", "1 server added, 1 removed, domain2backend.map changed"),
        )
        self.assertTrue(self.installation.serves(wanted) and self.installation.holds(wanted))
        self.assertEqual(self.reloads(), 1)

    def test_more_than_steps(self) -> None:
        """What takes a reload is one reload, without steps before it, and says what differs."""
        wanted = config(*shops(S[1], S[3]).sections[2:], backend("new", S[5]), a="shop")
        outcome = self.apply(wanted, self.installation.controller())
        self.assertEqual(
            (action_word(outcome), explanation(outcome)),
            ("reload", "HAProxy was taken over: backend new is new"),
        )
        self.assertEqual(self.worker.commands(), [])

    def test_behind_the_file(self) -> None:
        """A server that the file does not have is replaced by its wanted line; a map is corrected."""
        for what in ("serves", "does not"):
            wanted = shops(S[1], S[2], S[3], maps={"a": "cart"})
            self.successResultOf(self.worker.say(["add server shop/s3 10.0.0.3:80", "enable server shop/s3"]))
            next(iter(self.worker.maps.values())).versions[0][:] = [("a", "cart")]
            self.worker.commands()
            self.assertEqual(action_word(self.apply(wanted, self.installation.controller())), "steps")
            self.assertIn("del server shop/s3", self.worker.commands(), what)
            self.assertTrue(self.installation.serves(wanted) and self.installation.holds(wanted))
            self.apply(shops(S[1], S[2]), self.installation.controller())
        self.assertEqual(self.reloads(), 1)

    def test_unexplained(self) -> None:
        """An unknown server that is in use, in the place of one that is wanted, takes a reload."""
        self.successResultOf(self.worker.say(["add server shop/s3 10.0.0.3:80", "enable server shop/s3"]))
        self.worker.server("shop/s3").busy = True
        outcome = self.apply(shops(S[1], S[2], S[3]), self.installation.controller())
        self.assertEqual(action_word(outcome), "reload")
        self.assertTrue(
            explanation(outcome).startswith("HAProxy was taken over: HAProxy refuses"),
            explanation(outcome),
        )

    def test_drained_by_the_one_before(self) -> None:
        """A server that the controller before drained early is put back where it is wanted."""
        self.successResultOf(self.applier.drain([("shop", "s1")]))
        self.assertEqual(
            explanation(self.apply(shops(S[1], S[2]), self.installation.controller())), "1 server put back"
        )

    def test_undeleted_by_the_one_before(self) -> None:
        """A server that the controller before wanted to go is deleted by the next one."""
        self.worker.server("shop/s2").busy = True
        self.apply(shops(S[1]))
        self.worker.server("shop/s2").busy = False
        applier = self.installation.controller()
        applier.service.startService()
        self.addCleanup(applier.service.stopService)
        self.assertEqual(action_word(self.apply(shops(S[1]), applier)), "nothing")
        self.installation.clock.advance(DELETE_INTERVAL)
        self.assertEqual(list(self.worker.backends["shop"]), ["s1"])

    def test_no_answer(self) -> None:
        """Where the worker cannot be asked the file is believed; a difference takes a reload."""
        self.worker.up = False
        applier = self.installation.controller()
        self.assertEqual(action_word(self.apply(shops(S[1], S[2]), applier)), "nothing")
        outcome = self.apply(shops(S[1]), self.installation.controller())
        self.assertEqual(explanation(outcome), "HAProxy was taken over: backend shop differs")

    def test_asked_again(self) -> None:
        """A worker that could not be asked at first is led by steps once it can be."""
        self.worker.up = False
        applier = self.installation.controller()
        self.apply(shops(S[1], S[2]), applier)
        self.worker.up = True
        self.assertEqual(action_word(self.apply(shops(S[1]), applier)), "steps")


class RestartTests(InstallationCase):
    """The worker may be another one."""

    def test_restarted(self) -> None:
        """A worker that restarted holds its file, and is updated from there."""
        self.begin(S[1])
        self.apply(shops(S[1], S[2]))
        with open(self.installation.path, "w", encoding="utf-8") as file:
            file.write(shops(S[1]).text(self.installation.directory))
        digest = self.installation.reloader.files.texts(shops(S[1])).digest()
        with open(f"{self.installation.directory}/state/confirmed", "w", encoding="utf-8") as file:
            file.write(digest)
        self.reloader.read()
        self.worker.commands()
        wanted = shops(S[1], S[2], S[3])
        outcome = self.apply(wanted)
        self.assertEqual((action_word(outcome), dict(changes_of(outcome).counts)), ("steps", {"added": 2}))
        self.assertTrue(self.installation.serves(wanted) and self.installation.holds(wanted))

    def test_unconfirmed_file(self) -> None:
        """A worker that restarted from an unconfirmed file takes a reload."""
        self.begin(S[1])
        self.reloader.read()
        with open(f"{self.installation.directory}/state/confirmed", "w", encoding="utf-8") as file:
            file.write("something else")
        outcome = self.apply(shops(S[1], S[2]))
        self.assertEqual(action_word(outcome), "reload")
