"""
Checks before a reload whether the ports of the new configuration are free.

A reload that meets a port of another process makes HAProxy pause all its listeners for two seconds, in case its own old
worker holds that port: connections to all services are refused meanwhile (seen with 2.6 and 2.8). So each new port is
checked before the reload, without that cost: it is bound as HAProxy would bind it, and closed again.
"""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Callable, Iterator

from attrs import frozen
from twisted.internet.defer import Deferred
from zope.interface import implementer

from marathonlb.config.text.model import Config
from marathonlb.errors import Complaint, ReloadFailed
from marathonlb.haproxy.diagnostics.hints import in_one_line
from marathonlb.haproxy.interfaces import IChecker

_BIND = re.compile(r"^\s*bind\s+(?P<addresses>\S+)(?P<options>.*)$")
_ADDRESS = re.compile(
    r"^(?:ipv(?P<family>[46])@)?(?:\[(?P<bracketed>[0-9a-fA-F:.]+)\]|(?P<bare>\*|[0-9a-fA-F:.]*)):(?P<port>\d+)$"
)
_ELSEWHERE = frozenset({"namespace", "interface", "transparent"})
"""Options of ``bind`` with which our own bind would not predict the result of HAProxy's."""

Probe = Callable[["Bind"], str | None]


@frozen(order=True)
class Bind:
    """
    A literal address and a port.

    :param address: numeric; ``0.0.0.0`` for every address.
    """

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}:{self.port}]"


def binds(text: str) -> dict[Bind, int]:
    """Return the literal addresses that a configuration binds, each with the number of its line, counted from 1."""
    lines: dict[Bind, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        match = _BIND.match(line) if "bind" in line else None
        if match and not _ELSEWHERE.intersection(match["options"].split()):
            for bind in _literal(match["addresses"]):
                lines.setdefault(bind, number)
    return lines


def _literal(addresses: str) -> Iterator[Bind]:
    for address in addresses.split(","):
        match = _ADDRESS.match(address)
        if match is None or not 0 < int(match["port"]) < 65536:
            continue
        host = match["bracketed"] or match["bare"]
        if host in ("", "*"):
            host = "::" if match["family"] == "6" else "0.0.0.0"
        yield Bind(host, int(match["port"]))


@implementer(IChecker)
class PortChecker:
    """
    Checks a configuration, and then that no other process holds an address that is new in it.

    Without this HAProxy would stop serving to find that out. If it is not known what HAProxy runs, no address is
    checked.

    :param checker: checks everything else first.
    :param directory: of the map files.
    :param probe: returns why a bind would fail, or None.
    """

    def __init__(self, checker: IChecker, directory: str, probe: Probe) -> None:
        self._checker = checker
        self._directory = directory
        self._probe = probe

    def check(
        self, path: str, config: Config, *, control: bool = False, running: str | None = None
    ) -> Deferred[str]:
        """See `IChecker.check`. Fails with `ReloadFailed` if another process holds an address; see `taken`."""
        return Deferred.fromCoroutine(self._check(path, config, control, running))

    async def _check(self, path: str, config: Config, control: bool, running: str | None) -> str:
        warnings = await self._checker.check(path, config, control=control, running=running)
        complaints = () if running is None else taken(running, config, self._directory, self._probe)
        if complaints:
            raise ReloadFailed(reason=in_one_line(complaints), complaints=complaints, refused=True)
        return warnings


def taken(running: str, wanted: Config, directory: str, probe: Probe) -> tuple[Complaint, ...]:
    """
    Return a complaint for each address of a new configuration that another process holds.

    :param running: the text that HAProxy runs; what it binds is HAProxy's own.
    :param probe: returns why a bind would fail, or None.
    """
    held = binds(running)
    complaints = []
    for bind, line in binds(wanted.text(directory)).items():
        reason = None if bind in held else probe(bind)
        if reason is not None:
            place = wanted.locate(line)
            message = f"cannot bind socket ({reason}) for {bind}"
            complaints.append(Complaint(message=message, line=line, owner=place[1].owner if place else None))
    return tuple(complaints)


def shared_binds(text: str) -> tuple[Bind, ...]:
    """
    Return the addresses of a configuration that another process listens on, although HAProxy can bind them.

    The kernel lets the processes of one user share a port if all of them agree, as every HAProxy does, and distributes
    the connections among them.
    """
    return tuple(bind for bind in binds(text) if _refusal(bind, share=False) and probe(bind) is None)


def probe(bind: Bind) -> str | None:
    """
    Return why HAProxy could not bind this, in its words; None if it could, or if that is unknown.

    This never listens, so no connection of a client can get lost here.
    """
    return _refusal(bind, share=True)


def _refusal(bind: Bind, *, share: bool) -> str | None:
    family = socket.AF_INET6 if ":" in bind.address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as trying:
            trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(share))
            if family == socket.AF_INET6:
                trying.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            trying.bind((bind.address, bind.port))
    except OSError as error:
        return os.strerror(errno.EADDRINUSE) if error.errno == errno.EADDRINUSE else None
    return None
