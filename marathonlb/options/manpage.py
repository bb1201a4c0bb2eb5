"""The manual pages of the daemon and of the script, in the man macros of troff, from the table of options."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from marathonlb.options.option import PREFIX, Face, Option
from marathonlb.options.table import GROUPS


@frozen(kw_only=True)
class _Page:
    """What the pages do not have in common."""

    name: str
    face: Face
    what: str
    synopsis: tuple[str, ...]
    description: tuple[str, ...]
    statuses: tuple[tuple[str, str], ...]
    examples: tuple[tuple[str, str], ...]
    others: tuple[str, ...]


_DAEMON = _Page(
    name="marathon-lb",
    face=Face.DAEMON,
    what="keep HAProxy in step with what Marathon runs",
    synopsis=("twistd [options of twistd] marathon-lb [options]",),
    description=(
        "The daemon, a plugin of twistd. It learns from Marathon which apps run where, writes HAProxy's configuration "
        "and makes HAProxy run it: by its runtime socket where that leads there, else by a reload that says why.",
        "twistd -n stays in the foreground; without it the daemon has twistd's pid file and log. HAProxy serves on "
        "when the daemon ends, and the next one takes it over as it is.",
        "The address of --bind-stats has a dashboard, an API, metrics and HAProxy's own statistics.",
    ),
    statuses=(("0", "it was told to end"), ("1", "a wrong option, or it could not start")),
    examples=(
        (
            "Follow two Marathons of one cluster, with a HAProxy of its own:",
            "twistd -n marathon-lb -m http://m1:8080 -m http://m2:8080 --manage-haproxy",
        ),
        (
            "An old Marathon that posts its events:",
            "twistd -n marathon-lb --mode=event -m http://m1:8080 --callback-url http://lb1:8081",
        ),
    ),
    others=("marathon-update-haproxy(1)", "twistd(1)", "haproxy(1)"),
)

_SCRIPT = _Page(
    name="marathon-update-haproxy",
    face=Face.SCRIPT,
    what="make HAProxy's configuration once, and ask the daemon",
    synopsis=(
        "marathon-update-haproxy [options]",
        "marathon-update-haproxy --status | --explain WHAT | --diff | --dry | --rollback N [options]",
    ),
    description=(
        "Without one of the options of the second line it asks Marathon, writes the configuration where it has "
        "changed, and reloads HAProxy.",
        "--status, --explain and --rollback ask the running daemon over its socket in --state-dir. Where none answers, "
        "--explain asks Marathon, and --rollback does the work itself.",
        "On a terminal a long run shows what it is at, and --diff and --status have colours.",
    ),
    statuses=(
        ("0", "done; of --status: ready; of --diff: nothing would change"),
        (
            "1",
            "Marathon, the check or the reload failed; of --status: not ready; of --diff: something would change",
        ),
        ("2", "a wrong option; of --diff: it cannot be said what would change"),
        ("3", "under --strict-exit, a service had to be left out"),
    ),
    examples=(
        ("Print the configuration, change nothing:", "marathon-update-haproxy -m http://m1:8080 --dry"),
        ("Why does nobody answer there?", "marathon-update-haproxy --explain http://shop.example.com/cart"),
        (
            "Undo the last change, and release that later:",
            "marathon-update-haproxy --rollback 1\nmarathon-update-haproxy --rollback 0",
        ),
    ),
    others=("marathon-lb(1)", "haproxy(1)"),
)


def manual_pages() -> dict[str, str]:
    """The pages by the names of their files."""
    return {f"{page.name}.1": "\n".join(_page(page)) + "\n" for page in (_DAEMON, _SCRIPT)}


def _page(page: _Page) -> Iterable[str]:
    yield f'.TH {page.name.upper()} 1 "" "marathon-lb" "User Commands"'
    yield ".SH NAME"
    yield f"{_said(page.name)} \\- {_said(page.what)}"
    yield ".SH SYNOPSIS"
    yield from _broken(f".B {_said(line)}" for line in page.synopsis)
    yield ".SH DESCRIPTION"
    yield from _paragraphs(page.description)
    for group in GROUPS:
        rows = [option for option in group.options if option.face.takes(page.face)]
        if rows:
            yield f'.SH "{group.title.upper()}"'
        for option in rows:
            yield from _option(option)
    yield ".SH ENVIRONMENT"
    yield from _paragraphs(
        (
            f"Each option can also come from the environment as {PREFIX} and its name, in capitals and with _ for -: "
            f"{PREFIX}HAPROXY_CONFIG is --haproxy-config. The command line wins.",
            "Variables named HAPROXY_ and a template's name hold its text. NO_COLOR turns colours off.",
        )
    )
    yield '.SH "EXIT STATUS"'
    for status, meaning in page.statuses:
        yield from (".TP", f".B {status}", _said(meaning))
    yield ".SH EXAMPLES"
    for words, command in page.examples:
        yield from (".PP", _said(words), ".PP", ".nf", ".RS", *map(_said, command.split("\n")), ".RE", ".fi")
    yield '.SH "SEE ALSO"'
    yield _said(", ".join(page.others))


def _paragraphs(texts: Iterable[str]) -> Iterable[str]:
    for number, text in enumerate(texts):
        if number:
            yield ".PP"
        yield _said(text)


def _broken(lines: Iterable[str]) -> Iterable[str]:
    for number, line in enumerate(lines):
        if number:
            yield ".br"
        yield line


def _option(option: Option) -> Iterable[str]:
    value = "" if option.flag else f" \\fI{_said(option.kind.metavar)}\\fR"
    names = [f"\\fB\\-{option.short}\\fR"] if option.short else []
    names.append(f"\\fB{_said('--' + option.name)}\\fR{value}")
    names += [f"\\fB{_said('--no-' + option.name)}\\fR"] if option.negative else []
    default = "" if option.only_on_command_line or option.shown_default == "off" else option.shown_default
    help_text = option.help[0].upper() + option.help[1:]
    yield ".TP"
    yield ", ".join(names)
    yield _said(f"{help_text}." + (f" Default: {default}." if default else ""))
    if option.environment:
        yield _said("Also " + " and ".join(option.environment) + ".")


def _said(text: str) -> str:
    """Text that troff takes as it stands."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text
