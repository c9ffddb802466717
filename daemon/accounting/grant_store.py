"""How far each pot's period grants have come, and whose next one is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.db.database import Database
    from daemon.db.unit import Unit


class GrantStore:
    """One row per person and pot (by lineage)."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def remember(self, unit: Unit, person_id: int, lineage: str, *, label: str, next_us: int) -> None:
        """Append the last period granted (empty: none yet) and when to look again."""
        unit.add(
            """INSERT INTO grant_rule_state(person_id, pot, last_period, next_grant_us)
               SELECT :person_id, :pot, :label, :next_us
                WHERE NOT EXISTS(SELECT 1 FROM grant_rule_state WHERE person_id=:person_id AND pot=:pot)""",
            person_id=person_id,
            pot=lineage,
            label=label,
            next_us=next_us,
        )
        unit.add(
            """UPDATE grant_rule_state SET last_period=:label, next_grant_us=:next_us
                WHERE person_id=:person_id AND pot=:pot""",
            person_id=person_id,
            pot=lineage,
            label=label,
            next_us=next_us,
        )

    async def states(self, person_id: int) -> dict[str, str | None]:
        """The label of the last period granted, by lineage; None where nothing was."""
        rows = await self._db.read("SELECT pot, last_period FROM grant_rule_state WHERE person_id=:id", id=person_id)
        return {row["pot"]: row["last_period"] or None for row in rows}

    async def next_of(self, person_id: int) -> dict[str, int]:
        """When each pot is granted next, microseconds UTC, by lineage."""
        rows = await self._db.read("SELECT pot, next_grant_us FROM grant_rule_state WHERE person_id=:id", id=person_id)
        return {row["pot"]: row["next_grant_us"] for row in rows if row["next_grant_us"] is not None}

    async def due(self, now_us: int, limit: int) -> list[int]:
        """People whose next grant has come, or who have no state yet, most overdue first."""
        rows = await self._db.read(
            """SELECT person_id FROM grant_rule_state WHERE next_grant_us<=:now GROUP BY person_id
                ORDER BY min(next_grant_us) LIMIT :most""",
            now=now_us,
            most=limit,
        )
        found = [row["person_id"] for row in rows]
        fresh = await self._db.read(
            """SELECT p.id FROM person p LEFT JOIN grant_rule_state g ON g.person_id=p.id
                WHERE g.person_id IS NULL AND p.removed_at_us IS NULL AND p.is_active=1 ORDER BY p.id LIMIT :most""",
            most=limit,
        )
        return list(dict.fromkeys([*found, *(row["id"] for row in fresh)]))
