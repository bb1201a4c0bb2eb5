"""Agents' hosts and their addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from marathonlb.marathon.dns import AgentHosts, can_be_resolved, is_address
from marathonlb.marathon.events.hints import Hint


@implementer(IHostResolution)
class Resolution:
    """One name that is asked for."""

    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        raise NotImplementedError


@implementer(IHostnameResolver)
class Names:
    """
    A resolver that answers from a table, or when it is told to.

    :ivar table: addresses by name; a name that is absent has none.
    :ivar held: names that are answered by `answer` alone.
    :ivar asked: every name that was asked for.
    """

    def __init__(self, **table: list[str]) -> None:
        self.table = {name.replace("_", "."): found for name, found in table.items()}
        self.held: set[str] = set()
        self.asked: list[str] = []
        self._waiting: list[tuple[str, IResolutionReceiver]] = []

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        self.asked.append(hostName)
        resolution = Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        self._waiting.append((hostName, resolutionReceiver))
        if hostName not in self.held:
            self.answer(hostName)
        return resolution

    def answer(self, name: str) -> None:
        """Answer all requests for a name."""
        ready = [receiver for waiting, receiver in self._waiting if waiting == name]
        self._waiting = [each for each in self._waiting if each[0] != name]
        for receiver in ready:
            for address in self.table.get(name, []):
                kind = IPv6Address if ":" in address else IPv4Address
                receiver.addressResolved(kind("TCP", address, 0))
            receiver.resolutionComplete()


class Hosts(SynchronousTestCase):
    """`AgentHosts`: names are resolved once, cached, and resolved again."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.names = Names()
        self.hosts = AgentHosts(self.names, self.clock, interval=60, patience=5)
        self.hints: list[Hint] = []
        self.hosts.changed = self.hints.append
        self.events: list[LogEvent] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def learn(self, *hosts: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self.hosts.learn(hosts))

    def warnings(self) -> list[str]:
        """The hosts that were warned about."""
        return [
            event["host"] for event in self.events if event["log_level"].name == "warn" and "host" in event
        ]

    def test_fake(self) -> None:
        """The resolver of these tests is one."""
        verifyObject(IHostnameResolver, self.names)

    def test_addresses(self) -> None:
        """IPv4 goes before IPv6 and the smallest comes first, whatever order they arrive in; so a fleet agrees."""
        for found, address in (
            (["10.0.0.2"], "10.0.0.2"),
            (["fd00::1", "10.0.0.2"], "10.0.0.2"),
            (["10.0.0.9", "10.0.0.2"], "10.0.0.2"),
            (["fd00::2", "fd00::1"], "fd00::1"),
            (["fe80::1%eth0", "fd00::2"], "fd00::2"),
        ):
            for order in (found, found[::-1]):
                hosts = AgentHosts(Names(agent=order), self.clock)
                self.successResultOf(Deferred.fromCoroutine(hosts.learn(["agent"])))
                self.assertEqual(hosts.address("agent"), address, order)

    def test_literal(self) -> None:
        """A literal address is not resolved."""
        for address in ("10.0.0.1", "fd00::1", "::1"):
            self.successResultOf(self.learn(address))
            self.assertEqual(self.hosts.address(address), address)
        self.assertEqual(self.names.asked, [])

    def test_once(self) -> None:
        """A name that is known is not asked for again before its time."""
        self.names.table["agent"] = ["10.0.0.1"]
        self.successResultOf(self.learn("agent", "agent"))
        self.successResultOf(self.learn("agent"))
        self.assertEqual(self.names.asked, ["agent"])

    def test_failure(self) -> None:
        """A name without an address affects no other, and is logged once."""
        self.names.table["good"] = ["10.0.0.1"]
        self.successResultOf(self.learn("bad", "good"))
        self.successResultOf(self.learn("bad", "good"))
        self.hosts.refresh()
        self.assertEqual((self.hosts.address("bad"), self.hosts.address("good")), (None, "10.0.0.1"))
        self.assertEqual(self.warnings(), ["bad"])
        self.assertEqual(self.hints, [])

    def test_mended(self) -> None:
        """A name that gets an address is noticed at the next resolution, makes one hint, and is served."""
        self.successResultOf(self.learn("agent"))
        self.hosts.startService()
        self.addCleanup(self.hosts.stopService)
        self.names.table["agent"] = ["10.0.0.1"]
        self.clock.advance(60)
        self.assertEqual(self.hosts.address("agent"), "10.0.0.1")
        self.assertEqual([hint.apps for hint in self.hints], [None])
        self.assertEqual((self.hosts.moved(), self.hosts.moved()), ({"agent"}, frozenset()))
        self.clock.advance(60)
        self.assertEqual(len(self.hints), 1)

    def test_moved(self) -> None:
        """An address that changes is noticed; a name that fails for a while keeps the one it had."""
        self.names.table["agent"] = ["10.0.0.1"]
        self.successResultOf(self.learn("agent"))
        self.names.table["agent"] = []
        self.hosts.refresh()
        self.assertEqual((self.hosts.address("agent"), self.hints), ("10.0.0.1", []))
        self.names.table["agent"] = ["10.0.0.7"]
        self.hosts.refresh()
        self.assertEqual((self.hosts.address("agent"), len(self.hints)), ("10.0.0.7", 1))
        self.assertEqual(self.hosts.moved(), {"agent"})

    def test_forgotten(self) -> None:
        """A name without an agent is forgotten and not resolved again, except while its resolution is under way."""
        self.names.table |= {"one": ["10.0.0.1"], "two": ["10.0.0.2"], "slow": ["10.0.0.3"]}
        self.names.held.add("slow")
        self.learn("one", "two", "slow")
        self.clock.advance(5)
        self.hosts.keep({"one", "10.0.0.9"})
        self.names.answer("slow")
        self.assertEqual((self.hosts.address("one"), self.hosts.address("two")), ("10.0.0.1", None))
        self.assertEqual(self.hosts.address("slow"), "10.0.0.3")
        self.hosts.keep({"one"})
        asked = len(self.names.asked)
        self.hosts.refresh()
        self.assertEqual(self.names.asked[asked:], ["one"])

    def test_late(self) -> None:
        """An answer that takes too long holds nothing up; it arrives as a hint."""
        self.names.table |= {"slow": ["10.0.0.1"], "fast": ["10.0.0.2"]}
        self.names.held.add("slow")
        waiting = self.learn("slow", "fast")
        self.clock.advance(4.9)
        self.assertNoResult(waiting)
        self.clock.advance(0.1)
        self.successResultOf(waiting)
        self.assertEqual((self.hosts.address("slow"), self.hosts.address("fast")), (None, "10.0.0.2"))
        self.assertEqual(self.warnings(), ["slow"])
        self.names.answer("slow")
        self.assertEqual((self.hosts.address("slow"), len(self.hints)), ("10.0.0.1", 1))

    def test_late_failure(self) -> None:
        """A name that fails after the patience is over is not complained about twice."""
        self.names.held.add("slow")
        self.learn("slow")
        self.clock.advance(5)
        self.names.answer("slow")
        self.assertEqual((self.hosts.address("slow"), self.warnings(), self.hints), (None, ["slow"], []))

    def test_slow_name_holds_no_round_up(self) -> None:
        """While one name is still being resolved the others are looked at again, and that one is not asked twice."""
        self.names.table |= {"slow": ["10.0.0.1"], "fast": ["10.0.0.2"]}
        self.names.held.add("slow")
        self.learn("slow", "fast")
        self.clock.advance(5)
        self.hosts.startService()
        self.addCleanup(self.hosts.stopService)
        self.clock.pump([60, 60])
        self.assertEqual(sorted(self.names.asked), ["fast", "fast", "fast", "slow"])

    def test_impossible_name(self) -> None:
        """A name that no resolver can be asked for fails at once, like one that does not exist."""
        for name in ("a..b", "x" * 64, ".a"):
            self.assertFalse(can_be_resolved(name), name)
            self.successResultOf(self.learn(name))
            self.assertIsNone(self.hosts.address(name))
        self.assertEqual(self.names.asked, [])
        self.assertEqual(len(self.warnings()), 3)

    def test_cancelled(self) -> None:
        """Waiting for names can be cancelled, and leaves no timer."""
        self.names.held.add("slow")
        waiting = self.learn("slow")
        waiting.cancel()
        self.failureResultOf(waiting)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped(self) -> None:
        """After the stop nothing is resolved, and a late address makes no hint."""
        self.names.held.add("slow")
        self.learn("slow")
        self.clock.advance(5)
        self.hosts.startService()
        self.hosts.stopService()
        self.clock.advance(600)
        self.names.table["slow"] = ["10.0.0.1"]
        self.names.answer("slow")
        self.assertEqual((self.names.asked, self.hints), (["slow"], []))


class Literals(SynchronousTestCase):
    """What is an address already."""

    def test_is_address(self) -> None:
        """Only what HAProxy takes as an address is one: no zone, no brackets, no port, no name."""
        told: dict[Any, bool] = {
            "10.0.0.1": True,
            "fd00::1": True,
            "::ffff:10.0.0.1": True,
            "": False,
            "agent": False,
            "10.0.0": False,
            "10.0.0.1:80": False,
            "[::1]": False,
            "fe80::1%eth0": False,
            "10.0.0.1\n": False,
        }
        self.assertEqual({host: is_address(host) for host in told}, told)
