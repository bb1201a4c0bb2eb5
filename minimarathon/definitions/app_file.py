"""The file of ``--apps``: a group, a list of apps, ``{"apps": […]}`` or one app, as Marathon's clients write them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from minimarathon.definitions.parsing import absolute, parse
from minimarathon.errors import Refused, malformed
from minimarathon.model import App

#: The group that ``make run`` shows; part of the package.
SAMPLE = Path(__file__).parents[1] / "sample.json"


def load(path: Path) -> dict[str, App]:
    """
    Read the apps of a file, by id; relative ids lie in their group.

    :raise ValueError: where the file cannot be read, is no JSON, or holds an app that cannot be; names it.
    """
    try:
        document = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    apps = {}
    for base, body in _bodies(document, "/"):
        try:
            app = parse(body, base=base)
        except Refused as refused:
            raise ValueError(f"{path}: app {body.get('id')!r}: {refused}") from refused
        apps[app.id] = app
    return apps


def _bodies(document: Any, base: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each app's JSON with the group it lies in."""
    if isinstance(document, list):
        for one in document:
            yield from _bodies(one, base)
    elif isinstance(document, dict):
        if "apps" in document or "groups" in document:
            group = absolute(str(document.get("id", "/")), base)
            yield from _bodies(document.get("apps") or [], group)
            yield from _bodies(document.get("groups") or [], group)
        else:
            yield base, document
    else:
        raise malformed("an app is a JSON object")
