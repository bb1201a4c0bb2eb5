"""
Outcomes of applying a configuration, as facts. Pure.

Each outcome is a class of its own with the facts that it has. The words of the HTTP API, the log and the metrics are
made by `action_word` and `explanation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from attrs import field, frozen
from twisted.internet.interfaces import IReactorTime

from marathonlb.haproxy.reload_reason import Reasons, sentence

SERVER_WORDS = {
    "added": "added",
    "revived": "put back",
    "moved": "moved to another address",
    "weighed": "given another weight",
    "readied": "put back",
    "replaced": "replaced",
    "drained": "drained",
    "removed": "removed",
}
"""The words for changes of servers, by the kind that is counted."""

BACKEND_WORDS = {"made": "added", "withdrawn": "removed"}
"""The words for changes of whole backends, by the kind that is counted."""


@frozen
class RuntimeChanges:
    """
    Changes made through the runtime API.

    :param counts: how many, by kind: a key of `SERVER_WORDS` or `BACKEND_WORDS`, or ``map``; in the order of the
        changes.
    :param maps: the names of the map files that changed.
    """

    counts: Mapping[str, int] = field(factory=dict)
    maps: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.counts)

    def __str__(self) -> str:
        """``3 servers added, 1 drained``; maps are named."""
        counts: dict[tuple[str, str], int] = {}
        for kind, count in self.counts.items():
            for noun, words in (("server", SERVER_WORDS), ("backend", BACKEND_WORDS)):
                if kind in words:
                    key = noun, words[kind]
                    counts[key] = counts.get(key, 0) + count
        phrases: list[str] = []
        before = ""
        for (noun, change), count in counts.items():
            named = "" if noun == before else f" {noun}" if count == 1 else f" {noun}s"
            phrases.append(f"{count}{named} {change}")
            before = noun
        return ", ".join(phrases + [f"{name} changed" for name in self.maps])


@frozen(kw_only=True)
class Unchanged:
    """
    HAProxy runs the configuration already.

    :param seconds: by stage, as in every outcome: ``steps``, ``check``, ``publish``, ``reload``; a stage that was not
        needed is missing.
    """

    seconds: Mapping[str, float] = field(factory=dict)


@frozen(kw_only=True)
class Stepped:
    """
    The runtime API made HAProxy run the configuration, without a reload.

    :param changes: what it changed.
    """

    changes: RuntimeChanges = field(factory=RuntimeChanges)
    seconds: Mapping[str, float] = field(factory=dict)


@frozen(kw_only=True)
class Reloaded:
    """
    HAProxy was reloaded, and confirmed that it runs the configuration.

    :param changes: what the runtime API changed before the reload.
    :param output: HAProxy's warnings.
    """

    reasons: Reasons = ()
    changes: RuntimeChanges = field(factory=RuntimeChanges)
    seconds: Mapping[str, float] = field(factory=dict)
    output: str = ""


@frozen(kw_only=True)
class Written:
    """
    The files are written. No HAProxy runs with them, so none was reloaded.

    :param output: a warning that says so.
    """

    reasons: Reasons = ()
    changes: RuntimeChanges = field(factory=RuntimeChanges)
    seconds: Mapping[str, float] = field(factory=dict)
    output: str = ""


@frozen(kw_only=True)
class Postponed:
    """
    A reload is needed and has to wait; what the runtime API can do is done.

    :param reasons: of the reload that is to come.
    """

    reasons: Reasons = ()
    changes: RuntimeChanges = field(factory=RuntimeChanges)
    seconds: Mapping[str, float] = field(factory=dict)


Outcome = Unchanged | Stepped | Reloaded | Written | Postponed
"""The outcome of `marathonlb.haproxy.interfaces.IApplier.apply`."""

_ACTIONS: Mapping[type[Outcome], str] = {
    Unchanged: "nothing",
    Stepped: "steps",
    Reloaded: "reload",
    Written: "written",
    Postponed: "postponed",
}


def action_word(outcome: Outcome) -> str:
    """Return the word of the HTTP API: ``nothing``, ``steps``, ``reload``, ``written`` or ``postponed``."""
    return _ACTIONS[type(outcome)]


def action_name(action: str) -> str:
    """Return the name that people read for an `action_word`; the log and the pages show it."""
    return {"steps": "runtime API", "written": "files written"}.get(action, action)


def explanation(outcome: Outcome) -> str:
    """Return what the runtime API changed, or why a reload is or was needed; empty where nothing was done."""
    match outcome:
        case Unchanged():
            return ""
        case Stepped(changes=changes):
            return str(changes)
        case _:
            return sentence(outcome.reasons)


def reasons_of(outcome: Outcome) -> Reasons:
    """Return why a reload is or was needed; none where none was."""
    return () if isinstance(outcome, Unchanged | Stepped) else outcome.reasons


def output_of(outcome: Outcome) -> str:
    """Return HAProxy's warnings; empty where it was not reloaded."""
    return outcome.output if isinstance(outcome, Reloaded | Written) else ""


def changes_of(outcome: Outcome) -> RuntimeChanges:
    """Return what the runtime API changed."""
    return RuntimeChanges() if isinstance(outcome, Unchanged) else outcome.changes


class StageTimes:
    """
    Measures stages.

    :param watch: called with the name of each stage that begins.
    :ivar seconds: by stage, of those that have succeeded.
    """

    def __init__(self, clock: IReactorTime, watch: Callable[[str], object]) -> None:
        self.seconds: dict[str, float] = {}
        self._clock = clock
        self._watch = watch

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Measure what is done inside; of a stage that comes several times, all together."""
        self._watch(name)
        began = self._clock.seconds()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + self._clock.seconds() - began, 6)
