"""
Decide which text of each operator's template is used: today's, the last good one, or none. Pure.

An operator's text may protect something, so a default never replaces it silently. A text that HAProxy refuses, or that
cannot be rendered, has one of these consequences:

* its last good text is used, if that is a different one;
* HAProxy keeps running unchanged, if it runs with this very text: something that the text needs has changed (a file,
  for example);
* the part that the text may protect is closed, if there never was a good text, or HAProxy does not run;
* the default is used instead of closing, if the operator has asked for it (``--template-fallback``).

It is tried again; see `Overrides.due`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import evolve, frozen
from msgspec import Struct

from marathonlb.config.templates import closed
from marathonlb.config.templates.loader import Templates
from marathonlb.config.templates.removed_lines import Amendment
from marathonlb.config.templates.template import Template
from marathonlb.problem_kinds.operators import TEMPLATE_ERROR, TEMPLATE_REFUSED, TEMPLATES_UNREADABLE
from marathonlb.routing.problems import Problem

AGAIN = 5.0
"""Minimum seconds between two attempts with a refused text."""

LONGEST = 80.0
"""Maximum seconds until the next attempt if nothing else happens; they double from `AGAIN` on."""

AGAIN_AT = "it is tried again at each change and at SIGHUP"
LAST_GOOD = "its last good text is used"
DEFAULT = "the default is used instead, because of --template-fallback"
RUNS_ON = (
    "HAProxy keeps running with its configuration, where servers still come and go, until the text is good"
)
FOR_ALL = "it has rules for everything that HAProxy serves, so nothing else is changed without it"
UNTIL_GOOD = "until it is good, "


class TemplateFailure(Struct, frozen=True, kw_only=True):
    """
    The failure of an operator's template.

    :param name: the template's name.
    :param reason: why it cannot be used, and what to do about it.
    :param running: True if HAProxy runs.
    :param used: the templates with which it failed; others may have been read since. None for the current ones.
    :param not_before: the earliest time of the next attempt, in seconds.
    :param haproxy: HAProxy's words; empty if the template could not be rendered.
    """

    name: str
    reason: str
    running: bool
    used: Templates | None = None
    not_before: float = 0.0
    haproxy: str = ""


@frozen(kw_only=True)
class RefusedTemplate:
    """
    An operator's text that may not be used.

    :param template: the text.
    :param replacement: the template used instead; None if HAProxy keeps running unchanged.
    :param reason: why it was refused.
    :param consequence: the consequence, and what to do, as a phrase.
    :param tried: the time of the last attempt, in seconds.
    :param failures: number of attempts that failed.
    :param not_before: the earliest time of the next attempt, in seconds.
    :param haproxy: HAProxy's words; empty if the template could not be rendered.
    """

    template: Template
    replacement: Template | None
    reason: str
    consequence: str
    tried: float
    failures: int = 1
    not_before: float = 0.0
    haproxy: str = ""

    @property
    def problem(self) -> Problem:
        """The problem for the operator."""
        return Problem(
            "",
            None,
            f"HAPROXY_{self.template.name}",
            self.template.source,
            f"{self.reason}; {self.consequence}",
            kind=TEMPLATE_REFUSED if self.haproxy else TEMPLATE_ERROR,
            haproxy=self.haproxy,
        )

    @property
    def closes(self) -> bool:
        """True if a part of the configuration is closed because of it."""
        return self.replacement is not None and bool(self.replacement.closed)

    @property
    def again(self) -> float:
        """The time of the next attempt if nothing else happens, in seconds."""
        pause = min(AGAIN * 2.0 ** min(self.failures - 1, 10), LONGEST)
        return max(self.tried + pause, self.not_before)


class Overrides:
    """
    Decides which text of each template is used.

    :param current: the templates as they were read.
    :param good: template name to the operator's text that HAProxy accepted last, as an earlier controller kept it.
    :param fallback: True if the default is used instead of closing a part of the configuration.
    """

    def __init__(
        self, current: Templates, good: Mapping[str, Template] | None = None, *, fallback: bool = False
    ) -> None:
        self._current = current
        self._good = dict(good or {})
        self._fallback = fallback
        self._proven: dict[str, Template] = {}
        self._refused: dict[str, RefusedTemplate] = {}
        self._amended: dict[str, dict[str, Amendment]] = {}
        self._unreadable: Problem | None = None

    def copy(self) -> Overrides:
        """Return an independent copy, to find out what would follow from a change."""
        other = Overrides(self._current, self._good, fallback=self._fallback)
        other._proven, other._refused = dict(self._proven), dict(self._refused)
        other._amended = {name: dict(lines) for name, lines in self._amended.items()}
        other._unreadable = self._unreadable
        return other

    # texts in use

    def templates(self, trying: str = "") -> Templates:
        """
        Return the templates in use.

        :param trying: the name of a template whose current text is used although it is refused.
        """
        names = {name for name, lines in self._amended.items() if lines} | self._refused.keys()
        return self._current.put({name: self._in_use(name, trying=name == trying) for name in names})

    def _in_use(self, name: str, *, trying: bool = False) -> Template:
        refused = self._refused.get(name)
        template = self._current.shared[name]
        if refused is not None and refused.replacement is not None and not trying:
            template = refused.replacement
        amendments = self._amended.get(name, {}).values()
        return evolve(
            template, amended=tuple((amendment.line, amendment.replacement) for amendment in amendments)
        )

    @property
    def proven(self) -> frozenset[str]:
        """The names of the templates whose text HAProxy has accepted since this controller started."""
        return frozenset(name for name, text in self._proven.items() if self._in_use(name).same_text(text))

    @property
    def good(self) -> Mapping[str, Template]:
        """Template name to the operator's text that HAProxy accepted last."""
        return self._good

    def accepted(self, names: Iterable[str], used: Templates) -> bool:
        """
        Record that HAProxy runs with these texts.

        :param names: the templates that have a line in the running configuration.
        :param used: the templates from which it was rendered; others may have been read since.
        :return: True if `good` has changed.
        """
        self.clear_held()
        before = dict(self._good)
        for name in names:
            text = used.shared[name]
            if not text.is_default and not text.closed:
                self._proven[name] = text
                self._good[name] = evolve(text, amended=())
        for name in list(self._good):
            text = used.shared[name]
            if text.is_default or text.closed:  # HAProxy runs without any text of the operator's
                del self._good[name]
        return before != self._good

    # refused texts

    def refuse(self, failure: TemplateFailure, now: float) -> bool:
        """
        Decide the consequence of a failure.

        :param now: in seconds.
        :return: True if another configuration follows; False if HAProxy keeps running unchanged.
        """
        name = failure.name
        if name not in self._current.shared:
            return False
        before, in_use = self._refused.get(name), self._in_use(name)
        if self._current.shared[name].is_default or in_use.is_default or in_use.closed:
            return False
        if failure.used is not None and not failure.used.shared[name].same_text(in_use):
            return True
        replacement, consequence = self._replacement(in_use, running=failure.running)
        reason, haproxy = failure.reason, failure.haproxy
        if before is not None and before.replacement is not None:
            reason = f"{before.reason}; its last good text is refused, too: {reason}"
            haproxy = "; ".join(filter(None, (before.haproxy, haproxy)))
        self._refused[name] = RefusedTemplate(
            template=self._current.shared[name],
            replacement=replacement,
            reason=reason,
            consequence=f"{consequence}; {AGAIN_AT}",
            tried=now,
            failures=before.failures + 1 if before is not None else 1,
            not_before=failure.not_before,
            haproxy=haproxy,
        )
        return replacement is not None

    def _replacement(self, in_use: Template, *, running: bool) -> tuple[Template | None, str]:
        """Return the template used instead of a refused one, or None, and the consequence as a phrase."""
        good = self._good.get(in_use.name)
        if good is not None and not good.same_text(in_use):
            return good, LAST_GOOD
        if good is not None and running:
            return None, RUNS_ON
        if self._fallback:
            return self._current.defaults[in_use.name], DEFAULT
        part = closed.closed_part(in_use)
        if part is None:
            return None, FOR_ALL
        return evolve(in_use, closed=closed.closed_reason(in_use)), f"{UNTIL_GOOD}{part} closed"

    def clear_held(self) -> None:
        """Forget the refusals because of which HAProxy kept running unchanged: it accepts these texts now."""
        for name in [name for name, refused in self._refused.items() if refused.replacement is None]:
            del self._refused[name]

    def replaceable(self, name: str) -> bool:
        """Return whether a template has a last good text other than the one in use."""
        good = self._good.get(name)
        return good is not None and not good.same_text(self._in_use(name))

    def without(self, name: str) -> Templates | None:
        """Return the templates as if this one were refused; None if nothing can replace it."""
        trial = self.copy()
        failure = TemplateFailure(name=name, reason="", running=False)
        return trial.templates() if trial.refuse(failure, 0.0) else None

    def tried(self, name: str, now: float, *, good: bool) -> None:
        """Record the result of another attempt with a refused text."""
        refused = self._refused[name]
        if good:
            del self._refused[name]
        else:
            self._refused[name] = evolve(refused, tried=now, failures=refused.failures + 1)

    def amend(self, name: str, amendments: Iterable[Amendment]) -> None:
        """Replace lines that HAProxy refuses and that protect nothing."""
        self._amended.setdefault(name, {}).update({amendment.line: amendment for amendment in amendments})

    def due(self, now: float) -> list[str]:
        """Return the names of the replaced texts that may be tried again, ``HAPROXY_HEAD`` first."""
        names = (
            name
            for name, refused in self._refused.items()
            if refused.replacement is not None and now >= max(refused.tried + AGAIN, refused.not_before)
        )
        return sorted(names, key=lambda name: (name != "HEAD", name))

    def next_try(self) -> float | None:
        """Return the time of the next attempt if nothing else happens, in seconds; None if no text is replaced."""
        replaced = (refused for refused in self._refused.values() if refused.replacement is not None)
        return min((refused.again for refused in replaced), default=None)

    def retry_soon(self) -> None:
        """Let every refused text be tried again at the next change."""
        for name, refused in self._refused.items():
            self._refused[name] = evolve(refused, tried=-AGAIN, failures=1, not_before=0.0)

    # reading

    def use(self, current: Templates) -> bool:
        """
        Use templates that were just read.

        :return: True if a text has changed.
        """
        self._unreadable = None
        before = self._current
        changed = [
            name
            for name, template in current.shared.items()
            if not template.same_text(before.shared[name]) or template.source != before.shared[name].source
        ]
        self._current = current
        for name in changed:
            self._refused.pop(name, None)
            self._amended.pop(name, None)
        return bool(changed)

    def unreadable(self, source: str, reason: str) -> None:
        """Record that the templates could not be read again; the ones read before stay in use."""
        advice = "the templates that were read before stay in use until it can be read; send SIGHUP then"
        self._unreadable = Problem(
            "", None, "--templates", source, f"{reason}; {advice}", kind=TEMPLATES_UNREADABLE
        )

    # problems

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems and warnings for the operator, except those of `held`."""
        problems = [self._unreadable] if self._unreadable is not None else []
        problems += (refused.problem for refused in self._by_name() if refused.replacement is not None)
        for name, lines in sorted(self._amended.items()):
            problems += (amendment.problem(self._current.shared[name]) for amendment in lines.values())
        return tuple(problems)

    @property
    def held(self) -> tuple[Problem, ...]:
        """The problems because of which HAProxy keeps running unchanged, one per template."""
        return tuple(refused.problem for refused in self._by_name() if refused.replacement is None)

    @property
    def replaced(self) -> tuple[Problem, ...]:
        """The problems because of which another text is used, one per template."""
        return tuple(
            refused.problem
            for refused in self._by_name()
            if refused.replacement is not None and not refused.closes
        )

    @property
    def closed(self) -> tuple[Problem, ...]:
        """The problems because of which a part is closed, one per template."""
        return tuple(refused.problem for refused in self._by_name() if refused.closes)

    def _by_name(self) -> list[RefusedTemplate]:
        return [refused for _, refused in sorted(self._refused.items())]
