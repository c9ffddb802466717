"""Rows of outages: terminals not heard of and readers they miss, open and past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.auth.outages import Outage
    from daemon.db.database import Database
    from daemon.db.unit import Unit

LIST_MAX = 200
_COLUMNS = "terminal_id, reader, code, began_at_us, ended_at_us"


@dataclass(frozen=True, slots=True)
class KeptOutage:
    """One outage; `ended_at_us` None: it lasts. `reader` empty: the terminal itself."""

    terminal_id: int
    reader: str
    code: str
    began_at_us: int
    ended_at_us: int | None


class OutageStore:
    """Reads and appends table terminal_outage."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def open(self) -> dict[int, list[KeptOutage]]:
        """What lasts, by terminal, the oldest first."""
        rows = await self._db.read(
            f"SELECT {_COLUMNS} FROM terminal_outage WHERE ended_at_us IS NULL ORDER BY began_at_us, id"
        )
        found: dict[int, list[KeptOutage]] = {}
        for row in rows:
            found.setdefault(row["terminal_id"], []).append(KeptOutage(**row))
        return found

    async def of(self, terminal_id: int) -> list[KeptOutage]:
        """The latest outages of one terminal, newest first."""
        rows = await self._db.read(
            f"SELECT {_COLUMNS} FROM terminal_outage WHERE terminal_id=:terminal ORDER BY id DESC LIMIT :most",
            terminal=terminal_id,
            most=LIST_MAX,
        )
        return [KeptOutage(**row) for row in rows]

    def begin(self, unit: Unit, *, terminal_id: int, outage: Outage) -> None:
        """Append an outage; one that is open already stays as it is."""
        unit.add(
            """INSERT INTO terminal_outage(terminal_id, reader, code, began_at_us)
               VALUES(:terminal, :reader, :code, :began) ON CONFLICT DO NOTHING""",
            terminal=terminal_id,
            reader=outage.reader,
            code=outage.code,
            began=outage.began_at_us,
        )

    def end(self, unit: Unit, *, terminal_id: int, reader: str, at_us: int) -> None:
        """Append the end of an outage."""
        unit.add(
            """UPDATE terminal_outage SET ended_at_us=:at
                WHERE terminal_id=:terminal AND reader=:reader AND ended_at_us IS NULL""",
            at=at_us,
            terminal=terminal_id,
            reader=reader,
        )

    def prune(self, unit: Unit, *, ended_before_us: int) -> None:
        """Append the end of the memory of outages over before a time."""
        unit.add("DELETE FROM terminal_outage WHERE ended_at_us<:before", before=ended_before_us)

    async def has_older(self, ended_before_us: int) -> bool:
        """Whether there is something to prune."""
        row = await self._db.read_one(
            "SELECT 1 AS found FROM terminal_outage WHERE ended_at_us<:before LIMIT 1", before=ended_before_us
        )
        return row is not None
