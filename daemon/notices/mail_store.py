"""Mail rows: written with the change they tell of, sent afterwards. What they say is sealed until then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.db.database import Database
    from daemon.db.unit import Unit

_COLUMNS = """id, public_id, kind, person_id, recipient, subject, text, html, created_at_us, next_try_us, attempts,
  sent_at_us, failed_at_us, error"""


@dataclass(frozen=True, slots=True)
class MailRow:
    """One mail. `subject`, `text` and `html` are sealed (base64) until it is sent, empty afterwards."""

    id: int
    public_id: str
    kind: str
    person_id: int | None
    recipient: str
    subject: str
    text: str
    html: str
    created_at_us: int
    next_try_us: int
    attempts: int
    sent_at_us: int | None
    failed_at_us: int | None
    error: str

    def __repr__(self) -> str:
        return f"MailRow({self.public_id})"


class MailStore:
    """Mail rows."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def insert(
        self,
        unit: Unit,
        *,
        public_id: str,
        dedupe_key: str,
        kind: str,
        person_id: int | None,
        recipient: str,
        subject: str,
        text: str,
        at_us: int,
    ) -> None:
        """Append a mail; one with the same dedupe key is already on its way, and stays the only one."""
        unit.add(
            """INSERT INTO mail(public_id, dedupe_key, kind, person_id, recipient, subject, text, created_at_us,
                                next_try_us)
               VALUES(:public, :dedupe, :kind, :person, :recipient, :subject, :text, :at, :at)
               ON CONFLICT(dedupe_key) DO NOTHING""",
            public=public_id,
            dedupe=dedupe_key,
            kind=kind,
            person=person_id,
            recipient=recipient,
            subject=subject,
            text=text,
            at=at_us,
        )

    async def commit(self, unit: Unit) -> None:
        """Commit a unit that is about mail alone."""
        await self._db.commit(unit)

    async def due(self, now_us: int, limit: int) -> list[MailRow]:
        """Mails whose next try has come, oldest first."""
        rows = await self._db.read(
            f"""SELECT {_COLUMNS} FROM mail WHERE sent_at_us IS NULL AND failed_at_us IS NULL AND next_try_us<=:now
                 ORDER BY next_try_us, id LIMIT :most""",
            now=now_us,
            most=limit,
        )
        return [MailRow(**row) for row in rows]

    async def next_try_us(self) -> int | None:
        """When the next mail is due; None when nothing waits."""
        row = await self._db.read_one(
            "SELECT min(next_try_us) AS at FROM mail WHERE sent_at_us IS NULL AND failed_at_us IS NULL"
        )
        return row["at"] if row else None

    async def waiting(self) -> tuple[int, int | None]:
        """How many mails wait, and when the oldest of them was written."""
        row = await self._db.read_one(
            "SELECT count(*) AS n, min(created_at_us) AS at FROM mail WHERE sent_at_us IS NULL AND failed_at_us IS NULL"
        )
        return (row["n"], row["at"]) if row else (0, None)

    async def failed_since(self, at_us: int) -> tuple[int, int | None, str]:
        """How many mails were given up after `at_us`, when the last of them was written, and what was the matter."""
        row = await self._db.read_one(
            """SELECT count(*) AS n, max(created_at_us) AS at, max(error) AS error FROM mail
                WHERE failed_at_us>:at AND error<>'restored'""",
            at=at_us,
        )
        return (row["n"], row["at"], row["error"] or "") if row else (0, None, "")

    def sent(self, unit: Unit, mail: MailRow, *, at_us: int) -> None:
        """Append that it left; what it said is forgotten."""
        unit.add(
            """UPDATE mail SET sent_at_us=:at, attempts=attempts+1, error='', subject='', text='', html=''
                WHERE id=:id AND sent_at_us IS NULL""",
            at=at_us,
            id=mail.id,
        )

    def retry(self, unit: Unit, mail: MailRow, *, next_try_us: int, error: str) -> None:
        """Append a failed try and when the next one comes."""
        unit.add(
            "UPDATE mail SET attempts=attempts+1, next_try_us=:next, error=:error WHERE id=:id",
            next=next_try_us,
            error=error,
            id=mail.id,
        )

    def give_up(self, unit: Unit, mail: MailRow, *, at_us: int, error: str) -> None:
        """Append that it will never be sent; what it said is forgotten, why stays."""
        unit.add(
            """UPDATE mail SET failed_at_us=:at, attempts=attempts+1, error=:error, subject='', text='', html=''
                WHERE id=:id""",
            at=at_us,
            error=error,
            id=mail.id,
        )

    def prune(self, unit: Unit, *, before_us: int) -> None:
        """Append the removal of mails written before `before_us`, whatever became of them."""
        unit.add("DELETE FROM mail WHERE created_at_us<:before", before=before_us)
