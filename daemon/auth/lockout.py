"""When a wrong secret costs a wait, a pause, or the credential itself. Pure.

Three counters, each against another attack, each rebuilt from the store after a restart:

- the **credential**: consecutive failures. 3 are free, then 5, 15, 60 s of waiting; 10 disable a keypad password,
  20 a full one (SP 800-63B-4 3.2.2 asks for at most 100). Only success or a reset clears it. An attempt during a wait
  is checked all the same, so that it takes as long as any other: a wrong one counts, a right one is refused.
- the **source** (a terminal, or an address for Basic): 20 failures in 10 minutes pause it for 60 s. Against spraying
  a few tries over many people, which no single credential notices.
- the **house**: 30 people with a failure in 10 minutes are one attack. Then 3 failures pause a source.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from daemon.kernel.clock import US_PER_S

FREE_FAILURES = 3
WAITS_S = (5, 15, 60)
"""After the 4th, 5th, 6th failure; later ones wait as long as the last."""
WINDOW_US = 600 * US_PER_S
SPRAYED_SOURCE_FAILURES_MAX = 3
SOURCES_MAX = 10_000
"""Sources remembered at once; the longest silent is forgotten first."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a site may set; the defaults are the house's advice."""

    disable_password_at: int = 20
    disable_keypad_at: int = 10
    source_failures_max: int = 20
    source_pause_s: int = 60
    house_people_max: int = 30

    def disable_at(self, kind: str) -> int:
        """Consecutive failures that disable a credential of this kind."""
        return self.disable_keypad_at if kind == "keypad-password" else self.disable_password_at


HOUSE_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Attempts:
    """The counters of one credential row."""

    kind: str
    failures: int = 0
    last_failure_us: int | None = None
    locked_until_us: int | None = None
    is_disabled: bool = False

    def is_open(self, now_us: int) -> bool:
        """Whether a right secret would be let in now."""
        return not self.is_disabled and (self.locked_until_us is None or now_us >= self.locked_until_us)

    def failed(self, now_us: int, limits: Limits = HOUSE_LIMITS) -> Attempts:
        """The counters after one more wrong secret."""
        failures = self.failures + 1
        wait = wait_s(failures)
        return replace(
            self,
            failures=failures,
            last_failure_us=now_us,
            locked_until_us=now_us + wait * US_PER_S if wait else self.locked_until_us,
            is_disabled=self.is_disabled or failures >= limits.disable_at(self.kind),
        )

    def succeeded(self) -> Attempts:
        """The counters after a right secret that was let in."""
        return Attempts(self.kind)

    def news(self, after: Attempts) -> str:
        """What the owner should hear about this step: `disabled`, `slowed` (the longest wait begins), or nothing."""
        if after.is_disabled and not self.is_disabled:
            return "disabled"
        if after.failures == FREE_FAILURES + len(WAITS_S) and self.failures < after.failures:
            return "slowed"
        return ""


def wait_s(failures: int) -> int:
    """Seconds to wait after that many consecutive failures."""
    beyond = failures - FREE_FAILURES
    return 0 if beyond <= 0 else WAITS_S[min(beyond, len(WAITS_S)) - 1]


@dataclass(slots=True)
class _Source:
    """Failures of one source since its last pause began, and until when it rests."""

    failed_at_us: deque[int]
    paused_until_us: int = 0


class Throttle:
    """The source and house counters: a few hundred small numbers, replayed from the store at start.

    Feed failures in the order they happened.
    """

    def __init__(self, limits: Limits = HOUSE_LIMITS) -> None:
        self._limits = limits
        self._sources: dict[str, _Source] = {}
        self._people: dict[str, int] = {}

    def failed(self, *, source: str, person: str, at_us: int) -> bool:
        """Count one failure. `person` is an opaque name for whoever was tried, known or not.

        Returns whether this failure began a pause of its source.
        """
        self._people.pop(person, None)
        self._people[person] = at_us
        self._forget(at_us)
        entry = self._sources.pop(source, None) or _Source(deque())
        self._sources[source] = entry
        if at_us < entry.paused_until_us:
            return False
        entry.failed_at_us.append(at_us)
        while entry.failed_at_us[0] <= at_us - WINDOW_US:
            entry.failed_at_us.popleft()
        most = self._limits.source_failures_max
        limit = min(most, SPRAYED_SOURCE_FAILURES_MAX) if self.is_sprayed(at_us) else most
        if len(entry.failed_at_us) < limit:
            return False
        entry.failed_at_us.clear()
        entry.paused_until_us = at_us + self._limits.source_pause_s * US_PER_S
        return True

    def paused_s(self, *, source: str, now_us: int) -> int:
        """Whole seconds this source must rest, 0 when it may try."""
        entry = self._sources.get(source)
        left = entry.paused_until_us - now_us if entry else 0
        return max(0, -(-left // US_PER_S))

    def is_sprayed(self, now_us: int) -> bool:
        """Whether so many people had a failure lately that it is one attack."""
        self._forget(now_us)
        return len(self._people) >= self._limits.house_people_max

    def _forget(self, now_us: int) -> None:
        while self._people and next(iter(self._people.values())) <= now_us - WINDOW_US:
            del self._people[next(iter(self._people))]
        while len(self._sources) > SOURCES_MAX:
            del self._sources[next(iter(self._sources))]
        while len(self._people) > SOURCES_MAX:
            del self._people[next(iter(self._people))]
