"""The writer's side of the one read-write connection: a whole batch of units in one thread hop and one transaction.

Runs in aiosqlite's thread. Natural batching: whatever waits is committed together, nobody is answered before COMMIT.
Each unit is all or nothing by itself; a unit of one statement needs no savepoint because one statement already is.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

from daemon.db import chain
from daemon.db.unit import Outcome, Statement, Unit, UnitRefused

if TYPE_CHECKING:
    from collections.abc import Callable

CACHED_STATEMENTS = 512
LEDGER_WORD = "ledger:"
FUNDS_WORD = "ledger:funds"
FUNDS_CODE = "insufficient-funds"

_REPLAY = "SELECT digest, answer FROM request WHERE key=?"
_REMEMBER = "INSERT INTO request(key, digest, answer, at_us) VALUES(?,?,?,?)"
_SEAL_READ = f"""SELECT {chain.SEALED_COLUMNS} FROM transfer t
  LEFT JOIN transfer_note n ON n.idempotency_key=t.idempotency_key WHERE t.id>? ORDER BY t.id"""  # noqa: S608  -- constants
_SEAL = "INSERT INTO ledger_block(first_id, last_id, rows, notes, prev, hash) VALUES(?,?,?,?,?,?)"
_AUDIT = "INSERT INTO audit(at_us, actor, action, subject, detail, prev, hash) VALUES(?,?,?,?,?,?,?)"
_LAST_AUDIT = "SELECT hash FROM audit ORDER BY id DESC LIMIT 1"
_LAST_BLOCK = "SELECT hash FROM ledger_block ORDER BY last_id DESC LIMIT 1"
_LAST_TRANSFER = "SELECT id, at_us FROM transfer ORDER BY id DESC LIMIT 1"
_LAST_EVENT = "SELECT coalesce(max(seq), 0) FROM event"

_PRIMARY = 0xFF
_FATAL = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
SHARED_MEMORY_CODES = (sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP)
"""The log's index could not grow: on a full disk nothing worse than that."""
_KEY_CONSTRAINTS = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
    sqlite3.SQLITE_CONSTRAINT_TRIGGER,
}

UnitResult = Outcome | Exception


class Batch(str):
    """Carries units through aiosqlite's public API, which takes SQL text."""

    __slots__ = ("now_us", "units")

    units: list[Unit]
    now_us: int


class BatchResult(list[UnitResult]):
    """One result per unit, in order, and the last event written."""

    event_seq: int = 0

    def fetchall(self) -> BatchResult:
        return self


class _WriteAgain(Exception):
    """A unit without a savepoint changed more rows than it may: the batch is repeated with savepoints."""


class _Heads:
    """What the next row chains to; replaced only once the commit succeeded."""

    __slots__ = ("at_us", "audit", "block", "seq")

    def __init__(self, *, seq: int, at_us: int, block: bytes, audit: bytes) -> None:
        self.seq, self.at_us, self.block, self.audit = seq, at_us, block, audit

    def copy(self) -> _Heads:
        return _Heads(seq=self.seq, at_us=self.at_us, block=self.block, audit=self.audit)


