"""The measurements as a table and as JSON."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

HEADINGS = ("measurement", "size", "value", "unit", "reference", "ratio")
RIGHT = (False, False, True, False, False, True)


@frozen
class Row:
    """
    One measurement.

    :param size: the size of the cluster: apps × tasks per app.
    :param reference: the name and the value of the reference.
    :param ratio: the value divided by the reference's; None without reference.
    """

    name: str
    size: str
    value: float
    unit: str
    reference: str = ""
    ratio: float | None = None


def compared(
    name: str, size: str, value: float, unit: str, to: float, reference: str, scale: float = 1.0
) -> Row:
    """Return a row with the reference value `to`, in the same unit; both are shown multiplied by `scale`."""
    described = f"{reference}: {number(to * scale)} {unit}"
    return Row(name, size, value * scale, unit, described, value / to if to else None)


def number(value: float) -> str:
    """Format a number with three significant digits, from a hundred on without decimals."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    digits = 2 if value < 1 else 1 if value >= 10 else 2
    return f"{value:.3f}" if value < 0.1 else f"{value:.{digits}f}"


def between_sizes(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """Return the growth from the smallest to the largest cluster; near 1 if the value depends on the change alone."""
    grown = []
    for name in names:
        same = [row for row in rows if row.name == name]
        if len(same) > 1 and same[0].value:
            first, last = same[0], same[-1]
            sizes = f"{first.size} → {last.size}"
            grown.append(Row(f"{name}, growth", sizes, last.value / first.value, "times"))
    return grown


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table that is also Markdown."""
    cells = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    rule = tuple(
        "-" * (width - 1) + ":" if right else "-" * width for width, right in zip(widths, RIGHT, strict=True)
    )
    lines = [_line(cells[0], widths), _line(rule, widths), *(_line(line, widths) for line in cells[1:])]
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else number(row.ratio)
    return (row.name, row.size, number(row.value), row.unit, row.reference, ratio)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, RIGHT, strict=True)
    )
    return f"| {' | '.join(padded)} |"


def machine(haproxy: str) -> dict[str, str]:
    """Return the properties of the machine that the results depend on, without identifying it."""
    version = subprocess.run([haproxy, "-v"], capture_output=True, text=True, timeout=30, check=True).stdout
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": f"{len(os.sched_getaffinity(0))} × {_processor()}",
        "memory": f"{memory:.0f} GB",
        "python": platform.python_version(),
        "haproxy": version.split()[2],
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def as_json(rows: Sequence[Row], about: dict[str, str]) -> dict[str, Any]:
    """Return the rows and the machine as JSON values."""
    return {"machine": about, "rows": [asdict(row) for row in rows]}
