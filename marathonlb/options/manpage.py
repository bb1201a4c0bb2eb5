"""The manual pages of the daemon and of the script: one template of troff's man macros, and the table of options."""

from __future__ import annotations

from attrs import frozen
from jinja2 import Environment, StrictUndefined

from marathonlb.options.option import PREFIX, Face, Option
from marathonlb.options.table import GROUPS

_TEMPLATE = r"""
.TH {{ page.name | upper }} 1 "" "marathon-lb" "User Commands"
.SH NAME
{{ page.name | roff }} \- {{ page.purpose | roff }}
.SH SYNOPSIS
{% for line in page.synopsis %}
{% if not loop.first %}
.br
{% endif %}
.B {{ line | roff }}
{% endfor %}
.SH DESCRIPTION
{% for paragraph in page.description %}
{% if not loop.first %}
.PP
{% endif %}
{{ paragraph | roff }}
{% endfor %}
{% for group in groups %}
{% for option in group.options if option.face.takes(page.face) %}
{% if loop.first %}
.SH "{{ group.title | upper }}"
{% endif %}
.TP
{{ option | names }}
{{ option | meaning | roff }}
{% if option.environment %}
Also {{ option.environment | join(" and ") }}.
{% endif %}
{% endfor %}
{% endfor %}
.SH ENVIRONMENT
Each option can also come from the environment as {{ prefix }} and its name, in capitals and with _ for \-:
{{ prefix }}HAPROXY_CONFIG is \-\-haproxy\-config. The command line wins.
.PP
Variables named HAPROXY_ and a template's name hold its text. NO_COLOR turns colours off.
.SH "EXIT STATUS"
{% for status, meaning in page.statuses %}
.TP
.B {{ status }}
{{ meaning | roff }}
{% endfor %}
.SH EXAMPLES
{% for purpose, commands in page.examples %}
.PP
{{ purpose | roff }}
.PP
.nf
.RS
{% for command in commands.split("\n") %}
{{ command | roff }}
{% endfor %}
.RE
.fi
{% endfor %}
.SH "SEE ALSO"
{{ page.others | join(", ") | roff }}
"""


@frozen(kw_only=True)
class ManualPage:
    """
    What one page has for itself.

    :param face: the command line whose options it lists.
    :param purpose: the rest of the line that begins with the name.
    :param statuses: each exit status and its meaning.
    :param examples: each with its purpose, and one command a line.
    :param others: related pages.
    """

    name: str
    face: Face
    purpose: str
    synopsis: tuple[str, ...]
    description: tuple[str, ...]
    statuses: tuple[tuple[str, str], ...]
    examples: tuple[tuple[str, str], ...]
    others: tuple[str, ...]


_DAEMON = ManualPage(
    name="marathon-lb",
    face=Face.DAEMON,
    purpose="configure and reload HAProxy for the apps that Marathon runs",
    synopsis=("twistd [options of twistd] marathon-lb [options]",),
    description=(
        "The daemon, a plugin of twistd. It learns from Marathon which apps run where, writes HAProxy's configuration "
        "and makes HAProxy run it: through the runtime API where possible, else by a reload whose reason is logged.",
        "twistd -n stays in the foreground; without it the daemon has twistd's pid file and log. HAProxy keeps serving "
        "when the daemon ends, and the next daemon takes it over without a reload.",
        "The address of --bind-stats serves a dashboard, an API, metrics and HAProxy's own statistics.",
    ),
    statuses=(("0", "stopped by a signal"), ("1", "a wrong option, or the start failed")),
    examples=(
        (
            "Follow two Marathons of one cluster, with a HAProxy of its own:",
            "twistd -n marathon-lb -m http://m1:8080 -m http://m2:8080 --manage-haproxy",
        ),
        (
            "Have an old Marathon post its events:",
            "twistd -n marathon-lb --mode=event -m http://m1:8080 --callback-url http://lb1:8081",
        ),
    ),
    others=("marathon-update-haproxy(1)", "twistd(1)", "haproxy(1)"),
)

_SCRIPT = ManualPage(
    name="marathon-update-haproxy",
    face=Face.SCRIPT,
    purpose="write HAProxy's configuration once, or ask the daemon",
    synopsis=(
        "marathon-update-haproxy [options]",
        "marathon-update-haproxy --status | --explain WHAT | --diff | --dry | --rollback N [options]",
    ),
    description=(
        "Without an option of the second line, it asks Marathon, writes the configuration if it has changed, and "
        "reloads HAProxy.",
        "--status, --explain and --rollback ask the running daemon over its socket in --state-dir. If none answers, "
        "--explain asks Marathon, and --rollback does the work itself.",
        "On a terminal, a long run shows its present stage, and --diff and --status have colours.",
    ),
    statuses=(
        ("0", "done; of --status: ready; of --diff: nothing would change"),
        (
            "1",
            "Marathon, the check or the reload failed; of --status: not ready; of --diff: something would change",
        ),
        ("2", "a wrong option; of --diff: the difference cannot be determined"),
        ("3", "under --strict-exit, a service had to be left out"),
    ),
    examples=(
        ("Print the configuration, change nothing:", "marathon-update-haproxy -m http://m1:8080 --dry"),
        (
            "Find out why a URL does not answer:",
            "marathon-update-haproxy --explain http://shop.example.com/cart",
        ),
        (
            "Go back before the last change, and release that later:",
            "marathon-update-haproxy --rollback 1\nmarathon-update-haproxy --rollback 0",
        ),
    ),
    others=("marathon-lb(1)", "haproxy(1)"),
)


def manual_pages() -> dict[str, str]:
    """Return the pages by the names of their files."""
    template = _environment().from_string(_TEMPLATE.lstrip("\n"))
    return {
        f"{page.name}.1": template.render(page=page, groups=GROUPS, prefix=PREFIX)
        for page in (_DAEMON, _SCRIPT)
    }


def _environment() -> Environment:
    environment = Environment(
        autoescape=False,  # noqa: S701 the page is no HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(roff=_roff, names=_names, meaning=_meaning)
    return environment


def _names(option: Option) -> str:
    """Return an option's names and the name of its value, in bold and italics."""
    value = "" if option.flag else f" \\fI{_roff(option.kind.metavar)}\\fR"
    names = [f"\\fB\\-{option.short}\\fR"] if option.short else []
    names.append(f"\\fB{_roff('--' + option.name)}\\fR{value}")
    names += [f"\\fB{_roff('--no-' + option.name)}\\fR"] if option.negative else []
    return ", ".join(names)


def _meaning(option: Option) -> str:
    """Return an option's help as a sentence, and its default."""
    default = "" if option.only_on_command_line or option.shown_default == "off" else option.shown_default
    help_text = option.help[0].upper() + option.help[1:]
    return f"{help_text}." + (f" Default: {default}." if default else "")


def _roff(text: str) -> str:
    """Escape text for troff."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text
