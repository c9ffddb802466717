"""How fast a terminal may tap, and how many unknown cards it may try. Pure.

A card number is an identifier that can be tried: with 2,000 cards among 65,536 numbers every 33rd guess is somebody.
So unknown cards are let through in a burst and then slowly, and operators hear of it at the first wait. The wait is
short by design: it never grows, so a visitor who plays with the reader keeps the next honest person waiting for
`STRANGER_GAP_S` at most, PIN and password go on working all the time, and no other terminal notices.

Both rates are leaky buckets (GCRA): one number each, no timers.
"""

from __future__ import annotations

from dataclasses import dataclass

from daemon.kernel.clock import US_PER_S

TAP_GAP_S = 0.25
TAPS_BURST = 20
"""Taps of any card at one terminal: this many at once, then four a second. Nobody taps faster; a stuck reader does."""
STRANGER_GAP_S = 6
STRANGERS_BURST = 10
"""Unknown cards, and others that open nothing, at one terminal: this many at once, then ten a minute."""
GARBAGE_GAP_S = 60
GARBAGE_BURST = 10
"""Unreadable reads: beyond this many at once and one a minute, operators hear that a reader or its format is wrong."""
ALERT_GAP_S = 600
"""One alert of a kind and terminal in this time."""
ALERTS_KEPT_MAX = 100
"""Alerts of one terminal remembered at once."""
TERMINALS_MAX = 10_000
"""Terminals remembered at once; the longest silent is forgotten first."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Lets `burst` through at once and then one per `gap_us`; `full_us` is when it would be empty again."""

    gap_us: int
    burst: int
    full_us: int = 0

    def wait_us(self, now_us: int) -> int:
        """How long until one more may pass."""
        return max(0, self.full_us - (self.burst - 1) * self.gap_us - now_us)

    def taken(self, now_us: int) -> Bucket:
        """The bucket after one more."""
        return Bucket(self.gap_us, self.burst, max(self.full_us, now_us) + self.gap_us)


@dataclass(slots=True)
class _Terminal:
    taps: Bucket
    strangers: Bucket
    garbage: Bucket
    last_stranger: bytes = b""
    alerted_us: dict[str, int] | None = None


class TapGate:
    """One per daemon; feed it in the order things happen."""

    def __init__(self) -> None:
        self._terminals: dict[int, _Terminal] = {}

    def admit(self, terminal_id: int, now_us: int) -> int:
        """Take one tap; whole seconds to wait instead when there were too many, 0 when it may go on.

        A tap that has to wait costs nothing: holding a card against the reader never makes the wait longer.
        """
        at = self._at(terminal_id)
        wait = max(at.taps.wait_us(now_us), at.strangers.wait_us(now_us))
        if wait:
            return -(-wait // US_PER_S)
        at.taps = at.taps.taken(now_us)
        return 0

    def stranger(self, terminal_id: int, card: bytes, now_us: int) -> bool:
        """Count a card that opens nothing (`card` tells it from others); returns whether operators should hear of it.

        The same card again is no new guess: somebody impatient with a new card does not close the reader.
        """
        at = self._at(terminal_id)
        if card and card == at.last_stranger:
            return False
        at.last_stranger = card
        at.strangers = at.strangers.taken(now_us)
        return bool(at.strangers.wait_us(now_us)) and self._is_news(at, "stranger", now_us)

    def garbage(self, terminal_id: int, now_us: int) -> bool:
        """Count an unreadable read; returns whether operators should hear of it."""
        at = self._at(terminal_id)
        if at.garbage.wait_us(now_us):
            return self._is_news(at, "garbage", now_us)
        at.garbage = at.garbage.taken(now_us)
        return False

    def is_news(self, terminal_id: int, what: str, now_us: int) -> bool:
        """Whether an alert of this kind was not given lately for this terminal; it counts as given now."""
        return self._is_news(self._at(terminal_id), what, now_us)

    def _is_news(self, at: _Terminal, what: str, now_us: int) -> bool:
        told = at.alerted_us = at.alerted_us or {}
        last = told.pop(what, None)
        if last is not None and now_us - last < ALERT_GAP_S * US_PER_S:
            told[what] = last
            return False
        told[what] = now_us
        while len(told) > ALERTS_KEPT_MAX:
            del told[next(iter(told))]
        return True

    def _at(self, terminal_id: int) -> _Terminal:
        found = self._terminals.pop(terminal_id, None)
        if found is None:
            found = _Terminal(
                Bucket(int(TAP_GAP_S * US_PER_S), TAPS_BURST),
                Bucket(STRANGER_GAP_S * US_PER_S, STRANGERS_BURST),
                Bucket(GARBAGE_GAP_S * US_PER_S, GARBAGE_BURST),
            )
        self._terminals[terminal_id] = found
        while len(self._terminals) > TERMINALS_MAX:
            del self._terminals[next(iter(self._terminals))]
        return found
