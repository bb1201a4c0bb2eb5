"""
The addresses of agents' hosts, which Marathon often gives as names.

Names are resolved before they are needed, cached, and resolved again now and then; a name that cannot be resolved
takes out its own tasks alone.
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

from marathonlb.causes import Cause, CauseKind
from marathonlb.marathon.events.hints import Hint


@implementer(IResolutionReceiver)
class _Receiver:
    """Collects the addresses of one name."""

    def __init__(self) -> None:
        self.done: Deferred[list[str]] = Deferred()
        self._found: list[str] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Nothing is known yet."""

    def addressResolved(self, address: IAddress) -> None:
        """One of perhaps several addresses."""
        self._found.append(address.host)  # type: ignore[attr-defined]

    def resolutionComplete(self) -> None:
        """That was all."""
        if not self.done.called:
            self.done.callback(self._found)


def resolve(resolver: IHostnameResolver, name: str) -> Deferred[list[str]]:
    """Every address of a name; none where it cannot be resolved."""
    receiver = _Receiver()
    if can_be_resolved(name):
        resolver.resolveHostName(receiver, name)
    else:
        receiver.resolutionComplete()
    return receiver.done


class AgentHosts(Service):
    """
    Resolves and remembers.

    :ivar changed: told to look at everything when an address has changed; set by who wants to know.
    :param interval: seconds between two resolutions of the known names.
    :param patience: seconds that one round of resolving may hold up a convergence.
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
        """Begin to resolve again now and then."""
        super().startService()  # type: ignore[no-untyped-call]
        self._loop = LoopingCall(self.refresh)
        self._loop.clock = self._clock
        self._loop.start(self._interval, now=False).addErrback(
            lambda failure: self._log.failure(
                "Hosts are not resolved any more; restart the controller", failure
            )
        )

    def stopService(self) -> None:
        """Resolve no more; of an address that arrives late nobody is told."""
        super().stopService()  # type: ignore[no-untyped-call]
        self.changed = lambda hint: None
        if self._loop is not None and self._loop.running:
            self._loop.stop()

    def address(self, host: str) -> str | None:
        """The address of a host that was learnt; a literal address is its own."""
        known = self._known.get(host)
        return host if known is None and is_address(host) else known

    async def learn(self, hosts: Iterable[str]) -> None:
        """Resolve the names among these that are not known; those that take too long arrive later, as a hint."""
        names = {host for host in hosts if host not in self._known and not is_address(host)}
        if not names:
            return
        over: Deferred[None] = Deferred(lambda _: call.cancel())

        def give_up() -> None:
            for name in sorted(names - self._known.keys()):
                self._known[name] = None
                self._log.warn(
                    "The agent's host {host} is not resolved yet; its tasks wait for it", host=name
                )
            over.callback(None)

        def arrived(_: object) -> None:
            if call.active():
                call.cancel()
                over.callback(None)

        call = self._clock.callLater(self._patience, give_up)
        DeferredList([self._resolve(name) for name in sorted(names)]).addCallback(arrived)
        await over

    def refresh(self) -> None:
        """Resolve the known names again, but those that are still being resolved; a change is a hint."""
        for name in sorted(self._known.keys() - self._asked):
            self._resolve(name)

    def keep(self, hosts: Iterable[str]) -> None:
        """Forget the names that are not among these: their agents are gone, or run nothing of ours any more."""
        for name in self._known.keys() - self._asked - set(hosts):
            del self._known[name]

    def moved(self) -> frozenset[str]:
        """The hosts whose address has changed since this was asked last."""
        moved, self._moved = frozenset(self._moved), set()
        return moved

    def _resolve(self, name: str) -> Deferred[None]:
        self._asked.add(name)
        return resolve(self._resolver, name).addCallback(lambda found: self._take(name, found))

    def _take(self, name: str, found: list[str]) -> None:
        """
        Note the address of a name: the first of its IPv4 addresses, else of its IPv6 ones, so that a fleet agrees.

        A name that fails keeps the address that is known.
        """
        self._asked.discard(name)
        address = min(filter(is_address, found), key=lambda each: (":" in each, each), default=None)
        if address is not None:
            late = name in self._known and self._known[name] != address
            self._known[name] = address
            if late:
                self._moved.add(name)
                self.changed(Hint.of(None, Cause(CauseKind.ADDRESS, name)))
        elif name not in self._known:
            self._known[name] = None
            self._log.warn(
                "The agent's host {host} cannot be resolved; its tasks are not served. Mend the name service or the "
                "agents' --hostname",
                host=name,
            )


@lru_cache(maxsize=65_536)
def is_address(host: str) -> bool:
    """Whether this is a literal IPv4 or IPv6 address; one with a zone (``%eth0``) is none that HAProxy takes."""
    if not host or (host[0] not in "0123456789" and ":" not in host) or "%" in host:
        return False
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def can_be_resolved(host: str) -> bool:
    """Whether a resolver can be asked for a name; what it cannot encode it would never answer."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True
