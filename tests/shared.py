"""Where the checkout lies; use `tests.paths`."""

from __future__ import annotations

from tests.paths import CHECKOUT

__all__ = ["CHECKOUT"]