class WriterConnection(sqlite3.Connection):
    """The read-write connection; `execute(Batch)` applies units, anything else is plain SQL."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        threading.current_thread().name = "ledger-writer"
        self._heads: _Heads | None = None
        self._next = _Heads(seq=0, at_us=0, block=chain.GENESIS, audit=chain.GENESIS)
        self._run: Callable[..., sqlite3.Cursor] = super().execute
        self._poison: sqlite3.DatabaseError | None = None

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """A `Batch` is applied as a whole; plain SQL runs as usual."""
        if type(sql) is Batch:
            return self._apply(sql)
        return self._run(sql, parameters)

    def _apply(self, batch: Batch) -> BatchResult:
        if self._poison is not None:
            raise self._poison
        try:
            return self._transaction(batch, always_save=False)
        except _WriteAgain:
            return self._transaction(batch, always_save=True)
        except sqlite3.DatabaseError as error:
            if is_fatal(error):
                # Whoever waited may be gone by now; the next batch must meet this, not a connection that goes on.
                self._poison = error
            raise

    def _transaction(self, batch: Batch, *, always_save: bool) -> BatchResult:
        run = self._run
        run("BEGIN IMMEDIATE")
        try:
            heads = self._heads or self._read_heads()
            self._next = heads.copy()
            results = BatchResult()
            for unit in batch.units:
                results.append(self._unit(unit, batch.now_us, always_save=always_save))
                if not self.in_transaction:
                    # SQLite gave the whole transaction up (disk full, I/O error): nobody's unit stands.
                    raise results[-1] if isinstance(results[-1], Exception) else sqlite3.OperationalError("lost")
            if self._next.seq > heads.seq:
                self._seal(heads.seq)
            if any(unit.has_event for unit in batch.units):
                results.event_seq = int(run(_LAST_EVENT).fetchone()[0])
            run("COMMIT")
        except BaseException:
            if self.in_transaction:
                self.rollback()
            raise
        self._heads = self._next
        return results

    def _unit(self, unit: Unit, now_us: int, *, always_save: bool) -> UnitResult:
        parts = len(unit.statements) + len(unit.audits) + (unit.key is not None) + (unit.answer_from is not None)
        is_saved = always_save or parts > 1
        before = self._next.copy() if is_saved else self._next
        if is_saved:
            self._run("SAVEPOINT unit")
        try:
            outcome: UnitResult = self._statements(unit, now_us, is_saved=is_saved)
        except _WriteAgain:
            raise
        except Exception as error:
            if not self.in_transaction:
                return error
            if is_saved:
                self._run("ROLLBACK TO unit")
                self._next = before
            outcome = error
            if isinstance(error, UnitRefused):
                error.data["ledger_seq"] = self._next.seq
        if is_saved:
            self._run("RELEASE unit")
        return outcome

    def _statements(self, unit: Unit, now_us: int, *, is_saved: bool) -> Outcome:
        if unit.key is not None:
            known = self._run(_REPLAY, (unit.key,)).fetchone()
            if known is not None:
                if known[0] != unit.digest:
                    raise UnitRefused(
                        "this key was used for another request", code="idempotency-conflict", statement=-1
                    )
                return Outcome(replayed=True, answer=known[1], ledger_seq=self._next.seq)
        for index, statement in enumerate(unit.statements):
            self._one(index, statement, is_saved=is_saved)
        for entry in unit.audits:
            values = (entry.at_us, entry.actor, entry.action, entry.subject, entry.detail)
            link = chain.audit_hash(self._next.audit, values)
            self._run(_AUDIT, (*values, self._next.audit, link))
            self._next.audit = link
        answer = unit.answer if unit.answer_from is None else self._answer(unit.answer, unit.answer_from)
        if unit.key is not None:
            self._run(_REMEMBER, (unit.key, unit.digest, answer, now_us))
        return Outcome(replayed=False, answer=answer, ledger_seq=self._next.seq)

    def _one(self, index: int, statement: Statement, *, is_saved: bool) -> None:
        params: Any = self._rising(statement) if statement.is_transfer else statement.params
        try:
            cursor = self._run(statement.sql, params)
            found = cursor.rowcount if cursor.description is None else len(cursor.fetchall())
        except sqlite3.IntegrityError as error:
            raise _refused(error, index, statement) from error
        if statement.rows is not None and found != statement.rows:
            if found > 0 and not is_saved:
                raise _WriteAgain
            raise UnitRefused(code=statement.refusal, statement=index, rows=found)
        if statement.is_transfer and found > 0 and cursor.lastrowid is not None:
            self._next.seq = cursor.lastrowid
            self._next.at_us = params["at_us"]

    def _rising(self, statement: Statement) -> Any:
        """The same times, moved forward together when the machine's clock went back: ledger time never falls."""
        params: Any = statement.params
        behind_us = self._next.at_us - params["at_us"]
        if behind_us <= 0:
            return params
        moved = dict(params)
        for name in ("at_us", "expires_at_us"):
            if moved.get(name) is not None:
                moved[name] = moved[name] + behind_us
        return moved

    def _answer(self, base: str, query: Statement) -> str:
        cursor = self._run(query.sql, query.params)
        row = cursor.fetchone()
        names = [column[0] for column in cursor.description]
        cursor.close()
        return json.dumps({**json.loads(base), **(dict(zip(names, row, strict=True)) if row else {})})

    def _seal(self, after: int) -> None:
        rows = self._run(_SEAL_READ, (after,)).fetchall()
        digests = b"".join([chain.transfer_digest(row[: chain.TRANSFER_WIDTH]) for row in rows])
        notes = b"".join([chain.note_entry(row[0], row[-2], row[-1]) for row in rows if row[-1] is not None])
        link = chain.block_hash(self._next.block, rows[0][0], rows[-1][0], digests, notes)
        self._run(_SEAL, (rows[0][0], rows[-1][0], digests, notes, self._next.block, link))
        self._next.block = link

    def _read_heads(self) -> _Heads:
        transfer = self._run(_LAST_TRANSFER).fetchone() or (0, 0)
        block = self._run(_LAST_BLOCK).fetchone() or (chain.GENESIS,)
        audit = self._run(_LAST_AUDIT).fetchone() or (chain.GENESIS,)
        return _Heads(seq=transfer[0], at_us=transfer[1], block=block[0], audit=audit[0])


def is_fatal(error: BaseException) -> bool:
    """True after an I/O error or damage: what is on disk is unknown. Room for the log's index is not that."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & _PRIMARY in _FATAL and code not in SHARED_MEMORY_CODES


def _refused(error: sqlite3.IntegrityError, index: int, statement: Statement) -> Exception:
    """A guard's or key's violation as a refusal; a broken CHECK or NOT NULL is our bug and stays what it is."""
    text = str(error)
    if text.startswith(LEDGER_WORD):
        return UnitRefused(code=FUNDS_CODE if text == FUNDS_WORD else text, statement=index)
    if error.sqlite_errorcode in _KEY_CONSTRAINTS:
        return UnitRefused(text, code=statement.refusal, statement=index)
    return error
