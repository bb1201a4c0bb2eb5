"""
A template's text, and its two syntaxes.

*Classic* templates (labels, environment, files without ``.j2``) know ``{name}``, ``{{`` and ``}}`` and nothing else: no
attribute is ever looked up, so an app's label is text and never a program. *Jinja2* templates (the operator's ``.j2``
files and our defaults) run in a sandbox where an undefined name is an error. *Literal* ones, as marked in
`marathonlb.config.templates.table`, reach HAProxy unchanged unless they are Jinja2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cached_property, lru_cache
from typing import Any

import jinja2
from attrs import field, frozen
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import SandboxedEnvironment

from marathonlb.base import limits
from marathonlb.config.templates.table import BY_NAME
from marathonlb.config.text.model import label_in
from marathonlb.errors import TemplateError

_TOKEN = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}", re.ASCII)
_SIMPLE_JINJA = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}", re.ASCII)


DEFAULT = "default"
"""The source of a template that ships."""


class Program:
    """
    A text with Jinja2's logic. It is compiled when it is first rendered: most runs need a few of our defaults only.

    :param name: the template's name.
    """

    def __init__(self, name: str, text: str, source: str) -> None:
        self._name = name
        self._text = text
        self._source = source

    @cached_property
    def names(self) -> frozenset[str]:
        """The variables that it reads. Raises as `compiled` does."""
        with self._explained():
            return frozenset(find_undeclared_variables(_ENVIRONMENT.parse(self._text)))

    @cached_property
    def compiled(self) -> jinja2.Template:
        """
        The compiled template.

        :raises TemplateError: the text is not valid Jinja2.
        """
        with self._explained():
            code = _ENVIRONMENT.compile(self._text)
        # A plain dict: Jinja2 copies the globals at each rendering, and its own ChainMap is slow to copy.
        return jinja2.Template.from_code(_ENVIRONMENT, code, dict(_ENVIRONMENT.globals))

    def render(self, variables: Mapping[str, Any]) -> str:
        """
        Return the text for these variables.

        :raises TemplateError: a variable is unknown, or the logic fails.
        """
        try:
            return self.compiled.render(variables)
        except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            reason = f"HAPROXY_{self._name}: {error}"
            raise TemplateError(source=self._source, reason=reason, template=self._name) from None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except jinja2.TemplateSyntaxError as error:
            reason = f"line {error.lineno}: {error.message}"
            raise TemplateError(source=self._source, reason=reason) from None


@frozen(slots=False)
class Template:
    """
    A template's text, ready to be rendered.

    :param name: the name without ``HAPROXY_``.
    :param source: the origin: ``default``, ``label HAPROXY_0_…``, ``environment HAPROXY_…`` or ``file …``.
    :param parts: text and variable names in turn, text first; the whole of a template without logic.
    :param program: the text as Jinja2; None if there is no logic.
    :param text: the text as it was written.
    :param amended: lines that HAProxy refuses, each with its replacement.
    :param closed: why the text may not be used; then rendering raises `TemplateError`. Empty if it may.
    """

    name: str
    source: str
    parts: tuple[str, ...] = ()
    program: Program | None = field(default=None, eq=False)
    text: str = field(default="", repr=False)
    amended: tuple[tuple[str, str], ...] = ()
    closed: str = ""

    _order: tuple[str, ...] = field(init=False, repr=False, eq=False)
    _format: str = field(init=False, repr=False, eq=False)

    @cached_property
    def names(self) -> frozenset[str]:
        """The variables that it reads."""
        return frozenset(self._order) if self.program is None else self.program.names

    @_order.default
    def _names_in_turn(self) -> tuple[str, ...]:
        return self.parts[1::2]

    @_format.default
    def _parts_as_format(self) -> str:
        """Return the text as a ``%`` format, the fastest way to insert the values of a hundred thousand servers."""
        return "%s".join(part.replace("%", "%%") for part in self.parts[::2])

    def reads(self, variable: str) -> bool:
        """Return whether it reads a variable; faster than `names` for logic in which that word does not occur."""
        if self.program is not None and not re.search(rf"\b{variable}\b", self.text):
            return False
        return variable in self.names

    @property
    def written(self) -> str:
        """The text as it was written; without its variables if there is no logic."""
        return self.text if self.program is not None else "".join(self.parts[::2])

    @property
    def is_default(self) -> bool:
        """True if this is the text that ships."""
        return self.source == DEFAULT

    @cached_property
    def label(self) -> str:
        """The full name of the label that holds the text; empty if none does."""
        return label_in(self.source)

    @property
    def is_empty(self) -> bool:
        """True if the text is blank, which switches that part off."""
        return self.program is None and not "".join(self.parts).strip()

    @property
    def is_jinja(self) -> bool:
        """True if the text is written in Jinja2."""
        return self.is_default or self.source.endswith(".j2")

    def same_text(self, other: Template) -> bool:
        """Return whether two templates are the same text in the same syntax, independent of the source."""
        return (self.text, self.is_jinja) == (other.text, other.is_jinja)

    def render(self, variables: Mapping[str, Any]) -> str:
        """
        Return the text for these variables.

        :raises TemplateError: the text has an unknown variable, becomes too long or may not be used.
        """
        if self.closed:
            raise TemplateError(source=self.source, reason=self.closed, template=self.name, closed=True)
        text = self._render(variables)
        if not self.amended:
            return text
        lines = dict(self.amended)
        return "\n".join(lines.get(line, line) for line in text.split("\n"))

    def _render(self, variables: Mapping[str, Any]) -> str:
        if self.program is not None:
            return self.program.render(variables)
        try:
            values = tuple(map(variables.__getitem__, self._order))
            if len(values) > _UNCHECKED_VARIABLES and self.label:
                self._check_length(values)
            return self._format % values
        except KeyError as missing:
            reason = self._unknown(missing.args[0], variables)
            raise TemplateError(source=self.source, reason=reason, template=self.name) from None

    def _check_length(self, values: Iterable[Any]) -> None:
        """Raise `TemplateError` if a label's text becomes too long with the values of its variables."""
        length = len(self._format) + sum(len(str(value)) for value in values)
        if length > limits.RENDERED:
            reason = f"comes to {length} characters with its variables; the maximum is {limits.RENDERED}"
            raise TemplateError(source=self.source, reason=reason, template=self.name)

    def _unknown(self, name: str, variables: Iterable[str]) -> str:
        """Return the reason why a variable is refused, with the nearest name and all known names."""
        known = sorted(key for key in variables if key not in OBJECTS)
        near = get_close_matches(name, known, 1)
        hint = f" (did you mean {{{near[0]}}}?)" if near else ""
        return (
            f"HAPROXY_{self.name} has no variable {{{name}}}{hint}; write {{{{{name}}}}} for braces that HAProxy is to "
            f"see; it has: {', '.join(known)}"
        )


