"""A card reader without hardware: taps come from a keyboard, a test or the demo. I/O."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.devices.readers.reading import Read, is_plausible

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TAPS_WAITING_MAX = 4
"""Taps nobody has looked at yet; more are dropped, as a real reader does."""


class SimulatedReader:
    """Behaves as a reader does: reads come one after the other, nonsense never gets out."""

    kind = "simulated"

    def __init__(self) -> None:
        self._taps: asyncio.Queue[Read] = asyncio.Queue(TAPS_WAITING_MAX)

    def tap(self, raw: str, *, reader: str = "") -> bool:
        """Hold a card against the reader; False when the read is implausible or too many are waiting."""
        if not is_plausible(raw) or self._taps.full():
            return False
        self._taps.put_nowait(Read(reader or self.kind, raw))
        return True

    async def reads(self) -> AsyncIterator[Read]:
        """Every read, until cancelled."""
        while True:
            yield await self._taps.get()
