"""
The options: one table, and everything that is made of it.

`table` joins the rows of `groups`; `settings` checks the given values and makes `marathonlb.settings.Settings`;
`commandline` parses the command lines of the daemon and the script and writes ``--help``; `markdown` and `manpage`
write the documentation.
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
