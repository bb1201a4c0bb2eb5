"""The interface of a connection to HAProxy's runtime API."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import Interface


class IRuntimeConnection(Interface):
    """A connection to the runtime API of the worker that accepts new connections."""

    def worker_pid(*, refresh: bool = False) -> Deferred[int]:
        """
        Return the worker's process id, which is asked once: the connection ends when another worker takes over.

        :param refresh: ask although the id is known; this shows an end that was not noticed yet.

        Fails with `HAProxyUnavailable`.
        """

    def execute(commands: Sequence[str]) -> Deferred[list[str]]:
        """
        Execute commands, one after another.

        :param commands: each shorter than `MAX_COMMAND` bytes. A command that ends in ``<<`` and a newline is followed
            by its payload: whole lines, none of them empty.
        :return: the reply to each command, without the newlines around it.

        Fails with `HAProxyUnavailable`; then it is unknown which of the commands were carried out.
        """

    def close() -> None:
        """Close the connection."""
