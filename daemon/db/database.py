"""The database: one writer with group commit, a few readers, and what happens when the disk misbehaves.

Promises: a unit is answered after its COMMIT is on disk (`synchronous=FULL`), a cancelled caller never cancels a write,
a full disk refuses and loses nothing, and after an I/O error or damage the process dies at once (exit 70): a failed
fsync leaves the outcome unknown, and only a restart that reads the disk again, and retries by key, tells the truth.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections import deque
from typing import TYPE_CHECKING, NoReturn

import aiosqlite
import structlog

from daemon.db.ballast import Ballast
from daemon.db.lock import StateLock
from daemon.db.migrate import migrate
from daemon.db.readers import READ_S, Readers, unhindered
from daemon.db.unit import UnitRefused
from daemon.db.writer import CACHED_STATEMENTS, SHARED_MEMORY_CODES, Batch, BatchResult, WriterConnection, is_fatal
from daemon.kernel.errors import Busy, StorageFull, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from daemon.db.unit import Outcome, Row, Unit
    from daemon.kernel.clock import Clock

log = structlog.get_logger(__name__)

BATCH_UNITS_MAX = 256
QUEUE_UNITS_MAX = 10_000
BUSY_TIMEOUT_MS = 5000
BALLAST_RETRY_S = 1.0
CHECKPOINT_PAGES = 1000
"""4 MB of log: overwriting a used log syncs faster than growing one (measured: 4000 was a fifth slower)."""
CACHE_KIB = 8192
FATAL_EXIT = 70
"""sysexits' EX_SOFTWARE: the supervisor restarts us and recovery reads the disk again."""
_PRIMARY = 0xFF
_PRAGMAS = (
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",
    "PRAGMA ignore_check_constraints=OFF",
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
    f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}",
    f"PRAGMA cache_size=-{CACHE_KIB}",
)


class DatabaseClosed(Unavailable):
    """The database is closing or closed; the unit was not written."""

    code = "database-closed"


def _die(error: BaseException) -> NoReturn:
    log.critical("database.failed", error=str(error))
    os._exit(FATAL_EXIT)


