"""Real data beside the checkout; the tests that read it say so and are skipped where it is absent."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
SHARED = Path(__file__).parents[2] / "shared"


def absent(*parts: str) -> str | None:
    """A reason to skip, for a test's ``skip`` attribute; None where the data is there."""
    path = SHARED.joinpath("data", *parts)
    return None if path.exists() else f"there is no real data at {path}"


def data(*parts: str) -> Path:
    """A file or directory of the real data."""
    return SHARED.joinpath("data", *parts)
