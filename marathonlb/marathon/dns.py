"""
The addresses of the agents' hosts, which Marathon often gives as names.

Names are resolved before they are needed, cached, and resolved again at an interval. If a name cannot be resolved, only
the tasks on that host are not served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import ip_address

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorTime,
    IResolutionReceiver,
)
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.marathon.events.hints import Hint


@implementer(IResolutionReceiver)
class _AddressCollector:
    """Collects the addresses of a name."""

    def __init__(self) -> None:
        self.done: Deferred[list[str]] = Deferred()
        self._addresses: list[str] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Do nothing, since no address is known yet."""

    def addressResolved(self, address: IAddress) -> None:
        """Add one of the addresses."""
        self._addresses.append(address.host)  # type: ignore[attr-defined]

    def resolutionComplete(self) -> None:
        """Fire `done` with the addresses."""
        if not self.done.called:
            self.done.callback(self._addresses)


def resolve(resolver: IHostnameResolver, name: str) -> Deferred[list[str]]:
    """Return all addresses of a name; none if it cannot be resolved."""
    receiver = _AddressCollector()
    if can_be_resolved(name):
        resolver.resolveHostName(receiver, name)
    else:
        receiver.resolutionComplete()
    return receiver.done


class AgentHosts(Service):
    """
    Resolves the names of hosts and caches their addresses; provides `marathonlb.marathon.interfaces.Hosts`.

    :ivar changed: called with a hint about everything when an address has changed; set by the owner.
    :param interval: seconds between two resolutions of the known names.
    :param patience: maximum number of seconds that unresolved names delay a convergence.
    """

    _log = Logger()

    def __init__(
        self,
        resolver: IHostnameResolver,
        clock: IReactorTime,
        interval: float = 60,
        patience: float = 5,
    ) -> None:
        self._resolver = resolver
        self._clock = clock
        self.changed: Callable[[Hint], None] = lambda hint: None
        self._interval = interval
        self._patience = patience
        self._known: dict[str, str | None] = {}
        self._asked: set[str] = set()
        self._moved: set[str] = set()
        self._loop: LoopingCall | None = None

    def startService(self) -> None:
        """Start to resolve the known names at the interval."""
        super().startService()  # type: ignore[no-untyped-call]
        self._loop = LoopingCall(self.refresh)
        self._loop.clock = self._clock
        self._loop.start(self._interval, now=False).addErrback(
            lambda failure: self._log.failure(
                "A defect ended the resolution of agents' hosts; restart the controller, since addresses are stale",
                failure,
            )
        )

    def stopService(self) -> None:
        """Stop resolving; an address that arrives later makes no hint."""
        super().stopService()  # type: ignore[no-untyped-call]
        self.changed = lambda hint: None
        if self._loop is not None and self._loop.running:
            self._loop.stop()

    def address(self, host: str) -> str | None:
        """Return the known address of a host; a literal address is its own."""
        known = self._known.get(host)
        return host if known is None and is_address(host) else known

    async def learn(self, hosts: Iterable[str]) -> None:
        """Resolve the unknown names; an address that takes longer than ``patience`` comes later, as a hint."""
        names = {host for host in hosts if host not in self._known and not is_address(host)}
        if not names:
            return
        finished: Deferred[None] = Deferred(lambda _: call.cancel())

        def give_up() -> None:
            for name in sorted(names - self._known.keys()):
                self._known[name] = None
                self._log.warn(
                    "Resolving the agent's host {host} takes longer than {seconds:g} s; its tasks are served once it "
                    "is resolved. Check the name server if this persists",
                    host=name,
                    seconds=self._patience,
                )
            finished.callback(None)

        def arrived(_: object) -> None:
            if call.active():
                call.cancel()
                finished.callback(None)

        call = self._clock.callLater(self._patience, give_up)
        DeferredList([self._resolve(name) for name in sorted(names)]).addCallback(arrived)
        await finished

    def refresh(self) -> None:
        """Resolve the known names again, except those under way; a change makes a hint."""
        for name in sorted(self._known.keys() - self._asked):
            self._resolve(name)

    def keep(self, hosts: Iterable[str]) -> None:
        """Forget all other names: their agents are gone, or run no task that is served."""
        for name in self._known.keys() - self._asked - set(hosts):
            del self._known[name]

    def moved(self) -> frozenset[str]:
        """Return the hosts whose address has changed since the last call."""
        moved, self._moved = frozenset(self._moved), set()
        return moved

    def _resolve(self, name: str) -> Deferred[None]:
        self._asked.add(name)
        return resolve(self._resolver, name).addCallback(lambda addresses: self._take(name, addresses))

    def _take(self, name: str, addresses: list[str]) -> None:
        """
        Record the address of a name: the lowest IPv4 address, else the lowest IPv6 one, so that all controllers agree.

        A name that cannot be resolved keeps its known address.
        """
        self._asked.discard(name)
        address = min(filter(is_address, addresses), key=lambda one: (":" in one, one), default=None)
        if address is not None:
            late = name in self._known and self._known[name] != address
            self._known[name] = address
            if late:
                self._moved.add(name)
                self.changed(Hint.of(None, Cause(CauseKind.ADDRESS, name)))
        elif name not in self._known:
            self._known[name] = None
            self._log.warn(
                "Resolving the agent's host {host} failed; its tasks are not served. Correct the name server's "
                "records, or the agent's --hostname",
                host=name,
            )


@lru_cache(maxsize=65_536)
def is_address(host: str) -> bool:
    """Return whether this is a literal IPv4 or IPv6 address; HAProxy accepts none with a zone (``%eth0``)."""
    if not host or (host[0] not in "0123456789" and ":" not in host) or "%" in host:
        return False
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def can_be_resolved(host: str) -> bool:
    """Return whether a resolver can encode a name; it would never answer for another one."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True
