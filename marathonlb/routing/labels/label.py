"""The definition of one label: its name, type, default and limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from marathonlb.base import limits


class Label(Struct, frozen=True):
    """
    One row of the table.

    :param name: the name without ``HAPROXY_`` and the index.
    :param parse: returns the value of a text; raises `ValueError` with words for the label's owner.
    :param default: the default in words, for the documentation.
    :param per_port: ``HAPROXY_{n}_NAME``; otherwise ``HAPROXY_NAME`` for the whole app.
    :param secret: True if the value is never shown.
    :param template: True if the value is a template's text, with the rules of templates.
    :param most: maximum bytes of its value.
    :param items: maximum number of items in such lists of all ports of an app together; None if it is no list.
    """

    name: str
    kind: str
    parse: Callable[[str], Any]
    default: str
    doc: str
    per_port: bool = True
    secret: bool = False
    template: bool = False
    most: int = limits.WORD
    items: int | None = None
