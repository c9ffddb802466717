"""The one mailed code a person may have: its keyed hash, where it is good, how often it was asked for and missed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.db.database import Database
    from daemon.db.unit import Unit


@dataclass(frozen=True, slots=True)
class CodeRow:
    """A person's last code. `asked`: how many in the hour that began at `since_us`; times are microseconds UTC."""

    terminal_id: int
    hash: bytes
    key_id: str
    asked_at_us: int
    asked: int
    since_us: int
    expires_at_us: int
    failures: int
    used_at_us: int | None

    def __repr__(self) -> str:
        return f"CodeRow(asked={self.asked}, failures={self.failures})"


class CodeStore:
    """Code rows."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def of(self, person_id: int) -> CodeRow | None:
        """The person's last code, used up or not."""
        row = await self._db.read_one(
            """SELECT terminal_id, hash, key_id, asked_at_us, asked, since_us, expires_at_us, failures, used_at_us
                 FROM sign_in_code WHERE person_id=:person""",
            person=person_id,
        )
        return CodeRow(**row) if row else None

    def put(self, unit: Unit, person_id: int, row: CodeRow) -> None:
        """Append a code; the one before is void."""
        unit.add(
            """INSERT INTO sign_in_code(person_id, terminal_id, hash, key_id, asked_at_us, asked, since_us,
                                        expires_at_us)
               VALUES(:person, :terminal, :hash, :key, :at, :asked, :since, :until)
               ON CONFLICT(person_id) DO UPDATE SET terminal_id=excluded.terminal_id, hash=excluded.hash,
                 key_id=excluded.key_id, asked_at_us=excluded.asked_at_us, asked=excluded.asked,
                 since_us=excluded.since_us, expires_at_us=excluded.expires_at_us, failures=0, used_at_us=NULL""",
            person=person_id,
            terminal=row.terminal_id,
            hash=row.hash,
            key=row.key_id,
            at=row.asked_at_us,
            asked=row.asked,
            since=row.since_us,
            until=row.expires_at_us,
        )

    def use(self, unit: Unit, person_id: int, *, now_us: int, tries_max: int) -> None:
        """Append that the code is used up; refused as `sign-in-failed` when it was, or was missed too often."""
        unit.add(
            """UPDATE sign_in_code SET used_at_us=:now
                WHERE person_id=:person AND used_at_us IS NULL AND failures<:most AND expires_at_us>:now""",
            rows=1,
            refusal="sign-in-failed",
            now=now_us,
            person=person_id,
            most=tries_max,
        )

    def missed(self, unit: Unit, person_id: int) -> None:
        """Append a wrong try."""
        unit.add("UPDATE sign_in_code SET failures=failures+1 WHERE person_id=:person", person=person_id)
