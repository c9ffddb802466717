"""Credentials that somebody fails to open: what an operator looks at before unlocking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.auth.lockout import FREE_FAILURES

if TYPE_CHECKING:
    from daemon.db.database import Database

LIST_MAX = 200


@dataclass(frozen=True, slots=True)
class FailingCredential:
    """One secret with more consecutive failures than are free."""

    person_id: int
    public_id: str
    name: str
    display_name: str
    kind: str
    failures: int
    last_failure_us: int | None
    is_disabled: bool


class LockStore:
    """Reads of the failure counters."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def failing(self, *, since_us: int) -> list[FailingCredential]:
        """Disabled credentials, and those slowed down by failures after `since_us`; the disabled first."""
        rows = await self._db.read(
            """SELECT p.id AS person_id, p.public_id, p.name, p.display_name, c.kind, c.failures, c.last_failure_us,
                      c.is_disabled
                 FROM credential c JOIN person p ON p.id=c.person_id
                WHERE (c.failures>0 OR c.is_disabled=1) AND p.removed_at_us IS NULL AND p.is_active=1
                  AND (c.is_disabled=1 OR (c.failures>:free AND c.last_failure_us>:since))
                ORDER BY c.is_disabled DESC, c.last_failure_us DESC LIMIT :most""",
            free=FREE_FAILURES,
            since=since_us,
            most=LIST_MAX,
        )
        return [FailingCredential(**{**dict(row), "is_disabled": bool(row["is_disabled"])}) for row in rows]

    async def of_person(self, person_id: int) -> list[FailingCredential]:
        """A person's secrets with any failure counted, by kind."""
        rows = await self._db.read(
            """SELECT p.id AS person_id, p.public_id, p.name, p.display_name, c.kind, c.failures, c.last_failure_us,
                      c.is_disabled
                 FROM credential c JOIN person p ON p.id=c.person_id
                WHERE c.person_id=:id AND (c.failures>0 OR c.is_disabled=1) ORDER BY c.kind""",
            id=person_id,
        )
        return [FailingCredential(**{**dict(row), "is_disabled": bool(row["is_disabled"])}) for row in rows]
