"""Whether a terminal is open now, by its opening hours in the site's time zone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from daemon.auth.opening_hours import OpeningHours, parse_hours
from daemon.kernel.clock import rfc3339
from daemon.kernel.errors import Forbidden

if TYPE_CHECKING:
    from datetime import tzinfo

    from daemon.auth.terminal_store import Terminal
    from daemon.kernel.clock import Clock

TEXTS_MAX = 256
"""Different opening hours kept parsed."""


class TerminalClosed(Forbidden):
    """Outside the terminal's opening hours nobody signs in; `data["opens_at"]` is when it opens, None if never."""

    code = "terminal-closed"


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether it is open, since when, and when it opens next if not. Microseconds UTC."""

    is_open: bool
    opened_at_us: int
    opens_at_us: int | None


@lru_cache(TEXTS_MAX)
def _parsed(text: str) -> OpeningHours:
    return parse_hours(text)


class TerminalHours:
    """Opening hours by the site's clock."""

    def __init__(self, clock: Clock, zone: tzinfo) -> None:
        self._clock = clock
        self._zone = zone

    def is_open(self, terminal: Terminal) -> bool:
        """Whether people may sign in there now."""
        return _parsed(terminal.opening_hours).is_open(self._clock.now_us(), self._zone)

    def now(self, terminal: Terminal) -> Opening:
        """All of it."""
        hours, now = _parsed(terminal.opening_hours), self._clock.now_us()
        is_open = hours.is_open(now, self._zone)
        opens = None if is_open else hours.opens_at(now, self._zone)
        return Opening(is_open, hours.opened_at(now, self._zone), opens)

    def check(self, terminal: Terminal) -> None:
        """Go on only while it is open.

        Raises:
            TerminalClosed: it is not.
        """
        if self.is_open(terminal):
            return
        opens_at = rfc3339(self.now(terminal).opens_at_us)
        when = f"It opens at {opens_at}." if opens_at else "It is closed until somebody changes its opening hours."
        raise TerminalClosed(f"This terminal is closed. {when}", opens_at=opens_at)
