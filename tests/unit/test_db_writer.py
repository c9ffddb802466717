"""The writer's promises: all or nothing, idempotent, chained, and never undone by whoever waits for it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest

from daemon.db import chain
from daemon.db.database import QUEUE_UNITS_MAX, Database, DatabaseClosed
from daemon.db.lock import StateLocked
from daemon.db.readers import ReadTooLong
from daemon.db.unit import Unit, UnitRefused
from daemon.kernel.errors import Busy
from daemon.kernel.events import Event
from tests.helpers.books import HandClock

PUT = "INSERT INTO meta(key, value) VALUES(:key, :value)"


def put(name: str, value: str = "v", **identity: bytes) -> Unit:
    unit = Unit(**identity)
    unit.add(PUT, rows=1, refusal="taken", key=name, value=value)
    return unit


async def keys(db: Database) -> list[str]:
    return [row["key"] for row in await db.read("SELECT key FROM meta ORDER BY key")]


@pytest.fixture
async def db(tmp_path):
    opened = await Database.open(tmp_path / "house.db", clock=HandClock())
    yield opened
    await opened.close()


async def test_unit_of_several_statements_is_all_or_nothing(db):
    """One refused statement takes its whole unit back and names itself."""
    unit = put("a")
    unit.add("UPDATE meta SET value=:value WHERE key=:key", rows=1, refusal="stale", key="nobody", value="x")
    with pytest.raises(UnitRefused) as refused:
        await db.commit(unit)
    assert (refused.value.code, refused.value.data["statement"], refused.value.data["rows"]) == ("stale", 1, 0)
    assert await keys(db) == []


async def test_neighbours_of_a_refused_unit_stand(db):
    """Units committed together do not share their fate."""
    await db.commit(put("b"))
    results = await asyncio.gather(*(db.commit(put(name)) for name in "abc"), return_exceptions=True)
    assert [isinstance(result, UnitRefused) for result in results] == [False, True, False]
    assert await keys(db) == ["a", "b", "c"]


async def test_single_statement_that_changes_too_much_is_undone(db):
    """A unit without a savepoint that meets more rows than promised changes none, and its neighbours stand."""
    await asyncio.gather(db.commit(put("a")), db.commit(put("b")))
    wide = Unit()
    wide.add("UPDATE meta SET value='lost'", rows=1, refusal="too-wide")
    results = await asyncio.gather(db.commit(put("c")), db.commit(wide), db.commit(put("d")), return_exceptions=True)
    assert isinstance(results[1], UnitRefused)
    assert results[1].code == "too-wide"
    assert {row["value"] for row in await db.read("SELECT value FROM meta")} == {"v"}
    assert await keys(db) == ["a", "b", "c", "d"]


async def test_same_key_same_request_same_answer(db):
    """A repeated unit writes nothing and gives the first answer, also within one batch."""
    identity = {"key": b"k" * 16, "digest": b"d" * 8}
    units = [put("a", **identity), put("a", **identity), put("a", **identity)]
    for number, unit in enumerate(units):
        unit.answer = json.dumps({"number": number})
    outcomes = await asyncio.gather(*(db.commit(unit) for unit in units))
    assert [outcome.replayed for outcome in outcomes] == [False, True, True]
    assert {outcome.answer for outcome in outcomes} == {'{"number": 0}'}
    assert await db.replay(b"k" * 16, b"d" * 8) == '{"number": 0}'


async def test_same_key_other_request_is_a_conflict(db):
    """A key used for another request is refused by name and nothing is written."""
    await db.commit(put("a", key=b"k" * 16, digest=b"d" * 8))
    with pytest.raises(UnitRefused) as refused:
        await db.commit(put("b", key=b"k" * 16, digest=b"e" * 8))
    assert refused.value.code == "idempotency-conflict"
    with pytest.raises(UnitRefused):
        await db.replay(b"k" * 16, b"e" * 8)
    assert await keys(db) == ["a"]


async def test_refused_unit_leaves_its_key_unused(db):
    """A refusal is no answer to keep: the same request may succeed later."""
    await db.commit(put("a"))
    unit = put("a", key=b"k" * 16, digest=b"d" * 8)
    with pytest.raises(UnitRefused):
        await db.commit(unit)
    assert await db.replay(b"k" * 16, b"d" * 8) is None


async def test_answer_is_read_inside_the_write(db):
    """A replay repeats what was true when the unit was written, not what is true now."""
    unit = put("a", "first", key=b"k" * 16, digest=b"d" * 8)
    unit.answer_with("SELECT value FROM meta WHERE key='a'")
    assert json.loads((await db.commit(unit)).answer) == {"value": "first"}
    change = Unit()
    change.add("UPDATE meta SET value='second' WHERE key='a'", rows=1)
    await db.commit(change)
    assert json.loads((await db.commit(unit)).answer) == {"value": "first"}


async def test_cancelled_caller_does_not_cancel_the_write(db):
    """Whoever goes away while waiting leaves the write standing and the writer free."""
    task = asyncio.create_task(db.commit(put("a")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await db.commit(put("b"))
    assert await keys(db) == ["a", "b"]


async def test_broken_statement_fails_alone(db):
    """A bug in one unit raises there; the units beside it are written."""
    bad = Unit()
    bad.add("SELEC nothing")
    nameless = Unit()
    nameless.add(PUT, key="x")
    results = await asyncio.gather(*map(db.commit, (put("a"), bad, nameless, put("b"))), return_exceptions=True)
    assert isinstance(results[1], sqlite3.OperationalError)
    assert isinstance(results[2], sqlite3.ProgrammingError)
    assert await keys(db) == ["a", "b"]


async def test_queue_has_a_limit(db):
    """More waiting units than the named limit are answered Busy at once."""
    tasks = [asyncio.create_task(db.commit(put(f"{number:05}"))) for number in range(QUEUE_UNITS_MAX + 2)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results if isinstance(result, Exception)] == [Busy]
    assert len(await keys(db)) == QUEUE_UNITS_MAX + 1  # the first is not waiting, it is being written


async def test_close_writes_what_is_waiting(tmp_path):
    """Closing loses nothing that was accepted, and refuses what comes after."""
    db = await Database.open(tmp_path / "house.db", clock=HandClock())
    tasks = [asyncio.create_task(db.commit(put(f"{number}"))) for number in range(20)]
    await asyncio.sleep(0)
    await db.close()
    await asyncio.gather(*tasks)
    with pytest.raises(DatabaseClosed):
        await db.commit(put("late"))
    with closing(sqlite3.connect(tmp_path / "house.db")) as plain:
        assert plain.execute("SELECT count(*) FROM meta").fetchone() == (20,)


async def test_one_writer_per_file(tmp_path, db):
    """A second writer is refused with the holder's pid; a reader is welcome."""
    with pytest.raises(StateLocked) as locked:
        await Database.open(tmp_path / "house.db", clock=HandClock())
    assert locked.value.data["pid"].isdigit()
    reader = await Database.open_readonly(tmp_path / "house.db")
    await db.commit(put("a"))
    assert await keys(reader) == ["a"]
    with pytest.raises(DatabaseClosed):
        await reader.commit(put("b"))
    await reader.close()


