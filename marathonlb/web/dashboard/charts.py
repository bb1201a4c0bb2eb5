"""Charts as numbers, from which a template makes SVG. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil, log10

from attrs import frozen

from marathonlb.controller.timeline import Entry, Kind

STAGES = ("gather", "render", "steps", "check", "publish", "reload")
"""The stages of a convergence in their order; each has its own colour."""

BARS = 60
"""Maximum number of changes in the chart."""

TALLEST = 40.0
"""Height of the highest bar."""

SHORTEST = 0.001
"""Seconds of the smallest bar; the scale from there on is logarithmic."""


@frozen
class Bar:
    """
    A bar of a chart, in the units of the chart.
    """

    x: float
    width: float
    height: float
    name: str
    seconds: float = 0.0


@frozen
class Latencies:
    """
    Times from an event to HAProxy's confirmation for the last changes, on a logarithmic scale.

    :param bars: the oldest first; named ``reload`` or ``steps`` (runtime API).
    :param median: seconds, like the other two.
    """

    bars: tuple[Bar, ...]
    median: float
    worst: float
    last: float


def latencies(entries: Iterable[Entry]) -> Latencies | None:
    """Return the chart of the last changes; None if no event has led to one yet."""
    measured = [e for e in entries if e.kind is Kind.CONVERGED and e.event_to_traffic_seconds is not None]
    shown = measured[-BARS:]
    values = [e.event_to_traffic_seconds or 0.0 for e in shown]
    if not values:
        return None
    worst = max(values)
    bars = tuple(
        Bar(
            x=float(place + BARS - len(shown)),
            width=0.7,
            height=round(max(1.0, TALLEST * _size(value) / _size(worst)), 1),
            name="reload" if entry.action == "reload" else "steps",
            seconds=value,
        )
        for place, (entry, value) in enumerate(zip(shown, values, strict=True))
    )
    return Latencies(bars, median(values), worst, values[-1])


def _size(seconds: float) -> float:
    """Return the height on the logarithmic scale: ten times as long is one more."""
    return log10(max(seconds, 1.1 * SHORTEST) / SHORTEST)


def median(values: Sequence[float]) -> float:
    """Return the value that half of them do not exceed."""
    return sorted(values)[ceil(len(values) / 2) - 1]


def stages(seconds: Mapping[str, float], longest: float) -> tuple[Bar, ...]:
    """
    Return the stages of one convergence side by side; the longest convergence of the page has 100 units.

    :param longest: seconds.
    """
    bars: list[Bar] = []
    x = 0.0
    for name in sorted(seconds, key=lambda stage: STAGES.index(stage) if stage in STAGES else len(STAGES)):
        width = 100 * seconds[name] / longest if longest > 0 else 0.0
        bars.append(Bar(round(x, 2), round(max(width, 0.4), 2), 1.0, name, seconds=seconds[name]))
        x += max(width, 0.4)
    return tuple(bars)
