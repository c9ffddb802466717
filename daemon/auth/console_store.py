"""Console session rows. The cookie's value is nowhere; the row is found by its hash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.auth.identity import Subject
    from daemon.db.database import Database
    from daemon.db.unit import Unit

HOST_CHARS_MAX = 60


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """A browser signed in to the console. `hash` names the row; times are microseconds UTC.

    `proven_at_us`: when the password was last given. `csrf` stays the same while the cookie's value changes.
    """

    hash: bytes
    person_id: int
    public_id: str
    name: str
    display_name: str
    language: str
    csrf: str
    opened_at_us: int
    proven_at_us: int
    expires_at_us: int
    absolute_us: int

    def __repr__(self) -> str:
        return f"ConsoleSession({self.public_id})"


class ConsoleStore:
    """Console sessions, checked against the person they belong to."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def open_session(self, value: bytes, *, now_us: int) -> ConsoleSession | None:
        """The session with this hash if it still holds: not ended, not expired, person active, same epoch."""
        row = await self._db.read_one(
            """SELECT s.hash, s.person_id, p.public_id, p.name, p.display_name, p.language, s.csrf, s.opened_at_us,
                      s.proven_at_us, s.expires_at_us, s.absolute_us
                 FROM console_session s JOIN person p ON p.id=s.person_id
                WHERE s.hash=:hash AND s.ended_at_us IS NULL AND s.expires_at_us>:now AND s.absolute_us>:now
                  AND p.is_active=1 AND p.removed_at_us IS NULL AND p.session_epoch=s.epoch""",
            hash=value,
            now=now_us,
        )
        return ConsoleSession(**row) if row else None

    async def count_open(self, person_id: int, *, now_us: int) -> int:
        """How many browsers a person is signed in with."""
        row = await self._db.read_one(
            """SELECT count(*) AS n FROM console_session s JOIN person p ON p.id=s.person_id
                WHERE s.person_id=:person AND s.ended_at_us IS NULL AND s.expires_at_us>:now AND s.absolute_us>:now
                  AND p.session_epoch=s.epoch""",
            person=person_id,
            now=now_us,
        )
        return int(row["n"]) if row else 0

    def insert(
        self,
        unit: Unit,
        *,
        value: bytes,
        subject: Subject,
        csrf: str,
        host: str,
        opened_at_us: int,
        now_us: int,
        expires_at_us: int,
        absolute_us: int,
    ) -> None:
        """Append a session; refused as `sign-in-failed` when the person was switched off or changed meanwhile."""
        unit.add(
            """INSERT INTO console_session(hash, person_id, epoch, csrf, host, opened_at_us, proven_at_us,
                                           expires_at_us, absolute_us)
               SELECT :hash, id, session_epoch, :csrf, :host, :opened, :now, :expires, :absolute FROM person
                WHERE id=:person AND is_active=1 AND removed_at_us IS NULL AND session_epoch=:epoch""",
            rows=1,
            refusal="sign-in-failed",
            hash=value,
            person=subject.id,
            epoch=subject.session_epoch,
            csrf=csrf,
            host=host[:HOST_CHARS_MAX],
            opened=opened_at_us,
            now=now_us,
            expires=expires_at_us,
            absolute=absolute_us,
        )

    def extend(self, unit: Unit, value: bytes, *, expires_at_us: int, now_us: int) -> None:
        """Append a later idle end, never past the absolute one; nothing happens when it is over."""
        unit.add(
            """UPDATE console_session
                  SET expires_at_us=CASE WHEN :expires<absolute_us THEN :expires ELSE absolute_us END
                WHERE hash=:hash AND ended_at_us IS NULL AND expires_at_us>:now""",
            expires=expires_at_us,
            hash=value,
            now=now_us,
        )

    def end(self, unit: Unit, value: bytes, *, at_us: int) -> None:
        """Append the end of one session; ending it twice is the same."""
        unit.add(
            "UPDATE console_session SET ended_at_us=:at WHERE hash=:hash AND ended_at_us IS NULL", at=at_us, hash=value
        )

    def end_all(self, unit: Unit, *, person_id: int, at_us: int) -> None:
        """Append the end of every console session of a person."""
        unit.add(
            "UPDATE console_session SET ended_at_us=:at WHERE person_id=:id AND ended_at_us IS NULL",
            at=at_us,
            id=person_id,
        )
