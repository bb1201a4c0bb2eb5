"""``--status``: the status of the running daemon, in a table that fits a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from marathonlb.base.figures import kind
from marathonlb.controller.timeline import Entry
from marathonlb.script.terminal import Paint, Terminal
from marathonlb.settings import Settings
from marathonlb.web.api.problems import Problems, ProblemView
from marathonlb.web.api.status import HAProxyStatus, MarathonStatus, Status
from marathonlb.web.client import ControllerClient

READY, NOT_READY = 0, 1
"""Exit statuses; it is also 1 if no daemon answers."""

SHOWN = 10
"""Maximum number of problems that are listed."""

LONGEST = 300
"""Maximum number of characters of a label's value that are shown."""

_COLUMN = 13
"""Width of the column of names."""


async def show_status(settings: Settings, reactor: Any, terminal: Terminal) -> int:
    """
    Ask the daemon for its status, and print it.

    :return: the exit status.
    :raises DaemonUnreachable: no daemon answers.
    """
    daemon = ControllerClient.of(settings, reactor)
    reply = await daemon.ask("/api/status")
    status = msgspec.convert(reply.data(), Status)
    if settings.json:
        terminal.out.write(reply.json)
    else:
        problems = msgspec.convert((await daemon.ask("/api/problems")).data(), Problems).problems
        for line in table(status, problems, terminal.paint):
            terminal.out.write(f"{line}\n")
    return READY if status.ready else NOT_READY


def table(status: Status, problems: tuple[ProblemView, ...], paint: Paint) -> Iterator[str]:
    """Yield the lines of the table."""
    ready = paint("ready", "green") if status.ready else paint("not ready", "red")
    up = f"up {ago(status.now - status.started)}"
    yield _row("marathon-lb", f"{status.version}, mode {status.mode}, {up}: {ready}")
    for reason in status.reasons:
        yield _row("", paint(reason, "red"))
    if status.pinned is not None:
        since = _time(status.pinned.since)
        pin = f"configuration {status.pinned.name} since {since}; --rollback 0 releases it"
        yield _row("pinned", paint(pin, "yellow"))
    yield from _marathon(status.marathon, status.now, paint)
    yield from _haproxy(status.haproxy, paint)
    yield _row("serves", f"{_count(status.services, 'service')}, {_count(status.servers, 'server')}")
    behind = status.generation.wanted - status.generation.running
    if behind:
        yield _row("", paint(f"{_count(behind, 'hint')} pending", "yellow"))
    if status.failure:
        yield _row("", paint(f"{_count(status.failures, 'failure')} in a row: {status.failure}", "red"))
    yield _row("last change", _entry(status.last_change, status.now))
    yield _row("last reload", _entry(status.last_reload, status.now))
    problems = tuple(problem for problem in problems if problem.kind != "pin")
    counts = ", ".join(
        f"{count} {kind(name)}" for name, count in sorted(status.problems.items()) if name != "pin"
    )
    yield _row("problems", counts or "none")
    for problem in problems[:SHOWN]:
        yield _row("", paint(_problem(problem), "red" if problem.fatal else "yellow"))
    if len(problems) > SHOWN:
        yield _row("", f"and {len(problems) - SHOWN} more: /api/problems of the stats address")


def _marathon(marathon: MarathonStatus, now: float, paint: Paint) -> Iterator[str]:
    name = "Marathon"
    for endpoint in marathon.endpoints:
        marks = [f"cluster {endpoint.cluster}"] * bool(endpoint.cluster)
        marks += ["leader"] * bool(endpoint.leader) + ["preferred"] * endpoint.preferred
        yield _row(name, endpoint.url + (f" ({', '.join(marks)})" if marks else ""))
        name = ""
    event = "none yet" if marathon.last_event is None else f"last {ago(now - marathon.last_event)} ago"
    source = f"from {marathon.connected_to}, " if marathon.connected_to else ""
    yield _row("", f"events: {source}{event}")
    if marathon.problem:
        yield _row("", paint(marathon.problem, "yellow"))
    if marathon.staleness_seconds is None:
        yield _row("", "no full comparison yet")
    else:
        compared = f"last full comparison {ago(marathon.staleness_seconds)} ago"
        yield _row("", f"{_count(marathon.apps, 'app')}, {compared}")


def _haproxy(haproxy: HAProxyStatus, paint: Paint) -> Iterator[str]:
    facts = [haproxy.version or haproxy.binary_version or "unknown version"]
    facts.append("managed" if haproxy.managed else "not managed")
    if haproxy.uptime_seconds is not None:
        facts.append(f"pid {haproxy.pid}, up {ago(haproxy.uptime_seconds)}")
    if haproxy.sessions is not None:
        facts.append(f"{haproxy.sessions} of {haproxy.sessions_limit} connections")
    if haproxy.draining:
        facts.append(f"{_count(haproxy.draining, 'old worker')} draining")
    yield _row("HAProxy", ", ".join(facts))
    if haproxy.problem:
        yield _row("", paint(haproxy.problem, "red"))


def _entry(entry: Entry | None, now: float) -> str:
    if entry is None:
        return "none since the start"
    took = f"{1000 * entry.total_seconds:.0f} ms"
    return f"{ago(now - entry.time)} ago, in {took}: {entry.summary}"


def _problem(problem: ProblemView) -> str:
    where = problem.app_id if problem.port_index is None else f"{problem.app_id} port {problem.port_index}"
    value = problem.value if len(problem.value) <= LONGEST else f"{problem.value[:LONGEST]}…"
    label = f"{problem.label}={value}" if problem.label and value else problem.label
    served = "" if problem.fatal else " (served)" * bool(problem.app_id)
    code = f"{problem.code} " if problem.code else ""
    return code + ": ".join(part for part in (where, label, problem.reason) if part) + served


def _row(name: str, text: str) -> str:
    return f"{name:<{_COLUMN}}{text}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def ago(seconds: float) -> str:
    """Return a duration in its two largest units."""
    left = max(0, int(seconds))
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2]) or "0 s"
