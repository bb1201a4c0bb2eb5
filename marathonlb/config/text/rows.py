"""
A long immutable sequence whose changed copies share most of their rows.

Changing one section in a tuple of 30,000 copies the tuple and touches every section: half a millisecond, growing with
the cluster. `Rows` is divided into blocks, and a change copies only the blocks that it touches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, TypeVar, overload

Row = TypeVar("Row")

BLOCK = 256
"""Number of rows per block; the last block may be shorter."""


class Rows(Sequence[Row]):
    """
    An immutable sequence of rows.

    :ivar blocks: the rows in order, in tuples of `BLOCK` rows.
    """

    __slots__ = ("_length", "blocks")

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        all_rows = tuple(rows)
        self.blocks = tuple(all_rows[start : start + BLOCK] for start in range(0, len(all_rows), BLOCK))
        self._length = len(all_rows)

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Rows[Row]:
        """Return the rows as `Rows`; the same object if they are `Rows` already."""
        return rows if isinstance(rows, Rows) else cls(rows)

    def replace(self, rows: Mapping[int, Row]) -> Rows[Row]:
        """Return a copy with other rows at some places. Blocks without a change are shared."""
        changed: dict[int, list[Row]] = {}
        for place, row in rows.items():
            number, offset = divmod(place, BLOCK)
            changed.setdefault(number, list(self.blocks[number]))[offset] = row
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
        index = place + self._length if place < 0 else place
        if not 0 <= index < self._length:
            raise IndexError(place)
        return self.blocks[index // BLOCK][index % BLOCK]

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
