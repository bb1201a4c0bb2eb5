"""
Reasons for a reload, as facts. Pure.

A reason is made where the decision is made. Its sentence is made where a person reads it (`sentence`), its label for
the metrics by `metric_label`; nothing reads a sentence back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, auto

from msgspec import Struct

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.config.text.diff import MAP, Difference, DifferenceGroup, grouped, joined, merged
from marathonlb.haproxy.runtime.replies import CommandRefusal

SHOWN = 3
"""Maximum number of phrases in the sentence of one reload; all sections that differ are one phrase."""


class ReasonKind(Enum):
    """Kinds of reasons for a reload."""

    FIRST_START = auto()
    """There is no configuration on disk yet."""
    ADOPTED = auto()
    """This controller took over a HAProxy that runs something else; the reasons that follow say what differs."""
    UNCONFIRMED = auto()
    """HAProxy has not confirmed the last reload."""
    NOT_RUNNING = auto()
    """HAProxy does not run."""
    UNKNOWN_STATE = auto()
    """It is not known yet what HAProxy runs."""
    WORKER_RESTARTED = auto()
    """HAProxy's worker restarted while it was updated at runtime."""
    REQUESTED = auto()
    """An operator asked for it; the name is the signal's."""
    CERTIFICATE_CHANGED = auto()
    """A certificate file holds another certificate; the name is its path."""
    UNEXPLAINED_FAILURE = auto()
    """The last reload failed and HAProxy did not say why."""
    SECTIONS_DIFFER = auto()
    """Sections or map files differ, and only a reload changes them."""
    WHITE_SPACE_DIFFERS = auto()
    """The files differ in nothing but white space or comments between sections."""
    SERVER_NOT_UPDATABLE = auto()
    """The runtime API cannot make this change to a server, named ``backend/server``."""
    BACKEND_NOT_UPDATABLE = auto()
    """The runtime API cannot change the servers of a backend."""
    BACKEND_NOT_CREATABLE = auto()
    """The runtime API cannot create a backend."""
    BACKEND_UNKNOWN = auto()
    """HAProxy runs a backend that is in no file."""
    COMMAND_REFUSED = auto()
    """HAProxy refused a command of the runtime API."""
    READ_BACK_DIFFERS = auto()
    """A server, backend or map does not read back as it was set; the name says which."""
    RUNTIME_API_UNAVAILABLE = auto()
    """The runtime API does not answer."""
    TOO_MANY_CHANGES = auto()
    """There are more changes than the runtime API is used for."""


class ReloadReason(Struct, frozen=True):
    """
    One reason for a reload.

    :param name: the thing it is about, as the kind says.
    :param detail: what is wrong with it, for people.
    :param section: the keyword of the section that `name` is about, for the metrics; empty where there is none.
    :param group: the sections or maps that differ (`ReasonKind.SECTIONS_DIFFER`).
    :param refusal: HAProxy's answer (`ReasonKind.COMMAND_REFUSED`).
    :param refused: whether HAProxy refused this before, so that it was not tried again.
    """

    kind: ReasonKind
    name: str = ""
    detail: str = ""
    section: str = ""
    group: DifferenceGroup | None = None
    refusal: CommandRefusal | None = None
    refused: bool = False

    def __str__(self) -> str:
        """Return the phrase for people."""
        if self.group is not None:
            return str(self.group)
        if self.refusal is not None:
            return f"map {self.name}: {self.refusal}" if self.name else str(self.refusal)
        return _PHRASES[self.kind].format(name=self.name, detail=self.detail, section=self.section)


Reasons = tuple[ReloadReason, ...]
"""The reasons of one reload; empty where none is needed."""

FIRST_START = ReloadReason(ReasonKind.FIRST_START)
ADOPTED = ReloadReason(ReasonKind.ADOPTED)
UNCONFIRMED = ReloadReason(ReasonKind.UNCONFIRMED)
NOT_RUNNING = ReloadReason(ReasonKind.NOT_RUNNING)
UNKNOWN_STATE = ReloadReason(ReasonKind.UNKNOWN_STATE)
WORKER_RESTARTED = ReloadReason(ReasonKind.WORKER_RESTARTED)
WHITE_SPACE_DIFFERS = ReloadReason(ReasonKind.WHITE_SPACE_DIFFERS)
UNEXPLAINED_FAILURE = ReloadReason(ReasonKind.UNEXPLAINED_FAILURE)


def from_cause(cause: Cause) -> ReloadReason:
    """Return the reason of a reload that somebody asked for, be it an operator or the watch of the certificates."""
    if cause.kind is CauseKind.CERTIFICATE:
        return ReloadReason(ReasonKind.CERTIFICATE_CHANGED, cause.name)
    return ReloadReason(ReasonKind.REQUESTED, cause.name or cause.kind.value)


