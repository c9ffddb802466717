"""Backups: whole while the daemon writes, checked before they count, refused when they are not good."""

from __future__ import annotations

import asyncio
import sqlite3
import tarfile
from contextlib import closing

import pytest

from daemon.accounting.books import Books as WholeBooks
from daemon.db import backup
from daemon.db.database import Database
from daemon.db.lock import StateLocked
from tests.helpers.books import Books

NOW_US = 1_900_000_000_000_000


def restore(copy, path):
    return backup.restore(copy, path, at_us=NOW_US, actor="local:0")


async def test_backup_beside_a_writing_daemon(tmp_path):
    """A copy made under load is one moment of the ledger: it verifies, and writing went on."""
    books = await Books.open(tmp_path / "house.db")
    ann = await books.person(1)
    (pot,) = await books.pots(ann)
    stop = asyncio.Event()

    async def load():
        count = 0
        while not stop.is_set():
            await books.adjust(pot, 1)
            count += 1
        return count

    task = asyncio.create_task(load())
    await asyncio.sleep(0.05)
    report = await asyncio.to_thread(backup.back_up, tmp_path / "house.db", tmp_path / "copy.db")
    stop.set()
    written = await task
    await books.close()
    assert 0 < report.transfers <= written + 1
    assert sorted(one.name for one in tmp_path.glob("copy*")) == ["copy.db"]
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0
    db = await Database.open_readonly(tmp_path / "copy.db")
    assert (await WholeBooks(db).verify()).ok
    await db.close()


async def test_restore_brings_the_moment_back(tmp_path):
    """What was written after the backup is gone, what was there before is back, and the old file is kept."""
    path = tmp_path / "house.db"
    books = await Books.open(path)
    ann = await books.person(10)
    backup.back_up(path, tmp_path / "copy.db")
    await books.adjust((await books.pots(ann))[0], 5)
    with pytest.raises(StateLocked):
        restore(tmp_path / "copy.db", path)
    await books.close()
    restore(tmp_path / "copy.db", path)
    books = await Books.open(path)
    assert [pot.balance for pot in await books.pots(ann)] == [10]
    await books.close()
    assert (tmp_path / "house.db.before-restore").exists()


@pytest.mark.parametrize(
    "harm",
    [
        "DROP TRIGGER account_guard",
        "DROP TRIGGER account_guard; UPDATE account SET credits_posted=credits_posted+1",
        "PRAGMA user_version=77",
        "PRAGMA user_version=0",
    ],
)
async def test_bad_copy_is_refused(tmp_path, harm):
    """A copy whose guards, balances or version are not right is not a backup, and nothing is replaced."""
    path = tmp_path / "house.db"
    books = await Books.open(path)
    await books.person(10)
    await books.close()
    backup.back_up(path, tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as connection:
        connection.executescript(harm)
    before = path.read_bytes()
    with pytest.raises(backup.BackupRefused) as refused:
        restore(tmp_path / "copy.db", path)
    assert refused.value.data["details"]
    assert path.read_bytes() == before


async def test_damaged_and_missing_copies_are_refused(tmp_path):
    """Half a file, no file and no database at all are named, not believed."""
    path = tmp_path / "house.db"
    books = await Books.open(path)
    await books.person(10)
    await books.close()
    backup.back_up(path, tmp_path / "copy.db")
    with pytest.raises(backup.BackupRefused, match="exists"):
        backup.back_up(path, tmp_path / "copy.db")
    whole = (tmp_path / "copy.db").read_bytes()
    (tmp_path / "half.db").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.db").write_text("not a database, only text that is long enough to look at" * 100)
    for name in ("half.db", "text.db", "none.db"):
        with pytest.raises(backup.BackupRefused):
            backup.check(tmp_path / name)
    with pytest.raises(backup.BackupRefused):
        backup.back_up(tmp_path / "none.db", tmp_path / "other.db")


def test_keys_are_copied_for_their_owner_only(tmp_path):
    """The keys' copy holds every key, is readable by its owner only, and overwrites nothing."""
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "pepper").write_bytes(b"secret")
    target = tmp_path / "keys.tar"
    assert backup.copy_keys(keys, target) == 1
    assert target.stat().st_mode & 0o777 == 0o600
    with tarfile.open(target) as archive:
        assert archive.extractfile("keys/pepper").read() == b"secret"
    with pytest.raises(backup.BackupRefused):
        backup.copy_keys(keys, target)
