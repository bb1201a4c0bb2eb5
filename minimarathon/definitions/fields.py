"""A reader of clients' JSON: typed fields, and all mistakes with their paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field

from minimarathon.errors import invalid, malformed


@define
class Mistakes:
    """
    The mistakes in one document.

    :param types: values of the wrong JSON type (400); `values` have the right type but are invalid (422).
    """

    types: list[dict[str, Any]] = field(factory=list)
    values: list[dict[str, Any]] = field(factory=list)

    def refuse(self) -> None:
        """
        Raise an error if there are mistakes.

        :raise Refused: 400 if types are wrong, 422 if only values are; with all mistakes.
        """
        if self.types:
            raise malformed(self.types)
        if self.values:
            raise invalid(self.values)


@define
class Fields:
    """
    A reader of one JSON object; for a missing or null field it returns the default.

    :param path: the object's path in the document, in the format of Marathon's ``details``.
    """

    body: Mapping[str, Any]
    mistakes: Mistakes
    path: str = ""

    def _mistyped(self, name: str, expected: str) -> None:
        self.mistakes.types.append({"path": f"{self.path}/{name}", "errors": [f"error.expected.{expected}"]})

    def wrong(self, name: str, error: str) -> None:
        """Note an invalid value."""
        self.mistakes.values.append({"path": f"{self.path}/{name}", "errors": [error]})

    def text(self, name: str) -> str | None:
        """Return a string."""
        value = self.body.get(name)
        if value is not None and not isinstance(value, str):
            self._mistyped(name, "jsstring")
            return None
        return value

    def word(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """Return a string, which must be one of `allowed`."""
        value = self.text(name)
        if value is None:
            return default
        if value not in allowed:
            self.wrong(name, f"must be one of {', '.join(allowed)}")
            return default
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean; false if it is missing."""
        value = self.body.get(name)
        if value is not None and not isinstance(value, bool):
            self._mistyped(name, "jsboolean")
        return value is True

    def number(self, name: str, default: float, low: float = 0, high: float | None = None) -> float:
        """Return a number between `low` and `high`, both included."""
        value = self.body.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._mistyped(name, "jsnumber")
            return default
        if value < low:
            self.wrong(name, f"is less than {low:g}")
        elif high is not None and value > high:
            self.wrong(name, f"is greater than {high:g}")
        return value

    def integer(self, name: str, default: int, low: int = 0, high: int | None = None) -> int:
        """Return an integer between `low` and `high`, both included."""
        value = self.number(name, default, low, high)
        if value != int(value):
            self._mistyped(name, "jsnumber")
        return int(value)

    def optional_integer(self, name: str, low: int = 0, high: int | None = None) -> int | None:
        """Return an integer, or None if it is missing."""
        return None if self.body.get(name) is None else self.integer(name, 0, low, high)

    def texts(self, name: str) -> tuple[str, ...] | None:
        """Return a list of strings."""
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._mistyped(name, "jsarray")
            return None
        return tuple(value)

    def mapping(self, name: str, only_texts: bool = False) -> dict[str, Any]:
        """Return an object; with `only_texts`, numbers and booleans become strings and nothing else is allowed."""
        value = self.body.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._mistyped(name, "jsobject")
            return {}
        if not only_texts:
            return value
        for key, item in value.items():
            if item is not None and not isinstance(item, str | int | float):
                self._mistyped(f"{name}/{key}", "jsstring")
        return {
            key: item if isinstance(item, str) else str(item).lower()
            for key, item in value.items()
            if item is not None
        }

    def inner(self, name: str) -> Fields | None:
        """Return a reader of an object; None if it is missing."""
        if self.body.get(name) is None:
            return None
        return Fields(self.mapping(name), self.mistakes, f"{self.path}/{name}")

    def list_of(self, name: str) -> list[Fields] | None:
        """Return readers of the objects of a list; None if it is missing."""
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            self._mistyped(name, "jsarray")
            return []
        readers = []
        for index, item in enumerate(value):
            if isinstance(item, dict):
                readers.append(Fields(item, self.mistakes, f"{self.path}/{name}({index})"))
            else:
                self._mistyped(f"{name}({index})", "jsobject")
        return readers