def from_differences(found: Iterable[Difference]) -> Reasons:
    """Return one reason for each group of sections or maps that differ."""
    return tuple(
        ReloadReason(ReasonKind.SECTIONS_DIFFER, section=group.kind, group=group) for group in grouped(found)
    )


def from_refusal(refusal: CommandRefusal, map_name: str = "") -> ReloadReason:
    """
    Return the reason of a reload after a refused command.

    :param map_name: the file of the map that it was about; empty where it was about none.
    """
    return ReloadReason(ReasonKind.COMMAND_REFUSED, map_name, refusal=refusal)


_PHRASES = {
    ReasonKind.ADOPTED: "HAProxy was taken over",
    ReasonKind.FIRST_START: "there was no configuration",
    ReasonKind.UNCONFIRMED: "the last reload was not confirmed",
    ReasonKind.NOT_RUNNING: "HAProxy does not run",
    ReasonKind.UNKNOWN_STATE: "what HAProxy runs is not known yet",
    ReasonKind.WORKER_RESTARTED: "HAProxy's worker restarted during a runtime update",
    ReasonKind.REQUESTED: "{name}",
    ReasonKind.CERTIFICATE_CHANGED: "certificate {name} changed",
    ReasonKind.UNEXPLAINED_FAILURE: "the last reload failed and HAProxy did not say why",
    ReasonKind.WHITE_SPACE_DIFFERS: "white space",
    ReasonKind.SERVER_NOT_UPDATABLE: "server {name} {detail}",
    ReasonKind.BACKEND_NOT_UPDATABLE: "backend {name}: {detail}",
    ReasonKind.BACKEND_NOT_CREATABLE: "backend {name} is new, and {detail}",
    ReasonKind.BACKEND_UNKNOWN: "backend {name} runs and is in no file",
    ReasonKind.READ_BACK_DIFFERS: "{section} {name} {detail}",
    ReasonKind.RUNTIME_API_UNAVAILABLE: "{detail}",
    ReasonKind.TOO_MANY_CHANGES: "{detail}",
}


def sentence(reasons: Sequence[ReloadReason]) -> str:
    """Return the reasons of one reload as one phrase for people; empty without any."""
    others = [reason for reason in reasons if reason.kind is not ReasonKind.ADOPTED]
    groups = merged(reason.group for reason in others if reason.group is not None)
    phrases = [joined(groups)] if groups else []
    phrases += [str(reason) for reason in others if reason.group is None]
    hidden = len(phrases) - SHOWN
    text = ", ".join(phrases[:SHOWN]) + (f" and {hidden} more" if hidden > 0 else "")
    return text if len(others) == len(reasons) else f"{ADOPTED}: {text}"


LABELS = (
    "refused",
    "asked",
    "first",
    "adopted",
    "unconfirmed",
    "not_running",
    "head",
    "order",
    "server",
    "frontend",
    "backend",
    "userlist",
    "map",
    "other",
)
"""Values of the label ``reason`` of ``marathon_lb_reloads_total``; of several reasons the first one here counts."""

_LABELS = {
    ReasonKind.COMMAND_REFUSED: "refused",
    ReasonKind.REQUESTED: "asked",
    ReasonKind.FIRST_START: "first",
    ReasonKind.ADOPTED: "adopted",
    ReasonKind.UNCONFIRMED: "unconfirmed",
    ReasonKind.NOT_RUNNING: "not_running",
    ReasonKind.SERVER_NOT_UPDATABLE: "server",
    ReasonKind.BACKEND_NOT_UPDATABLE: "backend",
    ReasonKind.BACKEND_NOT_CREATABLE: "backend",
    ReasonKind.BACKEND_UNKNOWN: "backend",
}
_SECTIONS = frozenset({"head", "order", "server", "frontend", "backend", "userlist", MAP})


def metric_label(reasons: Iterable[ReloadReason]) -> str:
    """Return the value of the label ``reason`` for a reload: one of `LABELS`."""
    return min(map(_label, reasons), key=LABELS.index, default="other")


def _label(reason: ReloadReason) -> str:
    if reason.refused:
        return "refused"
    if reason.section in _SECTIONS:
        return reason.section
    return _LABELS.get(reason.kind, "other")


def refused_commands(reasons: Iterable[ReloadReason]) -> tuple[str, ...]:
    """Return the commands that HAProxy refused, each as its first two words: ``add_server``."""
    refusals = (reason.refusal for reason in reasons if reason.refusal is not None)
    return tuple("_".join(refusal.command.split()[:2]) for refusal in refusals)
