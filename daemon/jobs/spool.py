"""The spool: documents at rest, each under its own key, durable before anyone is told so.

Layout: `DIR/<day>/<name>`, names made here. A job's key is wrapped by the key of its day (`spool_keys`) and kept in the
job's row; deleting the row and the file destroys the document, destroying the day's key destroys the day.
Blocking work runs in a few named threads; a document up to one chunk takes a single hop. Memory per document being
written or read is a few chunks, whatever its size.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import structlog

from daemon.jobs.facts import HEAD_BYTES
from daemon.jobs.spool_file import FileReader, FileWriter, SharedSync
from daemon.jobs.spool_keys import DAY, DayKeys, sync_directory
from daemon.jobs.spool_seal import CHUNK_BYTES, KEY_BYTES, NONCE_BYTES, Damaged, Seal, unwrap, wrap
from daemon.kernel.clock import US_PER_S, Clock
from daemon.kernel.errors import Refusal, StorageFull
from daemon.kernel.ids import Dice, new_id

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger(__name__)

THREADS = 4
FREE_BYTES_MIN = 8 << 20
"""Below this much free space submissions are refused, so that the ledger beside the spool can still be written."""
FRESH_S = 600.0
"""A file this young is not an orphan: its job's row may be on its way."""
_NAME = re.compile(r"^[a-z2-7]{26}$")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

P = ParamSpec("P")
T = TypeVar("T")


class DocumentTooLarge(Refusal):
    """More bytes than a document may have; `data["bytes_max"]` is the limit. Nothing of it is kept."""

    code = "document-too-large"


class DocumentDamaged(Refusal):
    """A spooled document is not what was written, or its key is gone: it cannot be printed."""

    code = "document-damaged"


class DocumentGone(Refusal):
    """There is no such document in the spool any more."""

    code = "document-gone"


