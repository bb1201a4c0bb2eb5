"""``--diff``: what would change, as unified lines, and whether HAProxy would have to be reloaded for it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from marathonlb.errors import MarathonLBError
from marathonlb.haproxy.files import Published
from marathonlb.haproxy.plan import Difference, differences, split
from marathonlb.script.parts import Watch, parts_of
from marathonlb.script.terminal import Paint, Terminal
from marathonlb.settings import Settings

SAME, DIFFERENT, TROUBLE = 0, 1, 2
"""Exit statuses, as diff(1) has them."""

CONTEXT = 3
"""Lines that stay the same and are shown around those that do not."""


async def show_difference(settings: Settings, reactor: Any, terminal: Terminal, watch: Watch) -> int:
    """
    Ask Marathon, and say what a run would change; nothing is changed.

    :return: the exit status.
    """
    try:
        async with parts_of(settings, reactor, watch) as parts:
            wanted = await parts.reconciler.look()
            path = os.path.abspath(settings.haproxy_config)
            published = Published(wanted.config.text(os.path.dirname(path)), wanted.config.map_texts())
            before = parts.applier.texts() or Published("")
            why = await parts.applier.predict(wanted.config)
    except MarathonLBError as error:
        terminal.err.write(f"{error}\n")
        return TROUBLE
    for line in unified(path, before, published):
        terminal.out.write(painted(line, terminal.paint))
    for problem in wanted.problems:
        terminal.err.write(f"{problem}\n")
    if why:
        terminal.out.write(f"# HAProxy would be reloaded: {why}\n")
    elif before.digest() != published.digest():
        terminal.out.write("# HAProxy would be led there without a reload\n")
    return DIFFERENT if why or before.digest() != published.digest() else SAME


def painted(line: str, paint: Paint) -> str:
    """A line of a difference in the usual colours, with its newline."""
    if line.startswith(("--- ", "+++ ")):
        return paint(line, "bold") + "\n"
    colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
    return (paint(line, colour) if colour else line) + "\n"


def unified(path: str, old: Published, new: Published) -> Iterator[str]:
    """
    The lines of a unified difference of haproxy.cfg and its map files.

    They are compared section by section, which costs the same for a cluster of any size; so a section that has only
    moved to another place is not shown.
    """
    yield from _file(path, _config(old, new))
    directory = os.path.dirname(path)
    for name in sorted({*old.maps, *new.maps}):
        lines = difflib.unified_diff(
            old.maps.get(name, "").splitlines(), new.maps.get(name, "").splitlines(), lineterm="", n=CONTEXT
        )
        yield from _file(os.path.join(directory, name), list(lines)[2:])


def _file(path: str, hunks: Sequence[str]) -> Iterator[str]:
    if hunks:
        yield f"--- {path}"
        yield f"+++ {path} (wanted)"
        yield from hunks


def _config(old: Published, new: Published) -> list[str]:
    before, after = split(old.text, {}), split(new.text, {})
    found: Sequence[Difference] = differences(before, after)
    old_starts, new_starts = _starts(before.sections), _starts(after.sections)
    found = sorted(found, key=lambda each: _place(each, old_starts, new_starts))
    lines: list[str] = []
    for each in found:
        if each.kind != "order":
            lines += _section(each, old_starts, new_starts)
    return lines


def _starts(sections: Sequence[Any]) -> Mapping[int, int]:
    """The lines before each section, by its identity."""
    starts: dict[int, int] = {}
    line = 0
    for section in sections:
        starts[id(section)] = line
        line += section.lines
    return starts


def _place(each: Difference, old: Mapping[int, int], new: Mapping[int, int]) -> int:
    return new[id(each.new)] if each.new is not None else old.get(id(each.old), 0)


def _section(each: Difference, old: Mapping[int, int], new: Mapping[int, int]) -> Iterator[str]:
    was = each.old.text.splitlines() if each.old is not None else []
    now = each.new.text.splitlines() if each.new is not None else []
    left = old[id(each.old)] if each.old is not None else 0
    right = new[id(each.new)] if each.new is not None else 0
    name = f"{each.kind} {each.name}".strip()
    for number, line in enumerate(difflib.unified_diff(was, now, lineterm="", n=CONTEXT)):
        if number < 2:
            continue
        yield f"{_moved(line, left, right)} {name}" if line.startswith("@@") else line


def _moved(line: str, left: int, right: int) -> str:
    """A hunk's heading with the lines before its section added."""
    _, old, new, _ = line.split()
    return f"@@ {_shifted(old, left)} {_shifted(new, right)} @@"


def _shifted(part: str, by: int) -> str:
    start, comma, count = part[1:].partition(",")
    return f"{part[0]}{int(start) + by}{comma}{count}"
