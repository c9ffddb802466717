"""Readers that type like a keyboard: badge readers, magnetic stripe and barcode readers, by evdev. I/O.

Each is taken for this program alone (EVIOCGRAB), so that no number reaches a console, a browser or another program.
The reading itself is in a thread of its own (`hid_thread`), the decoding pure (`keystrokes`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from daemon.devices.readers.hid_thread import HidThread, Standing
from daemon.devices.readers.keystrokes import IDLE_S, Outcome, Terminator
from daemon.devices.readers.reading import Hiccup, Missed, Read, ReaderState, ReaderStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from daemon.devices.readers.reading import ReaderEvent
    from daemon.kernel.clock import Clock

log = structlog.get_logger(__name__)

EVENTS_MAX = 16
"""Events nobody has looked at; then the oldest taps go, for a tap is not for later."""
CLOSE_S = 1.0
MS_PER_S = 1000
IDLE_MS_MIN, IDLE_MS_MAX = 50, 2000
"""Bounds of `idle_ms`: below, slow readers are torn apart; above, people think the tap was not seen."""


@dataclass(frozen=True, slots=True)
class EvdevOptions:
    """`[[readers]] kind = "evdev"`.

    `match`: the device's name (`*` and `?` allowed), its `vendor:product`, or a link (`/dev/input/by-id/...`).
    `layout`: us, de or fr, as the reader is set. `terminator`: enter, tab, or idle for readers that send none;
    a read then ends after `idle_ms` of silence. `feedback`: light or beep where the device can and may be written to.
    """

    name: str
    match: str
    layout: str = "us"
    terminator: str = Terminator.ENTER
    idle_ms: int = int(IDLE_S * MS_PER_S)
    feedback: bool = True


def open_evdev(options: EvdevOptions, clock: Clock) -> EvdevReader:
    """The reader; it touches nothing until `events` is asked. `clock` is the machine's own: keys carry its time."""
    return EvdevReader(options, clock)


class EvdevReader:
    """Every matching input device that types digits, behind one name."""

    kind = "evdev"

    def __init__(self, options: EvdevOptions, clock: Clock) -> None:
        self.name = options.name
        self._options, self._clock = options, clock
        self._events: asyncio.Queue[ReaderEvent | BaseException] = asyncio.Queue(EVENTS_MAX)
        self._thread: HidThread | None = None

    async def events(self) -> AsyncIterator[ReaderEvent]:
        """Everything, until cancelled; the first is the status. Then the devices are everybody's again."""
        try:
            self._start()
            while True:
                event = await self._events.get()
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            self._close()

    async def signal(self, *, is_good: bool) -> None:
        """One blink for good, three for bad."""
        if self._thread is not None and self._options.feedback:
            self._thread.signal(is_good=is_good)

    def _start(self) -> None:
        self._events = asyncio.Queue(EVENTS_MAX)
        try:
            import evdev  # noqa: F401  -- whether it is there, before a thread needs it
        except (ImportError, OSError) as error:
            log.warning("evdev.not_installed", reader=self.name, error=type(error).__name__)
            self._put(ReaderStatus(self.name, self.kind, ReaderState.REFUSED, "not-installed"))
            return
        options, loop = self._options, asyncio.get_running_loop()
        self._thread = HidThread(
            name=options.name, match=options.match, layout=options.layout, terminator=Terminator(options.terminator),
            idle_s=options.idle_ms / MS_PER_S, feedback=options.feedback, clock=self._clock,
            tell=partial(_post, loop, self._take),
        )  # fmt: skip
        self._thread.start()

    def _close(self) -> None:
        """The thread ends within milliseconds: it never waits for anything but select."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        thread.stop()
        thread.join(CLOSE_S)
        if thread.is_alive():
            log.warning("evdev.close_late", reader=self.name)

    def _take(self, told: Standing | Outcome | BaseException) -> None:
        """One word of the thread, in the loop."""
        if isinstance(told, Standing):
            self._put(ReaderStatus(self.name, self.kind, told.state, told.code, told.model))
        elif isinstance(told, Hiccup):
            self._put(Missed(self.name, told))
        elif isinstance(told, str):
            self._put(Read(self.name, told))
        else:
            self._put(told)

    def _put(self, event: ReaderEvent | BaseException) -> None:
        if self._events.full():
            waiting = [self._events.get_nowait() for _ in range(self._events.qsize())]
            taps = [at for at, one in enumerate(waiting) if not isinstance(one, ReaderStatus)]
            del waiting[taps[0] if taps else 0]
            for one in waiting:
                self._events.put_nowait(one)
        self._events.put_nowait(event)


def _post(loop: asyncio.AbstractEventLoop, take: Callable[[Any], None], told: Any) -> None:
    """From the thread into the loop; one that is closed wants nothing any more."""
    try:
        loop.call_soon_threadsafe(take, told)
    except RuntimeError:
        return
