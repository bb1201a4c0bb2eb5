"""
Named ``defaults`` sections from which HAProxy 3.4 and later creates backends at runtime. Pure.

The runtime API's ``add backend NAME from DEFAULTS`` gives a backend the directives of a ``defaults`` section and
nothing else. So haproxy.cfg has one such section per kind of backend: the directives that the backends of the file
inherit, then the backend's own directives without its servers. The section's name is the digest of that text. A backend
created from a section behaves as its text only if HAProxy has read the section with the name of that text.

These sections are the last in the file, so no other section inherits from them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256

from msgspec import Struct

from marathonlb.config.text.model import SECTION_KEYWORDS, Chunk, Owner, Section

SINCE = (3, 4)
"""The first version of HAProxy that creates backends at runtime."""

PREFIX = "marathon_lb_backend_"
"""Prefix of the names of these sections."""

TEMPLATE = "DEFAULTS"
"""The template's name in the owner of these sections; no template writes them."""

MOST = 50
"""Maximum number of kinds of backends that have a section; the most common kinds come first."""

_NOTE = "# A backend that comes while HAProxy runs may be made from this: what all inherit, then what it says itself.\n"

_ALLOWED_IN_DEFAULTS = frozenset(
    "balance compression cookie errorfile errorloc fullconn http-after-response http-check http-request http-response "
    "http-reuse http-send-name-header load-server-state-from-file log mode no option retries retry-on timeout".split()
)
"""Directives that have the same meaning in a backend and in a named ``defaults`` section."""

_IGNORED_LINE = re.compile(r"\s*(?:$|#|backend\s)")


class InheritedDefaults(Struct, frozen=True):
    """
    The ``defaults`` section that the backends of a configuration inherit.

    :param parent: the words after the section's name (``from base``); empty if there are none.
    :param lines: the lines of the section.
    """

    parent: str = ""
    lines: str = ""

    def name(self, body: str) -> str:
        """Return the name of the section for backends with this body."""
        return PREFIX + sha256(f"{self.parent}\n{self.lines}{body}".encode()).hexdigest()[:12]

    def section(self, body: str) -> Section:
        """Return the section for backends with this body."""
        name = self.name(body)
        text = f"\n{_NOTE}{' '.join(filter(None, ('defaults', name, self.parent)))}\n{self.lines}{body}"
        return Section("defaults", name, (Chunk(text, Owner(template=TEMPLATE)),))


def inherited(sections: Iterable[Section]) -> InheritedDefaults | None:
    """
    Return the ``defaults`` section that backends inherit which follow these sections.

    :return: None if the section has conditions (``.if``), which only HAProxy can evaluate.
    """
    last = InheritedDefaults()
    for section in sections:
        if "defaults" in section.text and section.name[: len(PREFIX)] != PREFIX:
            for block in _blocks(section.text):
                if any(line.lstrip().startswith(".") for line in block):
                    return None
                first = block[0].partition("#")[0].split()
                parent = " ".join(first[first.index("from") :]) if "from" in first else ""
                last = InheritedDefaults(parent, "".join(line for line in block[1:] if line.strip()))
    return last


def _blocks(text: str) -> Iterator[list[str]]:
    """Yield the ``defaults`` sections of a text, each as a list of lines."""
    block: list[str] = []
    for line in text.splitlines(keepends=True):
        words = line.split(None, 1)
        if words and words[0] in SECTION_KEYWORDS:
            if block:
                yield block
            block = [line] if words[0] == "defaults" else []
        elif block:
            block.append(line)
    if block:
        yield block


def body(text: str) -> str:
    """Return a backend's directives from its text: no section line, no empty lines, no comments."""
    directives = (line.rstrip() for line in text.splitlines() if not _IGNORED_LINE.match(line))
    return "".join(f"{line}\n" for line in directives)


def sections(above: Iterable[Section], always: Iterable[str], bodies: Iterable[str]) -> tuple[Section, ...]:
    """
    Return the sections for backends with these bodies, in the order of their names.

    :param above: the sections of the file before the backends.
    :param always: bodies that get a section even if no backend has them.
    """
    source = inherited(above)
    if source is None:
        return ()
    counts = Counter(bodies)
    ranked = sorted(counts, key=lambda body: (-counts[body], body))
    wanted = dict.fromkeys(body for body in (*always, *ranked) if _is_allowed(body))
    return tuple(sorted(map(source.section, list(wanted)[:MOST]), key=lambda section: section.name))


def _is_allowed(body: str) -> bool:
    """Return whether each directive of a body means the same in a ``defaults`` section."""
    return all(line.split(None, 1)[0] in _ALLOWED_IN_DEFAULTS for line in body.splitlines())
