"""A card reader without hardware: taps and troubles come from a keyboard, a test or the demo. I/O."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.devices.readers.reading import Hiccup, Missed, Read, ReaderState, ReaderStatus, is_plausible

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from daemon.devices.readers.reading import ReaderEvent
    from daemon.kernel.clock import Clock

TAPS_WAITING_MAX = 4
"""Taps nobody has looked at yet; more are dropped, as a real reader does."""
SIGNALS_KEPT_MAX = 16


@dataclass(frozen=True, slots=True)
class SimulatedOptions:
    """`[[readers]] kind = "simulated"`."""

    name: str = "simulated"


def open_simulated(options: SimulatedOptions, clock: Clock) -> SimulatedReader:
    """The reader; it needs no clock, for nothing in it takes time."""
    del clock
    return SimulatedReader(options.name)


class SimulatedReader:
    """Behaves as a reader does: its status first, then one event after the other; nonsense never gets out."""

    kind = "simulated"

    def __init__(self, name: str = "simulated") -> None:
        self.name = name
        self.signals: list[bool] = []
        """The beeps asked for, the newest last."""
        self._events: asyncio.Queue[ReaderEvent] = asyncio.Queue(TAPS_WAITING_MAX)
        self._status = ReaderStatus(name, self.kind, ReaderState.READY, model="Simulated reader")
        self._is_failing = False

    def tap(self, raw: str, *, reader: str = "") -> bool:
        """Hold a card against the reader; False when the read is implausible, too many wait, or it is unplugged."""
        return is_plausible(raw) and self._put(Read(reader or self.name, raw))

    def miss(self, why: Hiccup) -> bool:
        """A tap that gives no read."""
        return self._put(Missed(self.name, why))

    def plug(self, *, is_in: bool) -> bool:
        """Pull the plug, or put it back."""
        state = ReaderState.READY if is_in else ReaderState.AWAY
        self._status = ReaderStatus(self.name, self.kind, state, "" if is_in else "unplugged", self._status.model)
        return self._put(self._status, is_word=True)

    def fail(self) -> None:
        """End with an error at the next event, as a driver might."""
        self._is_failing = True

    async def events(self) -> AsyncIterator[ReaderEvent]:
        """Everything, until cancelled; the first is the status."""
        yield self._status
        while True:
            event = await self._events.get()
            if self._is_failing:
                self._is_failing = False
                raise OSError("simulated")
            yield event

    async def signal(self, *, is_good: bool) -> None:
        """Remembered, for whoever listens."""
        self.signals = [*self.signals, is_good][-SIGNALS_KEPT_MAX:]

    def _put(self, event: ReaderEvent, *, is_word: bool = False) -> bool:
        if self._events.full() or (self._status.state is not ReaderState.READY and not is_word):
            return False
        self._events.put_nowait(event)
        return True
