"""``--diff``: the changes that a run would make, as a unified diff, and the reason for a reload if it needs one."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from marathonlb.base.figures import visible
from marathonlb.base.redaction import masked
from marathonlb.config.text.diff import split
from marathonlb.config.text.model import Section
from marathonlb.config.text.unified_diff import unified_lines
from marathonlb.errors import MarathonLBError, described
from marathonlb.haproxy.files.publish import Published
from marathonlb.haproxy.reload_reason import sentence
from marathonlb.script.parts import parts_of
from marathonlb.script.progress import Watch
from marathonlb.script.terminal import Paint, Terminal
from marathonlb.settings import Settings

SAME, DIFFERENT, TROUBLE = 0, 1, 2
"""Exit statuses, like those of diff(1)."""


async def show_difference(settings: Settings, reactor: Any, terminal: Terminal, watch: Watch) -> int:
    """
    Ask Marathon, and print the changes that a run would make, without making them.

    :return: the exit status.
    """
    try:
        async with parts_of(settings, reactor, watch) as parts:
            wanted = await parts.reconciler.look()
            path = os.path.abspath(settings.haproxy_config)
            published = Published(wanted.config.text(os.path.dirname(path)), wanted.config.map_texts())
            before = parts.applier.texts() or Published("")
            reasons = await parts.applier.predict(wanted.config)
    except MarathonLBError as error:
        terminal.err.write(f"{described(error)}\n")
        return TROUBLE
    for line in unified(path, before, published):
        terminal.out.write(painted(line, terminal.paint))
    for problem in wanted.problems:
        terminal.err.write(f"{problem}\n")
    if reasons:
        terminal.out.write(f"# HAProxy would be reloaded: {sentence(reasons)}\n")
    elif before.digest() != published.digest():
        terminal.out.write("# HAProxy would be updated without a reload\n")
    return DIFFERENT if reasons or before.digest() != published.digest() else SAME


def painted(line: str, paint: Paint) -> str:
    """Return a line of a diff in the usual colours, without passwords, with its newline."""
    line = visible(line[:1] + masked(line[1:]))
    if line.startswith(("--- ", "+++ ")):
        return paint(line, "bold") + "\n"
    colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
    return (paint(line, colour) if colour else line) + "\n"


def unified(path: str, old: Published, new: Published) -> Iterator[str]:
    """
    Yield the lines of a unified diff of haproxy.cfg and its map files, each without its newline.

    Sections are matched by their names first, then compared line by line: a diff of all lines would take minutes for
    the configuration of a large cluster.
    """
    yield from _file(path, list(_config(old.text, new.text)))
    for name in sorted({*old.maps, *new.maps}):
        before, after = old.maps.get(name, ""), new.maps.get(name, "")
        yield from _file(os.path.join(os.path.dirname(path), name), list(_hunks(before, after, 0, 0)))


def _file(path: str, hunks: Sequence[str]) -> Iterator[str]:
    if hunks:
        yield f"--- {path}"
        yield f"+++ {path} (wanted)"
        yield from hunks


def _config(old: str, new: str) -> Iterator[str]:
    before, after = split(old, {}).sections, split(new, {}).sections
    left = right = 0
    names = (
        [(section.kind, section.name) for section in before],
        [(section.kind, section.name) for section in after],
    )
    matcher = difflib.SequenceMatcher(None, *names, autojunk=False)
    for tag, first, last, start, end in matcher.get_opcodes():
        pairs: Iterable[tuple[Section | None, Section | None]] = zip(
            before[first:last], after[start:end], strict=False
        )
        if tag != "equal":
            pairs = [
                *((removed, None) for removed in before[first:last]),
                *((None, added) for added in after[start:end]),
            ]
        for was, now in pairs:
            section = now or was
            assert section is not None
            texts = was.text if was else "", now.text if now else ""
            yield from _hunks(*texts, left, right, f"{section.kind} {section.name}".strip())
            left += was.lines if was else 0
            right += now.lines if now else 0


def _hunks(old: str, new: str, left: int, right: int, name: str = "") -> Iterator[str]:
    """
    Yield the lines of the hunks of two texts.

    :param left: number of lines before the first text in its file.
    :param right: number of lines before the second text in its file.
    """
    if old == new:
        return
    for line in unified_lines(old.splitlines(), new.splitlines()):
        yield f"{_moved(line, left, right)} {name}".rstrip() if line.startswith("@@") else line


def _moved(line: str, left: int, right: int) -> str:
    """Return a hunk's heading with the numbers of lines before its section added."""
    _, old, new, _ = line.split()
    return f"@@ {_shifted(old, left)} {_shifted(new, right)} @@"


def _shifted(part: str, by: int) -> str:
    start, comma, count = part[1:].partition(",")
    return f"{part[0]}{int(start) + by}{comma}{count}"
