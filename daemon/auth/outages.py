"""When a terminal, or a reader at one, counts as away; and when it is back. Pure.

A terminal is away when nothing was heard of it for longer than its grace, counted from when it opened if that is
later: one that is switched off for the night raises no alarm, at night or in the first minute of the morning. A reader
is away when its terminal, which is there, has called it anything but ready for longer than its own grace: a plug that
is moved from one socket to another is no outage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.kernel.clock import US_PER_S

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from daemon.auth.terminal_reports import SeenReader

AWAY_AFTER_S = 60
"""A terminal speaks every 15 s: four times in a row unheard."""
READER_AWAY_AFTER_S = 30
ITSELF = ""
"""Stands for the terminal where a reader's name stands."""
SILENT = "silent"
"""Why a terminal is away, as far as the daemon can tell."""


@dataclass(frozen=True, slots=True)
class Graces:
    """Seconds of silence before somebody should hear of it."""

    away_after_s: int = AWAY_AFTER_S
    reader_away_after_s: int = READER_AWAY_AFTER_S


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of a terminal at one moment, microseconds UTC; `opened_at_us` counts only while it `is_open`."""

    heard_us: int
    is_open: bool
    opened_at_us: int
    readers: Sequence[SeenReader]


@dataclass(frozen=True, slots=True)
class Outage:
    """Something that should be there and is not: `reader` by name, or `ITSELF`."""

    reader: str
    code: str
    began_at_us: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What changed: outages that begin, and those (by reader) that are over."""

    begins: tuple[Outage, ...] = ()
    ends: tuple[str, ...] = ()


def is_away(heard_us: int | None, now_us: int, graces: Graces) -> bool:
    """Whether a terminal heard of then is away now, opening hours aside."""
    return heard_us is None or now_us - heard_us > graces.away_after_s * US_PER_S


def judge(sight: Sight, known: Collection[str], now_us: int, graces: Graces) -> Verdict:
    """What begins and what ends, where the outages `known` (by reader) are told already."""
    if is_away(sight.heard_us, now_us, graces):
        silent_us = now_us - max(sight.heard_us, sight.opened_at_us)
        if ITSELF in known or not sight.is_open or silent_us <= graces.away_after_s * US_PER_S:
            return Verdict()
        return Verdict(begins=(Outage(ITSELF, SILENT, sight.heard_us),))
    ends = [ITSELF] if ITSELF in known else []
    missing = {reader.name: reader for reader in sight.readers if not reader.is_ready}
    ends += [name for name in known if name != ITSELF and name not in missing]
    begins = [
        Outage(name, reader.code or reader.state, reader.since_us)
        for name, reader in missing.items()
        if name not in known
        and sight.is_open
        and now_us - max(reader.since_us, sight.opened_at_us) > graces.reader_away_after_s * US_PER_S
    ]
    return Verdict(tuple(begins), tuple(ends))
