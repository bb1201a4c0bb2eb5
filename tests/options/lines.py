"""Command lines, and the settings that they make on a machine that is made up."""

from __future__ import annotations

from collections.abc import Mapping

from marathonlb.options import CommandLine, Face, Machine, settings_from, spread_marathons
from marathonlb.settings import Settings


class DaemonLine(CommandLine, face=Face.DAEMON):
    """The daemon's command line."""


class ScriptLine(CommandLine, face=Face.SCRIPT):
    """The script's command line."""


MACHINE = Machine(
    host_name=lambda: "lb.example.com",
    which=lambda program, path: f"/found/{program}" if program in ("haproxy", "other") else None,
    bundled_haproxy=lambda: "/wheel/haproxy",
)
BARE = Machine(host_name=lambda: "lb", which=lambda program, path: None, bundled_haproxy=lambda: None)


def given(line: str, face: Face = Face.DAEMON) -> dict[str, tuple[str, ...]]:
    parser: CommandLine = DaemonLine() if face is Face.DAEMON else ScriptLine()
    arguments = line.split()
    parser.parseOptions(spread_marathons(arguments) if face is Face.SCRIPT else arguments)
    return parser.given


def settings(line: str = "", environ: Mapping[str, str] | None = None, face: Face = Face.DAEMON) -> Settings:
    return settings_from(given(line, face), environ or {}, face=face, machine=MACHINE)
