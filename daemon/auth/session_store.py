"""Session rows. The bearer value is nowhere; the row is found by its hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.auth.identity import Method, Session, Subject

if TYPE_CHECKING:
    from daemon.db.database import Database
    from daemon.db.unit import Unit


class SessionStore:
    """Sessions, checked against the person they belong to."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def open_session(self, value: bytes, *, now_us: int) -> Session | None:
        """The session with this hash if it still holds: not over, its card neither, person active, same epoch."""
        row = await self._db.read_one(
            """SELECT s.person_id, s.terminal_id, s.method, s.opened_at_us, s.expires_at_us, s.absolute_us,
                      s.card_id, p.public_id, p.name, p.language
                 FROM session s JOIN person p ON p.id=s.person_id LEFT JOIN card c ON c.id=s.card_id
                WHERE s.hash=:hash AND s.ended_at_us IS NULL AND s.expires_at_us>:now AND s.absolute_us>:now
                  AND p.is_active=1 AND p.removed_at_us IS NULL AND p.session_epoch=s.epoch
                  AND (c.expires_at_us IS NULL OR c.expires_at_us>:now)""",
            hash=value,
            now=now_us,
        )
        if row is None:
            return None
        return Session(
            hash=value,
            person_id=row["person_id"],
            person_public_id=row["public_id"],
            person_name=row["name"],
            language=row["language"],
            terminal_id=row["terminal_id"],
            method=row["method"],
            opened_at_us=row["opened_at_us"],
            expires_at_us=row["expires_at_us"],
            absolute_us=row["absolute_us"],
            card_id=row["card_id"],
        )

    def insert(
        self,
        unit: Unit,
        *,
        value: bytes,
        subject: Subject,
        terminal_id: int | None,
        method: Method,
        opened_at_us: int,
        expires_at_us: int,
        absolute_us: int,
        card_id: int | None = None,
    ) -> None:
        """Append a session; refused as `sign-in-failed` when person or terminal went out of use meanwhile."""
        unit.add(
            """INSERT INTO session(hash, person_id, terminal_id, method, epoch, opened_at_us, expires_at_us,
                                   absolute_us, card_id)
               SELECT :hash, id, :terminal, :method, session_epoch, :opened, :expires, :absolute, :card FROM person
                WHERE id=:person AND is_active=1 AND removed_at_us IS NULL AND session_epoch=:epoch
                  AND (CAST(:terminal AS BIGINT) IS NULL
                       OR EXISTS(SELECT 1 FROM terminal t WHERE t.id=:terminal AND t.revoked_at_us IS NULL))""",
            rows=1,
            refusal="sign-in-failed",
            hash=value,
            person=subject.id,
            terminal=terminal_id,
            method=method,
            epoch=subject.session_epoch,
            opened=opened_at_us,
            expires=expires_at_us,
            absolute=absolute_us,
            card=card_id,
        )

    def end_at_terminal(self, unit: Unit, *, terminal_id: int, at_us: int) -> None:
        """Append the end of whatever is open at a terminal: one person stands there at a time."""
        unit.add(
            "UPDATE session SET ended_at_us=:at WHERE terminal_id=:terminal AND ended_at_us IS NULL",
            at=at_us,
            terminal=terminal_id,
        )

    def end(self, unit: Unit, value: bytes, *, at_us: int) -> None:
        """Append the end of one session; ending it twice is the same."""
        unit.add("UPDATE session SET ended_at_us=:at WHERE hash=:hash AND ended_at_us IS NULL", at=at_us, hash=value)

    def extend(self, unit: Unit, value: bytes, *, expires_at_us: int, now_us: int) -> None:
        """Append a later idle end, never past the absolute one; refused as `session-ended` when it is over."""
        unit.add(
            """UPDATE session SET expires_at_us=CASE WHEN :expires<absolute_us THEN :expires ELSE absolute_us END
                WHERE hash=:hash AND ended_at_us IS NULL AND expires_at_us>:now""",
            rows=1,
            refusal="session-ended",
            expires=expires_at_us,
            hash=value,
            now=now_us,
        )
