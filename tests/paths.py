"""The paths of the checkout and of the tests' data."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
DATA = CHECKOUT / "tests" / "data"


def data(*parts: str) -> Path:
    """Return the path of a file or directory of the tests' data; tests/data/README.md lists them."""
    return DATA.joinpath(*parts)
