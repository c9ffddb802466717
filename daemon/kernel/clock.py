"""The clock protocol and RFC 3339 text. No module below the edge asks the system for the time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

US_PER_S = 1_000_000


class Clock(Protocol):
    """Time, passed in."""

    def now_us(self) -> int:
        """Microseconds since the epoch, UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds on a clock that never steps; only differences mean anything."""
        ...


def rfc3339(at_us: int | None) -> str | None:
    """RFC 3339 UTC with whole seconds (`2026-11-22T09:30:00Z`), or None."""
    if at_us is None:
        return None
    return datetime.fromtimestamp(at_us // US_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_rfc3339(text: str) -> int:
    """Microseconds UTC of an RFC 3339 time; a time without zone is refused.

    Raises:
        ValueError: not RFC 3339.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return int(at.timestamp()) * US_PER_S + at.microsecond
