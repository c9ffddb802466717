"""Cards on PC/SC readers, by pyscard: contactless ones by their number. I/O.

Three kinds of thread, so that nothing a reader does stops the event loop: the monitor's (`pcsc_monitor`), one per card
being asked (`pcsc_calls`, at most `READS_MAX`), one while something beeps. All decisions are made here, in the loop.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import structlog

from daemon.devices.readers import pcsc_calls
from daemon.devices.readers.apdu import Number, feedback_for
from daemon.devices.readers.pcsc_calls import Code, Failed, Outcome
from daemon.devices.readers.pcsc_monitor import Down, Monitor, Told, Up
from daemon.devices.readers.pcsc_states import Change, Seen, is_match, model_of
from daemon.devices.readers.reading import Hiccup, Missed, Read, ReaderState, ReaderStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from daemon.devices.readers.reading import ReaderEvent
    from daemon.kernel.clock import Clock

log = structlog.get_logger(__name__)

READS_MAX = 6
"""Cards asked at the same time, over all readers behind one name."""
ANSWER_S = 3.0
"""When the person is told to hold the card longer although the reader still hangs."""
AGAIN_S = 0.5
"""A card that did not speak but still lies there is asked again after this; doubled each time, `AGAIN_MAX` times.
Drivers that look every 0.4 s do not notice a card lifted and laid down again at once."""
AGAIN_MAX = 4
FIRST_STATUS_S = 1.0
"""The first status is told after this at the latest."""
EVENTS_MAX = 16
"""Events nobody has looked at; then the oldest go, for a tap is not for later."""
SIGNAL_S = 0.9
CLOSE_S = 1.0
_NUMBERS = count()
_AT_WORK: list[PcscReader] = []
"""Readers whose events are being told. A device that several fit belongs to the one opened first."""


@dataclass(frozen=True, slots=True)
class PcscOptions:
    """`[[readers]] kind = "pcsc"`: `match` fits the reader's name (`*` and `?`; names carry the USB port)."""

    name: str
    match: str = "*"
    feedback: bool = True


