"""The event feed: one reader of the event table for any number of watchers.

A commit in this process wakes the reader at once; whatever another process wrote is seen within a second. While
nobody watches, nothing is read. A watcher that does not keep up is told so and starts afresh instead of filling memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from daemon.kernel.errors import Busy, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from daemon.notices.event_store import EventStore, Happened

log = structlog.get_logger(__name__)

POLL_S = 1.0
"""Other processes' events are seen this late at most."""
RETRY_S = 0.5
WATCHERS_MAX = 1000
WAITING_MAX = 1000
"""Events one watcher may leave unread."""
REPLAY_MAX = 2000
"""A watcher further behind than this starts afresh."""


class FeedClosed(Unavailable):
    """The daemon is stopping."""

    code = "feed-closed"


class Watch:
    """One watcher's events."""

    def __init__(self, after: int) -> None:
        self.seq = after
        self._newest = after
        self._events: deque[Happened] = deque()
        self._ready = asyncio.Event()
        self._is_lost = False
        self._is_closed = False

    def put(self, events: list[Happened]) -> None:
        """Take events in; too many unread ones are dropped and the watcher told."""
        news = [event for event in events if event.seq > self._newest]
        if not news:
            return
        self._newest = news[-1].seq
        if len(self._events) + len(news) > WAITING_MAX:
            self.lose(self._newest)
        else:
            self._events.extend(news)
            self._ready.set()

    def lose(self, seq: int) -> None:
        """Start afresh behind `seq`."""
        self._events.clear()
        self._is_lost, self.seq, self._newest = True, seq, seq
        self._ready.set()

    def close(self) -> None:
        """End."""
        self._is_closed = True
        self._ready.set()

    async def take(self, timeout_s: float) -> tuple[list[Happened], bool]:
        """Events since the last call, and whether some were lost; nothing at the timeout.

        Raises:
            FeedClosed: the daemon is stopping.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError:
            return [], False
        if self._is_closed:
            raise FeedClosed
        self._ready.clear()
        events, lost = list(self._events), self._is_lost
        self._events.clear()
        self._is_lost = False
        if events:
            self.seq = events[-1].seq
        return events, lost


class EventFeed:
    """Owns the reading task; `start` before watching, `close` ends every watcher."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._watches: set[Watch] = set()
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._seq = 0

    async def start(self) -> None:
        """Begin behind what has happened so far."""
        self._seq = await self._store.last()
        self._task = asyncio.create_task(self._read_forever(), name="event-feed")

    async def close(self) -> None:
        """End the reader and every watcher."""
        for watch in self._watches:
            watch.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def newest(self) -> int:
        """The number of the last event: watching from behind it misses nothing that happens from now on."""
        return await self._store.last()

    @asynccontextmanager
    async def watch(self, after: int | None = None) -> AsyncIterator[Watch]:
        """Watch from now on, or from behind `after` (a Last-Event-ID) where that is not too long ago.

        Raises:
            Busy: too many are watching.
        """
        if len(self._watches) >= WATCHERS_MAX:
            raise Busy("too many event streams", retry_after_s=5)
        newest = await self._store.last()
        start = min(newest if after is None else max(after, 0), newest)
        watch = Watch(start)
        if newest - start > REPLAY_MAX:
            watch.lose(newest)
        await self._join(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    async def _join(self, watch: Watch) -> None:
        """Catch up to the reader's own place, then be served by it: nothing twice, nothing missed."""
        seq = watch.seq
        while True:
            events = await self._store.after(seq)
            if events:
                watch.put(events)
                seq = events[-1].seq
            if not self._watches:
                self._seq = max(self._seq, seq)
            if not events and seq >= self._seq:
                break
        self._watches.add(watch)
        self._wanted.set()

    async def _read_forever(self) -> None:
        while True:
            if not self._watches:
                self._wanted.clear()
                await self._wanted.wait()
            try:
                await self._store.wait(self._seq, timeout_s=POLL_S)
                events = await self._store.after(self._seq)
            except Unavailable as problem:
                log.warning("feed.unavailable", code=problem.code)
                await asyncio.sleep(RETRY_S)
                continue
            if not events:
                continue
            self._seq = events[-1].seq
            for watch in self._watches:
                watch.put(events)
