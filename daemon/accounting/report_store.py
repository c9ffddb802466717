"""What the books check, the statement and the export read. Engine-specific checks are named as such."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.accounting import ledger
from daemon.db import chain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from daemon.db.database import Database
    from daemon.db.unit import Row

CHECK_S = 600.0
"""The balance check reads one snapshot, about a microsecond per transfer."""
BLOCKS_PER_READ = 200
ROWS_PER_READ = 1000

_ACCOUNTS = """SELECT a.id, a.credits_posted, a.debits_posted, a.debits_pending, a.available_min,
    coalesce(c.x, 0) AS credits_sum, coalesce(d.x, 0) AS debits_sum, coalesce(p.x, 0) AS pending_sum
  FROM account a
  LEFT JOIN (SELECT credit_account_id AS a, sum(amount) AS x FROM transfer WHERE kind<>'pending'
              GROUP BY credit_account_id) c ON c.a=a.id
  LEFT JOIN (SELECT debit_account_id AS a, sum(amount) AS x FROM transfer WHERE kind<>'pending'
              GROUP BY debit_account_id) d ON d.a=a.id
  LEFT JOIN (SELECT t.debit_account_id AS a, sum(t.amount) AS x FROM transfer t WHERE t.kind='pending'
                AND NOT EXISTS(SELECT 1 FROM transfer r WHERE r.pending_id=t.id)
              GROUP BY t.debit_account_id) p ON p.a=a.id ORDER BY a.id"""
_UNITS = """SELECT u.code, sum(a.credits_posted)-sum(a.debits_posted) AS difference
  FROM account a JOIN unit u ON u.id=a.unit_id GROUP BY u.code"""
_OPEN = """SELECT t.id, d.phase FROM transfer t LEFT JOIN delivery_leg l ON l.pending_key=t.idempotency_key
    LEFT JOIN delivery d ON d.id=l.delivery_id
   WHERE t.kind='pending' AND NOT EXISTS(SELECT 1 FROM transfer r WHERE r.pending_id=t.id) ORDER BY t.id"""
_LEGS = """SELECT d.public_id AS delivery, d.phase, l.leg, l.amount, l.account_id, p.amount AS reserved,
    p.debit_account_id, r.kind AS resolution
  FROM delivery_leg l JOIN delivery d ON d.id=l.delivery_id
  LEFT JOIN transfer p ON p.idempotency_key=l.pending_key AND p.kind='pending'
  LEFT JOIN transfer r ON r.pending_id=p.id
 WHERE l.amount>0 ORDER BY d.id, l.leg"""
_TAIL = """SELECT id FROM transfer WHERE id>coalesce((SELECT max(last_id) FROM ledger_block), 0) ORDER BY id"""
_DIFFERENT = """SELECT a.id, a.credits_posted, a.debits_posted, a.debits_pending, a.available_min,
    m.credits_expected AS credits_sum, m.debits_expected AS debits_sum, m.pending_expected AS pending_sum
  FROM ledger_mismatch m JOIN account a ON a.id=m.account_id ORDER BY a.id LIMIT 100"""
_COUNT = "SELECT count(*) AS transfers, coalesce(max(id), 0) AS last_id FROM transfer"
# Engine-specific: rows cut off at the end leave the counter ahead; damage below the tables is SQLite's to find.
_SEQUENCE = "SELECT coalesce(max(seq), 0) AS seq FROM sqlite_sequence WHERE name='transfer'"
_SCHEMA = "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name"
_VERSION = "PRAGMA user_version"
_PAGES = "PRAGMA quick_check(20)"
_FOREIGN = "PRAGMA foreign_key_check"

_BLOCKS = """SELECT first_id, last_id, rows, notes, prev, hash FROM ledger_block WHERE last_id>:after
    ORDER BY last_id LIMIT :count"""
_BLOCKS_1 = _BLOCKS.replace("notes", "NULL AS notes")
"""Of a database that was not migrated yet: its blocks do not cover reasons."""
NOTES_SINCE = 2
_TRANSFERS = f"""SELECT {chain.SEALED_COLUMNS} FROM transfer t
  LEFT JOIN transfer_note n ON n.idempotency_key=t.idempotency_key
 WHERE t.id>:after AND t.id<=:last ORDER BY t.id"""
_AUDIT = """SELECT id, at_us, actor, action, subject, detail, prev, hash FROM audit WHERE id>:after
    ORDER BY id LIMIT :count"""

_MOVED = """SELECT t.id, t.idempotency_key, t.kind, t.amount, t.at_us, t.job_id, a.id AS account_id, a.pot,
    a.kind AS account_kind, u.code, {sign} AS sign, o.pot AS other_pot, o.kind AS other_kind, n.reason, n.actor,
    j.public_id AS job, d.quote, d.result, d.tariff, d.is_estimated, p.name AS printer, j.account_ref
  FROM account a JOIN transfer t ON t.{mine}=a.id AND t.kind IN ({kinds})
  JOIN account o ON o.id=t.{other} JOIN unit u ON u.id=a.unit_id
  LEFT JOIN transfer_note n ON n.idempotency_key=t.idempotency_key
  LEFT JOIN job j ON j.id=t.job_id
  LEFT JOIN transfer r ON r.id=t.pending_id LEFT JOIN delivery_leg l ON l.pending_key=r.idempotency_key
  LEFT JOIN delivery d ON d.id=coalesce(l.delivery_id, (SELECT max(x.id) FROM delivery x WHERE x.job_id=t.job_id))
  LEFT JOIN printer p ON p.id=d.printer_id
 WHERE a.owner=:owner AND t.id>:after AND t.amount>0"""
_TAKEN = _MOVED.format(
    sign="-1", mine="debit_account_id", other="credit_account_id", kinds="'direct','post','reversal'"
)  # fmt: skip
_GIVEN = _MOVED.format(sign="1", mine="credit_account_id", other="debit_account_id", kinds="'direct','reversal'")
_STATEMENT = f"{_TAKEN} UNION ALL {_GIVEN} ORDER BY 1, 11 LIMIT :count"
_BALANCES_BEFORE = """SELECT a.id,
    coalesce((SELECT sum(t.amount) FROM transfer t WHERE t.credit_account_id=a.id
               AND t.kind IN ('direct','reversal') AND t.id<=:after), 0)
   -coalesce((SELECT sum(t.amount) FROM transfer t WHERE t.debit_account_id=a.id
               AND t.kind IN ('direct','post','reversal') AND t.id<=:after), 0) AS balance
  FROM account a WHERE a.owner=:owner"""
_LAST = """SELECT min(id) AS id FROM (
    SELECT t.id FROM account a JOIN transfer t ON t.debit_account_id=a.id AND t.kind IN ('direct','post','reversal')
     WHERE a.owner=:owner AND t.amount>0
    UNION ALL
    SELECT t.id FROM account a JOIN transfer t ON t.credit_account_id=a.id AND t.kind IN ('direct','reversal')
     WHERE a.owner=:owner AND t.amount>0
    ORDER BY 1 DESC LIMIT :count) AS tail"""

_EXPORT = """SELECT t.id, t.idempotency_key, t.kind, t.job_id, t.leg, t.amount, t.at_us, t.expires_at_us, u.code,
    u.scale, d.id AS debit_id, d.kind AS debit_kind, d.pot AS debit_pot, dp.public_id AS debit_user,
    c.id AS credit_id, c.kind AS credit_kind, c.pot AS credit_pot, cp.public_id AS credit_user,
    p.idempotency_key AS resolves, o.idempotency_key AS reverses, n.reason, n.actor, j.account_ref
  FROM transfer t JOIN unit u ON u.id=t.unit_id
  JOIN account d ON d.id=t.debit_account_id JOIN account c ON c.id=t.credit_account_id
  LEFT JOIN person dp ON d.owner='person:' || dp.id LEFT JOIN person cp ON c.owner='person:' || cp.id
  LEFT JOIN transfer p ON p.id=t.pending_id LEFT JOIN transfer o ON o.id=t.reverses_id
  LEFT JOIN transfer_note n ON n.idempotency_key=t.idempotency_key LEFT JOIN job j ON j.id=t.job_id
 WHERE t.id>:after ORDER BY t.id LIMIT :count"""


class ReportStore:
    """Reads of the whole books, in pieces short enough for readers beside the daemon."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def snapshot(self) -> dict[str, list[Row]]:
        """Everything that must fit together, as of one moment."""
        queries = {
            "accounts": _ACCOUNTS,
            "units": _UNITS,
            "open": _OPEN,
            "legs": _LEGS,
            "tail": _TAIL,
            "count": _COUNT,
            "sequence": _SEQUENCE,
            "schema": _SCHEMA,
            "version": _VERSION,
            "pages": _PAGES,
            "foreign": _FOREIGN,
        }
        return await self._one_moment(queries)

    async def balances(self) -> dict[str, list[Row]]:
        """The part of it that tells whether the sums are right: added up there, only differences come back."""
        return await self._one_moment(
            {
                "accounts": _DIFFERENT,
                "units": _UNITS,
                "open": _OPEN,
                "tail": _TAIL,
                "count": _COUNT,
                "sequence": _SEQUENCE,
            }
        )

    async def _one_moment(self, queries: Mapping[str, str]) -> dict[str, list[Row]]:
        answers = await self._db.read_all([(sql, {}) for sql in queries.values()], limit_s=CHECK_S)
        return dict(zip(queries, answers, strict=True))

    async def blocks(self) -> AsyncIterator[tuple[Row, list[Row]]]:
        """Every block with the transfers, and their reasons, since the block before."""
        last = 0
        version = (await self._db.read(_VERSION))[0]["user_version"]
        query = _BLOCKS if version >= NOTES_SINCE else _BLOCKS_1
        while True:
            blocks = await self._db.read(query, after=last, count=BLOCKS_PER_READ)
            if not blocks:
                return
            rows = await self._db.read(_TRANSFERS, after=last, last=blocks[-1]["last_id"])
            at = 0
            for block in blocks:
                end = at
                while end < len(rows) and rows[end]["id"] <= block["last_id"]:
                    end += 1
                yield block, rows[at:end]
                at = end
            last = blocks[-1]["last_id"]

    async def audit(self) -> AsyncIterator[Row]:
        """The audit log, oldest first."""
        async for row in self._pages(_AUDIT, 0):
            yield row

    async def transfers(self, since: int) -> AsyncIterator[Row]:
        """Transfers after `since` with everything their ids point at."""
        async for row in self._pages(_EXPORT, since):
            yield row

    async def movements(self, person_id: int, *, after: int, count: int) -> tuple[list[Row], dict[int, int]]:
        """A person's movements after a position, and each account's balance at that position."""
        params: Mapping[str, Any] = {"owner": ledger.owner_of(person_id), "after": after}
        rows, before = await self._db.read_all(
            [(_STATEMENT, {**params, "count": count}), (_BALANCES_BEFORE, params)]
        )  # fmt: skip
        return rows, {row["id"]: row["balance"] for row in before}

    async def before_last(self, person_id: int, count: int) -> int:
        """The position behind which a person's last `count` movements lie; 0 when there are no more than that."""
        row = await self._db.read_one(_LAST, owner=ledger.owner_of(person_id), count=count)
        return int(row["id"]) - 1 if row and row["id"] else 0

    async def _pages(self, sql: str, after: int) -> AsyncIterator[Row]:
        while rows := await self._db.read(sql, after=after, count=ROWS_PER_READ):
            for row in rows:
                yield row
            after = rows[-1]["id"]
