"""
The options: one table, and all that is made of it.

`table` holds the rows; `settings` makes the `marathonlb.settings.Settings` of what was given; `commandline` parses
the daemon's and the script's command lines and writes ``--help``; `markdown` writes the documentation.
"""

from marathonlb.options.commandline import CommandLine, spread_marathons
from marathonlb.options.markdown import group_markdown
from marathonlb.options.notices import notices
from marathonlb.options.option import Face, Group, Option
from marathonlb.options.settings import Given, Machine, Values, read_values, settings_from
from marathonlb.options.table import GROUPS, options

__all__ = [
    "GROUPS",
    "CommandLine",
    "Face",
    "Given",
    "Group",
    "Machine",
    "Option",
    "Values",
    "group_markdown",
    "notices",
    "options",
    "read_values",
    "settings_from",
    "spread_marathons",
]
