"""A real HAProxy of our own: start, reload, refusal, adoption, supervision. Each test runs on each HAProxy we have."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest, TestCase

from marathonlb.errors import HAProxyUnavailable, InvalidConfiguration, ReloadFailed
from marathonlb.haproxy.applier import Applier
from marathonlb.haproxy.factory import make_applier
from marathonlb.haproxy.outcome import action_word, explanation
from marathonlb.haproxy.process.procfs import Procfs
from tests.coroutines import coroutine
from tests.fakes.haproxy import NONSENSE
from tests.integration.haproxies import PACKAGE, WHEEL, Load, Place, answering, ask, frontend, held_port

CONTROLLER = """
import sys
from twisted.internet import reactor, task
from marathonlb.haproxy.factory import make_applier
from marathonlb.haproxy.outcome import action_word, explanation
from marathonlb.settings import Settings
from tests.coroutines import coroutine
from tests.fakes.haproxy import NONSENSE
from tests.integration.haproxies import answering

async def main():
    directory, binary, port, word = sys.argv[1:]
    settings = Settings(haproxy=binary, haproxy_config=directory + "/haproxy.cfg", state_dir=directory + "/state",
                        manage_haproxy=True)
    applier = make_applier(settings, reactor)
    await applier.recover()
    applier.service.startService()
    outcome = await applier.apply(answering(int(port), word))
    print(action_word(outcome), explanation(outcome), flush=True)

task.react(lambda _: __import__("twisted.internet.defer").internet.defer.Deferred.fromCoroutine(main()).addCallback(
    lambda _: __import__("twisted.internet.defer").internet.defer.Deferred()))
