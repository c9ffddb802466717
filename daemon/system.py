"""The edge: the system's clock and dice. Only app, cli, tests and benchmarks import this."""

from __future__ import annotations

import secrets
import time


class SystemClock:
    """The machine's clock (`kernel.clock.Clock`)."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_s(self) -> float:
        return time.monotonic()


class SystemDice:
    """The machine's randomness (`kernel.ids.Dice`)."""

    def token(self, size: int) -> bytes:
        return secrets.token_bytes(size)
