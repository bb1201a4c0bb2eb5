"""
The command lines: Twisted's option parser, fed from the table.

Parsing only collects the given values as text; `marathonlb.options.settings_from` checks them together with the
environment, so the message about a wrong value is the same for both.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, NoReturn

from twisted.python import usage

from marathonlb import __version__
from marathonlb.options.completion import actions
from marathonlb.options.markdown import options_markdown
from marathonlb.options.option import PREFIX, Face, Group, Option
from marathonlb.options.table import GROUPS, options
from marathonlb.options.values import of_cluster

WIDTH = 80
"""Maximum number of columns of ``--help``."""

_COLUMN = 26
"""Width of the column of names."""


class CommandLine(usage.Options):
    """
    The command line of one face; subclass it with ``face=``, and with ``groups=`` where it has a table of its own.

    :ivar given: the values of the command line, once it is parsed (`marathonlb.options.Given`).
    """

    face: ClassVar[Face] = Face.BOTH
    groups: ClassVar[tuple[Group, ...]] = GROUPS
    compData: ClassVar[usage.Completions]
    synopsis = "[options]"
    longdesc = "Keeps HAProxy in step with what Marathon runs."

    def __init_subclass__(cls, *, face: Face, groups: tuple[Group, ...] = GROUPS, **rest: object) -> None:
        """Give the subclass the options of its face."""
        super().__init_subclass__(**rest)
        cls.face = face
        cls.groups = groups
        cls.compData = actions(face)
        for option in (option for group in groups for option in group.options if option.face.takes(face)):
            for name, handler in _handlers(option):
                setattr(cls, f"opt_{name}", handler)

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._given: dict[str, list[str]] = {}

    @property
    def given(self) -> dict[str, tuple[str, ...]]:
        """The given texts, by the name of the option."""
        return {name: tuple(texts) for name, texts in self._given.items()}

    def gave(self, option: Option, text: str) -> None:
        """Add a value; if the option is not repeatable, the last one counts."""
        self._given.setdefault(option.name, []).append(text)

    def parseArgs(self, *rest: str) -> None:
        """Refuse an argument that is no option, with a hint if it looks like a second address."""
        if rest:
            hint = "; give each address its own -m" if "://" in rest[0] else ""
            raise usage.UsageError(f"unexpected argument {_without_secrets(rest[0])!r}{hint}")

    def documentation(self) -> str:
        """Return the Markdown of ``--longhelp``; a face adds the labels and the templates."""
        return options_markdown()

    def opt_help(self) -> NoReturn:
        """Display the help and exit."""
        sys.stdout.write(f"{self}\n")
        raise SystemExit(0)

    opt_h = opt_help

    def opt_version(self) -> NoReturn:
        """Display the version and exit."""
        sys.stdout.write(f"marathon-lb {__version__}\n")
        raise SystemExit(0)

    def opt_longhelp(self) -> NoReturn:
        """Display options, labels and templates as Markdown and exit."""
        sys.stdout.write(self.documentation())
        raise SystemExit(0)

    def getUsage(self, width: int | None = None) -> str:
        """Return the text of ``--help``, at most `WIDTH` columns wide."""
        return "\n".join(_help(self))

    def __str__(self) -> str:
        return f"Usage: {self._command()}\n{self.getUsage()}"

    def _command(self) -> str:
        return f"twistd [options] marathon-lb {self.synopsis}" if self.parent is not None else self.synopsis


def _handlers(option: Option) -> Iterable[tuple[str, Callable[..., None]]]:
    """Yield the methods that `twisted.python.usage` needs for an option, by their names after ``opt_``."""
    name = option.name.replace("-", "_")

    def flag(self: CommandLine) -> None:
        self.gave(option, "true")

    def no_flag(self: CommandLine) -> None:
        self.gave(option, "false")

    def parameter(self: CommandLine, value: str) -> None:
        self.gave(option, value)

    handler: Callable[..., None] = flag if option.flag else parameter
    handler.__doc__ = option.help
    no_flag.__doc__ = f"turn --{option.name} off"
    yield name, handler
    if option.short:
        yield option.short, handler
    if option.negative:
        yield f"no_{name}", no_flag


def _without_secrets(text: str) -> str:
    return "***@" + text.rpartition("@")[2] if "@" in text else text


def _help(line: CommandLine) -> Iterable[str]:
    yield from textwrap.wrap(line.longdesc, WIDTH)
    for group in line.groups:
        rows = [option for option in group.options if option.face.takes(line.face)]
        if rows:
            yield f"\n{group.title}:"
        for option in rows:
            yield from _row(_names(option), _sentence(option))
    yield "\nHelp:"
    yield from _row("  -h, --help", "this text")
    yield from _row("      --longhelp", "options, labels and templates as Markdown")
    yield from _row("      --version", "the version")
    yield ""
    yield from textwrap.wrap(
        f"Each option can also come from the environment as {PREFIX} and its name ({PREFIX}HAPROXY_CONFIG). "
        "--longhelp has the details.",
        WIDTH,
    )


def _names(option: Option) -> str:
    short = f"  -{option.short}, " if option.short else "      "
    name = f"[no-]{option.name}" if option.negative else option.name
    value = "" if option.flag else f" {option.kind.metavar}"
    return f"{short}--{name}{value}"


def _sentence(option: Option) -> str:
    default = option.shown_default
    return option.help + (f" [{default}]" if default and default != "off" else "")


def _row(names: str, text: str) -> Iterable[str]:
    lines = textwrap.wrap(text, WIDTH - _COLUMN - 1, break_long_words=False, break_on_hyphens=False)
    if len(names) < _COLUMN:
        yield f"{names:<{_COLUMN}} {lines.pop(0)}"
    else:
        yield names
    for line in lines:
        yield " " * (_COLUMN + 1) + line


def spread_marathons(arguments: Sequence[str], face: Face = Face.SCRIPT) -> list[str]:
    """
    Return a command line in which every address has its own ``-m``.

    The script and the image's entrypoint take further addresses up to the next option:
    ``-m http://m1 http://m2 --dry`` is ``-m http://m1 -m http://m2 --dry``. The name of a cluster holds for the
    addresses that follow.
    """
    valued = {
        name
        for option in options(face)
        if not option.flag
        for name in (f"--{option.name}", f"-{option.short}")
        if name != "-None"
    }
    spread: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            return [*spread, argument, *rest]
        spread.append(argument)
        if argument in valued and rest:
            spread.append(rest.pop(0))
        if _is_marathon(argument):
            cluster = _cluster(spread[-1])
            while rest and not rest[0].startswith("-"):
                address = rest.pop(0)
                cluster = of_cluster(address)[0] or cluster
                named = f"{cluster}={of_cluster(address)[1]}" if cluster else address
                spread += ["--marathon", named]
    return spread


def _is_marathon(argument: str) -> bool:
    if argument.startswith("--"):
        return argument.partition("=")[0] == "--marathon"
    return argument.startswith("-m")


def _cluster(given: str) -> str:
    """Return the name of the cluster of the last of these addresses; empty if it has none."""
    value = given.removeprefix("--marathon=").removeprefix("-m")
    names = (of_cluster(item)[0] for item in re.split(r"[,\s]+", value))
    return next((name for name in reversed(list(names)) if name), "")
