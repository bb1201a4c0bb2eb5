"""What every implementation of this wing's interfaces does; the fakes and the real ones are put to it alike."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import gatherResults
from zope.interface.verify import verifyObject

from marathonlb.config.text.model import Chunk, Config, Owner, Section
from marathonlb.errors import InvalidConfiguration
from marathonlb.haproxy.interfaces import IApplier, IReloader
from marathonlb.haproxy.outcome import action_word, explanation
from marathonlb.haproxy.reload_reason import ReasonKind, ReloadReason
from tests.coroutines import coroutine
from tests.fakes.haproxy import NONSENSE
from tests.integration.haproxies import answering, free_port, frontend


class ApplierContract:
    """`IApplier`. A test case gives `applier`, which is new, and the `port` that its configurations may bind."""

    applier: Any
    port: int

    def bad(self) -> Config:
        """A configuration with a line of one app's that HAProxy refuses."""
        return answering(self.port, "bad", frontend("extra", free_port(), NONSENSE, app_id="/extra"))

    @coroutine
    async def test_interface(self: Any) -> None:
        """It provides the interface, and knows nothing at first."""
        self.assertTrue(verifyObject(IApplier, self.applier))
        self.assertIsNone(self.applier.running)
        self.assertEqual(await self.applier.pids(), ())
        await self.applier.recover()

    @coroutine
    async def test_first(self: Any) -> None:
        """The first configuration is loaded, with a reason and the time of each stage."""
        wanted = answering(self.port, "one")
        outcome = await self.applier.apply(wanted)
        self.assertEqual(action_word(outcome), "reload")
        self.assertTrue(explanation(outcome))
        self.assertEqual(sorted(outcome.seconds), ["check", "publish", "reload"])
        self.assertIs(self.applier.running, wanted)
        self.assertEqual(len(await self.applier.pids()), 1)

    @coroutine
    async def test_same(self: Any) -> None:
        """The same text again, by other objects, does nothing."""
        await self.applier.apply(answering(self.port, "one"))
        outcome = await self.applier.apply(answering(self.port, "one"))
        self.assertEqual((action_word(outcome), explanation(outcome), outcome.seconds), ("nothing", "", {}))

    @coroutine
    async def test_difference(self: Any) -> None:
        """A difference is loaded, and the reason names it."""
        await self.applier.apply(answering(self.port, "one"))
        outcome = await self.applier.apply(answering(self.port, "two", frontend("extra", free_port())))
        self.assertEqual(
            explanation(outcome), "frontend main differs, frontend extra is new, map word.map differs"
        )

    @coroutine
    async def test_refused(self: Any) -> None:
        """What HAProxy refuses names line and writer, changes nothing, and what follows is applied."""
        good = answering(self.port, "good")
        await self.applier.apply(good)
        bad = self.bad()
        error = await self.assertFailure(self.applier.apply(bad), InvalidConfiguration)
        (complaint,) = error.complaints
        section, chunk = bad.locate(complaint.line)
        self.assertEqual((section.name, complaint.owner), ("extra", chunk.owner))
        self.assertIs(self.applier.running, good)
        self.assertEqual(action_word(await self.applier.apply(good)), "nothing")
        self.assertEqual(action_word(await self.applier.apply(answering(self.port, "next"))), "reload")

    @coroutine
    async def test_refused_first(self: Any) -> None:
        """Where the first configuration is refused nothing runs, and it is refused again when it is tried again."""
        await self.assertFailure(self.applier.apply(self.bad()), InvalidConfiguration)
        self.assertIsNone(self.applier.running)
        await self.assertFailure(self.applier.apply(self.bad()), InvalidConfiguration)

    @coroutine
    async def test_distrust(self: Any) -> None:
        """What is distrusted is loaded once more, for the reason that was given, and then trusted."""
        await self.applier.apply(answering(self.port, "one"))
        self.applier.distrust(ReloadReason(ReasonKind.REQUESTED, "SIGUSR1"))
        outcome = await self.applier.apply(answering(self.port, "one"))
        self.assertEqual((action_word(outcome), explanation(outcome)), ("reload", "SIGUSR1"))
        self.assertEqual(action_word(await self.applier.apply(answering(self.port, "one"))), "nothing")

    @coroutine
    async def test_served(self: Any) -> None:
        """The backends that have servers are known by their names."""
        self.assertEqual(self.applier.served(), frozenset())
        server = "  server a 127.0.0.1:9\n"
        backends = [
            Section("backend", name, (Chunk(f"\nbackend {name}\n{text}", Owner()),))
            for name, text in (("shop_10000", server), ("empty_10001", "  mode http\n"))
        ]
        await self.applier.apply(answering(self.port, "one", *backends))
        self.assertEqual(self.applier.served(), {"shop_10000"})

    @coroutine
    async def test_two_at_once(self: Any) -> None:
        """A second application waits for the first, and the last one is what runs."""
        first, second = answering(self.port, "one"), answering(self.port, "two")
        outcomes = await gatherResults([self.applier.apply(first), self.applier.apply(second)])
        self.assertEqual([action_word(outcome) for outcome in outcomes], ["reload", "reload"])
        self.assertIs(self.applier.running, second)


class ReloaderContract:
    """`IReloader`, of a HAProxy that is ours to start. A test case gives `reloader`, and `lay`: it writes the file."""

    reloader: Any
    port: int

    def lay(self, config: Config) -> None:
        """Put a configuration where HAProxy reads it."""

    @coroutine
    async def test_interface(self: Any) -> None:
        """It provides the interface, and nothing runs at first."""
        self.assertTrue(verifyObject(IReloader, self.reloader))
        self.assertFalse(await self.reloader.serving())
        self.assertEqual(await self.reloader.pids(), ())

    @coroutine
    async def test_reload(self: Any) -> None:
        """The first reload starts it, the next ones replace its worker."""
        config = answering(self.port, "one")
        self.lay(config)
        self.assertTrue((await self.reloader.reload(config)).running)
        self.assertTrue(await self.reloader.serving())
        before = await self.reloader.pids()
        await self.reloader.reload(config)
        self.assertNotEqual((await self.reloader.pids())[0], before[0])
