"""Reading the audit log: who did what, newest first. Everybody appends to it through their unit; nobody changes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daemon.db.database import Database
    from daemon.db.unit import Row

PAGE_MAX = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """One audit entry. `detail` holds before, after and reason where there are any; never a secret."""

    id: int
    at_us: int
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


class AuditLog:
    """Table audit, read."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def page(
        self, *, before_id: int = 0, limit: int = PAGE_MAX, subject: str = "", action: str = "", actor: str = ""
    ) -> list[Entry]:
        """Entries newest first, from before `before_id` (0: from the newest); `action` is a beginning (`card.`)."""
        rows = await self._db.read(
            """SELECT id, at_us, actor, action, subject, detail FROM audit
                WHERE (:before=0 OR id<:before) AND (:subject='' OR subject=:subject) AND (:actor='' OR actor=:actor)
                  AND (:action='' OR substr(action, 1, length(:action))=:action)
                ORDER BY id DESC LIMIT :most""",
            before=before_id,
            subject=subject,
            actor=actor,
            action=action,
            most=max(1, min(limit, PAGE_MAX)),
        )
        return [_entry(row) for row in rows]

    async def of(self, subject: str, *, limit: int = PAGE_MAX) -> list[Entry]:
        """What was done to one subject, newest first."""
        rows = await self._db.read(
            """SELECT id, at_us, actor, action, subject, detail FROM audit WHERE subject=:subject
                ORDER BY id DESC LIMIT :most""",
            subject=subject,
            most=max(1, min(limit, PAGE_MAX)),
        )
        return [_entry(row) for row in rows]

    async def since(self, at_us: int, actions: tuple[str, ...]) -> list[Entry]:
        """Entries of these actions among the last PAGE_MAX that happened after `at_us`, newest first."""
        return [one for one in await self.page() if one.at_us > at_us and one.action in actions]


def _entry(row: Row) -> Entry:
    return Entry(row["id"], row["at_us"], row["actor"], row["action"], row["subject"], json.loads(row["detail"]))
