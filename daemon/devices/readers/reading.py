"""What a card reader gives: the raw read, and which reader it came from. Pure.

A reader knows nothing about cards. The raw read goes to the daemon as it is; only the daemon formats and hashes it,
and nobody logs it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

RAW_CHARS_MAX = 512
"""No badge frame is longer; longer ones are dropped unread."""
DEBOUNCE_S = 1.0
"""The same card again within this is one tap: people rest badges on readers."""


@dataclass(frozen=True, slots=True)
class Read:
    """`reader` names the reader's kind to the daemon; `raw` never appears in a repr or a log."""

    reader: str
    raw: str = field(repr=False)


def is_plausible(raw: str) -> bool:
    """Not empty, not too long, printable: what a frame may be before it is even looked at."""
    return 0 < len(raw) <= RAW_CHARS_MAX and raw.isprintable()


@dataclass(slots=True)
class Debounce:
    """Tells a second tap from a card that is still there."""

    last: Read | None = None
    last_s: float = 0.0

    def is_new(self, read: Read, now_s: float) -> bool:
        """True when `read` is another card, or the same after `DEBOUNCE_S` of quiet."""
        fresh = read != self.last or now_s - self.last_s >= DEBOUNCE_S
        self.last, self.last_s = read, now_s
        return fresh
