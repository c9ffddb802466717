"""What a card says to "who are you?", and how a reader is made to beep. Pure.

One command asks for the number: `FF CA 00 00 00`, Get Data of PC/SC part 3 (2.01.09, 3.2.2.1.3). The answer is data and
two status bytes (SW1 SW2, ISO/IEC 7816-4):

    data   SW      meaning                                          becomes
    -      (none)  the card left while it spoke                     Hiccup.MUTE
    n      90 00   the number, n bytes (see UID_BYTES)              Number
    n      62 82   the same: the reader asked for more than is      Number
    -      6C nn   ask again for exactly nn bytes                   Again
    -      61 nn   nn bytes wait, fetch them (T=0)                  Again
    -      6A 81   no such function: a contact card                 Hiccup.NO_NUMBER
    -      6D/6E   instruction or class unknown: a contact card     Hiccup.NO_NUMBER
    -      63 00   a reader's "the card did not answer"             Hiccup.MUTE
    -      64-6F   everything else                                  Hiccup.MUTE

A number must be one that stays with the card. Refused are random ones (ISO/IEC 14443-3: four bytes, the first 08;
FeliCa: eight bytes from 01 FE), four bytes from 88, which are a cascade tag and three bytes of a longer number, and
answers of zeros or ones alone, which broken readers give for every card.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from daemon.devices.readers.reading import Hiccup

GET_UID: Final = bytes.fromhex("FFCA000000")
UID_BYTES: Final = {
    4: "ISO/IEC 14443 A single size (MIFARE Classic) or B (PUPI)",
    5: "125 kHz, 40 bits (EM4102) through a reader for both",
    7: "ISO/IEC 14443 A double size (MIFARE DESFire, Ultralight, NTAG)",
    8: "ISO/IEC 15693 or FeliCa",
    10: "ISO/IEC 14443 A triple size",
}
"""How long a card's number may be, and what has such a one."""
ANSWER_BYTES_MAX = 258
"""A short APDU's answer: 256 bytes and the status. Longer ones are not looked at."""
AGAIN_MAX = 2
"""Times a card may say "ask differently"."""

RANDOM_FIRST_BYTE: Final = 0x08
CASCADE_TAG: Final = 0x88
RANDOM_FELICA: Final = bytes.fromhex("01FE")


@dataclass(frozen=True, slots=True)
class Number:
    """A card's number as the kiosk hands it on: upper-case hexadecimal, in the order the reader gave the bytes."""

    raw: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Again:
    """The card wants to be asked differently: send this."""

    apdu: bytes


Answer = Number | Again | Hiccup


def understand(answer: bytes, *, sent: bytes = GET_UID) -> Answer:
    """What `answer` to `sent` means; never raises, whatever a broken reader or a hostile card sends."""
    if len(answer) > ANSWER_BYTES_MAX:
        return Hiccup.TOO_LONG
    if len(answer) < 2:
        return Hiccup.MUTE
    data, first, second = answer[:-2], answer[-2], answer[-1]
    if (first, second) in ((0x90, 0x00), (0x62, 0x82)):
        return _number(data)
    if first == 0x6C and second:
        return Again(sent[:4] + bytes([second]))
    if first == 0x61:
        return Again(bytes([0x00, 0xC0, 0x00, 0x00, second]))
    if first in (0x6D, 0x6E, 0x68) or (first, second) in ((0x6A, 0x81), (0x6A, 0x82), (0x6A, 0x86), (0x6A, 0x88)):
        return Hiccup.NO_NUMBER
    return Hiccup.MUTE


