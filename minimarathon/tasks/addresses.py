"""The addresses of tasks: free ports of this machine, and loopback addresses for container and bridge networking."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from itertools import count

from attrs import define, field

from minimarathon.model import App, Networking, Task


def bindable(host: str, port: int) -> bool:
    """Return whether a TCP port is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def port_addresses(task: Task, app: App) -> tuple[tuple[str, int], ...]:
    """Return the task's address and port for each port of its app; the port is 0 if it has none."""
    slots = iter(task.ports)
    return tuple(
        (task.address, port.container_port or 0) if port.host_port is None else (task.host, next(slots, 0))
        for port in app.ports
    )


class NoPort(Exception):
    """All host ports of the range are in use."""


@define
class Addresses:
    """
    Assigns addresses and host ports to tasks.

    :param first: the first host port; `last` is the last one, included.
    :param free: returns whether a port of the host is free.
    :param share: assign ports several times: for tasks without processes.
    """

    host: str = "127.0.0.1"
    first: int = 31000
    last: int = 32000
    free: Callable[[str, int], bool] = bindable
    share: bool = False
    _taken: set[int] = field(factory=set)
    _next: int = 0
    _own: Iterator[int] = field(factory=lambda: count(1))

    def take(self, app: App) -> tuple[str, tuple[int, ...]]:
        """
        Reserve an address and host ports for a new task of an app.

        A port that the app requests by number (``hostPort`` or ``requirePorts``) is used as it is.

        :raise NoPort: if the range is used up; then nothing is reserved.
        """
        ports: list[int] = []
        try:
            for port in app.ports:
                if port.host_port is None:
                    continue
                fixed = (
                    port.service_port if app.require_ports and port.container_port is None else port.host_port
                )
                ports.append(fixed or self._port())
        except NoPort:
            self.give_back(tuple(ports))
            raise
        return self._address(app.networking), tuple(ports)

    def give_back(self, ports: tuple[int, ...]) -> None:
        """Release the ports of a task that has ended."""
        self._taken.difference_update(ports)

    def _port(self) -> int:
        size = self.last - self.first + 1
        for _ in range(size):
            port = self.first + self._next % size
            self._next += 1
            if self.share or (port not in self._taken and self.free(self.host, port)):
                self._taken.add(port)
                return port
        raise NoPort(
            f"all ports from {self.first} to {self.last} are in use: choose a larger range with --task-ports"
        )

    def _address(self, networking: Networking) -> str:
        """
        Return a task's address: the host's, or a new one.

        A container's address is a loopback address and reachable on this machine; a bridge's address is not reachable,
        as with Docker.
        """
        if networking is Networking.HOST:
            return self.host
        base = "127.1.0.0" if networking is Networking.CONTAINER else "172.17.0.1"
        return str(IPv4Address(base) + next(self._own) % 65000)
