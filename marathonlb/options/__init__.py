"""
The options: one table, and all that is made of it.

`table` holds the rows; `settings` makes the `marathonlb.settings.Settings` of what was given; `commandline` parses
the daemon's and the script's command lines and writes ``--help``; `markdown` writes the documentation.
"""

from marathonlb.options.commandline import CommandLine, spread_marathons
from marathonlb.options.option import Face, Option
from marathonlb.options.settings import Given, Machine, notices, settings_from
from marathonlb.options.table import GROUPS, options

__all__ = [
    "GROUPS",
    "CommandLine",
    "Face",
    "Given",
    "Machine",
    "Option",
    "notices",
    "options",
    "settings_from",
    "spread_marathons",
]
