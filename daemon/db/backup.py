"""Copies of the database that are whole: made beside a running daemon, checked before they count, put back by hand.

A backup holds the database only. Keys live outside it on purpose (whoever has both has everything) and are copied
separately with `copy_keys`; without them sign-ins, cards and held documents of a restored database cannot be used.
"""

from __future__ import annotations

import os
import sqlite3
import tarfile
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.db.lock import StateLock
from daemon.db.migrate import SchemaDiffers, SchemaTooNew, migrations, schema_differences, version_of
from daemon.db.revival import prevent
from daemon.kernel.errors import Refusal, StorageFull

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.db.revival import Revival

PAGES_PER_STEP = 2048
PROBLEMS_MAX = 20
FILE_MODE = 0o600


class BackupRefused(Refusal):
    """The copy is not good, or its target is in the way; nothing was replaced."""

    code = "backup-refused"


@dataclass(frozen=True, slots=True)
class BackupReport:
    """A checked copy: its schema version, size, and how many transfers it holds."""

    version: int
    octets: int
    transfers: int


def back_up(source: Path, target: Path) -> BackupReport:
    """Copy a database beside its running daemon; `target` appears only once the copy was checked and is on disk.

    Raises:
        BackupRefused: `target` exists, there is no database, or the copy does not pass its check.
        StorageFull: no room for the copy.
    """
    if target.exists():
        raise BackupRefused(f"{target} exists")
    if not source.exists():
        raise BackupRefused(f"there is no database at {source}")
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        _copy(source, partial)
        report = check(partial)
        _publish(partial, target)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            raise StorageFull(f"no room for a backup in {target.parent}") from error
        raise BackupRefused(f"the copy failed: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return report


def check(path: Path) -> BackupReport:
    """Look at a copy without changing it: pages, foreign keys, schema, balances.

    Raises:
        BackupRefused: with every problem found in `data["details"]`.
    """
    if not path.is_file():
        raise BackupRefused(f"there is no file {path}")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            problems = _problems(connection)
            if problems:
                raise BackupRefused(f"{path.name} is not a good backup: {problems[0]}", details=problems)
            transfers = connection.execute("SELECT count(*) FROM transfer").fetchone()[0]
            return BackupReport(version_of(connection), path.stat().st_size, transfers)
    except sqlite3.DatabaseError as error:
        raise BackupRefused(f"{path.name} is not a good backup: {error}", details=[str(error)]) from error


def restore(backup: Path, database: Path, *, at_us: int, actor: str) -> tuple[BackupReport, Revival]:
    """Put a checked copy in the database's place; the database that was there is kept as `.before-restore`.

    What was ended or withdrawn since the backup does not come back with it; see `daemon.db.revival`.

    Raises:
        BackupRefused: the copy is not good.
        StateLocked: the daemon is running.
    """
    report = check(backup)
    lock = StateLock(database.with_name(f"{database.name}.lock"))
    lock.acquire()
    partial = database.with_name(f"{database.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        _copy(backup, partial)
        revival = prevent(partial, replaced=database, at_us=at_us, actor=actor)
        check(partial)
        for suffix in ("", "-wal", "-shm"):
            # The log belongs to the old file: left behind, it would be replayed into the new one.
            old = database.with_name(f"{database.name}{suffix}")
            if old.exists():
                old.replace(database.with_name(f"{database.name}.before-restore{suffix}"))
        _publish(partial, database)
    finally:
        partial.unlink(missing_ok=True)
        lock.release()
    return report, revival


def copy_keys(keys: Path, target: Path) -> int:
    """A tar file, readable by its owner only, of the key directory; how many keys it holds.

    Raises:
        BackupRefused: `target` exists.
    """
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    except FileExistsError as error:
        raise BackupRefused(f"{target} exists") from error
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            archive.add(keys, arcname=keys.name)
            count = sum(1 for member in archive.getmembers() if member.isfile())
        file.flush()
        os.fsync(file.fileno())
    return count


def _copy(source: Path, target: Path) -> None:
    """SQLite's online backup: a consistent copy while others write, in steps that let them."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
    with (
        closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as origin,
        closing(sqlite3.connect(target)) as copy,
    ):
        origin.backup(copy, pages=PAGES_PER_STEP)
        # One file, nothing beside it: a copy that needs its log to be whole would be half carried away.
        copy.execute("PRAGMA journal_mode=DELETE")


def _publish(partial: Path, target: Path) -> None:
    descriptor = os.open(partial, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.replace(target)
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _problems(connection: sqlite3.Connection) -> list[str]:
    found = [row[0] for row in connection.execute(f"PRAGMA integrity_check({PROBLEMS_MAX})") if row[0] != "ok"]
    if found:
        return found
    version = version_of(connection)
    if not 0 < version <= len(migrations()):
        return [SchemaTooNew.code if version else SchemaDiffers.code]
    found += [f"schema object {item.name} is not as released" for item in schema_differences(connection, version)]
    if found:
        return found[:PROBLEMS_MAX]
    found += [f"{row[0]} row {row[1]} refers to nothing" for row in connection.execute("PRAGMA foreign_key_check")]
    found += [
        f"account {row[0]} does not match its transfers" for row in connection.execute("SELECT * FROM ledger_mismatch")
    ]
    return found[:PROBLEMS_MAX]
