"""
The tests of `tests.data` over a collection of real definitions, events, templates and messages.

``make test-corpus CORPUS=DIR`` runs these modules; ``make test`` does not, since their names do not begin with
``test_``. The collection is no part of the project; CONTRIBUTING.md says how it is laid out.
"""

from __future__ import annotations

import os
from pathlib import Path

CORPUS = Path(os.environ.get("CORPUS", "../shared"))
"""The directory with ``data`` and ``contract`` of the collection."""


def corpus(*parts: str) -> Path:
    """A file or directory of the collection's ``data``."""
    return CORPUS.joinpath("data", *parts)