@dataclass(frozen=True, slots=True)
class SpoolEntry:
    """Where a document lies and what opens it. `octets` is its plain size, `head` its first bytes (new ones only)."""

    name: str
    octets: int
    wrapped_key: bytes = field(repr=False)
    day: str
    head: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep found: files without a row (removed), rows without a file, days whose key was destroyed."""

    removed: tuple[str, ...]
    missing: tuple[str, ...]
    days_destroyed: tuple[str, ...]


class Spool:
    """Documents in one directory. `close` it at the end."""

    def __init__(
        self,
        directory: Path,
        keys_dir: Path,
        clock: Clock,
        dice: Dice,
        *,
        free_bytes_min: int = FREE_BYTES_MIN,
    ) -> None:
        self._directory = directory
        self._keys = DayKeys(keys_dir, dice)
        self._clock = clock
        self._dice = dice
        self._free_bytes_min = free_bytes_min
        self._sync = SharedSync()
        self._is_full = False
        self._writing: Counter[str] = Counter()
        self._fresh: dict[str, float] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="spool")
        for path in (directory, keys_dir):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def close(self) -> None:
        """Wait for running file work and end the threads."""
        await asyncio.to_thread(self._threads.shutdown)

    async def has_room(self) -> bool:
        """Whether a document would be taken now."""
        return await self._hop(self._free) > 0

    async def write(self, chunks: AsyncIterator[bytes], *, bytes_max: int) -> SpoolEntry:
        """Store a document; when this returns, file and name survive a power cut.

        Raises:
            DocumentTooLarge: more than `bytes_max` bytes came.
            StorageFull: no space; nothing is left of the document.
        """
        name, day = new_id(self._dice), self._today()
        key, nonce = self._dice.token(KEY_BYTES), self._dice.token(NONCE_BYTES)
        self._writing[day] += 1
        writer = FileWriter(self._directory / day / name, Seal(key, name), self._sync)
        try:
            seal_key = partial(wrap, key=key, nonce=nonce, name=name, day=day)
            octets, head, wrapped = await self._fill(writer, chunks, day=day, bytes_max=bytes_max, seal_key=seal_key)
        except OSError as error:
            await self._hop(writer.abort)
            if error.errno in _FULL:
                self._note_room(is_full=True)
                raise StorageFull("the spool has no space left", retry_after_s=60) from error
            raise
        except BaseException:
            self._threads.submit(writer.abort)  # not awaited: this may be a cancellation
            raise
        finally:
            self._writing[day] -= 1
        self._note_room(is_full=False)
        self._remember(name)
        return SpoolEntry(name=name, octets=octets, wrapped_key=wrapped, day=day, head=head)

    def _note_room(self, *, is_full: bool) -> None:
        """Logged once per change: a full disk refuses every submission for as long as it is full."""
        if is_full != self._is_full:
            self._is_full = is_full
            if is_full:
                log.warning("spool.full", free_bytes_min=self._free_bytes_min)
            else:
                log.info("spool.has-room")

    async def read(self, entry: SpoolEntry, *, is_checked_first: bool = True) -> AsyncIterator[bytes]:
        """The document's bytes, in chunks.

        With `is_checked_first` a document of several chunks is opened whole before its first byte is given out, so that
        a damaged one never half leaves the house.

        Raises:
            DocumentGone: no such file.
            DocumentDamaged: it does not open.
        """
        try:
            reader = await self._hop(self._open, entry)
        except FileNotFoundError as error:
            raise DocumentGone("the document is no longer in the spool") from error
        except Damaged as error:
            raise self._damaged(entry, error) from error
        try:
            if is_checked_first and reader.chunks > 1:
                for index in range(reader.chunks):
                    await self._hop(reader.chunk, index)
            for index in range(reader.chunks):
                plain = await self._hop(reader.chunk, index)
                if plain:
                    yield plain
        except Damaged as error:
            raise self._damaged(entry, error) from error
        finally:
            reader.close()

    async def delete(self, entry: SpoolEntry) -> None:
        """Remove a document; with the last one of a past day, the day's key too. Removing twice is nothing."""
        self._fresh.pop(entry.name, None)
        await self._hop(self._delete, entry.name, entry.day)

    async def sweep(self, names: Collection[str], days: Collection[str]) -> SweepResult:
        """Compare with the rows' `names` and `days`: remove orphans, name what is missing, destroy old keys.

        Files this process wrote in the last minutes are left alone, their row may not be committed yet.
        """
        horizon = self._clock.monotonic_s() - FRESH_S
        self._fresh = {name: at for name, at in self._fresh.items() if at > horizon}
        kept = set(names) | set(self._fresh)
        busy = {day for day, writers in self._writing.items() if writers} | {self._today()} | set(days)
        result = await self._hop(self._sweep, kept, set(names), busy)
        if result.removed or result.missing or result.days_destroyed:
            log.info(
                "spool.swept",
                removed=len(result.removed),
                missing=len(result.missing),
                days_destroyed=list(result.days_destroyed),
            )
        return result

    # ----- inside -----

    async def _fill(
        self,
        writer: FileWriter,
        chunks: AsyncIterator[bytes],
        *,
        day: str,
        bytes_max: int,
        seal_key: Callable[[bytes], bytes],
    ) -> tuple[int, bytes, bytes]:
        """Feed the stream to the writer; returns octets, head and the wrapped key."""
        pending = bytearray()
        octets, head, is_started = 0, b"", False
        async for chunk in chunks:
            octets += len(chunk)
            if octets > bytes_max:
                raise DocumentTooLarge("the document is larger than this queue takes", bytes_max=bytes_max)
            pending += chunk
            while len(pending) > CHUNK_BYTES:
                plain = bytes(memoryview(pending)[:CHUNK_BYTES])
                del pending[:CHUNK_BYTES]
                head = head or plain[:HEAD_BYTES]
                await self._hop(self._append, writer, plain, day, is_started)
                is_started = True
        plain = bytes(pending)
        wrapped = await self._hop(self._finish, writer, plain, day, is_started, seal_key)
        return octets, head or plain[:HEAD_BYTES], wrapped

    def _append(self, writer: FileWriter, plain: bytes, day: str, is_started: bool) -> None:
        self._prepare(day, is_started=is_started)
        writer.append(plain)

    def _finish(
        self,
        writer: FileWriter,
        plain: bytes,
        day: str,
        is_started: bool,
        seal_key: Callable[[bytes], bytes],
    ) -> bytes:
        self._prepare(day, is_started=is_started)
        wrapped = seal_key(self._keys.get_or_make(day))
        writer.finish(plain)
        return wrapped

    def _prepare(self, day: str, *, is_started: bool) -> None:
        """The day's directory and key exist and are durable before its first document; space is left for the ledger."""
        if self._free() <= 0:
            raise OSError(errno.ENOSPC, "spool reserve reached")
        if is_started:
            return
        directory = self._directory / day
        if not directory.is_dir():
            directory.mkdir(mode=0o700, exist_ok=True)
            sync_directory(self._directory)
        self._keys.get_or_make(day)

    def _free(self) -> int:
        room = os.statvfs(self._directory)
        return room.f_bavail * room.f_frsize - self._free_bytes_min

    def _open(self, entry: SpoolEntry) -> FileReader:
        path = self._path(entry.name, entry.day)
        key = unwrap(self._keys.get(entry.day), entry.wrapped_key, name=entry.name, day=entry.day)
        return FileReader(path, key, octets=entry.octets)

    def _path(self, name: str, day: str) -> Path:
        if not _NAME.match(name) or not DAY.match(day):
            raise Damaged("no such spool name")
        return self._directory / day / name

    def _delete(self, name: str, day: str) -> None:
        try:
            self._path(name, day).unlink(missing_ok=True)
        except Damaged:
            return
        if day != self._today() and not self._writing[day]:
            self._retire(day)

    def _retire(self, day: str) -> bool:
        """Destroy a day's key if none of its documents is left."""
        try:
            (self._directory / day).rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            return False
        self._sync.forget(self._directory / day)
        self._keys.destroy(day)
        return True

    def _sweep(self, kept: set[str], expected: set[str], busy: set[str]) -> SweepResult:
        removed: list[str] = []
        found: set[str] = set()
        days = set(self._keys.days())
        for directory in self._directory.iterdir():
            if not DAY.match(directory.name) or not directory.is_dir():
                continue
            days.add(directory.name)
            for path in directory.iterdir():
                found.add(path.name)
                if path.name not in kept:
                    path.unlink(missing_ok=True)
                    removed.append(path.name)
        destroyed = tuple(day for day in sorted(days - busy) if self._retire(day))
        return SweepResult(tuple(sorted(removed)), tuple(sorted(expected - found)), destroyed)

    def _remember(self, name: str) -> None:
        self._fresh[name] = self._clock.monotonic_s()

    def _today(self) -> str:
        return datetime.fromtimestamp(self._clock.now_us() // US_PER_S, UTC).strftime("%Y-%m-%d")

    def _damaged(self, entry: SpoolEntry, error: Damaged) -> DocumentDamaged:
        log.error("spool.damaged", spool_name=entry.name, problem=str(error))
        return DocumentDamaged("the document in the spool is damaged")

    async def _hop(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(call, *args, **kwargs))
