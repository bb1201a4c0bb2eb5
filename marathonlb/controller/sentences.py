"""Sentences about facts, for people who read the log, the timeline and the pages. Nothing parses them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.haproxy.outcome import Outcome, Postponed, Reloaded, Stepped, Unchanged, Written, explanation
from marathonlb.haproxy.reload_reason import ReasonKind, sentence

_CAUSES: dict[CauseKind, str] = {
    CauseKind.EVENT: "{name}",
    CauseKind.OTHER_EVENT: "an event of another type",
    CauseKind.UNREADABLE_EVENT: "an event that cannot be read",
    CauseKind.OVERSIZED_EVENT: "an event that is too big",
    CauseKind.LOST_EVENT: "an event that could not be kept",
    CauseKind.POLL: "poll",
    CauseKind.RESYNC: "resync",
    CauseKind.NO_EVENTS_YET: "no events yet",
    CauseKind.STREAM_ATTACHED: "stream attached",
    CauseKind.CALLBACK_REGISTERED: "callback registered",
    CauseKind.SECOND_OPINION: "second opinion",
    CauseKind.SIGNAL: "{name}",
    CauseKind.PINNED: "configuration {name} is pinned",
    CauseKind.RELEASED: "configuration {name} is released",
    CauseKind.PIN_FAILED: "a configuration could not be pinned",
    CauseKind.CLUSTER_ANSWER: "an answer of {name}",
    CauseKind.ADDRESS: "the address of {name} changed",
    CauseKind.CERTIFICATES: "certificates",
    CauseKind.CERTIFICATE: "certificate {name} changed",
    CauseKind.RETRY: "retry",
    CauseKind.QUARANTINE: "quarantine",
    CauseKind.READINESS: "readiness",
    CauseKind.TEMPLATE: "template",
    CauseKind.SEARCH: "search",
    CauseKind.POSTPONED_RELOAD: "a postponed reload",
}
"""One phrase for each kind; ``{name}`` stands for `Cause.name`."""

NO_CHANGES = "no changes"
"""The sentence about a convergence after which HAProxy runs the same configuration as before."""

MAX_CAUSES = 4
"""Maximum number of causes that a sentence names."""


def cause_phrase(cause: Cause) -> str:
    """Return a cause as a phrase."""
    name = cause.name
    if cause.kind is CauseKind.CLUSTER_ANSWER and not name:
        name = "the cluster without a name"
    return _CAUSES[cause.kind].replace("{name}", name)


def causes_sentence(causes: Mapping[Cause, int]) -> str:
    """
    Return the most frequent causes in one phrase; empty if there is none.

    :param causes: number of times that each occurred.
    """
    phrases = sorted(((cause_phrase(cause), count) for cause, count in causes.items()), key=_most_frequent)
    return ", ".join(f"{count} x {phrase}" if count > 1 else phrase for phrase, count in phrases[:MAX_CAUSES])


def _most_frequent(counted: tuple[str, int]) -> tuple[int, str]:
    phrase, count = counted
    return -count, phrase


def outcome_sentence(outcome: Outcome) -> str:
    """Return what a convergence did, and why, as one phrase."""
    match outcome:
        case Unchanged():
            return NO_CHANGES
        case Postponed():
            return f"a reload is pending, since {explanation(outcome)}"
        case Stepped():
            action = "runtime API"
        case Written():
            action = "files written"
        case Reloaded(reasons=reasons) if any(reason.kind is ReasonKind.ADOPTED for reason in reasons):
            differences = tuple(reason for reason in reasons if reason.kind is not ReasonKind.ADOPTED)
            return _with_reason("reloaded after taking over HAProxy", sentence(differences))
        case Reloaded():
            action = "reloaded"
    return _with_reason(action, explanation(outcome))


def _with_reason(action: str, reason: str) -> str:
    return f"{action}: {reason}" if reason else action


def some_of(names: Collection[str], maximum: int) -> str:
    """Return the first of these names in alphabetical order, with an ellipsis if there are more."""
    return ", ".join(sorted(names)[:maximum]) + (", …" if len(names) > maximum else "")
