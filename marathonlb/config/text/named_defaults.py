"""
The named ``defaults`` from which HAProxy 3.4 and later makes backends while it runs. Pure.

``add backend NAME from DEFAULTS`` gives a backend what a ``defaults`` section says, and nothing else. So each kind of
backend that is served has such a section: what a backend of the file inherits, then what it says itself, servers apart.
Its name is the digest of that. Where HAProxy has read a section of the name that a new backend's text comes to, the
backend that is made from it means what its text means.

They stand behind everything else: no section inherits from them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256

from attrs import frozen

from marathonlb.config.text.model import SECTION_KEYWORDS, Chunk, Owner, Section

SINCE = (3, 4)
"""HAProxy makes backends while it runs from this version on."""

PREFIX = "marathon_lb_backend_"
"""How the names begin."""

TEMPLATE = "DEFAULTS"
"""What stands for a template's name in the owner of these sections: they are written by no template."""

MOST = 50
"""So many kinds of backends have a section, the most common ones."""

_NOTE = "# A backend that comes while HAProxy runs may be made from this: what all inherit, then what it says itself.\n"

_SAID_THERE = frozenset(
    "balance compression cookie errorfile errorloc fullconn http-after-response http-check http-request http-response "
    "http-reuse http-send-name-header load-server-state-from-file log mode no option retries retry-on timeout".split()
)
"""What a backend may say that a named ``defaults`` may say, too, and means the same there."""

_SAYS_NOTHING = re.compile(r"\s*(?:$|#|backend\s)")


@frozen
class Inherited:
    """
    What the backends of a configuration inherit.

    :param parent: the words behind the name of their ``defaults`` (``from base``), if any.
    :param lines: the lines of it.
    """

    parent: str = ""
    lines: str = ""

    def name(self, body: str) -> str:
        """The name of the section for backends with this body."""
        return PREFIX + sha256(f"{self.parent}\n{self.lines}{body}".encode()).hexdigest()[:12]

    def section(self, body: str) -> Section:
        """The section for backends with this body."""
        name = self.name(body)
        text = f"\n{_NOTE}{' '.join(filter(None, ('defaults', name, self.parent)))}\n{self.lines}{body}"
        return Section("defaults", name, (Chunk(text, Owner(template=TEMPLATE)),))


def inherited(sections: Iterable[Section]) -> Inherited | None:
    """
    What the backends behind these sections inherit.

    :return: None where only HAProxy knows, since conditions decide about it.
    """
    found = Inherited()
    for section in sections:
        if "defaults" in section.text and section.name[: len(PREFIX)] != PREFIX:
            for block in _blocks(section.text):
                if any(line.lstrip().startswith(".") for line in block):
                    return None
                first = block[0].partition("#")[0].split()
                parent = " ".join(first[first.index("from") :]) if "from" in first else ""
                found = Inherited(parent, "".join(line for line in block[1:] if line.strip()))
    return found


def _blocks(text: str) -> Iterator[list[str]]:
    """The ``defaults`` sections of a text, each as its lines."""
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
    """What a backend says besides its name and its servers, from its text."""
    kept = (line.rstrip() for line in text.splitlines() if not _SAYS_NOTHING.match(line))
    return "".join(f"{line}\n" for line in kept)


def sections(above: Iterable[Section], always: Iterable[str], bodies: Iterable[str]) -> tuple[Section, ...]:
    """
    The sections for backends with these bodies, in the order of their names.

    :param above: what stands in the file before the backends.
    :param always: bodies that have one whether there is such a backend or not.
    """
    source = inherited(above)
    if source is None:
        return ()
    counted = Counter(bodies)
    ranked = sorted(counted, key=lambda each: (-counted[each], each))
    wanted = dict.fromkeys(each for each in (*always, *ranked) if _can_be_said(each))
    return tuple(sorted(map(source.section, list(wanted)[:MOST]), key=lambda section: section.name))


def _can_be_said(text: str) -> bool:
    return all(line.split(None, 1)[0] in _SAID_THERE for line in text.splitlines())