@dataclass(slots=True)
class _Slot:
    """One device: which card lies there (`visit` rises with each) and which is being asked."""

    visit: int = 0
    has_card: bool = False
    atr: bytes = b""
    reading: int = 0
    given_up: int = 0
    again: int = 0
    timer: asyncio.TimerHandle | None = None

    def set_timer(self, timer: asyncio.TimerHandle | None) -> None:
        """One timer at a time: for an answer that does not come, or to ask again."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = timer


def open_pcsc(options: PcscOptions, clock: Clock) -> PcscReader:
    """The reader; it touches nothing until `events` is asked."""
    return PcscReader(options, clock)


class PcscReader:
    """Every matching PC/SC reader of this machine behind one name."""

    kind = "pcsc"

    def __init__(self, options: PcscOptions, clock: Clock) -> None:
        self.name = options.name
        self.number = next(_NUMBERS)
        self.options, self._clock = options, clock
        self._events: asyncio.Queue[ReaderEvent] = asyncio.Queue(EVENTS_MAX)
        self._slots: dict[str, _Slot] = {}
        self._status = ReaderStatus(self.name, self.kind, ReaderState.AWAY, "service-down")
        self._has_status = asyncio.Event()
        self._stopping = threading.Event()
        self._monitor: Monitor | None = None
        self._use = 0
        self._scard: Any = None
        self._last_device = ""
        self._is_signalling = False

    async def events(self) -> AsyncIterator[ReaderEvent]:
        """Everything, until cancelled; the first is the status. Then every thread is told to end."""
        try:
            self._start()
            try:
                # Not `wait_for`: in Python 3.11 it swallows a cancellation that meets the result.
                async with asyncio.timeout(FIRST_STATUS_S):
                    await self._has_status.wait()
            except TimeoutError:
                self._put(self._status)
            while True:
                yield await self._events.get()
        finally:
            await self.close()

    async def signal(self, *, is_good: bool) -> None:
        """Beep and light on the reader tapped last, where its make is known to."""
        feedback = feedback_for(self._last_device) if self.options.feedback else None
        if feedback is None or self._scard is None or self._is_signalling:
            return
        self._is_signalling = True
        done = asyncio.get_running_loop().create_future()
        send = partial(pcsc_calls.give_feedback, self._scard, self._last_device, feedback, is_good=is_good)
        self._in_thread("pcsc-signal", send, partial(self._signalled, done))
        await asyncio.wait({done}, timeout=SIGNAL_S)

    async def close(self) -> None:
        """End the threads; waits `CLOSE_S` at most for one that hangs in pcscd."""
        self._stopping.set()
        if self in _AT_WORK:
            _AT_WORK.remove(self)
        for slot in self._slots.values():
            slot.set_timer(None)
        monitor, self._monitor = self._monitor, None
        if monitor is None:
            return
        done = asyncio.get_running_loop().create_future()
        self._in_thread("pcsc-close", partial(monitor.stop, CLOSE_S), partial(_settle, done))
        await asyncio.wait({done}, timeout=CLOSE_S)
        if not done.done() or not done.result():
            log.warning("pcsc.close_late", reader=self.name)

    def _start(self) -> None:
        """Begin anew, whatever an earlier use left behind."""
        self._use += 1
        self._events = asyncio.Queue(EVENTS_MAX)
        self._slots, self._last_device = {}, ""
        self._has_status, self._stopping = asyncio.Event(), threading.Event()
        try:
            self._scard = pcsc_calls.load()
        except (ImportError, OSError) as error:
            log.warning("pcsc.not_installed", reader=self.name, error=type(error).__name__)
            self._tell_status(ReaderState.REFUSED, "not-installed")
            return
        loop = asyncio.get_running_loop()
        _AT_WORK.append(self)
        tell = partial(_post, loop, partial(self._take, self._use))
        self._monitor = Monitor(self._scard, tell=tell, is_wanted=self._is_wanted)
        self._monitor.start()

    def _is_wanted(self, device: str) -> bool:
        """Whether a device is ours; asked in the monitor's thread."""
        fitting = [reader for reader in tuple(_AT_WORK) if is_match(reader.options.match, device)]
        return min(fitting, key=lambda reader: reader.number, default=None) is self

    def _take(self, use: int, told: Told) -> None:
        """One word of the monitor, in the loop; that of an earlier use is late and counts no more."""
        if use != self._use or self._stopping.is_set():
            return
        if isinstance(told, Up):
            for gone in self._slots.keys() - set(told.devices):
                self._forget(gone)
            if told.devices:
                models = dict.fromkeys(model_of(device) for device in told.devices)
                self._tell_status(ReaderState.READY, "", ", ".join(models))
            else:
                self._tell_status(ReaderState.AWAY, "unplugged")
        elif isinstance(told, Down):
            for device in list(self._slots):
                self._forget(device)
            if told.code == Code.SECURITY_VIOLATION:
                self._tell_status(ReaderState.REFUSED, "no-permission")
            else:
                self._tell_status(ReaderState.AWAY, "service-down")
        else:
            self._take_change(told)

    def _take_change(self, told: Change) -> None:
        slot = self._slots.setdefault(told.device, _Slot())
        slot.visit, slot.again = slot.visit + 1, 0
        slot.has_card, slot.atr = told.seen is Seen.INSERTED, told.atr
        if told.seen in (Seen.MUTE, Seen.TOO_SHORT):
            self._miss(Hiccup.MUTE)
        elif slot.has_card:
            self._ask(told.device, slot)

    def _ask(self, device: str, slot: _Slot) -> None:
        """Ask the card for its number, unless this device is still busy with the one before."""
        if slot.reading or not slot.has_card or self._slots.get(device) is not slot:
            return
        if sum(bool(other.reading) for other in self._slots.values()) >= READS_MAX:
            self._miss(Hiccup.BUSY)
            return
        slot.reading = slot.visit
        if not slot.again:
            slot.set_timer(asyncio.get_running_loop().call_later(ANSWER_S, self._give_up, slot, slot.visit))
        read = partial(pcsc_calls.read_number, self._scard, device, slot.atr, clock=self._clock, stop=self._stopping)
        self._in_thread("pcsc-read", read, partial(self._answered, device, slot))

    def _give_up(self, slot: _Slot, visit: int) -> None:
        slot.given_up = visit
        self._miss(Hiccup.MUTE)

    def _answered(self, device: str, slot: _Slot, outcome: Outcome | None) -> None:
        """A card's answer; None when its thread failed."""
        visit, slot.reading = slot.reading, 0
        slot.set_timer(None)
        if self._slots.get(device) is not slot:
            return  # the reader has gone, its status is told
        if slot.has_card and slot.visit != visit:
            self._ask(device, slot)  # another card was laid on meanwhile
        is_told, is_there = bool(slot.again) or slot.given_up == visit, slot.has_card and slot.visit == visit
        if isinstance(outcome, Number):
            # A number that came so late that its owner was told "again", and has left, is nobody's.
            if is_there or slot.given_up != visit:
                self._last_device = device
                self._tell_status(ReaderState.READY, "", self._status.model)  # if cards were refused, they are not now
                self._put(Read(self.name, outcome.raw))
            return
        if isinstance(outcome, Failed):
            log.info("pcsc.read_failed", reader=self.name, code=f"{outcome.code:#010x}")
            if outcome.code == Code.SECURITY_VIOLATION:
                self._tell_status(ReaderState.REFUSED, "no-permission", self._status.model)
            return
        if is_there or not slot.has_card:
            self._last_device = device
            if not is_told:
                self._miss(outcome or Hiccup.MUTE)
        if is_there and outcome in (None, Hiccup.MUTE) and slot.again < AGAIN_MAX:
            loop = asyncio.get_running_loop()
            slot.set_timer(loop.call_later(AGAIN_S * 2**slot.again, self._ask, device, slot))
            slot.again += 1

    def _forget(self, device: str) -> None:
        self._slots.pop(device).set_timer(None)

    def _miss(self, why: Hiccup) -> None:
        self._put(Missed(self.name, why))

    def _tell_status(self, state: ReaderState, code: str, model: str = "") -> None:
        status = ReaderStatus(self.name, self.kind, state, code, model)
        if self._has_status.is_set() and status == self._status:
            return
        self._status = status
        self._has_status.set()
        self._put(status)

    def _put(self, event: ReaderEvent) -> None:
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(event)

    def _signalled(self, done: asyncio.Future[Any], _: object) -> None:
        self._is_signalling = False
        _settle(done, None)

    def _in_thread(self, name: str, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Do `work` in a thread of its own and `then` in the loop, with None when it failed.

        Daemon threads instead of an executor: an executor waits at exit for a call that hangs in pcscd.
        """
        loop = asyncio.get_running_loop()

        def run() -> None:
            result = None
            try:
                result = work()
            except Exception as error:
                log.exception("pcsc.call_failed", reader=self.name, error=type(error).__name__)
            _post(loop, then, result)

        threading.Thread(target=run, name=name, daemon=True).start()


def _settle(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _post(loop: asyncio.AbstractEventLoop, handle: Callable[[Any], None], what: Any) -> None:
    """Hand on to the loop; a loop that is closed wants nothing any more."""
    try:
        loop.call_soon_threadsafe(handle, what)
    except RuntimeError:
        return
