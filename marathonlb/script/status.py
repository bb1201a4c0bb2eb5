"""``--status``: how the running daemon is, in a table that fits a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from marathonlb.controller.timeline import Entry
from marathonlb.figures import kind
from marathonlb.script.terminal import Paint, Terminal
from marathonlb.settings import Settings
from marathonlb.web.api.problems import Problems, ProblemView
from marathonlb.web.api.status import HAProxyStatus, MarathonStatus, Status
from marathonlb.web.client import ControllerClient

READY, NOT_READY = 0, 1
"""Exit statuses; where no daemon answers it is 1, too."""

SHOWN = 10
"""So many problems are named."""

LONGEST = 300
"""So much of a label's value is shown."""

_COLUMN = 13


async def show_status(settings: Settings, reactor: Any, terminal: Terminal) -> int:
    """
    Ask the daemon, and say what it says.

    :return: the exit status.
    :raises DaemonUnreachable: none answers.
    """
    daemon = ControllerClient.of(settings, reactor)
    reply = await daemon.ask("/api/status")
    said = reply.data()
    status = msgspec.convert(said, Status)
    if settings.json:
        terminal.out.write(reply.json)
    else:
        problems = msgspec.convert((await daemon.ask("/api/problems")).data(), Problems).problems
        for line in table(status, problems, terminal.paint):
            terminal.out.write(f"{line}\n")
    return READY if status.ready else NOT_READY


def table(status: Status, problems: tuple[ProblemView, ...], paint: Paint) -> Iterator[str]:
    """The lines of the table."""
    ready = paint("ready", "green") if status.ready else paint("not ready", "red")
    up = f"up {ago(status.now - status.started)}"
    yield _row("marathon-lb", f"{status.version}, mode {status.mode}, {up}: {ready}")
    for reason in status.reasons:
        yield _row("", paint(reason, "red"))
    if status.pinned is not None:
        since = _time(status.pinned.since)
        words = f"configuration {status.pinned.name} since {since}; --rollback 0 releases it"
        yield _row("pinned", paint(words, "yellow"))
    yield from _marathon(status.marathon, status.now, paint)
    yield from _haproxy(status.haproxy, paint)
    yield _row("serves", f"{_count(status.services, 'service')}, {_count(status.servers, 'server')}")
    behind = status.generation.wanted - status.generation.running
    if behind:
        yield _row("", paint(f"{_count(behind, 'hint')} not carried out yet", "yellow"))
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
        marks += ["leads"] * bool(endpoint.leader) + ["asked first"] * endpoint.preferred
        yield _row(name, endpoint.url + (f" ({', '.join(marks)})" if marks else ""))
        name = ""
    event = "none yet" if marathon.last_event is None else f"the last {ago(now - marathon.last_event)} ago"
    source = f"from {marathon.connected_to}, " if marathon.connected_to else ""
    yield _row("", f"events: {source}{event}")
    if marathon.problem:
        yield _row("", paint(marathon.problem, "yellow"))
    if marathon.staleness_seconds is None:
        yield _row("", "never compared with everything")
    else:
        compared = f"compared with everything {ago(marathon.staleness_seconds)} ago"
        yield _row("", f"{_count(marathon.apps, 'app')}, {compared}")


def _haproxy(haproxy: HAProxyStatus, paint: Paint) -> Iterator[str]:
    said = [haproxy.version or haproxy.binary_version or "unknown version"]
    said.append("managed" if haproxy.managed else "not managed")
    if haproxy.uptime_seconds is not None:
        said.append(f"pid {haproxy.pid}, up {ago(haproxy.uptime_seconds)}")
    if haproxy.sessions is not None:
        said.append(f"{haproxy.sessions} of {haproxy.sessions_limit} connections")
    if haproxy.draining:
        said.append(f"{_count(haproxy.draining, 'old worker')} still draining")
    yield _row("HAProxy", ", ".join(said))
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
    what = f"{problem.label}={value}" if problem.label and value else problem.label
    fate = "" if problem.fatal else " (served)" * bool(problem.app_id)
    code = f"{problem.code} " if problem.code else ""
    return code + ": ".join(part for part in (where, what, problem.reason) if part) + fate


def _row(name: str, text: str) -> str:
    return f"{name:<{_COLUMN}}{text}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def ago(seconds: float) -> str:
    """A duration in its two largest units."""
    left = max(0, int(seconds))
    said = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        number, left = divmod(left, size)
        if number:
            said.append(f"{number} {unit}")
    return " ".join(said[:2]) or "0 s"