"""


def pause(seconds: float) -> Deferred[None]:
    return deferLater(reactor, seconds, lambda: None)  # type: ignore[arg-type]


class ManagedMixin:
    """The tests; a class for each HAProxy names the binary."""

    binary = ""
    timeout = 240

    def setUp(self) -> None:
        if not self.binary:
            raise SkipTest("this HAProxy is not installed")
        self.place = Place(self.binary)
        self.addCleanup(self.place.clean)
        self.port = self.place.port
        self.appliers: list[Applier] = []

    async def controller(self) -> Applier:
        """A controller that begins; it is stopped at the end of the test."""
        applier = make_applier(self.place.settings, reactor)
        await applier.recover()
        applier.service.startService()
        self.addCleanup(lambda: applier.service.stopService() if applier.service.running else None)
        return applier

    async def asked(self) -> str:
        return await deferToThread(ask, self.port)

    async def until(self, true: Callable[[], bool]) -> None:
        for _ in range(500):
            if true():
                return
            await pause(0.02)
        self.fail("it did not come true within 10 s")

    @coroutine
    async def test_first_configuration_starts_it(self) -> None:
        """The first configuration starts HAProxy, and it serves what the map says."""
        applier = await self.controller()
        outcome = await applier.apply(answering(self.port, "one"))
        self.assertEqual(
            (action_word(outcome), explanation(outcome)), ("reload", "there was no configuration")
        )
        self.assertEqual(await self.asked(), "one")
        self.assertEqual(sorted(outcome.seconds), ["check", "publish", "reload"])
        self.assertEqual(len(await applier.pids()), 1)

    @coroutine
    async def test_session(self) -> None:
        """HAProxy leads a session of its own."""
        applier = await self.controller()
        await applier.apply(answering(self.port, "one"))
        self.assertEqual(os.getsid(self.place.master()), self.place.master())

    @coroutine
    async def test_same_again_does_nothing(self) -> None:
        """The same configuration again does nothing."""
        applier = await self.controller()
        await applier.apply(answering(self.port, "one"))
        before = await applier.pids()
        self.assertEqual(action_word(await applier.apply(answering(self.port, "one"))), "nothing")
        self.assertEqual(await applier.pids(), before)

    @coroutine
    async def test_reloads_lose_no_request(self) -> None:
        """Reloads under load lose no request, and each is in force when it is confirmed."""
        applier = await self.controller()
        await applier.apply(answering(self.port, "w0"))
        load = Load(self.port)
        try:
            for number in range(1, 6):
                outcome = await applier.apply(answering(self.port, f"w{number}"))
                self.assertEqual(explanation(outcome), "frontend main differs, map word.map differs")
                self.assertEqual(await self.asked(), f"w{number}")
                await pause(0.05)
        finally:
            await deferToThread(load.stop)
        self.assertEqual(load.failures, [])
        self.assertGreater(len(load.answers), 50)

    @coroutine
    async def test_refused_by_the_check(self) -> None:
        """A configuration that the check refuses touches nothing and names its writer."""
        applier = await self.controller()
        good = answering(self.port, "good")
        await applier.apply(good)
        text, pids = self.place.read(), await applier.pids()
        bad = answering(self.port, "bad", frontend("extra", self.port + 1, NONSENSE, app_id="/shop"))
        error = await self.assertFailure(applier.apply(bad), InvalidConfiguration)
        self.assertEqual(error.complaints[0].owner.app_id, "/shop")
        self.assertEqual(bad.locate(error.complaints[0].line)[0].name, "extra")
        self.assertEqual((self.place.read(), await applier.pids()), (text, pids))
        self.assertEqual((await self.asked(), applier.running), ("good", good))
        self.assertEqual([n for n in os.listdir(self.place.directory) if n.endswith("staged")], [])

    @coroutine
    async def test_port_in_use(self) -> None:
        """A port that another process holds fails in HAProxy's words; what was before serves and lies on disk."""
        applier = await self.controller()
        good = answering(self.port, "good")
        await applier.apply(good)
        text = self.place.read()
        with held_port() as port:
            wanted = answering(self.port, "next", frontend("taken", port, app_id="/taken"))
            load = Load(self.port)
            error = await self.assertFailure(applier.apply(wanted), ReloadFailed)
            await deferToThread(load.stop)
            self.assertEqual(load.failures, [])
            self.assertIn("cannot bind socket", str(error))
            self.assertEqual(error.complaints[0].owner.app_id, "/taken")
            self.assertEqual((await self.asked(), applier.running), ("good", good))
            self.assertEqual(self.place.read(), text)
        outcome = await applier.apply(wanted)
        self.assertEqual((action_word(outcome), await self.asked()), ("reload", "next"))

    @coroutine
    async def test_port_in_use_seen_by_haproxy(self) -> None:
        """A port that HAProxy alone finds to be held fails the reload, and the files before are put back."""
        applier = await self.controller()
        good = answering(self.port, "good")
        await applier.apply(good)
        text = self.place.read()
        with held_port() as port:
            taken = frontend("taken", port, address="localhost", app_id="/taken")
            error = await self.assertFailure(applier.apply(answering(self.port, "next", taken)), ReloadFailed)
        self.assertIn("cannot bind socket", str(error))
        self.assertEqual(error.complaints[0].owner.app_id, "/taken")
        self.assertEqual((await self.asked(), self.place.read()), ("good", text))
        self.assertEqual(action_word(await applier.apply(good)), "nothing")
        self.assertEqual(
            explanation(await applier.apply(answering(self.port, "third"))),
            "frontend main differs, map word.map differs",
        )

    @coroutine
    async def test_port_in_use_at_the_start(self) -> None:
        """A first start that fails says why in HAProxy's words, and the next try serves."""
        applier = await self.controller()
        with held_port() as port:
            wanted = answering(self.port, "one", frontend("taken", port, app_id="/taken"))
            error = await self.assertFailure(applier.apply(wanted), ReloadFailed)
            self.assertIn("cannot bind socket", str(error))
            self.assertEqual(error.complaints[0].owner.app_id, "/taken")
        self.assertEqual(action_word(await applier.apply(wanted)), "reload")
        self.assertEqual(await self.asked(), "one")

    @coroutine
    async def test_adopted_after_the_controller_was_killed(self) -> None:
        """HAProxy serves on after kill -9 of the controller, and the next one adopts it without a reload."""
        controller = subprocess.Popen(
            [sys.executable, "-c", CONTROLLER, self.place.directory, self.binary, str(self.port), "one"],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        try:
            said = await deferToThread(controller.stdout.readline)
        finally:
            controller.send_signal(signal.SIGKILL)
            await deferToThread(controller.communicate)
        self.assertEqual(said, b"reload there was no configuration\n")
        running = self.place.haproxies()
        self.assertEqual(await self.asked(), "one")
        applier = await self.controller()
        outcome = await applier.apply(answering(self.port, "one"))
        self.assertEqual((action_word(outcome), self.place.haproxies()), ("nothing", running))
        outcome = await applier.apply(answering(self.port, "two"))
        self.assertEqual(
            (explanation(outcome), await self.asked()), ("frontend main differs, map word.map differs", "two")
        )

    @coroutine
    async def test_adopted_with_differences(self) -> None:
        """A HAProxy that runs something else is reloaded once, and the reason says what differs."""
        first = await self.controller()
        await first.apply(answering(self.port, "one"))
        await first.service.stopService()
        second = await self.controller()
        master = self.place.master()
        wanted = answering(self.port, "one", frontend("more", self.port + 1, "http-request deny"))
        outcome = await second.apply(wanted)
        self.assertEqual(explanation(outcome), "HAProxy was taken over: frontend more is new")
        self.assertEqual(self.place.master(), master)

    @coroutine
    async def test_state_directory_taken_away(self) -> None:
        """Without its state directory HAProxy follows all the same, and its master stays who it is."""
        applier = await self.controller()
        await applier.apply(answering(self.port, "one"))
        master = self.place.master()
        shutil.rmtree(f"{self.place.directory}/state")
        await applier.apply(answering(self.port, "two"))
        self.assertEqual(await self.asked(), "two")
        self.assertEqual(self.place.master(), master)

    @coroutine
    async def test_not_ours(self) -> None:
        """A HAProxy that somebody else has started with our file shares its ports with none of ours."""
        first = await self.controller()
        await first.apply(answering(self.port, "one"))
        await first.service.stopService()
        master = self.place.master()
        self.place.settings = evolve(self.place.settings, state_dir=f"{self.place.directory}/other")
        second = await self.controller()
        error = await self.assertFailure(second.apply(answering(self.port, "two")), HAProxyUnavailable)
        self.assertIn(f"a HAProxy that is not ours (pid {master})", str(error))
        self.assertEqual(await self.asked(), "one")
        os.kill(master, signal.SIGTERM)
        await self.until(lambda: not Procfs().haproxies(self.place.settings.haproxy_config))
        await second.apply(answering(self.port, "two"))
        self.assertEqual(await self.asked(), "two")

    @coroutine
    async def test_master_killed(self) -> None:
        """A HAProxy that is killed, worker and master, comes back from the file on disk."""
        applier = await self.controller()
        await applier.apply(answering(self.port, "one"))
        master = self.place.master()
        for pid in self.place.haproxies():
            os.kill(pid, signal.SIGKILL)
        await self.until(lambda: self.place.master() != master and len(self.place.haproxies()) == 2)
        await self.until(self.answers)
        self.assertEqual(action_word(await applier.apply(answering(self.port, "one"))), "nothing")

    def answers(self) -> bool:
        try:
            return ask(self.port) == "one"
        except OSError:
            return False

    @coroutine
    async def test_adopted_master_killed(self) -> None:
        """An adopted HAProxy, whose parent we are not, is started again when it ends."""
        first = await self.controller()
        await first.apply(answering(self.port, "one"))
        await first.service.stopService()
        second = await self.controller()
        await second.apply(answering(self.port, "one"))
        master = self.place.master()
        os.kill(master, signal.SIGKILL)
        await self.until(lambda: self.place.master() not in (0, master))
        await self.until(self.answers)

    @coroutine
    async def test_worker_killed(self) -> None:
        """A worker that is killed takes its master along, and HAProxy comes back."""
        applier = await self.controller()
        await applier.apply(answering(self.port, "one"))
        master = self.place.master()
        os.kill((await applier.pids())[0], signal.SIGKILL)
        await self.until(lambda: self.place.master() not in (0, master))
        await self.until(self.answers)

    @coroutine
    async def test_starts_from_disk(self) -> None:
        """A controller starts HAProxy from the file on disk before anything is known of Marathon."""
        first = await self.controller()
        await first.apply(answering(self.port, "one"))
        await first.service.stopService()
        os.kill(self.place.master(), signal.SIGTERM)
        await self.until(lambda: not self.place.haproxies())
        os.unlink(f"{self.place.directory}/state/confirmed")
        second = await self.controller()
        await self.until(self.answers)
        self.assertEqual(action_word(await second.apply(answering(self.port, "one"))), "nothing")

    @coroutine
    async def test_stop_leaves_it_serving(self) -> None:
        """The service's stop leaves HAProxy serving; where it is told to, it ends it."""
        applier = await self.controller()
        await applier.apply(answering(self.port, "one"))
        await applier.service.stopService()
        self.assertEqual(await self.asked(), "one")
        ending = make_applier(self.place.settings, reactor, stop_with_controller=True)
        ending.service.startService()
        self.assertEqual(action_word(await ending.apply(answering(self.port, "one"))), "nothing")
        await ending.service.stopService()
        self.assertEqual(self.place.haproxies(), ())

    @coroutine
    async def test_environment(self) -> None:
        """HAProxy, which shows its environment to whoever asks, is not given Marathon's password."""
        self.patch(os, "environ", {**os.environ, "MARATHON_PASSWORD": "hidden", "STAGE": "blue"})
        applier = await self.controller()
        await applier.apply(answering(self.port, "one"))
        with open(f"/proc/{self.place.master()}/environ", "rb") as file:
            environment = file.read()
        self.assertIn(b"STAGE=blue", environment)
        self.assertNotIn(b"hidden", environment)


class PackageTests(ManagedMixin, TestCase):
    """The distribution's HAProxy (2.6 in Debian 12)."""

    binary = PACKAGE


class WheelTests(ManagedMixin, TestCase):
    """The wheel's HAProxy (2.8)."""

    binary = WHEEL
