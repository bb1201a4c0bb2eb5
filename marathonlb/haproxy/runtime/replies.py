"""
HAProxy's words in answer to a command: which are a success, and what a refusal tells about the next time. Pure.

Recorded of HAProxy 2.6, 2.8, 3.0 and 3.4; what is not known to be a success is none, silence least of all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import frozen

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
    # What became of servers a moment ago, or a warning, may stand before these.
    ("add backend ", re.compile(r"(?s:.*\n)?New backend registered\.")),
    ("publish backend ", re.compile(r"(?s:.*\n)?Backend published\.")),
    ("unpublish backend ", re.compile(r"(?s:.*\n)?Backend unpublished\.")),
    ("del backend ", re.compile(r"(?s:.*\n)?(?:Backend deleted|No such backend)\.")),
)

ID_TAKEN = "'id' : custom id"
"""How an answer begins where another server has the id."""

IN_USE = "Server still has"
"""How the answer to ``del server`` begins where it has connections."""

_ARGUMENT = re.compile(r"'(?P<accepted>[\w-]+)' option is not accepted|unknown keyword '(?P<unknown>[\w-]+)'")
_OF_THE_MOMENT = (
    "No such ",
    "Already exists",
    ID_TAKEN,
    IN_USE,
    "Error during backend creation : name is already used",
    "Cannot find default proxy",
)
"""Refusals that depend on what is there, not on what HAProxy can do."""


@frozen
class Refusal:
    """
    A command that was not carried out.

    :param words: HAProxy's answer, on one line.
    """

    command: str
    words: str

    def __str__(self) -> str:
        command = " ".join(self.command.split("\n", 1)[0].split()[:3])
        return f"HAProxy refuses {command!r}: {self.words}"

    @property
    def backend(self) -> str:
        """The backend that it is about; empty where it is about none."""
        words = self.command.split()
        about = len(words) > 2 and words[1] in ("server", "health", "backend")
        return words[2].partition("/")[0] if about else ""

    @property
    def argument(self) -> str:
        """The argument of a server that this HAProxy does not take; empty where it is not about one."""
        found = _ARGUMENT.search(self.words)
        return (found["accepted"] or found["unknown"]) if found else ""

    @property
    def lasting(self) -> bool:
        """Whether the same would be refused again."""
        return not self.words.startswith(_OF_THE_MOMENT) and self.words != SILENCE


SILENCE = "it said nothing"


def refusal(command: str, answer: str) -> Refusal | None:
    """What is wrong with an answer; None where it says that the command was carried out."""
    for beginning, success in _SUCCESSES:
        if command.startswith(beginning):
            if success.fullmatch(answer):
                return None
            return Refusal(command, " ".join(answer.split())[:300] or SILENCE)
    return Refusal(command, "a command that nobody expects")


def supported(answer: str, known: Mapping[str, int]) -> frozenset[str] | None:
    """
    The arguments that ``add server help`` names (HAProxy 3.4), of those that are known.

    :return: None where the answer is no such list.
    """
    words = frozenset(line.strip() for line in answer.splitlines())
    return words & known.keys() if {"check", "weight"} <= words else None
