"""
Checks of the structure of an overridden template's text. Pure.

A template whose name ends in HEAD opens a section, and more lines follow in that section. Any other template writes
lines into the section of another one. So no text may open, leave or skip a section that it should not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from marathonlb.base.redaction import masked
from marathonlb.config.templates.template import Template
from marathonlb.config.text.model import SECTION_KEYWORDS
from marathonlb.errors import TemplateError
from marathonlb.routing.labels.values import speaks_for_haproxy

OPENS = {
    "USERLIST_HEAD": ("userlist",),
    "HTTP_FRONTEND_HEAD": ("frontend", "listen"),
    "HTTP_FRONTEND_APPID_HEAD": ("frontend", "listen"),
    "HTTPS_FRONTEND_HEAD": ("frontend", "listen"),
    "HTTPS_GROUPED_FRONTEND_HEAD": ("frontend", "listen"),
    "HTTPS_GROUPED_VHOST_FRONTEND_HEAD": ("frontend", "listen"),
    "HTTPS_GROUPED_VHOST_BACKEND_HEAD": ("backend", "listen"),
    "FRONTEND_HEAD": ("frontend", "listen"),
    "BACKEND_HEAD": ("backend", "listen"),
}
"""Template name to the keywords of the section that it may end in; more lines follow in that section."""

_HEAD_ONLY = frozenset({"global", "defaults"})
_CONDITIONS = {".if": 1, ".elif": 0, ".else": 0, ".endif": -1}
"""HAProxy's condition keywords, each with its change of the nesting depth."""

_WORD = re.compile(r"[ \t\v\f]*([^\s#]+)")
_HEX = re.compile(r"\\x([0-9A-Fa-f]{2})")
_QUOTING = re.compile(r"[\\\"']")


def checked_text(template: Template, text: str) -> str:
    """
    Return a template's rendered text once its structure is checked; empty if it switches its section off.

    A text of nothing but comments in place of a section's first lines switches that section off.

    :raises TemplateError: the text could pass for HAProxy's messages, has a condition without its end, or opens a
        section that the template may not open.
    """
    if template.is_default:
        return text
    _require_no_message(template, text)
    _require_whole_conditions(template, text)
    return text if template.name == "HEAD" else _text_in_section(template, text)


def declared(text: str, keyword: str) -> Iterator[str]:
    """Yield the names of the sections with this keyword in a text."""
    for _, line, word in _first_words(text):
        words = line.split()
        if word == keyword and len(words) > 1:
            yield _unquoted(words[1])


def _require_no_message(template: Template, text: str) -> None:
    """Refuse a text that HAProxy would quote so that it looks like a message of HAProxy's own."""
    if speaks_for_haproxy(text):
        reason = "holds a line break (`\\n`) and then text that looks like a message of HAProxy"
        raise TemplateError(source=template.source, reason=reason, template=template.name)


def _require_whole_conditions(template: Template, text: str) -> None:
    """Refuse a text whose conditions do not begin and end in it."""
    depth = 0
    for number, line, word in _first_words(text):
        depth += _CONDITIONS.get(word, 0)
        if word in _CONDITIONS and depth < (0 if word == ".endif" else 1):
            raise _line_error(template, number, line, "has no `.if` before it")
    if depth:
        raise _line_error(template, text.count("\n") + 1, "", "ends without `.endif`")


def _text_in_section(template: Template, text: str) -> str:
    """Return the text if it opens and ends in the sections of its template; empty if it opens none and should."""
    keywords, section = OPENS.get(template.name, ()), ""
    for number, line, word in _first_words(text):
        if "$" in word or (word == "userlist" and "$" in line):
            raise _line_error(
                template, number, line, "holds a variable, so that its keyword cannot be checked"
            )
        if word in SECTION_KEYWORDS:
            if not keywords or word in _HEAD_ONLY:
                where = "HAPROXY_HEAD" if word in _HEAD_ONLY else "a template whose name ends in HEAD"
                raise _line_error(template, number, line, f"opens a section, which only {where} may do")
            section = word
        elif keywords and not section and word not in _CONDITIONS:
            first = f"the first line of HAPROXY_{template.name} has to be `{keywords[0]} NAME`"
            raise _line_error(template, number, line, f"is in no section: {first}")
    if section and section not in keywords:
        reason = f"its last section is `{section}`, and has to be `{keywords[0]}`, because more lines follow"
        raise TemplateError(source=template.source, reason=reason, template=template.name)
    return "" if keywords and not section else text


def _first_words(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the number of each line that has a word, the line, and its first word as HAProxy reads it."""
    for number, line in enumerate(text.split("\n"), 1):
        word = _WORD.match(line)
        if word is not None:
            yield number, line, _unquoted(word[1])


def _unquoted(word: str) -> str:
    """Return a word as HAProxy reads it: without quotes and backslashes, hexadecimal escapes resolved."""
    return _QUOTING.sub("", _HEX.sub(lambda code: chr(int(code[1], 16)), word))


def _line_error(template: Template, number: int, line: str, reason: str) -> TemplateError:
    shown = f", `{masked(line.strip())[:200]}`," if line.strip() else ""
    return TemplateError(
        source=template.source, reason=f"line {number}{shown} {reason}", template=template.name
    )
