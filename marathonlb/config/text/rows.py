"""
A long sequence that another one shares but for a few places.

A tuple of 30,000 sections is copied for a change of one, and each of them is touched: half a millisecond that grows
with the cluster. In blocks only the one that has changed is copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, TypeVar, overload

Row = TypeVar("Row")

BLOCK = 256
"""So many rows in each block but the last."""


class Rows(Sequence[Row]):
    """
    Rows in their order. They do not change.

    :ivar blocks: the same rows, in tuples of `BLOCK`.
    """

    __slots__ = ("_length", "blocks")

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        every = tuple(rows)
        self.blocks = tuple(every[place : place + BLOCK] for place in range(0, len(every), BLOCK))
        self._length = len(every)

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Rows[Row]:
        """These rows; themselves where they are such a sequence."""
        return rows if isinstance(rows, Rows) else cls(rows)

    def replace(self, rows: Mapping[int, Row]) -> Rows[Row]:
        """The same with other rows at some places; what is in other blocks is shared."""
        changed: dict[int, list[Row]] = {}
        for place, row in rows.items():
            number, inside = divmod(place, BLOCK)
            changed.setdefault(number, list(self.blocks[number]))[inside] = row
        blocks = list(self.blocks)
        for number, block in changed.items():
            blocks[number] = tuple(block)
        other: Rows[Row] = Rows()
        other.blocks, other._length = tuple(blocks), self._length
        return other

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, place: int) -> Row: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Row, ...]: ...

    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return tuple(self)[place]
        at = place + self._length if place < 0 else place
        if not 0 <= at < self._length:
            raise IndexError(place)
        return self.blocks[at // BLOCK][at % BLOCK]

    def __iter__(self) -> Iterator[Row]:
        return chain.from_iterable(self.blocks)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Rows):
            return self.blocks == other.blocks
        return isinstance(other, tuple) and tuple(self) == other

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Rows({tuple(self)!r})"
