"""The file of ``--apps``: a group, a list of apps, ``{"apps": […]}`` or one app, in Marathon's JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from minimarathon.definitions.parsing import absolute, parse
from minimarathon.errors import Refused, malformed
from minimarathon.model import App

#: The sample group of ``make run``; part of the package.
SAMPLE = Path(__file__).parents[1] / "sample.json"


def load(path: Path) -> dict[str, App]:
    """
    Return the apps of a file by id; relative ids belong to their group.

    :raise ValueError: if the file cannot be read, is not JSON, or has an invalid app; the message names it.
    """
    try:
        document = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    apps = {}
    for base, body in _bodies(document, "/"):
        try:
            app = parse(body, base=base)
        except Refused as refused:
            raise ValueError(f"{path}: app {body.get('id')!r}: {refused}") from refused
        apps[app.id] = app
    return apps


def _bodies(document: Any, base: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return each app's JSON with the group that contains it."""
    if isinstance(document, list):
        for item in document:
            yield from _bodies(item, base)
    elif isinstance(document, dict):
        if "apps" in document or "groups" in document:
            group = absolute(str(document.get("id", "/")), base)
            yield from _bodies(document.get("apps") or [], group)
            yield from _bodies(document.get("groups") or [], group)
        else:
            yield base, document
    else:
        raise malformed("an app must be a JSON object")
