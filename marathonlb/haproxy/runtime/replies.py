"""
HAProxy's replies to runtime API commands: which of them are a success, and what a refusal says about later ones. Pure.

Recorded from HAProxy 2.6, 2.8, 3.0 and 3.4. Any reply not listed here, including an empty one, counts as a failure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

_SUCCESSES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("add server ", re.compile(r"New server registered\.")),
    ("del server ", re.compile(r"Server deleted\.|No such server\.")),
    ("prepare map ", re.compile(r"New version created: \d+")),
    ("set server ", re.compile(r"(?:IP|no need to change|port) .*'stats socket command'|nothing changed|")),
    ("enable ", re.compile(r"")),
    ("add map ", re.compile(r"")),
    ("set map ", re.compile(r"")),
    ("del map ", re.compile(r"")),
    ("commit map ", re.compile(r"")),
    ("experimental-mode on", re.compile(r"")),
    # The results of the server commands before, or a warning, may stand before these.
    ("add backend ", re.compile(r"(?s:.*\n)?New backend registered\.")),
    ("publish backend ", re.compile(r"(?s:.*\n)?Backend published\.")),
    ("unpublish backend ", re.compile(r"(?s:.*\n)?Backend unpublished\.")),
    ("del backend ", re.compile(r"(?s:.*\n)?(?:Backend deleted|No such backend)\.")),
)

_ID_TAKEN = "'id' : custom id"
_IN_USE = "Server still has"
_ARGUMENT = re.compile(r"'(?P<accepted>[\w-]+)' option is not accepted|unknown keyword '(?P<unknown>[\w-]+)'")
_TRANSIENT = (
    "No such ",
    "Already exists",
    _ID_TAKEN,
    _IN_USE,
    "Error during backend creation : name is already used",
    "Cannot find default proxy",
)
"""Beginnings of refusals that depend on what HAProxy holds now, not on what it can do."""


class CommandRefusal(Struct, frozen=True):
    """
    A command that was not carried out.

    :param reply: HAProxy's reply, on one line; empty if there was none.
    :param unknown: True if no reply to this command is known to be a success.
    """

    command: str
    reply: str
    unknown: bool = False

    def __str__(self) -> str:
        command = " ".join(self.command.split("\n", 1)[0].split()[:3])
        return f"HAProxy refuses {command!r}: {self.reason}"

    @property
    def reason(self) -> str:
        """The reply, or a sentence about its absence."""
        return "no reply to this command is known" if self.unknown else self.reply or "the reply is empty"

    @property
    def backend(self) -> str:
        """The backend that the command is about; empty if it is about none."""
        words = self.command.split()
        about = len(words) > 2 and words[1] in ("server", "health", "backend")
        return words[2].partition("/")[0] if about else ""

    @property
    def argument(self) -> str:
        """The argument of a server that this HAProxy does not accept; empty if the refusal is about none."""
        match = _ARGUMENT.search(self.reply)
        return (match["accepted"] or match["unknown"]) if match else ""

    @property
    def id_taken(self) -> bool:
        """True if another server has the id."""
        return self.reply.startswith(_ID_TAKEN)

    @property
    def in_use(self) -> bool:
        """True if the server still has connections (``del server``)."""
        return self.reply.startswith(_IN_USE)

    @property
    def lasting(self) -> bool:
        """True if the same command would be refused again."""
        return self.unknown or (bool(self.reply) and not self.reply.startswith(_TRANSIENT))


def refusal(command: str, reply: str) -> CommandRefusal | None:
    """Return the refusal that a reply is; None if it says that the command was carried out."""
    for beginning, success in _SUCCESSES:
        if command.startswith(beginning):
            if success.fullmatch(reply):
                return None
            return CommandRefusal(command, " ".join(reply.split())[:300])
    return CommandRefusal(command, " ".join(reply.split())[:300], unknown=True)


def supported(reply: str, known: Mapping[str, int]) -> frozenset[str] | None:
    """
    Return those of the known arguments that a reply to ``add server help`` names (HAProxy 3.4).

    :return: None if the reply is no such list.
    """
    words = frozenset(line.strip() for line in reply.splitlines())
    return words & known.keys() if {"check", "weight"} <= words else None
