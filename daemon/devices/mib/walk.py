"""A device's variables as they came, and columns of its tables. Pure.

Indices are compared as numbers, never as text; a column that is absent is an empty one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from daemon.devices.mib.tables import ObjectId

Value = int | bytes | ObjectId | None
Walk = Mapping[ObjectId, Value]
Index = tuple[int, ...]
ROWS_MAX = 256
"""Rows of one table that are looked at; no printer has as many supplies, trays or alerts."""
INDEX_MAX = 2


class Variables:
    """A walk, cut into columns once."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._columns: dict[ObjectId, dict[Index, Value]] = {}
        for oid, value in walk.items():
            for arcs in (1, INDEX_MAX):
                self._columns.setdefault(oid[:-arcs], {})[oid[-arcs:]] = value

    def scalar(self, oid: ObjectId) -> Value:
        """The value at this very identifier."""
        return self._walk.get(oid)

    def column(self, oid: ObjectId, *, arcs: int = INDEX_MAX) -> dict[Index, Value]:
        """A table column by row index of so many arcs, in numeric order."""
        found = self._columns.get(oid, {})
        return {index: found[index] for index in sorted(found) if len(index) == arcs}

    def rows(self, columns: Iterable[ObjectId]) -> list[Index]:
        """The rows any of these columns has, in numeric order; at most `ROWS_MAX`."""
        return sorted({index for oid in columns for index in self.column(oid)})[:ROWS_MAX]

    def below(self, oid: ObjectId) -> dict[Index, Value]:
        """Everything under an identifier, by what follows it."""
        return {name[len(oid) :]: value for name, value in sorted(self._walk.items()) if name[: len(oid)] == oid}


def number(value: Value) -> int | None:
    """The value if it is a number."""
    return value if isinstance(value, int) else None


def octets(value: Value) -> bytes | None:
    """The value if it is octets."""
    return value if isinstance(value, bytes) else None


def dotted(index: Iterable[int]) -> str:
    """`1.2` for (1, 2)."""
    return ".".join(map(str, index))
