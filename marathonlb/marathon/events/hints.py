"""
Turn Marathon's events into hints: requests to ask Marathon again.

Marathon's events are unordered and may be dropped, and in callback mode anyone can post them. So no content of an
event reaches the configuration: an event only names the apps to ask Marathon about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from attrs import frozen

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.marathon.parsing.schema import Wire

_IGNORED = (
    "event_stream_detached",
    "failed_health_check_event",  # a change of health comes as its own event
    "framework_message_event",
    "group_change_failed",
    "group_change_success",  # the deployment events beside it name the apps
    "scheduler_disconnected_event",
    "subscribe_event",
    "unsubscribe_event",
)

_HINTING = (
    "add_health_check_event",
    "api_post_event",
    "app_terminated_event",
    "deployment_failed",
    "deployment_info",
    "deployment_step_failure",
    "deployment_step_success",
    "deployment_success",
    "health_status_changed_event",
    "instance_changed_event",
    "instance_health_changed_event",
    "pod_created_event",
    "pod_deleted_event",
    "pod_updated_event",
    "remove_health_check_event",
    "scheduler_registered_event",
    "scheduler_reregistered_event",
    "status_update_event",
    "unhealthy_instance_kill_event",
    "unhealthy_task_kill_event",
    "unknown_instance_terminated_event",
    "unknown_task_terminated_event",
)

ATTACHED = "event_stream_attached"
"""Marathon's first event on a new stream; each stream also receives those of the others."""

EVENT_TYPES = (ATTACHED, *_HINTING)
"""The event types to subscribe to (``event_type``, Marathon ≥ 1.3.7; older ones send all types anyway)."""

_CAUSES = {kind: Cause(CauseKind.EVENT, kind) for kind in _HINTING}
_OTHER = Cause(CauseKind.OTHER_EVENT)
_UNREADABLE = Cause(CauseKind.UNREADABLE_EVENT)

_NOT_YET_SERVED = frozenset(
    ("TASK_STAGING", "TASK_STARTING", "Created", "Provisioned", "Staging", "Starting")
)
"""States before a task runs; no task returns to them, and none is served in them."""

_ENDED = frozenset(
    ("TASK_KILLING", "TASK_KILLED", "TASK_FINISHED", "TASK_FAILED", "TASK_ERROR", "TASK_GONE", "TASK_DROPPED")
)

_ENDED_INSTANCE = frozenset(("Killing", "Killed", "Finished", "Failed", "Error", "Gone", "Dropped"))
"""The same for instances of pods and apps; ``Unreachable`` and ``Unknown`` ones may be well."""

