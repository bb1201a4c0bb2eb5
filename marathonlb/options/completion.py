"""Completion in shells: a file for bash that is made from the table of options, and Twisted's own mechanism for zsh."""

from __future__ import annotations

import shlex

from twisted.python import usage

from marathonlb.options.option import FLAG, Face, Option
from marathonlb.options.table import options

_BASH = """\
# Completion for bash: of the script, and of twistd once its plugin is marathon-lb. Written by make docs.

_marathon_lb_complete() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} names=$1
    COMPREPLY=()
    if [ "$word" = "=" ]; then word=""; elif [ "$before" = "=" ]; then before=${{COMP_WORDS[COMP_CWORD-2]}}; fi
    case $before in
{values}
        {others})
            return ;;
    esac
    case $word in
        -*) COMPREPLY=($(compgen -W "$names" -- "$word")) ;;
    esac
}}

_marathon_update_haproxy() {{
    _marathon_lb_complete {script}
}}

_twistd_marathon_lb() {{
    case " ${{COMP_WORDS[*]}} " in
        *" marathon-lb "*)
            _marathon_lb_complete {daemon} ;;
    esac
}}

complete -F _marathon_update_haproxy marathon-update-haproxy marathon-update-haproxy.py
complete -o default -F _twistd_marathon_lb twistd
"""

ZSH = """\
#compdef marathon-update-haproxy marathon-update-haproxy.py
# Completion for zsh: the script knows its options, as Twisted's do.
eval "$("${words[@]}" --_shell-completion "zsh:$CURRENT" 2>/dev/null)"
"""


def bash() -> str:
    """Return the file for bash."""
    files = [option for option in options() if _takes_a_path(option)]
    choices = [
        f'            COMPREPLY=($(compgen -W {shlex.quote(" ".join(o.kind.choices))} -- "$word"))\n'
        f"            return ;;"
        for o in options()
        if o.kind.choices
    ]
    chosen = [option for option in options() if option.kind.choices]
    values = [f"        {_pattern([option])})\n{text}" for option, text in zip(chosen, choices, strict=True)]
    values.append(
        f"        {_pattern(files)})\n"
        '            compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$word"))\n            return ;;'
    )
    others = [
        option for option in options() if not option.flag and option not in files and not option.kind.choices
    ]
    return _BASH.format(
        values="\n".join(values),
        others=_pattern(others),
        script=shlex.quote(" ".join(_names(Face.SCRIPT))),
        daemon=shlex.quote(" ".join(_names(Face.DAEMON))),
    )


def actions(face: Face) -> usage.Completions:
    """Return how zsh completes the values."""
    completers: dict[str, usage.Completer] = {}
    for option in options(face):
        if option.flag:
            continue
        if option.kind.choices:
            completers[option.name] = usage.CompleteList(option.kind.choices)
        elif _takes_a_path(option):
            completers[option.name] = usage.CompleteFiles()
        else:
            completers[option.name] = usage.Completer()
    return usage.Completions(
        optActions=completers, multiUse=[option.name for option in options(face) if option.repeated]
    )


def _takes_a_path(option: Option) -> bool:
    return option.kind is not FLAG and "PATH" in option.kind.metavar


def _pattern(alternatives: list[Option]) -> str:
    return "|".join(
        name
        for option in alternatives
        for name in (f"--{option.name}", option.short and f"-{option.short}")
        if name
    )


def _names(face: Face) -> list[str]:
    names = ["--help", "--longhelp", "--version"]
    for option in options(face):
        names.append(f"--{option.name}")
        if option.negative:
            names.append(f"--no-{option.name}")
    return sorted(names)
