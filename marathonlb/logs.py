"""
The format of the log: one line per event, as text or as JSON.

Events of Twisted's logging are formatted in this module only. So text from apps (an id with a newline) cannot forge a
line, and quoted passwords are hidden. The traceback of a failure follows indented in text and is a field in JSON.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import IO, Any

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogFilterPredicate,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    LogPublisher,
    PredicateResult,
    formatEvent,
)
from zope.interface import implementer, provider

from marathonlb.base.redaction import masked
from marathonlb.settings import Settings

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""Control characters that a terminal obeys, and those that reverse the direction of text."""
_LEGACY = frozenset({"message", "time", "format", "isError", "system", "why", "failure", "printed"})
_NOISY = ("twisted.web", "twisted.internet")
_CHATTER = frozenset({"Starting factory {factory!r}", "Stopping factory {factory!r}"})
_SYSLOG_PRIORITIES = {"debug": 7, "info": 6, "warn": 4, "error": 3, "critical": 2}
_SYSLOG_DAEMON = 3 << 3


def text_line(event: LogEvent) -> str:
    """
    Return ``2026-11-22T20:40:00+00:00 info marathonlb.service message``, and the indented traceback of a failure.
    """
    namespace = event.get("log_namespace", "-")
    line = f"{_time(event)} {_level(event)} {namespace} {_one_line(_message(event))}\n"
    return line + "".join(f"    {_one_line(part)}\n" for part in _traceback(event).splitlines())


def json_line(event: LogEvent) -> str:
    """
    Return one JSON object: ``time``, ``level``, ``logger``, ``message``, the event's own plain fields, ``traceback``.

    Fields that are no plain values (a settings object, an exception) are left out: their text might hold secrets.
    """
    values: dict[str, Any] = {
        name: masked(value) if isinstance(value, str) else value
        for name, value in event.items()
        if not name.startswith("log_")
        and name not in _LEGACY
        and isinstance(value, str | int | float | bool | None)
    }
    values |= {
        "time": _time(event),
        "level": _level(event),
        "logger": event.get("log_namespace", "-"),
        "message": _message(event),
    }
    traceback = _traceback(event)
    if traceback:
        values["traceback"] = traceback
    first = ("time", "level", "logger", "message")
    return json.dumps({**{name: values[name] for name in first}, **values}, default=str) + "\n"


FORMATS: dict[str, Callable[[LogEvent], str]] = {"text": text_line, "json": json_line}


@implementer(ILogObserver)
class SyslogObserver:
    """
    Writes to a syslog socket of this machine. While syslog is down, its lines are lost, and nothing else is affected.

    :param path: a datagram socket such as ``/dev/log``.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def __call__(self, event: LogEvent) -> None:
        """Send one event, in one datagram."""
        priority = _SYSLOG_DAEMON | _SYSLOG_PRIORITIES[_level(event)]
        message = f"<{priority}>marathon-lb[{os.getpid()}]: {_one_line(_message(event))}"
        try:
            self._socket.sendto(message.encode("utf-8", "replace")[:8192], self._path)
        except OSError:
            return


def observer(settings: Settings, stream: IO[Any]) -> ILogObserver:
    """Return the observer for ``--log-format``, ``--log-level`` and ``--syslog-socket``; it writes to the stream."""
    lines: ILogObserver = FileLogObserver(stream, FORMATS[settings.log_format])
    if settings.syslog_socket:
        lines = LogPublisher(lines, SyslogObserver(settings.syslog_socket))
    return at_level(lines, settings.log_level)


def at_level(inner: ILogObserver, level: str) -> ILogObserver:
    """
    Return an observer that passes on events of this level and above.

    Twisted's own reports of each connection count as debugging.
    """
    predicate = LogLevelFilterPredicate(defaultLogLevel=LogLevel.lookupByName(level))
    if level == "info":
        for namespace in _NOISY:
            predicate.setLogLevelForNamespace(namespace, LogLevel.warn)
        return FilteringLogObserver(inner, [_without_chatter, predicate])
    return FilteringLogObserver(inner, [predicate])


@provider(ILogFilterPredicate)
def _without_chatter(event: LogEvent) -> Any:
    """Leave out the starts and stops of factories: their addresses in memory are of no use."""
    return PredicateResult.no if event.get("log_format") in _CHATTER else PredicateResult.maybe


def _message(event: LogEvent) -> str:
    return masked(formatEvent(event))


def _one_line(text: str) -> str:
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def _time(event: LogEvent) -> str:
    seconds = event.get("log_time", 0.0)
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _level(event: LogEvent) -> str:
    level = event.get("log_level", LogLevel.info)
    return str(level.name)


def _traceback(event: LogEvent) -> str:
    failure = event.get("log_failure")
    return masked(failure.getTraceback()) if failure is not None else ""
