"""A disk that is full, fails or lies: nothing acknowledged is lost, and the process does not go on guessing."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from daemon.db.ballast import Ballast
from daemon.db.database import FATAL_EXIT, BatchResult, Database
from daemon.db.unit import Unit
from daemon.kernel.errors import StorageFull
from daemon.system import SystemClock
from tests.helpers.books import HandClock

ROOT = Path(__file__).parents[2]
DISK_BYTES = 8 * 1024 * 1024
VALUE = "x" * 20_000


def put(name: str, value: str = VALUE, *, essential: bool = False) -> Unit:
    unit = Unit(essential=essential)
    unit.add("INSERT INTO meta(key, value) VALUES(:key, :value)", rows=1, key=name, value=value)
    return unit


@contextlib.contextmanager
def small_disk(folder: Path):
    """A file system of 8 MB where we may mount one, else None (then the page limit plays the full disk)."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def fill(db: Database) -> list[str]:
    """Write until refused; the names that were acknowledged."""
    done = []
    for number in range(2000):
        try:
            await db.commit(put(f"{number:05}"))
        except StorageFull:
            return done
        done.append(f"{number:05}")
    raise AssertionError("the disk never filled")


async def test_full_disk_refuses_keeps_and_recovers(tmp_path):
    """Full: new work is refused and told so, settlements use the reserve, all is kept, and space brings it back."""
    folder = tmp_path / "disk"
    folder.mkdir()
    clock = HandClock()
    with small_disk(folder) as mounted:
        db = await Database.open(folder / "house.db", clock=clock)
        junk = folder / "junk"
        if mounted is None:
            await db._connection.execute_fetchall("PRAGMA max_page_count=400")
        else:
            junk.write_bytes(bytes(2 * 1024 * 1024))
        done = await fill(db)
        assert done
        assert db.is_storage_full
        if mounted is not None:
            await db.commit(put("settled", essential=True))
            done.append("settled")
            assert not Ballast(folder / "house.db.ballast").is_held
        with pytest.raises(StorageFull):
            await db.commit(put("more"))
        clock.at_us += 2_000_000
        if mounted is None:
            await db._connection.execute_fetchall("PRAGMA max_page_count=100000")
        else:
            with pytest.raises(StorageFull):
                await db.commit(put("still full"))
            junk.unlink()
        clock.at_us += 2_000_000
        await db.commit(put("again"))
        assert not db.is_storage_full
        have = {row["key"] for row in await db.read("SELECT key FROM meta")}
        assert have == {*done, "again"}
        await db.close()
        with closing(sqlite3.connect(folder / "house.db")) as plain:
            assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_room_is_found_without_anybody_asking(tmp_path, monkeypatch):
    """Whoever is refused before writing still learns when there is room again."""
    monkeypatch.setattr("daemon.db.database.BALLAST_RETRY_S", 0.01)
    db = await Database.open(tmp_path / "house.db", clock=SystemClock())
    db._is_full = True
    db._watch_room()
    async with asyncio.timeout(5):
        while db.is_storage_full:
            await asyncio.sleep(0.01)
    await db.close()


async def test_neighbours_in_a_full_batch(tmp_path, monkeypatch):
    """When a batch meets a full disk, only its essential units are written; nobody hangs."""
    db = await Database.open(tmp_path / "house.db", clock=HandClock())
    await asyncio.gather(*(db.commit(put(name)) for name in "xyz"))  # busy: what follows is written together
    apply, calls = db._apply, []

    async def full_once(units) -> BatchResult:
        calls.append(len(units))
        if len(calls) == 1:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return await apply(units)

    monkeypatch.setattr(db, "_apply", full_once)
    units = [put("a"), put("b", essential=True), put("c")]
    results = await asyncio.gather(*map(db.commit, units), return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["StorageFull", "Outcome", "StorageFull"]
    assert calls == [3, 1]
    await db.close()


DAMAGED = """
import asyncio, sys
from pathlib import Path
from daemon.db.database import Database
from daemon.db.unit import Unit
from daemon.system import SystemClock

async def main():
    path = Path(sys.argv[1])
    db = await Database.open(path, clock=SystemClock())
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\\xff" * (path.stat().st_size - 4096))
    for number in range(2000):
        unit = Unit()
        unit.add("INSERT INTO meta(key, value) VALUES(:key, 'v')", key=str(number))
        await db.commit(unit)

asyncio.run(main())
"""


def test_damage_ends_the_process(tmp_path):
    """A damaged file ends the daemon at once with its own exit code, rather than writing on."""
    done = subprocess.run(
        [sys.executable, "-c", DAMAGED, str(tmp_path / "house.db")],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == FATAL_EXIT, done.stderr.decode()


async def test_failed_sync_is_fatal(tmp_path, monkeypatch):
    """After a failed write to disk nothing is answered and nothing is tried again: the outcome is unknown."""
    died = []

    class Dead(Exception):
        pass

    def die(error):
        died.append(error.sqlite_errorname)
        raise Dead

    db = await Database.open(tmp_path / "house.db", clock=HandClock(), on_fatal=die)

    async def fail(_units):
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC"
        raise error

    monkeypatch.setattr(db, "_apply", fail)
    unit = put("a")
    with pytest.raises(Dead):
        await db.commit(unit)
    assert died == ["SQLITE_IOERR_FSYNC"]
    await db.close()


async def test_failed_sync_is_not_forgotten_with_its_caller(tmp_path):
    """The caller of the failed write may be gone: whoever writes next meets the failure, not a fresh start."""
    died = []
    db = await Database.open(tmp_path / "house.db", clock=HandClock(), on_fatal=lambda error: died.append(str(error)))
    connection = db._connection._conn
    run = connection._run

    def fail(sql, *rest):
        if sql == "COMMIT":
            connection._run = run
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error
        return run(sql, *rest)

    connection._run = fail
    task = asyncio.create_task(db.commit(put("a")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(sqlite3.OperationalError):
        await db.commit(put("b"))
    assert died == ["disk I/O error"]
    assert await db.read("SELECT key FROM meta") == []
    await db.close()
