"""The books as a whole: checked, exported, and told to a person as a statement. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.accounting import reconcile, statement
from daemon.accounting.export import transfer_json
from daemon.accounting.report_store import ReportStore
from daemon.db.migrate import released_schema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from daemon.db.database import Database
    from daemon.db.unit import Row

LINES_MAX = 1000


class Books:
    """Checks and reports; works beside a running daemon and on a backup."""

    def __init__(self, db: Database) -> None:
        self._store = ReportStore(db)

    async def verify(self) -> reconcile.VerifyReport:
        """Rebuild every balance, walk both chains, compare the schema; each difference names its row."""
        facts = await self._store.snapshot()
        found = [
            *_pages(facts["pages"]),
            *_schema(facts["version"], facts["schema"]),
            *_foreign(facts["foreign"]),
            *_sums(facts),
            *reconcile.check_legs(facts["legs"]),
        ]
        chain = reconcile.ChainCheck()
        async for block, transfers in self._store.blocks():
            found.extend(chain.block(block, transfers))
        audit = reconcile.AuditCheck()
        async for row in self._store.audit():
            found.extend(audit.entry(row))
        return reconcile.VerifyReport(facts["count"][0]["transfers"], chain.head.hex(), tuple(found))

    async def check_balances(self) -> reconcile.VerifyReport:
        """The quick check a daemon makes of itself: every balance added up again, no chain walked (`head` is empty)."""
        facts = await self._store.balances()
        return reconcile.VerifyReport(facts["count"][0]["transfers"], "", tuple(_sums(facts)))

    async def export(self, since: int = 0) -> AsyncIterator[dict[str, Any]]:
        """Every transfer after `since`, oldest first, as JSON objects."""
        async for row in self._store.transfers(since):
            yield transfer_json(row)

    async def statement(self, person_id: int, *, after: int = 0, limit: int = 100) -> tuple[list[dict[str, Any]], int]:
        """A person's movements after a position, oldest first, and where the next page begins (0: nowhere)."""
        count = min(limit, LINES_MAX)
        rows, balances = await self._store.movements(person_id, after=after, count=count + 1)
        # Both sides of one transfer may be the person's own (an overrun paid): a page never ends between them.
        if len(rows) > count:
            last = rows[count]["id"]
            page = [row for row in rows[:count] if row["id"] < last] or rows
            return statement.lines(page, balances), page[-1]["id"]
        return statement.lines(rows, balances), 0

    async def latest(self, person_id: int, *, limit: int) -> list[dict[str, Any]]:
        """A person's last movements, newest first."""
        count = min(limit, LINES_MAX)
        after = await self._store.before_last(person_id, count)
        rows, balances = await self._store.movements(person_id, after=after, count=2 * count)
        return statement.lines(rows, balances)[::-1][:count]


def _sums(facts: dict[str, list[Row]]) -> list[reconcile.Mismatch]:
    return [
        *reconcile.check_accounts(facts["accounts"]),
        *reconcile.check_units(facts["units"]),
        *reconcile.check_reservations(facts["open"]),
        *(reconcile.unsealed(row["id"]) for row in facts["tail"]),
        *_cut_off(facts["sequence"][0]["seq"], facts["count"][0]["last_id"]),
    ]


def _pages(rows: list[Row]) -> list[reconcile.Mismatch]:
    texts = [str(next(iter(row.values()))) for row in rows]
    return [reconcile.Mismatch("database", "pages", "ok", text) for text in texts if text != "ok"]


def _schema(version: list[Row], rows: list[Row]) -> list[reconcile.Mismatch]:
    expected = released_schema(version[0]["user_version"])
    return list(reconcile.check_schema(expected, {row["name"]: row["sql"] or "" for row in rows}))


def _foreign(rows: list[Row]) -> list[reconcile.Mismatch]:
    return [
        reconcile.Mismatch(row["table"], str(row["rowid"]), f"a row of {row['parent']} it refers to", "none")
        for row in rows
    ]


def _cut_off(sequence: int, last_id: int) -> list[reconcile.Mismatch]:
    if sequence == last_id:
        return []
    return [reconcile.Mismatch("transfer", str(sequence), f"transfers up to {sequence}", f"last is {last_id}")]