async def test_readers_cannot_write_and_cannot_linger(db):
    """A reader has no way to write, and an endless read is given up at its limit."""
    with pytest.raises(sqlite3.OperationalError):
        await db.read("INSERT INTO meta(key, value) VALUES('x', 'y')")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(ReadTooLong):
        await db.read_all([(endless, {})], limit_s=0.1)
    assert await db.read("SELECT 1 AS one") == [{"one": 1}]


async def test_events_are_told_after_the_commit(db):
    """A watcher wakes when an event was written, and not before."""
    assert not await db.wait_event(0, timeout_s=0.02)
    waiter = asyncio.create_task(db.wait_event(0, timeout_s=5))
    await asyncio.sleep(0)
    unit = Unit()
    unit.event(Event("job.held", "j1"), 5)
    await db.commit(unit)
    assert await waiter
    assert [row["topic"] for row in await db.read("SELECT topic FROM event WHERE seq<=:seq", seq=db.event_seq)] == [
        "job.held"
    ]


async def test_audit_entries_are_chained(tmp_path):
    """Each audit entry covers the one before, across batches and restarts."""
    for actor in ("local:0", "user:1"):
        db = await Database.open(tmp_path / "house.db", clock=HandClock())
        for number in range(2):
            unit = Unit()
            unit.audit(actor=actor, action="user.added", subject=f"u{number}", detail={"b": 1, "a": "é"}, at_us=number)
            await db.commit(unit)
        rows = await db.read("SELECT * FROM audit ORDER BY id")
        await db.close()
    prev = chain.GENESIS
    for row in rows:
        assert row["prev"] == prev
        prev = chain.audit_hash(prev, (row["at_us"], row["actor"], row["action"], row["subject"], row["detail"]))
        assert row["hash"] == prev
    assert len(rows) == 4


def test_unit_needs_both_halves_of_its_identity():
    """A key without a digest could not tell a repetition from a conflict."""
    with pytest.raises(ValueError, match="digest"):
        Unit(key=b"k" * 16)
    with pytest.raises(ValueError, match="16 bytes"):
        Unit(key=b"k", digest=b"d" * 8)
