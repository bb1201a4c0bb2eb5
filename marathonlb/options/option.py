"""One row of the table of options, and the kinds of values that several options share."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from marathonlb.options import values
from marathonlb.options.values import ValueKind

PREFIX = "MARATHON_LB_"
"""The beginning of the environment variable of every option."""

SECONDS = ValueKind(values.seconds, "a number of seconds above 0", "SECONDS")
PAUSE = ValueKind(values.pause, "a number of seconds, 0 or more", "SECONDS")
PERCENT = ValueKind(values.integer(0, 100), "a whole number from 0 to 100", "PERCENT")
COUNT = ValueKind(values.integer(0, 100_000), "a whole number from 0 to 100000", "N")
RETRIES = ValueKind(values.integer(-1, 1_000_000), "a whole number, 0 for none or -1 for no limit", "N")
PORT = ValueKind(values.integer(0, 65535), "a port from 1 to 65535, or 0", "PORT")
PATH = ValueKind(values.plain, "a path", "PATH")
TEXT = ValueKind(values.plain, "a text of one line", "TEXT")
BIND = ValueKind(values.bind, "an address and a port such as *:80, 10.0.0.1:80 or [::]:80", "ADDR:PORT")
ITEMS = ValueKind(values.words, "a list of names, separated by commas", "NAME[,NAME]")
FLAG = ValueKind(values.boolean, "true or false", "")


class Face(Enum):
    """The command lines that have an option."""

    DAEMON = "daemon"
    SCRIPT = "script"
    BOTH = "both"

    def takes(self, other: Face) -> bool:
        """Return whether an option of this face belongs to another face's command line."""
        return self in (Face.BOTH, other)


@frozen(kw_only=True)
class Option:
    """
    One option.

    :param name: the long name, without dashes.
    :param kind: the kind of its value; `FLAG` if it takes none.
    :param help: its effect, as a phrase without a full stop.
    :param default: as it would be written on the command line; None if there is none.
    :param default_help: the default as the help shows it if it is no plain value.
    :param short: the short name, without its dash.
    :param repeated: True if every occurrence counts; else the last one does.
    :param negative: True if ``--no-NAME`` exists.
    :param environment: further variables, read after ``MARATHON_LB_NAME``; the first one that is set counts.
    :param secret: True if the value must never be shown.
    :param note: logged at the start if the option is used.
    :param only_on_command_line: True if it has no variable, since it asks for one action and is no setting.
    """

    name: str
    kind: ValueKind
    help: str
    default: str | None = None
    default_help: str | None = None
    short: str | None = None
    face: Face = Face.BOTH
    repeated: bool = False
    negative: bool = False
    environment: tuple[str, ...] = ()
    secret: bool = False
    note: str = ""
    only_on_command_line: bool = False

    @property
    def flag(self) -> bool:
        """True if it takes no value."""
        return self.kind is FLAG

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return PREFIX + self.name.upper().replace("-", "_")

    @property
    def shown_default(self) -> str:
        """The default as the help shows it; empty if there is none to show."""
        if self.default_help is not None:
            return self.default_help
        if self.flag:
            return "on" if self.default == "true" else "off"
        return self.default or ""


@frozen
class Group:
    """Options under one heading of the help."""

    title: str
    options: tuple[Option, ...]
