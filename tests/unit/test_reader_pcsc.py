"""What PC/SC does that no virtual reader can be made to do: no permission, no binding, errors out of the blue.

The stand-in keeps to the binding's ways: calls give result codes, a wait blocks until it is cancelled.
"""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from daemon.devices.readers import pcsc_monitor
from daemon.devices.readers.pcsc import PcscOptions, PcscReader, open_pcsc
from daemon.devices.readers.pcsc_calls import Code
from daemon.devices.readers.pcsc_states import PNP, PRESENT
from daemon.devices.readers.reading import Read, ReaderState, ReaderStatus
from daemon.system import SystemClock

READER = "ACS ACR122U PICC Interface (1-1.4) 00 00"
WAIT_S = 5.0


class Scard:
    """`smartcard.scard` with a service that refuses; `entry` and `connect` are what it answers."""

    SCARD_SCOPE_SYSTEM = 2
    SCARD_SHARE_SHARED, SCARD_SHARE_DIRECT = 2, 3
    SCARD_PROTOCOL_T0, SCARD_PROTOCOL_T1 = 1, 2
    SCARD_PCI_T0, SCARD_PCI_T1 = 1, 2
    SCARD_LEAVE_CARD = 0
    INFINITE = -1

    def __init__(self) -> None:
        self.entry: int = Code.SUCCESS
        self.connect: int = Code.SUCCESS
        self.wait: int | Exception | None = None
        self.rounds = 0
        self.contexts: set[int] = set()
        self._changed = threading.Event()
        self.taps = 1

    def SCardEstablishContext(self, _scope):
        self.rounds += 1
        if self.entry == Code.SUCCESS:
            self.contexts.add(self.rounds)
        return self.entry, self.rounds

    def SCardReleaseContext(self, context):
        self.contexts.discard(context)
        return Code.SUCCESS

    def SCardListReaders(self, _context, _groups):
        return Code.SUCCESS, [READER]

    def SCardGetStatusChange(self, _context, _limit, states):
        if isinstance(self.wait, Exception):
            raise self.wait
        if self.wait is not None:
            return self.wait, []
        known = dict(states)[READER] >> 16
        self._changed.wait(0 if known < self.taps else None)
        self._changed.clear()
        if known < self.taps:
            return Code.SUCCESS, [(READER, self.taps << 16 | PRESENT, [0x3B, 0x00]), (PNP, 0, [])]
        return Code.CANCELLED, []

    def tap(self):
        """Another card was laid on, or the same once more."""
        self.taps += 2
        self._changed.set()

    def SCardCancel(self, _context):
        self._changed.set()
        return Code.SUCCESS

    def SCardConnect(self, _context, _name, _mode, _protocol):
        return self.connect, 7, 1

    def SCardDisconnect(self, _card, _how):
        return Code.SUCCESS

    def SCardTransmit(self, _card, _pci, _apdu):
        return Code.SUCCESS, [0x04, 0xA1, 0xB2, 0xC3, 0x90, 0x00]


@pytest.fixture
def scard(monkeypatch):
    """The stand-in, where the binding would be."""
    one = Scard()
    monkeypatch.setitem(sys.modules, "smartcard.scard", one)
    return one


@pytest.fixture
async def reader():
    """A reader and its events."""
    one = open_pcsc(PcscOptions(name="desk", match="ACR122"), SystemClock())
    events = one.events()
    yield one, events
    await events.aclose()


async def status(events) -> ReaderStatus:
    """The next status; cards are skipped."""
    while True:
        event = await asyncio.wait_for(anext(events), WAIT_S)
        if isinstance(event, ReaderStatus):
            return event


async def test_a_service_that_lets_nobody_in_is_told_and_asked_again(scard, reader) -> None:
    """Not allowed: first as away (it may be starting), then refused by name; once allowed, ready without a restart."""
    _, events = reader
    scard.entry = Code.SECURITY_VIOLATION
    assert (await status(events)).code == "service-down"
    refused = await status(events)
    assert (refused.state, refused.code) == (ReaderState.REFUSED, "no-permission")
    scard.entry = Code.SUCCESS
    assert await status(events) == ReaderStatus("desk", "pcsc", ReaderState.READY, "", "ACS ACR122U PICC Interface")


async def test_cards_that_may_not_be_used_are_told(scard, reader) -> None:
    """The service lets us in but not to the card: refused by name, and the model still stands there."""
    _, events = reader
    scard.connect = Code.SECURITY_VIOLATION
    assert (await status(events)).state is ReaderState.READY
    refused = await status(events)
    assert (refused.state, refused.code, refused.model) == (
        ReaderState.REFUSED,
        "no-permission",
        "ACS ACR122U PICC Interface",
    )
    scard.connect = Code.SUCCESS
    scard.tap()
    assert (await status(events)).state is ReaderState.READY
    assert await asyncio.wait_for(anext(events), WAIT_S) == Read("desk", "04A1B2C3")


async def test_without_the_binding_a_reader_is_refused_not_broken(monkeypatch, reader) -> None:
    """Neither pyscard nor its library there: one status says so, the terminal runs on, closing works."""
    monkeypatch.setitem(sys.modules, "smartcard.scard", None)
    one, events = reader
    assert await status(events) == ReaderStatus("desk", "pcsc", ReaderState.REFUSED, "not-installed")
    await one.signal(is_good=True)


async def test_an_error_out_of_the_blue_ends_nothing(monkeypatch, scard, reader) -> None:
    """The binding raises: the monitor goes on, with pauses, and is ready again once it is over."""
    monkeypatch.setattr(pcsc_monitor, "BACKOFF_S", 0.01)
    _, events = reader
    scard.wait = MemoryError()
    assert (await status(events)).state is ReaderState.READY
    assert (await status(events)).code == "service-down"
    scard.wait = None
    while (await status(events)).state is not ReaderState.READY:
        pass


async def test_a_reader_that_vanishes_again_and_again_costs_little(scard, reader) -> None:
    """Named in the list and unknown in the wait, for ever: looked at a few times a second, not in a busy loop."""
    _, events = reader
    scard.wait = Code.UNKNOWN_READER
    asked = 0
    real = scard.SCardListReaders

    def count(*arguments):
        nonlocal asked
        asked += 1
        return real(*arguments)

    scard.SCardListReaders = count
    assert (await status(events)).state is ReaderState.READY
    await asyncio.sleep(1)
    assert asked < 10


async def test_every_context_is_given_back(scard) -> None:
    """After use and after failures no context of PC/SC is left, and no thread."""
    for code in (Code.SUCCESS, Code.SHARING_VIOLATION, Code.NO_SMARTCARD):
        scard.connect = code
        one = PcscReader(PcscOptions(name="desk"), SystemClock())
        events = one.events()
        await anext(events)
        await asyncio.sleep(0.1)
        await events.aclose()
        scard._changed.clear()
    async with asyncio.timeout(5):
        while scard.contexts or [thread for thread in threading.enumerate() if thread.name.startswith("pcsc")]:
            await asyncio.sleep(0.02)


async def test_a_cancellation_that_meets_the_first_status_is_not_lost(scard) -> None:
    """Closed in the very turn in which the service answers: it closes, and does not wait for cards for ever."""
    one = open_pcsc(PcscOptions(name="desk"), SystemClock())
    events = one.events()
    listening = asyncio.create_task(anext(events))
    await asyncio.sleep(0)
    one._has_status.set()
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(listening, WAIT_S)
