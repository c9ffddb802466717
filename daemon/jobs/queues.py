"""A queue's rule: who is believed, how long jobs are held, and whether they wait for a person at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

Believes = Literal["claimed", "authenticated", "personal", "code"]

DEFAULT_HOLD_S = 24 * 3600

HOLD_TIMES = {
    "day-time": (6, 18),
    "evening": (18, 24),
    "night": (18, 6),
    "second-shift": (16, 24),
    "third-shift": (0, 8),
}
"""job-hold-until keywords as local hours [from, to) (RFC 8011 section 5.2.2 leaves the hours to the site)."""

HOLD_KEYWORDS = ("no-hold", "indefinite", *HOLD_TIMES, "weekend")


@dataclass(frozen=True, slots=True)
class QueueRule:
    """One named queue.

    `believes`: `claimed` takes requesting-user-name on a trusted network, `authenticated` wants HTTP Basic over TLS,
    `personal` knows the person by a secret address, `code` lets an unknown person's job be claimed at the kiosk.
    `auto_release` names the printer a job goes to without waiting for anyone; empty means held until released.
    """

    name: str
    title: str
    believes: Believes = "claimed"
    hold_s: int = DEFAULT_HOLD_S
    warn_before_s: int = 2 * 3600
    auto_release: str = ""
    may_create_people: bool = False


def hold_until_us(keyword: str, at_us: int, zone: tzinfo) -> int | None:
    """When `job-hold-until` lets a job go: None at once or for no stated time, else microseconds UTC."""
    if keyword in ("no-hold", "indefinite", ""):
        return None
    now = datetime.fromtimestamp(at_us / 1_000_000, UTC).astimezone(zone)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if keyword == "weekend":
        if now.weekday() >= 5:
            return None
        start = midnight + timedelta(days=5 - now.weekday())
        return int(start.timestamp()) * 1_000_000
    first, last = HOLD_TIMES[keyword]
    is_within = first <= now.hour < last if first < last else (now.hour >= first or now.hour < last)
    if is_within:
        return None
    start = midnight + timedelta(hours=first)
    if start <= now:
        start += timedelta(days=1)
    return int(start.timestamp()) * 1_000_000