def _number(uid: bytes) -> Number | Hiccup:
    if not uid:
        return Hiccup.NO_NUMBER
    if len(uid) > max(UID_BYTES):
        return Hiccup.TOO_LONG
    if len(uid) not in UID_BYTES or not uid.strip(b"\x00") or not uid.strip(b"\xff"):
        return Hiccup.NO_NUMBER
    if len(uid) == 4 and uid[0] == CASCADE_TAG:
        return Hiccup.NO_NUMBER
    is_random = uid[0] == RANDOM_FIRST_BYTE if len(uid) == 4 else len(uid) == 8 and uid.startswith(RANDOM_FELICA)
    if is_random:
        return Hiccup.RANDOM_UID
    return Number(uid.hex().upper())


class CardClass(StrEnum):
    """What an ATR tells about a card; only for the log, where the number must not be."""

    STORAGE = "storage"  # a contactless memory card: its ATR is made by the reader (PC/SC part 3, 3.1.3.2.3)
    CONTACTLESS = "contactless"  # a contactless processor card, or a phone
    CONTACT = "contact"  # a chip with contacts: it has no number of this kind
    UNKNOWN = "unknown"


_STORAGE_AID = bytes.fromhex("A000000306")  # the PC/SC workgroup's, in the historical bytes of a storage card


def card_class(atr: bytes) -> CardClass:
    """The class `atr` tells of.

    A reader writes `3B 8n 80 01` in front of every contactless card's own bytes; contact cards send an ATR of theirs.
    """
    if len(atr) < 2 or atr[0] not in (0x3B, 0x3F) or len(atr) > 33:
        return CardClass.UNKNOWN
    if atr[1] & 0xF0 == 0x80 and atr[2:4] == b"\x80\x01":
        return CardClass.STORAGE if _STORAGE_AID in atr else CardClass.CONTACTLESS
    return CardClass.CONTACT


class Way(StrEnum):
    """How a reader takes a command that is not for the card."""

    TRANSMIT = "transmit"  # as if it were for the card, while one lies there
    ESCAPE = "escape"  # SCardControl with the CCID escape code; the driver must allow it


@dataclass(frozen=True, slots=True)
class Feedback:
    """One make's commands for "well" and "no"; `pattern` is looked for in the reader's name."""

    pattern: str
    way: Way
    good: tuple[bytes, ...]
    bad: tuple[bytes, ...]


_GREEN_BEEP = bytes.fromhex("FF00400A0401000101")  # green stays, one beep of 100 ms
_RED_BEEPS = bytes.fromhex("FF0040500401010301")  # red blinks three times, a beep of 100 ms each; then as before
_SHORT_BEEP, _LONG_BEEP = bytes.fromhex("E00000280108"), bytes.fromhex("E00000280130")  # units of 10 ms

FEEDBACK: Final = (
    # ACR122U API, "Bi-color LED and Buzzer Control"; the ACR1252 takes the same under "ACR122U Compatible Commands".
    Feedback("ACR122", Way.TRANSMIT, good=(_GREEN_BEEP,), bad=(_RED_BEEPS,)),
    Feedback("ACR1252", Way.ESCAPE, good=(_GREEN_BEEP,), bad=(_RED_BEEPS,)),
    # "Buzzer Control" of the makers' reference manuals. Their LED bits differ from model to model and are left alone.
    Feedback("ACR1251", Way.ESCAPE, good=(_SHORT_BEEP,), bad=(_LONG_BEEP,)),
    Feedback("ACR1255", Way.ESCAPE, good=(_SHORT_BEEP,), bad=(_LONG_BEEP,)),
    Feedback("ACR1281", Way.ESCAPE, good=(_SHORT_BEEP,), bad=(_LONG_BEEP,)),
    Feedback("ACR1283", Way.ESCAPE, good=(_SHORT_BEEP,), bad=(_LONG_BEEP,)),
    Feedback("ACR1552", Way.ESCAPE, good=(_SHORT_BEEP,), bad=(_LONG_BEEP,)),
)
"""Every reader that can be told; all others beep by themselves when they see a card, or not at all."""


def feedback_for(device: str) -> Feedback | None:
    """The commands for the reader called `device`, or None: then it stays silent."""
    return next((one for one in FEEDBACK if one.pattern in device.upper()), None)
