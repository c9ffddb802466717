"""The event feed: nothing missed, nothing twice, nothing kept for those who do not listen."""

import asyncio
import time

import pytest

from daemon.db.database import Database
from daemon.db.unit import Unit
from daemon.kernel.errors import Busy
from daemon.kernel.events import Event
from daemon.notices import feed as feed_module
from daemon.notices.event_store import EventStore
from daemon.notices.feed import EventFeed, FeedClosed
from daemon.system import SystemClock


@pytest.fixture
async def db(tmp_path):
    opened = await Database.open(tmp_path / "house.db", clock=SystemClock())
    yield opened
    await opened.close()


@pytest.fixture
async def feed(db):
    made = EventFeed(EventStore(db))
    await made.start()
    yield made
    await made.close()


async def _happen(db, *subjects):
    unit = Unit()
    for subject in subjects:
        unit.event(Event("job.held", subject, 1), 1)
    await db.commit(unit)


async def _taken(watch, wanted, timeout_s=3.0):
    seen = []
    async with asyncio.timeout(timeout_s):
        while len(seen) < wanted:
            events, _ = await watch.take(timeout_s)
            seen += [event.subject for event in events]
    return seen


async def test_watchers_see_what_happens_from_now_on(db, feed):
    """Two watchers, each event once and in order, none from before, well within 100 ms of the commit."""
    await _happen(db, "before")
    async with feed.watch() as one, feed.watch() as two:
        began = time.perf_counter()
        await _happen(db, "a", "b")
        assert await _taken(one, 2) == ["a", "b"]
        assert time.perf_counter() - began < 0.1
        assert await _taken(two, 2) == ["a", "b"]
        assert await one.take(0.05) == ([], False)


async def test_a_watch_resumes_where_it_broke_off(db, feed):
    """With the number of the last event seen, everything since comes first, then what is new; nothing twice."""
    await _happen(db, "a", "b", "c")
    async with feed.watch() as first:
        seq = first.seq
    await _happen(db, "d", "e")
    async with feed.watch(seq - 1) as again:
        await _happen(db, "f")
        assert await _taken(again, 4) == ["c", "d", "e", "f"]
    async with feed.watch(10**12) as ahead:
        await _happen(db, "g")
        assert await _taken(ahead, 1) == ["g"]


async def test_joining_while_things_happen_misses_nothing(db, feed):
    """Events committed during the catching up are seen exactly once."""
    await _happen(db, *[f"old{n}" for n in range(600)])

    async def busy():
        for n in range(60):
            await _happen(db, f"new{n}")

    work = asyncio.create_task(busy())
    async with feed.watch(0) as watch, feed.watch(300) as later:
        await work
        subjects = await _taken(watch, 660)
        assert len(subjects) == len(set(subjects)) == 660
        subjects = await _taken(later, 360)
        assert len(subjects) == len(set(subjects)) == 360


async def test_who_does_not_keep_up_starts_afresh(db, feed, monkeypatch):
    """A watcher with too much unread is told so, holds nothing, and sees what comes after."""
    monkeypatch.setattr(feed_module, "WAITING_MAX", 10)
    async with feed.watch() as watch:
        await _happen(db, *[f"x{n}" for n in range(30)])
        async with asyncio.timeout(3):
            while True:
                events, lost = await watch.take(1)
                if lost:
                    break
        assert events == []
        await _happen(db, "after")
        assert await _taken(watch, 1) == ["after"]


async def test_too_far_behind_is_a_fresh_start(db, feed, monkeypatch):
    """A Last-Event-ID from long ago is not replayed for hours."""
    monkeypatch.setattr(feed_module, "REPLAY_MAX", 5)
    await _happen(db, *[f"x{n}" for n in range(20)])
    async with feed.watch(1) as watch:
        assert await watch.take(1) == ([], True)
        await _happen(db, "after")
        assert await _taken(watch, 1) == ["after"]


async def test_another_process_is_seen_by_looking(db, feed, monkeypatch):
    """Without the hint of our own writer an event is found at the next look."""
    monkeypatch.setattr(feed_module, "POLL_S", 0.1)
    async with feed.watch() as watch:
        await _happen(db, "warm")
        await _taken(watch, 1)
        import sqlite3

        def elsewhere():
            connection = sqlite3.connect(db.path)
            with connection:
                connection.execute("INSERT INTO event(topic, subject, at_us) VALUES('job.held', 'elsewhere', 1)")
            connection.close()

        await asyncio.to_thread(elsewhere)
        assert await _taken(watch, 1) == ["elsewhere"]


async def test_stopping_ends_every_watch(db):
    """`close` wakes who waits; too many watchers are refused."""
    made = EventFeed(EventStore(db))
    await made.start()
    async with made.watch() as watch:
        waiting = asyncio.create_task(watch.take(30))
        await asyncio.sleep(0.05)
        await made.close()
        with pytest.raises(FeedClosed):
            await waiting


async def test_watchers_are_counted(db, feed, monkeypatch):
    """Beyond the limit a stream is refused for now."""
    monkeypatch.setattr(feed_module, "WATCHERS_MAX", 1)
    async with feed.watch():
        with pytest.raises(Busy):
            async with feed.watch():
                pass
