"""
The operator's templates: today's texts, the last good ones, and what becomes of a text that is refused.

A text of the operator's may guard something, so that no default ever takes its place. One that HAProxy refuses, or that
cannot be rendered, has one of these fates:

* its last good text serves, where that is another one;
* HAProxy runs on as it is, where it runs with this very text: something that the text needs has changed (a file, say);
* what the text guards is closed, where there never was a good one, or HAProxy does not run;
* the default serves in place of that, where the operator has asked for it (``--template-fallback``).

It is tried again; see `Overrides.due`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import evolve, frozen

from marathonlb.config.templates import closed
from marathonlb.config.templates.loader import Templates
from marathonlb.config.templates.removed_lines import Amendment
from marathonlb.config.templates.template import Template
from marathonlb.problem_kinds.operators import (
    TEMPLATE_ERROR,
    TEMPLATE_REFUSED,
    TEMPLATE_REWRITTEN,
    TEMPLATES_UNREADABLE,
)
from marathonlb.routing.problems import Problem

AGAIN = 5.0
"""Seconds at least between two attempts with a text that is refused."""

LONGEST = 80.0
"""Seconds at most until it is tried again where nothing else happens; they double from `AGAIN` on."""

AGAIN_AT = "it is tried again at each change and at SIGHUP"
LAST_GOOD = "its last good text serves on"
DEFAULT = "the default serves in its place, since --template-fallback says so"
RUNS_ON = "HAProxy runs on with what it has, where servers still come and go, until the text is good"
FOR_ALL = "it holds rules for everything that HAProxy serves, so that nothing else is done without it"
UNTIL_GOOD = "until it is good, "


@frozen(kw_only=True)
class Refusal:
    """
    An operator's text that may not be used.

    :param template: the text.
    :param instead: what stands in its place; None where HAProxy runs on as it is.
    :param reason: why.
    :param haproxy: HAProxy's words; empty where the text could not even be rendered.
    :param fate: what that means, and what is to be done.
    :param tried: when it was tried last, in seconds.
    :param failures: how often it was refused.
    :param not_before: when it may be tried again at the earliest.
    """

    template: Template
    instead: Template | None
    reason: str
    fate: str
    tried: float
    failures: int = 1
    not_before: float = 0.0
    haproxy: str = ""

    @property
    def problem(self) -> Problem:
        """What the operator is told."""
        return Problem(
            "",
            None,
            f"HAPROXY_{self.template.name}",
            self.template.source,
            f"{self.reason}; {self.fate}",
            kind=TEMPLATE_REFUSED if self.haproxy else TEMPLATE_ERROR,
            haproxy=self.haproxy,
        )

    @property
    def closes(self) -> bool:
        """Whether something is kept closed because of it."""
        return self.instead is not None and bool(self.instead.closed)

    @property
    def again(self) -> float:
        """When it is tried again though nothing happens."""
        pause = min(AGAIN * 2.0 ** min(self.failures - 1, 10), LONGEST)
        return max(self.tried + pause, self.not_before)


class Overrides:
    """
    Keeps which text of each template serves.

    :param today: the templates as they were read.
    :param good: the operator's texts that HAProxy accepted last, by name, as a controller before knew them.
    :param fallback: whether the default serves where something would be closed.
    """

    def __init__(
        self, today: Templates, good: Mapping[str, Template] | None = None, *, fallback: bool = False
    ) -> None:
        self._today = today
        self._good = dict(good or {})
        self._fallback = fallback
        self._proven: dict[str, Template] = {}
        self._refused: dict[str, Refusal] = {}
        self._amended: dict[str, dict[str, Amendment]] = {}
        self._unread: Problem | None = None

    def copy(self) -> Overrides:
        """Another one that knows the same, for a question of what would be."""
        other = Overrides(self._today, self._good, fallback=self._fallback)
        other._proven, other._refused = dict(self._proven), dict(self._refused)
        other._amended = {name: dict(lines) for name, lines in self._amended.items()}
        other._unread = self._unread
        return other

    # what serves

    def templates(self, trying: str = "") -> Templates:
        """
        The templates as they serve.

        :param trying: the name of one whose text of today stands in its place though it is refused.
        """
        names = {name for name, lines in self._amended.items() if lines} | self._refused.keys()
        return self._today.put({name: self._serving(name, again=name == trying) for name in names})

    def _serving(self, name: str, *, again: bool = False) -> Template:
        refusal = self._refused.get(name)
        template = self._today.shared[name]
        if refusal is not None and refusal.instead is not None and not again:
            template = refusal.instead
        amended = self._amended.get(name, {}).values()
        return evolve(template, amended=tuple((each.line, each.replacement) for each in amended))

    @property
    def proven(self) -> frozenset[str]:
        """The names of those whose text HAProxy has accepted since this controller began."""
        return frozenset(name for name, text in self._proven.items() if self._serving(name).same_text(text))

    @property
    def good(self) -> Mapping[str, Template]:
        """The texts that HAProxy accepted last, by name."""
        return self._good

    def accepted(self, names: Iterable[str], used: Templates) -> bool:
        """
        Take note that HAProxy runs these.

        :param names: those that have a line in what it runs.
        :param used: the templates that it was rendered from; others may have been read since then.
        :return: whether that changes what is good.
        """
        self.acquit()
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

    # what is refused

    def refuse(
        self,
        name: str,
        reason: str,
        now: float,
        *,
        running: bool,
        used: Templates | None = None,
        not_before: float = 0.0,
        haproxy: str = "",
    ) -> bool:
        """
        Decide what becomes of a text that cannot be used.

        :param reason: why, and what to do about it.
        :param now: in seconds.
        :param running: whether HAProxy runs.
        :param used: the templates that it was found out with; others may have been read since then.
        :param not_before: when it may be tried again at the earliest.
        :param haproxy: HAProxy's words; empty where the text could not be rendered.
        :return: whether another configuration follows; else HAProxy runs on as it is.
        """
        if name not in self._today.shared:
            return False
        before, serving = self._refused.get(name), self._serving(name)
        if self._today.shared[name].is_default or serving.is_default or serving.closed:
            return False
        if used is not None and not used.shared[name].same_text(serving):
            return True
        good = self._good.get(name)
        instead, fate = self._instead(serving, good, running=running)
        if before is not None and before.instead is not None:
            reason = f"{before.reason}; its last good text is refused, too: {reason}"
            haproxy = "; ".join(filter(None, (before.haproxy, haproxy)))
        self._refused[name] = Refusal(
            template=self._today.shared[name],
            instead=instead,
            reason=reason,
            fate=fate,
            tried=now,
            failures=before.failures + 1 if before is not None else 1,
            not_before=not_before,
            haproxy=haproxy,
        )
        return instead is not None

    def _instead(
        self, serving: Template, good: Template | None, *, running: bool
    ) -> tuple[Template | None, str]:
        if good is not None and not good.same_text(serving):
            return good, f"{LAST_GOOD}; {AGAIN_AT}"
        if good is not None and running:
            return None, f"{RUNS_ON}; {AGAIN_AT}"
        if self._fallback:
            return self._today.defaults[serving.name], f"{DEFAULT}; {AGAIN_AT}"
        what = closed.what(serving)
        if what is None:
            return None, f"{FOR_ALL}; {AGAIN_AT}"
        return evolve(serving, closed=closed.why(serving)), f"{UNTIL_GOOD}{what} closed; {AGAIN_AT}"

    def acquit(self) -> None:
        """Take note that HAProxy takes the texts with which it runs on."""
        for name in [name for name, refusal in self._refused.items() if refusal.instead is None]:
            del self._refused[name]

    def replaceable(self, name: str) -> bool:
        """Whether the last good text of a template is another one than that which serves."""
        good = self._good.get(name)
        return good is not None and not good.same_text(self._serving(name))

    def without(self, name: str) -> Templates | None:
        """The templates with what stands in the place of a refused one; None where nothing can."""
        trial = self.copy()
        return trial.templates() if trial.refuse(name, "", 0.0, running=False) else None

    def tried(self, name: str, now: float, *, good: bool) -> None:
        """Take note of what came of another attempt with a refused text."""
        refusal = self._refused[name]
        if good:
            del self._refused[name]
        else:
            self._refused[name] = evolve(refusal, tried=now, failures=refusal.failures + 1)

    def amend(self, name: str, amendments: Iterable[Amendment]) -> None:
        """Write lines that HAProxy refuses and that guard nothing in another way."""
        self._amended.setdefault(name, {}).update({each.line: each for each in amendments})

    def due(self, now: float) -> list[str]:
        """The refused texts in whose place another one serves and that may be tried again, ``HAPROXY_HEAD`` first."""
        names = (
            name
            for name, each in self._refused.items()
            if each.instead is not None and now >= max(each.tried + AGAIN, each.not_before)
        )
        return sorted(names, key=lambda name: (name != "HEAD", name))

    def next_try(self) -> float | None:
        """When one of them is tried again though nothing happens."""
        return min((each.again for each in self._refused.values() if each.instead is not None), default=None)

    def hasten(self) -> None:
        """Let every refused text be tried again at the next change."""
        for name, each in self._refused.items():
            self._refused[name] = evolve(each, tried=-AGAIN, failures=1, not_before=0.0)

    # what was read

    def take(self, today: Templates) -> bool:
        """
        Use what was read anew.

        :return: whether a text is another one.
        """
        self._unread = None
        before = self._today
        changed = [
            name
            for name, template in today.shared.items()
            if not template.same_text(before.shared[name]) or template.source != before.shared[name].source
        ]
        self._today = today
        for name in changed:
            self._refused.pop(name, None)
            self._amended.pop(name, None)
        return bool(changed)

    def unreadable(self, source: str, reason: str) -> None:
        """Take note that the templates could not be read anew: what was read before serves on."""
        fate = "the templates that were read before serve on until it can be read; send SIGHUP then"
        self._unread = Problem(
            "", None, "--templates", source, f"{reason}; {fate}", kind=TEMPLATES_UNREADABLE
        )

    # what is told

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What the operator should mend, and what was written anew for him; but for what is `held`."""
        told = [each.problem for _, each in sorted(self._refused.items()) if each.instead is not None]
        for name, lines in sorted(self._amended.items()):
            source = self._today.shared[name].source
            told += (
                Problem(
                    "", None, f"HAPROXY_{name}", source, _amended(each), fatal=False, kind=TEMPLATE_REWRITTEN
                )
                for each in lines.values()
            )
        return (*((self._unread,) if self._unread is not None else ()), *told)

    @property
    def held(self) -> tuple[Problem, ...]:
        """Why HAProxy runs on as it is, one problem for each template."""
        return tuple(each.problem for _, each in sorted(self._refused.items()) if each.instead is None)

    @property
    def replaced(self) -> tuple[Problem, ...]:
        """Why another text serves, one problem for each template."""
        return tuple(
            each.problem
            for _, each in sorted(self._refused.items())
            if each.instead is not None and not each.closes
        )

    @property
    def closed(self) -> tuple[Problem, ...]:
        """Why something is closed, one problem for each template."""
        return tuple(each.problem for _, each in sorted(self._refused.items()) if each.closes)


def _amended(each: Amendment) -> str:
    return (
        f"{each.warning}, because HAProxy refuses the line and it protects nothing; write it so, or remove it"
    )
