"""What PC/SC's reader states mean from one look to the next. Pure.

`dwEventState` is flags in the lower half and, in the upper, a counter of insertions and removals. The whole value is
given back at the next call: so a tap that came and went between two calls is still told (the counter moved by two), and
no card is seen twice while it lies there, whatever its other flags do. Values: pcsc-lite, `pcsclite.h`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

IGNORE, CHANGED, UNKNOWN, UNAVAILABLE, EMPTY, PRESENT = 0x1, 0x2, 0x4, 0x8, 0x10, 0x20
EXCLUSIVE, INUSE, MUTE = 0x80, 0x100, 0x200
UNAWARE: Final = 0
COUNTER_SHIFT, COUNTER_MASK = 16, 0xFFFF

PNP: Final = "\\\\?PnP?\\Notification"
"""The pseudo-reader whose state changes when a reader is plugged in or out."""
DEVICES_MAX = 15
"""PC/SC lite looks at 16 readers in one call; one of them is `PNP`."""
MODEL_CHARS_MAX = 128


class Seen(Enum):
    """What happened to the card in a reader."""

    INSERTED = "inserted"
    MUTE = "mute"  # there is something, but it does not speak
    GONE = "gone"
    TOO_SHORT = "too-short"  # it came and went between two looks


@dataclass(frozen=True, slots=True)
class Change:
    """One reader's change."""

    device: str
    seen: Seen
    atr: bytes = b""


def next_state(event_state: int) -> int:
    """What to give back as the current state at the next call."""
    return event_state & ~CHANGED


def change(device: str, old: int, new: int, atr: bytes) -> Change | None:
    """What happened between the state given (`old`, 0 at first) and the one got (`new`); None when nothing of note."""
    has_card, had_card = bool(new & PRESENT), bool(old & PRESENT)
    if new & (UNKNOWN | UNAVAILABLE | IGNORE) and not has_card:
        return Change(device, Seen.GONE) if had_card else None
    moved = (new >> COUNTER_SHIFT) - (old >> COUNTER_SHIFT) & COUNTER_MASK if old != UNAWARE else 0
    is_another = moved > 1
    if has_card:
        if new & MUTE and (not had_card or is_another or not old & MUTE):
            return Change(device, Seen.MUTE)
        # A card that was mute and now speaks was laid on slowly: it is read.
        if not new & MUTE and (not had_card or is_another or old & MUTE):
            return Change(device, Seen.INSERTED, atr)
        return None
    if had_card:
        return Change(device, Seen.GONE)
    return Change(device, Seen.TOO_SHORT) if moved else None


_PLACE = re.compile(r"(?: \([^()]*\))? [0-9A-F]{2} [0-9A-F]{2}$")


def model_of(device: str) -> str:
    """What the device calls itself, without the USB port or serial number and the two counters PC/SC lite appends."""
    return _PLACE.sub("", device)[:MODEL_CHARS_MAX]


def is_match(pattern: str, device: str) -> bool:
    """Whether a reader's name fits, without regard to case.

    Only `*` and `?` are special (names are full of brackets); a pattern without them fits wherever it is contained.
    """
    if not re.search(r"[*?]", pattern):
        return pattern.casefold() in device.casefold()
    wanted = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return any(re.fullmatch(wanted, name, re.IGNORECASE | re.DOTALL) for name in (device, model_of(device)))
