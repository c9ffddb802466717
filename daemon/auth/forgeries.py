"""Refused terminal messages: counted by why, and told when they come in numbers. Pure.

Nothing is locked by them: anyone on the network can send rubbish in a terminal's name, and a terminal that could be
locked out that way would be a gift. Operators hear of it once per window instead.
"""

from __future__ import annotations

from collections import Counter, deque

from daemon.kernel.clock import US_PER_S

WINDOW_US = 600 * US_PER_S
REFUSALS_MAX = 20
"""So many refused messages in a terminal's name within the window are somebody trying."""
NOBODY = ""
"""Stands for messages in the name of no terminal we know; they are counted together, so that names cost no memory."""


class Forgeries:
    """Counts for one daemon. `totals` never falls: reason to number, for the metrics."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()
        self._recent: dict[str, deque[int]] = {}
        self._told_us: dict[str, int] = {}

    def refused(self, reason: str, *, terminal: str, at_us: int) -> bool:
        """Count one refusal in the name of `terminal` (its public id, or `NOBODY`); whether to tell operators now."""
        self.totals[reason] += 1
        recent = self._recent.setdefault(terminal, deque(maxlen=REFUSALS_MAX))
        recent.append(at_us)
        if len(recent) < REFUSALS_MAX or at_us - recent[0] > WINDOW_US:
            return False
        told_us = self._told_us.get(terminal)
        if told_us is not None and at_us - told_us <= WINDOW_US:
            return False
        self._told_us[terminal] = at_us
        return True
