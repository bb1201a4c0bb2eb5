"""
Notices about the given options, which are logged once at the start. None of them is an error.

`NOTICES` is the table: each row looks at the given options and returns its lines, or none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_network

from attrs import frozen

from marathonlb.options.option import PREFIX, Face, Option
from marathonlb.options.settings import CALLBACK_PORT, Given, GivenValue, Values, mode_of, read_values
from marathonlb.options.table import options
from marathonlb.options.values import is_path


@frozen
class GivenOptions:
    """
    The options as they were given, for the rows of the table.

    :param mode: how hints come: ``sse``, ``event`` or ``poll``.
    """

    values: Values
    face: Face
    mode: str

    def on_command_line(self, name: str) -> bool:
        """Return whether an option was given on the command line, and not by a variable or a default."""
        return self.values.source(name).startswith("--")


def notices(given: Given, environ: Mapping[str, str], *, face: Face = Face.DAEMON) -> tuple[str, ...]:
    """Return the notices about the given options, one line for the log each."""
    values = read_values(options(face), given, environ)
    options_given = GivenOptions(values, face, mode_of(values, face))
    return tuple(line for rule in NOTICES for line in rule(options_given))


def _notes(given: GivenOptions) -> Iterable[str]:
    """Return the notes of the options that were given."""
    values = given.values
    for option in options(given.face):
        if option.note and values.source(option.name) and values.one(option.name) is not False:
            yield f"{values.source(option.name)}: {option.note}"


def _secrets_on_command_line(given: GivenOptions) -> Iterable[str]:
    for option in options(given.face):
        if option.secret and any(
            value.source.startswith("--") for value in _shown_secrets(given.values, option)
        ):
            other = "the path of a file" if option.name in _OR_PATHS else "--marathon-auth-credential-file"
            yield (
                f"--{option.name}: every user of this machine can read it in the list of processes; "
                f"use {option.variable} or {other}"
            )


def _passwords_in_urls(given: GivenOptions) -> Iterable[str]:
    if any("@" in value.text and value.source.startswith("--") for value in given.values.given["marathon"]):
        yield (
            "--marathon: every user of this machine can read its password in the list of processes; "
            f"use {PREFIX}MARATHON or --marathon-auth-credential-file"
        )


def _wide_networks(given: GivenOptions) -> Iterable[str]:
    if wide := _wide(given.values.joined("admin-allow")):
        yield (
            f"{given.values.source('admin-allow')}: {', '.join(wide)} is wide: every program in it, tasks of the "
            "cluster included, can reload HAProxy, pin configurations and read password hashes; name only the "
            "addresses of operators, or use --admin-token"
        )


def _callback_without_event_mode(given: GivenOptions) -> Iterable[str]:
    for name in ("callback-url", "listening"):
        if given.on_command_line(name) and given.mode != "event":
            yield f"--{name}: it is not used, since only event mode has a callback"


def _callback_on_another_port(given: GivenOptions) -> Iterable[str]:
    listening = given.values.one("listening") or f"tcp:{CALLBACK_PORT}"
    elsewhere = not re.match(rf"tcp6?:(port=)?{CALLBACK_PORT}(:|$)", listening)
    if given.mode == "event" and elsewhere and not given.values.source("callback-url"):
        yield (
            f"{given.values.source('listening')}: the URL that Marathon gets still has port {CALLBACK_PORT}; "
            "give --callback-url unless that port is forwarded to this one"
        )


def _reload_command_without_use(given: GivenOptions) -> Iterable[str]:
    if given.on_command_line("command") and given.values.one("manage-haproxy"):
        yield "--command: it is not used, since --manage-haproxy reloads HAProxy itself"


def _short_staleness(given: GivenOptions) -> Iterable[str]:
    if given.face is not Face.DAEMON:
        return
    values = given.values
    interval = "poll-interval" if given.mode == "poll" else "resync-interval"
    if values.one("max-staleness") <= values.one(interval):
        yield (
            f"--max-staleness={values.one('max-staleness'):g} is not more than --{interval}={values.one(interval):g}: "
            "readiness turns red between two comparisons without a fault; raise --max-staleness"
        )


NOTICES: tuple[Callable[[GivenOptions], Iterable[str]], ...] = (
    _notes,
    _secrets_on_command_line,
    _passwords_in_urls,
    _wide_networks,
    _callback_without_event_mode,
    _callback_on_another_port,
    _reload_command_without_use,
    _short_staleness,
)
"""The notices, in the order in which the log has them."""

_OR_PATHS: Mapping[str, Callable[[str], bool]] = {
    "admin-token": is_path,
    "dcos-auth-credentials": lambda text: "{" not in text,
}
"""The secrets that may be given as the path of a file, each with the test for such a path."""


def _shown_secrets(values: Values, option: Option) -> list[GivenValue]:
    """Return the given values of a secret that are the secret itself, and not the path of a file that holds it."""
    names_file = _OR_PATHS.get(option.name)
    return [value for value in values.given[option.name] if names_file is None or not names_file(value.text)]


_WIDE = {4: 16, 6: 63}
"""The longest prefix of a wide network, by the version of IP; 192.168.0.0/16 is the smallest private network."""


def _wide(networks: Iterable[str]) -> list[str]:
    """Return the networks that are too wide to hold the addresses of operators only."""
    parsed = map(ip_network, networks)
    return [str(net) for net in parsed if not net.is_loopback and net.prefixlen <= _WIDE[net.version]]
