"""The options that only the script has."""

from __future__ import annotations

from marathonlb.options import values
from marathonlb.options.option import FLAG, Face, Group, Option
from marathonlb.options.values import ValueKind

SCRIPT = Group(
    "Script only",
    (
        Option(
            name="dry",
            short="d",
            kind=FLAG,
            face=Face.SCRIPT,
            only_on_command_line=True,
            help="print the configuration, change nothing",
        ),
        Option(
            name="diff",
            kind=FLAG,
            face=Face.SCRIPT,
            only_on_command_line=True,
            help="print what would change and if it needs a reload, change nothing; exits with 1 if "
            "something would change, with 2 if that cannot be determined",
        ),
        Option(
            name="explain",
            kind=ValueKind(values.plain, "a URL, an app id or a port", "WHAT"),
            face=Face.SCRIPT,
            only_on_command_line=True,
            help="print the rule that matches a URL, an app id or a port, or why none does; change nothing. "
            "Asks the daemon with this --state-dir, or Marathon if none runs",
        ),
        Option(
            name="status",
            kind=FLAG,
            face=Face.SCRIPT,
            only_on_command_line=True,
            help="print the status of the running daemon; exits with 1 if it is not ready",
        ),
        Option(
            name="json",
            kind=FLAG,
            face=Face.SCRIPT,
            only_on_command_line=True,
            help="print --status as JSON",
        ),
        Option(
            name="rollback",
            kind=ValueKind(values.integer(0, 100_000), "a whole number, 0 to release", "N"),
            face=Face.SCRIPT,
            only_on_command_line=True,
            help="go back by N configurations, with today's tasks, and pin that one; 0 releases it",
        ),
        Option(
            name="strict-exit",
            kind=FLAG,
            face=Face.SCRIPT,
            help="exit with 3 if a service had to be left out (else 0)",
        ),
    ),
)
