"""Short, time-limited, read-only connections beside the writer.

A report that stays open keeps the write-ahead log from being reused (it once grew to 130 MB in 6,000 writes), so every
read is fetched whole in one hop and given up after its limit.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import aiosqlite

from daemon.kernel.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from daemon.db.unit import Row

READ_S = 5.0
READERS_WAITING_MAX = 1000
READ_BUSY_MS = 5000
CACHED_STATEMENTS = 256
_STEPS_PER_CHECK = 20_000


class ReadTooLong(Busy):
    """A read met its time limit and was given up."""

    code = "read-too-long"


class ReadJob(str):
    """Carries queries through aiosqlite's public API, which takes SQL text."""

    __slots__ = ("limit_s", "queries")

    queries: Sequence[tuple[str, Mapping[str, object]]]
    limit_s: float


class _Answers(list[list[dict[str, Any]]]):
    def fetchall(self) -> _Answers:
        return self


class ReaderConnection(sqlite3.Connection):
    """A `mode=ro` connection; `execute(ReadJob)` runs its queries in one snapshot."""

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """A `ReadJob` gives one list of rows per query; plain SQL runs as usual."""
        if type(sql) is not ReadJob:
            return super().execute(sql, parameters)
        run = super().execute
        # The limit counts from the start of the work in this thread: waiting for a thread has its own limit.
        until_s = time.monotonic() + sql.limit_s
        self.set_progress_handler(lambda: time.monotonic() > until_s, _STEPS_PER_CHECK)
        is_many = len(sql.queries) > 1
        try:
            if is_many:
                run("BEGIN")
            return _Answers(self._rows(run(text, params)) for text, params in sql.queries)
        finally:
            self.set_progress_handler(None, 0)
            if self.in_transaction:
                self.rollback()

    @staticmethod
    def _rows(cursor: sqlite3.Cursor) -> list[dict[str, Any]]:
        rows = cursor.fetchall()
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in rows]


def unhindered(connection: aiosqlite.Connection) -> aiosqlite.Connection:
    """The same connection, not yet opened, whose thread never keeps a failing process from ending.

    Durability does not rest on it: what was answered is on disk already.
    """
    connection._thread.daemon = True  # noqa: SLF001  -- aiosqlite offers no other way
    return connection


class Readers:
    """A small pool of read-only connections, each with its own thread."""

    def __init__(self) -> None:
        self._all: list[aiosqlite.Connection] = []
        self._free: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        self._waiting = 0
        self.is_closed = False

    async def open(self, path: Path, *, count: int) -> None:
        """Open `count` connections; the database must exist."""
        uri = await asyncio.to_thread(lambda: f"{path.resolve().as_uri()}?mode=ro")
        for _ in range(count):
            connection = await unhindered(
                aiosqlite.connect(
                    uri,
                    uri=True,
                    factory=ReaderConnection,
                    isolation_level=None,
                    cached_statements=CACHED_STATEMENTS,
                )
            )
            self._all.append(connection)
            await connection.execute(f"PRAGMA busy_timeout={READ_BUSY_MS}")
            self._free.put_nowait(connection)

    async def read(
        self, queries: Sequence[tuple[str, Mapping[str, object]]], *, limit_s: float = READ_S
    ) -> list[list[Row]]:
        """All queries in one snapshot; one list of rows each.

        Raises:
            ReadTooLong: not done within `limit_s`.
            Busy: too many reads are waiting already.
        """
        if self._waiting >= READERS_WAITING_MAX:
            raise Busy("too many reads are waiting", retry_after_s=1)
        self._waiting += 1
        try:
            connection = await self._free.get()
        finally:
            self._waiting -= 1
        job = ReadJob("SELECT")
        job.queries, job.limit_s = queries, limit_s
        try:
            # A cancelled caller leaves its query in this connection's thread, where it ends within its limit;
            # the next read on it waits behind.
            answers: Any = await connection.execute_fetchall(job)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise ReadTooLong(f"not done within {limit_s:g} s", retry_after_s=1) from error
            raise
        finally:
            self._free.put_nowait(connection)
        rows: list[list[Row]] = answers
        return rows

    async def close(self) -> None:
        """Close every connection."""
        self.is_closed = True
        for connection in self._all:
            await connection.close()
        self._all.clear()
