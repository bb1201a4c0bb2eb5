"""
The cost of the password hashes that templates write. Pure.

HAProxy computes each hash when it reads the configuration, and at each request with the user's password.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from marathonlb.config.text.model import Chunk, Owner, Section
from marathonlb.problem_kinds.operators import TEMPLATE_PASSWORD_COST
from marathonlb.routing.lines.passwords import COMMAND, fault
from marathonlb.routing.lines.words import split_words
from marathonlb.routing.problems import Problem

_USER = re.compile(r"^[ \t\v\f]*(?:user|[^\s\\\"']*[\\\"']\S*)[ \t\v\f].*$", re.MULTILINE)
"""A line whose first word may be ``user``, in any quoting."""


def faults(text: str, most: float) -> Iterator[str]:
    """
    Yield the reasons why hashes of a text are refused, each with its line.

    :param most: maximum milliseconds per hash.
    """
    for line in _USER.finditer(text):
        words, problem = split_words(line[0])
        if words[:1] != ["user"]:
            continue
        number = text.count("\n", 0, line.start()) + 1
        if problem is not None:
            yield f"line {number} {problem.value}, so that the cost of its password hash is not known"
            continue
        for word, passwd in pairwise(words[1:]):
            reason = fault(passwd, most) if word == "password" else ""
            if reason:
                yield f"line {number} has a hash that {reason}; `{COMMAND}` makes one"


def warnings(chunks: Iterable[Chunk], most: float) -> Iterator[tuple[Owner, str]]:
    """Yield warnings about costly hashes in the operator's templates, which are used nevertheless."""
    for chunk in chunks:
        if "userlist" in chunk.text and chunk.owner.is_operator:
            yield from ((chunk.owner, reason) for reason in faults(chunk.text, most))


def shared(sections: Iterable[Section], most: float) -> Iterator[Problem]:
    """Yield the same warnings about shared sections, as problems."""
    chunks = (chunk for section in sections for chunk in section.chunks)
    for owner, words in warnings(chunks, most):
        yield Problem(
            "",
            None,
            f"HAPROXY_{owner.template}",
            owner.source,
            words,
            fatal=False,
            kind=TEMPLATE_PASSWORD_COST,
        )
