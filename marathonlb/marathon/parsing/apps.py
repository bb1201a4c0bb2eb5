"""
Parse Marathon's JSON about apps into `App` values, for Marathon 0.7 to 1.11.

An answer is decoded in two steps: its frame, which also proves that it is complete, then app by app into typed structs.
So an app that does not fit the schema is one `UnreadableApp`, a task that does not fit is left out with its reason, and
the rest of that answer is valid. Unused fields are not decoded, which saves memory. A frame that does not fit is an
`UnusableAnswer`, never an empty list of apps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct

from marathonlb.base import limits
from marathonlb.marathon.interfaces import UnreadableApp, UnreadableTask
from marathonlb.marathon.model import App, HealthCheck, Task
from marathonlb.marathon.parsing.ports import networking_for, ports_for
from marathonlb.marathon.parsing.readiness import judged
from marathonlb.marathon.parsing.schema import (
    AppList,
    Check,
    Durations,
    LabelValue,
    OneApp,
    PatchyApp,
    WireApp,
    WireId,
    WireTask,
)

Body = bytes | bytearray | memoryview
LABEL_PREFIX = "HAPROXY_"
T = TypeVar("T")

_frame_of_apps = msgspec.json.Decoder(AppList)
_frame_of_app = msgspec.json.Decoder(OneApp)
_app = msgspec.json.Decoder(WireApp)
# Some old definitions have strings for numbers.
_patchy_app = msgspec.json.Decoder(PatchyApp, strict=False)
_task = msgspec.json.Decoder(WireTask, strict=False)
_identity = msgspec.json.Decoder(WireId)


class UnusableAnswer(ValueError):
    """An answer without usable content: not JSON, incomplete, an HTML page, or JSON of another kind."""


class DoesNotFit(ValueError):
    """A value of an app, pod or task is invalid; the message names it."""


class Parsed(Struct, frozen=True, kw_only=True):
    """
    The content of an answer.

    :param left_out: tasks that cannot be read.
    :param without_tasks: True if Marathon counts running tasks but sends none: it did not understand ``embed``.
    """

    apps: tuple[App, ...] = ()
    unreadable: tuple[UnreadableApp, ...] = ()
    left_out: tuple[UnreadableTask, ...] = ()
    without_tasks: bool = False


def parse_apps(body: Body) -> Parsed:
    """
    Parse the answer of ``/v2/apps``: ``{"apps": [...]}``.

    :raises UnusableAnswer: nothing of it can be used.
    """
    return _AppsReader().read(decode_frame(_frame_of_apps, body, "a list of apps").apps)


def parse_app(body: Body) -> Parsed:
    """
    Parse the answer of ``/v2/apps/{id}``, ``{"app": {...}}``, into one app or one unreadable app.

    :raises UnusableAnswer: nothing of it can be used.
    """
    return _AppsReader().read([decode_frame(_frame_of_app, body, "an app").app])


def decode_frame(decoder: msgspec.json.Decoder[T], body: Body, expected: str) -> T:
    """
    Decode the outermost level of an answer.

    :param expected: the name of the expected content, for the message.
    :raises UnusableAnswer: the answer is something else.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise UnusableAnswer(f"the answer is JSON, but not {expected}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableAnswer(_not_json(bytes(body[:64]).lstrip(), len(body), str(error))) from None


def _not_json(start: bytes, size: int, error: str) -> str:
    """Return the reason for the operator; nothing depends on it, and msgspec has no codes."""
    if not start:
        return "the answer is empty"
    if start.startswith(b"<"):
        return "the answer is an HTML page, not JSON: is this address Marathon's?"
    if "truncated" in error:
        return f"the answer breaks off after {size} bytes"
    return f"the answer is not JSON: {error}"


def name_of(raw: Raw, index: int) -> str:
    """Return the id of an app or pod that does not fit; without an id its place in the list, from ``#1`` on."""
    try:
        name = _identity.decode(raw).id.strip("/")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        name = ""
    if not name:
        return f"#{index + 1}"
    name = limits.shortened(name, limits.APP_ID)
    return "/" + "".join(letter if letter.isprintable() else "?" for letter in name)


def absolute(app_id: str) -> str:
    """
    Return an app's id with its leading slash, which definitions written by hand lack.

    :raises DoesNotFit: it is empty or too long, or holds blanks or control characters.
    """
    if limits.size(app_id) > limits.APP_ID:
        raise DoesNotFit(f"its id has {limits.size(app_id)} bytes; the maximum is {limits.APP_ID}")
    if not app_id.strip("/") or not is_name(app_id) or "~" in app_id:  # only ids of groups have a ~
        raise DoesNotFit(f"{app_id!r} is no id")
    return app_id if app_id.startswith("/") else "/" + app_id


class _AppsReader:
    """Turns the apps of one answer into values; recurring strings (hosts, versions, states) are stored once."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._left_out: list[UnreadableTask] = []
        self._lacks_tasks = False
        self._has_tasks = False

    def read(self, raws: Sequence[Raw]) -> Parsed:
        """Return the apps that fit, and the reason of each that does not."""
        apps: list[App] = []
        unreadable: list[UnreadableApp] = []
        for index, raw in enumerate(raws):
            try:
                apps.append(self._app(raw))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, DoesNotFit) as error:
                unreadable.append(UnreadableApp(app_id=name_of(raw, index), reason=str(error)))
        return Parsed(
            apps=tuple(apps),
            unreadable=tuple(unreadable),
            left_out=tuple(self._left_out),
            without_tasks=self._lacks_tasks and not self._has_tasks,
        )

    def _app(self, raw: Raw) -> App:
        try:
            wire: WireApp | PatchyApp = _app.decode(raw)
        except msgspec.ValidationError:
            wire = _patchy_app.decode(raw)
        app_id = absolute(wire.id)
        tasks: Iterable[WireTask] = ()
        if wire.tasks is UNSET:
            self._lacks_tasks = self._lacks_tasks or bool(wire.tasks_running)
        elif wire.tasks:
            self._has_tasks = True
            tasks = wire.tasks if isinstance(wire, WireApp) else self._one_by_one(app_id, wire.tasks)
        version = wire.version or ""
        info = wire.version_info
        return App(
            id=app_id,
            labels=labels_of(wire.labels),
            networking=networking_for(wire),
            ports=ports_for(wire),
            health_checks=tuple(map(_health_check, (wire.health_checks or ())[: limits.CHECKS])),
            tasks=judged(self._tasks(app_id, tasks), wire),
            instances=wire.instances or 0,
            version=self._once(version),
            config_changed_at=self._once((info and info.last_config_change_at) or version),
        )

    def _one_by_one(self, app_id: str, raws: Sequence[Raw]) -> Iterable[WireTask]:
        for index, raw in enumerate(raws):
            try:
                yield _task.decode(raw)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                self._leave_out(app_id, _task_name(raw, index), str(error))

    def _leave_out(self, app_id: str, task_id: str, reason: str) -> None:
        self._left_out.append(UnreadableTask(app_id=app_id, task_id=task_id, reason=reason))

    def _tasks(self, app_id: str, wires: Iterable[WireTask]) -> tuple[Task, ...]:
        once = self._once
        tasks = []
        for wire in wires:
            host = wire.host
            if not is_name(wire.id, limits.TASK_ID) or (host and not is_name(host, limits.HOST)):
                self._leave_out(app_id, limits.shortened(wire.id), no_name(wire.id, host))
                continue
            tasks.append(
                Task(
                    id=wire.id,
                    host=once(host) if host else None,
                    ports=wire.ports or (),
                    addresses=_addresses(wire),
                    state=once(wire.state) if wire.state else None,
                    alive=_alive(wire),
                    version=once(wire.version) if wire.version else "",
                )
            )
        tasks.sort(key=_by_id)
        return tuple(tasks)

    def _once(self, text: str) -> str:
        return self._known.setdefault(text, text)


def is_name(text: str, most: int = limits.APP_ID) -> bool:
    """Return whether a text can be one word of a line of HAProxy's configuration, of at most ``most`` bytes."""
    return text != "" and text.isprintable() and " " not in text and limits.size(text) <= most


def no_name(task_id: str, host: str | None) -> str:
    """Return the reason for a task whose id or host cannot be a word of a line."""
    return f"{limits.shortened(task_id)!r} or {limits.shortened(host or '')!r} is no name"


def _by_id(task: Task) -> str:
    return task.id


def _task_name(raw: Raw, index: int) -> str:
    try:
        return limits.shortened(_identity.decode(raw).id)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return f"#{index + 1}"


def _addresses(wire: WireTask) -> tuple[str, ...]:
    if not wire.ip_addresses:
        return ()
    addresses = [address.ip_address for address in wire.ip_addresses if address.ip_address]
    return tuple([address for address in addresses if is_name(address, limits.HOST)])


def _alive(wire: WireTask) -> bool | None:
    """Return True if a health result says alive, False if all say dead, None without a result."""
    verdict: bool | None = None
    for result in wire.health_check_results or ():
        if result is not None and result.alive is not None:
            verdict = verdict or result.alive
    return verdict


def labels_of(labels: dict[str, LabelValue] | None) -> dict[str, str]:
    """Return the ``HAPROXY_`` labels as text; numbers and booleans of hand-written definitions, too, but no null."""
    if not labels:
        return {}
    return {
        name: value if isinstance(value, str) else _as_text(value)
        for name, value in labels.items()
        if value is not None and name.startswith(LABEL_PREFIX)
    }


def _as_text(value: LabelValue) -> str:
    return msgspec.json.encode(value).decode()


def _health_check(check: Check) -> HealthCheck:
    return HealthCheck(
        protocol=(check.protocol or "HTTP").upper(),
        path=check.path,
        port_index=check.port_index,
        port=check.port or None,
        ignore_http1xx=bool(check.ignore_http1xx),
        **durations_of(check),
    )


def durations_of(check: Durations) -> dict[str, int]:
    """Return the intervals and limits that a check sets; for the others `HealthCheck` has Marathon's defaults."""
    durations = {
        "grace_period_seconds": check.grace_period_seconds,
        "interval_seconds": check.interval_seconds,
        "timeout_seconds": check.timeout_seconds,
        "max_consecutive_failures": check.max_consecutive_failures,
    }
    return {name: int(value) for name, value in durations.items() if value is not None}
