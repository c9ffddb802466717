"""What card readers give: raw reads, hiccups a person can mend, and how each device is. Pure.

A reader knows nothing about cards. The raw read goes to the daemon as it is; only the daemon formats and hashes it,
and nobody logs it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RAW_CHARS_MAX = 512
"""No badge frame is longer; longer ones are dropped unread."""
DEBOUNCE_S = 1.0
"""The same card again within this is one tap: people rest badges on readers."""
SEEN_MAX = 8
"""Cards remembered for that; nobody holds more at a time."""


@dataclass(frozen=True, slots=True)
class Read:
    """One card. `reader` is the reader's name in `kiosk.toml`; `raw` never appears in a repr or a log."""

    reader: str
    raw: str = field(repr=False)


class Hiccup(StrEnum):
    """Why a tap gave no read; the kiosk has a sentence for each."""

    MUTE = "card-mute"  # lifted too soon, or no card of a known kind: hold it a little longer
    TORN = "card-torn"  # keystrokes were lost: try again
    RANDOM_UID = "card-random-uid"  # a new number at every tap (ISO/IEC 14443-3, first byte 08): cannot identify anyone
    NO_NUMBER = "card-no-number"  # a contact card or a phone that gives no UID
    TOO_LONG = "card-too-long"  # more characters than any badge has
    BUSY = "reader-busy"  # another program holds the reader


@dataclass(frozen=True, slots=True)
class Missed:
    """A tap that gave no read."""

    reader: str
    why: Hiccup


class ReaderState(StrEnum):
    """How a device is."""

    READY = "ready"
    AWAY = "away"  # unplugged, or its service is down: comes back by itself
    REFUSED = "refused"  # not allowed to open it: somebody must set it up


@dataclass(frozen=True, slots=True)
class ReaderStatus:
    """A change of a device's state.

    `code` says why in a stable word (`unplugged`, `service-down`, `no-permission`, `held-elsewhere`, `not-installed`,
    ...), `model` is what the device calls itself.
    """

    reader: str
    kind: str
    state: ReaderState
    code: str = ""
    model: str = ""


ReaderEvent = Read | Missed | ReaderStatus


class Reader(Protocol):
    """A configured reader: one or more devices of a kind behind one name."""

    name: str
    kind: str  # pcsc | evdev | network | simulated

    def events(self) -> AsyncIterator[ReaderEvent]:
        """Everything, until cancelled; the first is its status. A device that goes away ends nothing."""
        ...

    async def signal(self, *, is_good: bool) -> None:
        """Beep or light where the device can; never raises, never waits longer than a second."""
        ...


def is_plausible(raw: str) -> bool:
    """Not empty, not too long, printable: what a frame may be before it is even looked at."""
    return 0 < len(raw) <= RAW_CHARS_MAX and raw.isprintable()


@dataclass(slots=True)
class Debounce:
    """Tells a second tap from a card that is still there, by reader and number: seconds of quiet make it new.

    Two cards in one pocket that a reader reports in turn are one tap each, however long they stay.
    """

    quiet_s: float = DEBOUNCE_S
    _seen_s: dict[Read, float] = field(default_factory=dict, repr=False)

    def is_new(self, read: Read, now_s: float) -> bool:
        """True when `read` was not seen within the last `quiet_s`; seeing it again makes it wait anew."""
        known = {one: at_s for one, at_s in self._seen_s.items() if now_s - at_s < self.quiet_s}
        fresh = read not in known
        known.pop(read, None)
        known[read] = now_s
        self._seen_s = dict(list(known.items())[-SEEN_MAX:])
        return fresh
