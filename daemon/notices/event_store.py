"""Event rows, read after their commit by whoever watches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.db.database import Database

BATCH_MAX = 500


@dataclass(frozen=True, slots=True)
class Happened:
    """One event. `seq` rises; `user_id` is the person it concerns, None where it concerns everybody."""

    seq: int
    topic: str
    subject: str
    user_id: int | None


class EventStore:
    """Reads table event; everybody appends to it through their unit."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def last(self) -> int:
        """The newest event's number, 0 when nothing ever happened."""
        row = await self._db.read_one("SELECT coalesce(max(seq), 0) AS seq FROM event")
        return int(row["seq"]) if row else 0

    async def after(self, seq: int) -> list[Happened]:
        """The next events behind `seq`, oldest first."""
        rows = await self._db.read(
            "SELECT seq, topic, subject, user_id FROM event WHERE seq>:seq ORDER BY seq LIMIT :most",
            seq=seq,
            most=BATCH_MAX,
        )
        return [Happened(row["seq"], row["topic"], row["subject"], row["user_id"]) for row in rows]

    async def wait(self, seq: int, *, timeout_s: float) -> None:
        """Return when there may be something behind `seq`, or at the timeout: a hint, the table is the truth."""
        await self._db.wait_event(seq, timeout_s=timeout_s)