class Database:
    """One SQLite file. Open it with `open` (the daemon) or `open_readonly` (a check beside it)."""

    def __init__(self, path: Path, *, clock: Clock | None, on_fatal: Callable[[BaseException], None] = _die) -> None:
        self.path = path
        self._clock = clock
        self._on_fatal = on_fatal
        self._lock = StateLock(path.with_name(f"{path.name}.lock"))
        self._ballast = Ballast(path.with_name(f"{path.name}.ballast"))
        self._is_full = False
        self._ballast_tried_s = 0.0
        self._connection: aiosqlite.Connection | None = None
        self._readers = Readers()
        self._queue: deque[tuple[Unit, asyncio.Future[Outcome]]] = deque()
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._is_closing = False
        self._is_writing = False
        self._last_size = 1
        self._room_watch: asyncio.Task[None] | None = None
        self._event_seq = 0
        self._event_written = asyncio.Event()

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        clock: Clock,
        readers: int = 2,
        on_fatal: Callable[[BaseException], None] = _die,
    ) -> Database:
        """Lock, migrate, check the schema's fingerprint, start the writer.

        Raises:
            StateLocked: another process writes to this file.
            SchemaDiffers, SchemaTooNew: not a file this release may touch.
            StorageFull: not even room to open it.
        """
        database = cls(path, clock=clock, on_fatal=on_fatal)
        database._lock.acquire()
        try:
            await asyncio.to_thread(migrate, path)
            await database._open_writer()
            await database._readers.open(path, count=readers)
        except BaseException as error:
            await database._release()
            if isinstance(error, sqlite3.Error) and _is_storage_full(error, path):
                raise StorageFull("no room to open the database") from error
            raise
        if database._is_full:
            database._watch_room()
        database._writer = asyncio.create_task(database._write_forever(), name="ledger-writer")
        return database

    @classmethod
    async def open_readonly(cls, path: Path, *, readers: int = 1) -> Database:
        """Read beside a running daemon, or while none runs; `commit` is refused."""
        database = cls(path, clock=None)
        database._is_closing = True
        try:
            await database._readers.open(path, count=readers)
        except sqlite3.OperationalError as error:
            await database._release()
            raise DatabaseClosed(f"cannot read {path}: {error}") from error
        except BaseException:
            await database._release()
            raise
        return database

    async def commit(self, unit: Unit) -> Outcome:
        """Apply the unit, durably, or refuse it as a whole; a cancelled caller does not stop the write.

        Raises:
            UnitRefused: a guard, a row count or the idempotency key said no; nothing was written.
            StorageFull: no room; nothing was written.
            Busy: too many units are waiting.
            DatabaseClosed: the daemon is stopping.
        """
        if self._is_closing:
            raise DatabaseClosed
        if len(self._queue) >= QUEUE_UNITS_MAX:
            raise Busy("too many writes are waiting", retry_after_s=1)
        if self._is_full and not unit.essential and not await self._has_room_again():
            raise StorageFull
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        if not self._is_writing and not self._queue and self._last_size == 1:
            # Nobody else writes: going straight to the thread saves this one two task switches.
            await self._write([(unit, future)])
            return future.result()
        self._queue.append((unit, future))
        self._wake.set()
        # Cancelling the caller cancels this future only: the writer is another task and finishes the write.
        return await future

    async def read(self, sql: str, /, **params: object) -> list[Row]:
        """Rows of one short query, as of now; times out after `READ_S` with `ReadTooLong`."""
        return (await self._read([(sql, params)], READ_S))[0]

    async def read_one(self, sql: str, /, **params: object) -> Row | None:
        """The first row, or None."""
        rows = await self.read(sql, **params)
        return rows[0] if rows else None

    async def read_all(
        self, queries: Sequence[tuple[str, Mapping[str, object]]], *, limit_s: float = READ_S
    ) -> list[list[Row]]:
        """Several queries in one snapshot: what they return fits together."""
        return await self._read(queries, limit_s)

    async def replay(self, key: bytes, digest: bytes) -> str | None:
        """The answer a unit with this key was given before, or None.

        Raises:
            UnitRefused: `idempotency-conflict`, the key was used for another request.
        """
        row = await self.read_one("SELECT digest, answer FROM request WHERE key=:key", key=key)
        if row is None:
            return None
        if row["digest"] != digest:
            raise UnitRefused("this key was used for another request", code="idempotency-conflict", statement=-1)
        return str(row["answer"])

    @property
    def is_storage_full(self) -> bool:
        """True from a full disk until there is room again: new work should not even begin."""
        return self._is_full

    @property
    def event_seq(self) -> int:
        """The last event committed by this process, or 0 before the first commit."""
        return self._event_seq

    async def wait_event(self, after: int, *, timeout_s: float) -> bool:
        """Wait until an event later than `after` may exist: a hint, the table is the truth; False at the timeout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._event_seq <= after:
                    await self._event_written.wait()
                return True
        return False

    async def close(self) -> None:
        """Write what is waiting, then close everything. Idempotent."""
        self._is_closing = True
        if self._room_watch is not None:
            self._room_watch.cancel()
            self._room_watch = None
        if self._writer is not None:
            self._wake.set()
            await self._writer
            self._writer = None
        await self._release()

    async def _open_writer(self) -> None:
        self._connection = await unhindered(
            aiosqlite.connect(
                self.path, factory=WriterConnection, isolation_level=None, cached_statements=CACHED_STATEMENTS
            )
        )
        for pragma in _PRAGMAS:
            await self._connection.execute_fetchall(pragma)
        rows: Sequence[tuple[int]] = list(await self._connection.execute_fetchall("PRAGMA foreign_keys"))  # type: ignore[arg-type]
        if rows[0][0] != 1:
            raise ValueError("foreign keys are not enforced")
        self._is_full = not await asyncio.to_thread(self._ballast.hold)

    async def _release(self) -> None:
        await self._readers.close()
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
        self._lock.release()

    async def _read(self, queries: Sequence[tuple[str, Mapping[str, object]]], limit_s: float) -> list[list[Row]]:
        try:
            return await self._readers.read(queries, limit_s=limit_s)
        except sqlite3.DatabaseError as error:
            if self._clock is not None and is_fatal(error):
                self._on_fatal(error)
            if self._readers.is_closed:
                raise DatabaseClosed from error
            raise
        except ValueError as error:
            if self._readers.is_closed:  # the driver's word for a connection that is gone
                raise DatabaseClosed from error
            raise

    async def _write_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue and not self._is_writing:
                size = min(len(self._queue), BATCH_UNITS_MAX)
                waiting = [self._queue.popleft() for _ in range(size)]
                await self._write(waiting)
            if self._is_closing and not self._is_writing:
                return

    async def _write(self, waiting: list[tuple[Unit, asyncio.Future[Outcome]]]) -> None:
        self._is_writing = True
        try:
            results: BatchResult = await self._apply([unit for unit, _ in waiting])
        except Exception as error:
            await self._failed(waiting, error)
            return
        finally:
            self._is_writing = False
            self._last_size = len(waiting)
            if self._queue or self._is_closing:
                self._wake.set()
        for (_, future), result in zip(waiting, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
                future.exception()  # a caller that went away must not leave "exception was never retrieved"
            else:
                future.set_result(result)
        if results.event_seq > self._event_seq:
            self._event_seq = results.event_seq
            self._event_written.set()
            self._event_written = asyncio.Event()

    async def _apply(self, units: list[Unit]) -> BatchResult:
        assert self._connection is not None
        assert self._clock is not None
        batch = Batch("COMMIT")
        batch.units, batch.now_us = units, self._clock.now_us()
        answer: object = await self._connection.execute_fetchall(batch)
        assert isinstance(answer, BatchResult)
        return answer

    async def _failed(self, waiting: list[tuple[Unit, asyncio.Future[Outcome]]], error: Exception) -> None:
        """The whole batch was rolled back. Full: essential units get the ballast's room. Damage: die."""
        if _is_storage_full(error, self.path):
            essential = [item for item in waiting if item[0].essential]
            _refuse([item for item in waiting if not item[0].essential], StorageFull())
            if not self._is_full:
                log.error("storage.full", path=str(self.path))
            self._is_full = True
            self._watch_room()
            if essential and self._ballast.drop():
                await self._write(essential)
            else:
                _refuse(essential, StorageFull())
            return
        if is_fatal(error) or getattr(error, "sqlite_errorcode", None) in SHARED_MEMORY_CODES:
            self._on_fatal(error)
        if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & _PRIMARY == sqlite3.SQLITE_BUSY:
            _refuse(waiting, Busy("another program holds the database", retry_after_s=1))
            return
        log.error("database.batch_failed", error=str(error), units=len(waiting))
        _refuse(waiting, error)

    def _watch_room(self) -> None:
        """Look for room until there is some, also when whoever asks is refused before anything would be written."""
        if self._room_watch is None or self._room_watch.done():
            self._room_watch = asyncio.create_task(self._wait_for_room(), name="storage-room")

    async def _wait_for_room(self) -> None:
        while self._is_full:
            await asyncio.sleep(BALLAST_RETRY_S)
            await self._has_room_again()

    async def _has_room_again(self) -> bool:
        """Room is back once the ballast fits again; asked at most once per `BALLAST_RETRY_S`."""
        assert self._clock is not None
        now_s = self._clock.monotonic_s()
        if now_s - self._ballast_tried_s < BALLAST_RETRY_S:
            return False
        self._ballast_tried_s = now_s
        if not await asyncio.to_thread(self._ballast.hold):
            return False
        self._is_full = False
        log.info("storage.has_room", path=str(self.path))
        return True


def _refuse(waiting: Sequence[tuple[Unit, asyncio.Future[Outcome]]], error: Exception) -> None:
    for _, future in waiting:
        if not future.done():
            future.set_exception(error)
            future.exception()


def _is_storage_full(error: BaseException, path: Path) -> bool:
    """SQLITE_FULL, or the shared-memory file could not grow because the disk has nothing left."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return False
    if code & _PRIMARY == sqlite3.SQLITE_FULL:
        return True
    return code in SHARED_MEMORY_CODES and os.statvfs(path.parent).f_bavail == 0
