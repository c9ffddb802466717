"""The blocking calls of PC/SC: asking a card for its number, making a reader beep. I/O, for threads only.

Every call makes a context of its own and gives it back. Never is a context used that another thread waits on: PC/SC
lite then holds its one lock for good and every call of the process, in any thread, hangs.
"""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from daemon.devices.readers.apdu import AGAIN_MAX, GET_UID, Again, Feedback, Number, Way, card_class, understand
from daemon.devices.readers.reading import Hiccup

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from daemon.kernel.clock import Clock

READ_S = 2.5
"""A card that has not told its number after this is given up."""
BUSY_S = 2.0
"""How long another program may hold the card before the person is told."""
TRIES_MAX = 4
"""Times a card that answers nonsense is asked."""
PAUSE_S, PAUSE_MAX_S = 0.04, 0.25

CCID_ESCAPE: Final = 1
"""The function number of libccid's escape control code (IOCTL_SMARTCARD_VENDOR_IFD_EXCHANGE)."""


class Code(IntEnum):
    """PC/SC lite's answers that something here depends on (`pcsclite.h`)."""

    SUCCESS = 0
    CANCELLED = 0x80100002
    UNKNOWN_READER = 0x80100009
    TIMEOUT = 0x8010000A
    SHARING_VIOLATION = 0x8010000B
    NO_SMARTCARD = 0x8010000C
    COMM_ERROR = 0x80100013
    NOT_TRANSACTED = 0x80100016
    READER_UNAVAILABLE = 0x80100017
    NO_SERVICE = 0x8010001D
    SERVICE_STOPPED = 0x8010001E
    NO_READERS = 0x8010002E
    REMOVED_CARD = 0x80100069
    SECURITY_VIOLATION = 0x8010006A


GONE: Final = frozenset({Code.NO_SMARTCARD, Code.REMOVED_CARD})
NO_READER: Final = frozenset(
    {Code.UNKNOWN_READER, Code.READER_UNAVAILABLE, Code.NO_SERVICE, Code.SERVICE_STOPPED, Code.COMM_ERROR}
)


@dataclass(frozen=True, slots=True)
class Failed:
    """The reader or its service failed, not the card: its status tells of it."""

    code: int


Outcome = Number | Hiccup | Failed


def load() -> Any:
    """`smartcard.scard`, the plain wrapper; the classes above it do not survive a restart of pcscd.

    Raises:
        ImportError: pyscard, or libpcsclite under it, is not installed.
    """
    return importlib.import_module("smartcard.scard")


def plain(result: int) -> int:
    """A result code as the header writes it; pyscard gives it signed or unsigned, by platform."""
    return result & 0xFFFFFFFF


def devices(scard: Any) -> tuple[list[str], int]:
    """The names of all readers plugged in now, and the result code that says why there are none. Blocks."""
    with _context(scard) as (context, failed):
        if failed:
            return [], failed
        result, names = scard.SCardListReaders(context, [])
        return list(names or ()), plain(result)


def read_number(scard: Any, device: str, atr: bytes, *, clock: Clock, stop: threading.Event) -> Outcome:
    """The number of the card in `device`, asked until it is told or cannot be. Takes at most about `READ_S`."""
    began_s, pause_s, tries = clock.monotonic_s(), PAUSE_S, 0
    while True:
        got = _ask(scard, device)
        spent_s = clock.monotonic_s() - began_s
        if isinstance(got, Number) or (isinstance(got, Hiccup) and got is not Hiccup.MUTE):
            return got
        if isinstance(got, Failed):
            if got.code in GONE:
                return Hiccup.MUTE
            if got.code in NO_READER or got.code == Code.SECURITY_VIOLATION:
                return got
            if got.code == Code.SHARING_VIOLATION:
                if spent_s >= BUSY_S:
                    return Hiccup.BUSY
                tries -= 1  # asked again as long as that lasts
        tries += 1
        if tries >= TRIES_MAX or spent_s >= READ_S or stop.wait(pause_s):
            return Hiccup.NO_NUMBER if _is_contact(atr) else Hiccup.MUTE
        pause_s = min(pause_s * 2, PAUSE_MAX_S)


def _is_contact(atr: bytes) -> bool:
    """A chip with contacts that answers oddly is no card lifted too soon."""
    return card_class(atr) == "contact"


def _ask(scard: Any, device: str) -> Outcome:
    """One connection, one question, and what the card wants asked instead."""
    with _context(scard) as (context, failed):
        if failed:
            # Whether we are let in at all is for the monitor to find out.
            return Failed(Code.NO_SERVICE)
        result, card, protocol = scard.SCardConnect(
            context, device, scard.SCARD_SHARE_SHARED, scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        )
        if plain(result) != Code.SUCCESS:
            return Failed(plain(result))
        try:
            return _converse(scard, card, protocol)
        finally:
            scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)


def _converse(scard: Any, card: Any, protocol: int) -> Outcome:
    pci = scard.SCARD_PCI_T1 if protocol == scard.SCARD_PROTOCOL_T1 else scard.SCARD_PCI_T0
    apdu = GET_UID
    for _ in range(AGAIN_MAX + 1):
        result, answer = scard.SCardTransmit(card, pci, list(apdu))
        if plain(result) != Code.SUCCESS:
            return Failed(plain(result))
        # A card pulled in mid-command gives success and no bytes at all: that is for `understand` to say.
        meaning = understand(bytes(answer), sent=apdu)
        if not isinstance(meaning, Again):
            return meaning
        apdu = meaning.apdu
    return Hiccup.MUTE


def give_feedback(scard: Any, device: str, feedback: Feedback, *, is_good: bool) -> None:
    """Send what beeps; what the reader or its driver refuses is left at that."""
    commands = feedback.good if is_good else feedback.bad
    with _context(scard) as (context, failed):
        if failed:
            return
        if feedback.way is Way.TRANSMIT:
            result, card, protocol = scard.SCardConnect(
                context, device, scard.SCARD_SHARE_SHARED, scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
            )
            if plain(result) == Code.SUCCESS:
                pci = scard.SCARD_PCI_T1 if protocol == scard.SCARD_PROTOCOL_T1 else scard.SCARD_PCI_T0
                for command in commands:
                    scard.SCardTransmit(card, pci, list(command))
                scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)
                return
        result, card, _ = scard.SCardConnect(context, device, scard.SCARD_SHARE_DIRECT, 0)
        if plain(result) == Code.SUCCESS:
            for command in commands:
                scard.SCardControl(card, scard.SCARD_CTL_CODE(CCID_ESCAPE), list(command))
            scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)


@contextmanager
def _context(scard: Any) -> Iterator[tuple[Any, int]]:
    """A fresh context, given back at the end; or the code why there is none."""
    result, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    if plain(result) != Code.SUCCESS:
        yield None, plain(result)
        return
    try:
        yield context, 0
    finally:
        scard.SCardReleaseContext(context)