_UNCHECKED_VARIABLES = 3
"""Maximum number of variables of a label's text whose length is not checked."""

OBJECTS = frozenset({"service", "app", "settings"})
"""Objects that only Jinja2 templates get, besides the plain variables."""


def classic(name: str, text: str, source: str) -> Template:
    """Parse a classic template: ``{name}`` is a variable, ``{{`` and ``}}`` a brace, any other brace itself."""
    if BY_NAME[name].literal:
        return Template(name, source, (text,), text=text)
    return _cached(name, text, source) if len(text) <= _LONGEST_CACHED else _parsed(name, text, source)


_LONGEST_CACHED = 4_096
"""Maximum characters of a text whose parsed template is cached; labels may be long, and many."""


def _parsed(name: str, text: str, source: str) -> Template:
    parts: list[str] = []
    literal: list[str] = []
    position = 0
    for token in _TOKEN.finditer(text):
        literal.append(text[position : token.start()])
        position = token.end()
        if not token[1]:
            literal.append(token[0][0])
            continue
        variable = f"{token[1]}, an object of Jinja2 alone" if token[1] in OBJECTS else token[1]
        parts += ["".join(literal), variable]
        literal = []
    return Template(name, source, (*parts, "".join(literal) + text[position:]), text=text)


_cached = lru_cache(maxsize=10_000)(_parsed)


def jinja(name: str, text: str, source: str) -> Template:
    """
    Parse a Jinja2 template, which runs in a sandbox; one with plain variables only needs no program.

    A default is compiled when it is first rendered: the tests compile them all.

    :raises TemplateError: the text is not valid Jinja2.
    """
    others = _SIMPLE_JINJA.sub("", text)
    plain = not any(mark in others for mark in ("{{", "{%", "{#", "}}"))
    program = Program(name, text, source)
    if source != DEFAULT:
        _ = program.compiled
    if plain:
        return Template(name, source, tuple(_SIMPLE_JINJA.split(text)), text=text)
    return Template(name, source, program=program, text=text)


_ENVIRONMENT = SandboxedEnvironment(
    undefined=jinja2.StrictUndefined,
    autoescape=False,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
