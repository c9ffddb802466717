"""All readers of this terminal behind one ear: it survives every one of them and hears each tap once. I/O (tasks).

A reader that fails is started again after a while and shown as away meanwhile; the others never notice. The same card
on the same reader within its quiet time is one tap, however often the reader repeats it: people rest badges on readers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from daemon.devices.readers.reading import (
    DEBOUNCE_S,
    RAW_CHARS_MAX,
    Debounce,
    Hiccup,
    Missed,
    Read,
    ReaderState,
    ReaderStatus,
    is_plausible,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from daemon.devices.readers.reading import Reader, ReaderEvent
    from daemon.kernel.clock import Clock

log = structlog.get_logger(__name__)

AGAIN_S, AGAIN_MAX_S = 1.0, 30.0
"""A reader whose program failed is started again after this, doubling."""
SIGNAL_S = 1.5
"""A beep that takes longer is given up."""
SIGNALS_MAX = 4


@dataclass(slots=True)
class Counts:
    """What came from one reader since the start: for whoever looks into its log."""

    read: int = 0
    repeated: int = 0
    missed: int = 0
    implausible: int = 0


class Hub:
    """Runs `readers`; `run` owns their tasks. `quiet_s` by reader's name overrides `DEBOUNCE_S`."""

    def __init__(self, readers: Sequence[Reader], *, clock: Clock, quiet_s: Mapping[str, float] | None = None) -> None:
        self._readers = {reader.name: reader for reader in readers}
        self._clock = clock
        quiet = quiet_s or {}
        self._debounces = {name: Debounce(quiet_s=quiet.get(name, DEBOUNCE_S)) for name in self._readers}
        self._statuses = {
            reader.name: ReaderStatus(reader.name, reader.kind, ReaderState.AWAY, "starting") for reader in readers
        }
        self.counts = {name: Counts() for name in self._readers}
        self._signals: set[asyncio.Task[None]] = set()

    @property
    def statuses(self) -> tuple[ReaderStatus, ...]:
        """Every reader as it is now, in the order of the configuration."""
        return tuple(self._statuses.values())

    async def run(self, tell: Callable[[ReaderEvent], None]) -> None:
        """Give every fresh event to `tell`, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for reader in self._readers.values():
                    group.create_task(self._follow(reader, tell), name=f"reader-{reader.name}")
        finally:
            for task in self._signals:
                task.cancel()

    def signal(self, name: str, *, is_good: bool) -> None:
        """Let the reader beep or light, without waiting for it; what it shows is also on the screen."""
        reader = self._readers.get(name)
        if reader is None or len(self._signals) >= SIGNALS_MAX:
            return
        task = asyncio.create_task(self._signal(reader, is_good=is_good), name=f"signal-{name}")
        self._signals.add(task)
        task.add_done_callback(self._signals.discard)

    async def _signal(self, reader: Reader, *, is_good: bool) -> None:
        try:
            await asyncio.wait_for(reader.signal(is_good=is_good), SIGNAL_S)
        except Exception as error:
            log.info("reader.silent", reader=reader.name, error=type(error).__name__)

    async def _follow(self, reader: Reader, tell: Callable[[ReaderEvent], None]) -> None:
        wait_s = AGAIN_S
        while True:
            began_s = self._clock.monotonic_s()
            problem = "ended"
            try:
                async for event in reader.events():
                    self._take(reader, event, tell)
            except Exception as error:  # one reader's fault must not silence the others
                problem = type(error).__name__
            if self._clock.monotonic_s() - began_s > AGAIN_MAX_S:
                wait_s = AGAIN_S
            log.error("reader.failed", reader=reader.name, kind=reader.kind, error=problem)
            self._note(ReaderStatus(reader.name, reader.kind, ReaderState.AWAY, "failed"), tell)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, AGAIN_MAX_S)

    def _take(self, reader: Reader, event: ReaderEvent, tell: Callable[[ReaderEvent], None]) -> None:
        if isinstance(event, ReaderStatus):
            self._note(event, tell)
        elif isinstance(event, Missed):
            self.counts[reader.name].missed += 1
            log.info("card.not-read", reader=event.reader, code=event.why.value)
            tell(event)
        else:
            self._read(reader.name, event, tell)

    def _read(self, name: str, read: Read, tell: Callable[[ReaderEvent], None]) -> None:
        counts = self.counts[name]
        if not is_plausible(read.raw):
            counts.implausible += 1
            is_long = len(read.raw) > RAW_CHARS_MAX
            log.warning("card.implausible", reader=read.reader, characters=len(read.raw))
            tell(Missed(read.reader, Hiccup.TOO_LONG if is_long else Hiccup.TORN))
        elif self._debounces[name].is_new(read, self._clock.monotonic_s()):
            counts.read += 1
            tell(read)
        else:
            counts.repeated += 1

    def _note(self, status: ReaderStatus, tell: Callable[[ReaderEvent], None]) -> None:
        if self._statuses.get(status.reader) == status:
            return
        self._statuses[status.reader] = status
        level = log.info if status.state is ReaderState.READY else log.warning
        level("reader.changed", reader=status.reader, kind=status.kind, state=status.state.value, code=status.code)
        tell(status)