_ID = re.compile(r"/?[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_POD_URI = re.compile(r"/v2/pods(/[^:?]+)")


@frozen
class Hint:
    """
    A request to ask Marathon again about some apps, or about everything.

    :param apps: ids of apps, absolute; None means everything.
    :param causes: why, at least one.
    """

    apps: frozenset[str] | None
    causes: frozenset[Cause]

    @classmethod
    def of(cls, apps: Iterable[str] | None, *causes: Cause) -> Hint:
        """Make a hint from single causes."""
        return cls(None if apps is None else frozenset(apps), frozenset(causes))

    @property
    def everything(self) -> bool:
        """Return whether the whole cluster is to be compared."""
        return self.apps is None


class _AppReference(Wire):
    id: str | None = None


class _DeploymentAction(Wire):
    app: str | None = None
    pod: str | None = None


class _DeploymentStep(_DeploymentAction):
    """A step of a deployment: ``{"actions": [...]}``, or a bare action in the documents of old Marathons."""

    actions: tuple[_DeploymentAction, ...] | None = None


class _DeploymentPlan(Wire):
    steps: tuple[_DeploymentStep, ...] | None = None


class _Event(Wire):
    event_type: str
    app_id: str | None = None
    run_spec_id: str | None = None
    task_id: str | None = None
    task_status: str | None = None
    instance_id: str | None = None
    condition: str | None = None
    uri: str | None = None
    app_definition: _AppReference | None = None
    plan: _DeploymentPlan | None = None
    current_step: _DeploymentStep | None = None


_decoder = msgspec.json.Decoder(_Event)


def together(hints: Sequence[Hint]) -> Hint:
    """Return one hint that asks for all that these ask for, with all their causes."""
    causes: frozenset[Cause] = frozenset().union(*(hint.causes for hint in hints))
    if any(hint.everything for hint in hints):
        return Hint(None, causes)
    return Hint(frozenset().union(*(hint.apps or () for hint in hints)), causes)


def hint_of(payload: bytes) -> Hint | None:
    """
    Return the hint that an event makes.

    :param payload: JSON; several documents in a row are taken together.
    :return: None if nothing can have changed. An unreadable payload may mean anything, so it is a hint about
        everything.
    """
    try:
        hints = [hint for event in _decode(payload) if (hint := _hint(event)) is not None]
    except ValueError:
        return Hint.of(None, _UNREADABLE)
    if not hints:
        return None
    return hints[0] if len(hints) == 1 else together(hints)


def is_event(payload: bytes) -> bool:
    """Return whether a payload is a JSON object with an ``eventType``, as all events of Marathon are."""
    try:
        return bool(_decode(payload))
    except ValueError:
        return False


def ended_tasks(payload: bytes) -> frozenset[str]:
    """
    Return the ids of the tasks and instances that an event reports as killed or ended; pods have instances as servers.

    Call this for events of Marathon's own stream only: anyone can post events to the callback.
    """
    try:
        events = _decode(payload)
    except ValueError:
        return frozenset()
    named = (name for event in events if _ends(event) for name in (event.task_id, event.instance_id))
    return frozenset(name for name in named if name)


def _ends(event: _Event) -> bool:
    """Return whether an event says that its task or instance is being killed or has ended."""
    if event.event_type in ("unhealthy_task_kill_event", "unhealthy_instance_kill_event"):
        return True
    if event.event_type == "instance_changed_event":
        return event.condition in _ENDED_INSTANCE
    return event.event_type == "status_update_event" and event.task_status in _ENDED


def _decode(payload: bytes) -> list[_Event]:
    """
    Return the events of a payload; of a deployment event's tens of megabytes only the fields of `_Event` are decoded.

    :raises ValueError: the payload is not made of events (msgspec's errors are ValueErrors).
    """
    try:
        return [_decoder.decode(payload)]
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, RecursionError):
        return [_decoder.decode(document) for document in _documents(payload)]


def _documents(payload: bytes) -> Iterator[str]:
    text = payload.decode()
    decoder = json.JSONDecoder()
    position = _skip_blanks(text, 0)
    if position == len(text):
        raise ValueError("no JSON")
    while position < len(text):
        try:
            _, end = decoder.raw_decode(text, position)
        except RecursionError:
            raise ValueError("JSON nested too deeply") from None
        yield text[position:end]
        position = _skip_blanks(text, end)


def _skip_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _hint(event: _Event) -> Hint | None:
    kind = event.event_type
    if kind in _IGNORED or kind == ATTACHED:
        return None
    if event.task_status in _NOT_YET_SERVED or event.condition in _NOT_YET_SERVED:
        return None
    named = {name for name in _names(event) if name}
    if not named or not all(map(_ID.fullmatch, named)):
        return Hint.of(None, _cause(kind))
    return Hint.of((name if name.startswith("/") else "/" + name for name in named), _cause(kind))


def _cause(kind: str) -> Cause:
    """Return the cause that an event's type stands for; an unknown type may be anybody's text and is not named."""
    return _CAUSES.get(kind, _OTHER)


def _names(event: _Event) -> Iterator[str | None]:
    yield event.app_id
    yield event.run_spec_id
    if event.app_definition is not None:
        yield event.app_definition.id
    if event.uri and (pod := _POD_URI.match(event.uri)):
        yield pod[1]
    steps: Iterable[_DeploymentStep] = (event.plan.steps if event.plan is not None else None) or ()
    for step in (*steps, event.current_step):
        for action in (step, *(step.actions or ())) if step is not None else ():
            yield action.app
            yield action.pod
