"""Hints as Marathon's events make them."""

from __future__ import annotations

from collections.abc import Iterable

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.marathon.events.hints import Hint


def event_hint(apps: Iterable[str] | None, *types: str) -> Hint:
    """Return the hint that events of these types make, a status update where none is named."""
    return Hint.of(apps, *(Cause(CauseKind.EVENT, kind) for kind in types or ("status_update_event",)))
