"""The options as Markdown: a part of ``--longhelp``, and docs/options.md."""

from __future__ import annotations

from collections.abc import Iterable

from marathonlb.options.option import PREFIX, Face, Group, Option
from marathonlb.options.table import GROUPS

_INTRODUCTION = f"""\
The daemon (`twistd marathon-lb`) and the script (`marathon-update-haproxy.py`) share these options. Each can also
come from the environment as `{PREFIX}` and its name, in capitals and with `_` for `-`: `{PREFIX}HAPROXY_CONFIG` is
`--haproxy-config`. The command line wins; an empty variable counts as absent; an option without a value is
`true` or `false` there.

After one `-m`, the script and the image's entrypoint take further addresses up to the next option:
`-m http://m1:8080 http://m2:8080 --dry`.

A wrong value ends the start with a line that names the option, the value and what was expected; the script exits with
status 2.

Variables named `HAPROXY_…` that name a template hold its text. `FRAMEWORK_NAME` and `MARATHON_APP_ID` name the load
balancer's own app, which is never served. `HOST` is this host's name for the callback. A user and password in
Marathon's address are taken out of it and used as `--auth-credentials`."""


def options_markdown() -> str:
    """Return every option, by group, as a Markdown document that ends with a newline."""
    return "\n\n".join(["# Options", _INTRODUCTION, *(group_markdown(group) for group in GROUPS)]) + "\n"


def longhelp(parts: Iterable[str]) -> str:
    """
    Return the text of ``--longhelp``: the options, then further documents.

    :param parts: these documents, in Markdown: labels and templates.
    """
    return "\n".join([options_markdown(), *(part.rstrip("\n") + "\n" for part in parts)])


def group_markdown(group: Group) -> str:
    """Return one group as a table under its heading."""
    rows = [f"| {_names(option)} | {_default(option)} | {_meaning(option)} |" for option in group.options]
    return "\n".join(
        [f"## {group.title}", "", "| option | default | meaning |", "| --- | --- | --- |", *rows]
    )


def _names(option: Option) -> str:
    value = "" if option.flag else " " + option.kind.metavar.replace("|", r"\|")
    names = [f"`--{option.name}{value}`"]
    if option.negative:
        names.append(f"`--no-{option.name}`")
    if option.short:
        names.append(f"`-{option.short}`")
    return ", ".join(names)


def _default(option: Option) -> str:
    if option.default_help is not None:
        return option.default_help
    if option.only_on_command_line or not option.shown_default:
        return "–"
    return option.shown_default if option.flag else f"`{option.shown_default}`"


def _meaning(option: Option) -> str:
    sentences = [option.help[0].upper() + option.help[1:]]
    if not option.flag:
        sentences.append(f"Must be {option.kind.expected}")
    if option.environment:
        sentences.append("Also " + " and ".join(f"`{variable}`" for variable in option.environment))
    if option.face is not Face.BOTH:
        sentences.append(f"{option.face.value.capitalize()} only")
    if option.note:
        sentences.append(f"Note: {option.note}")
    return ". ".join(part.replace("|", r"\|").replace("*", r"\*") for part in sentences) + "."
