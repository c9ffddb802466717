"""One attempt at a time on one identifier, so that parallel guesses are counted one by one. Bounded as a whole."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from daemon.kernel.errors import Busy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

UNDER_WAY_MAX = 400
"""Attempts waiting or being checked, over all identifiers."""


class Turns:
    """Locks by key, made when needed and gone when nobody waits."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}
        self._under_way = 0

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Wait for one's turn on `key`.

        Raises:
            Busy: too many wait already.
        """
        if self._under_way >= UNDER_WAY_MAX:
            raise Busy("too many sign-ins at once", retry_after_s=1)
        self._under_way += 1
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            self._under_way -= 1
            lock, users = self._locks.pop(key)
            if users > 1:
                self._locks[key] = (lock, users - 1)

    def __len__(self) -> int:
        return len(self._locks)
