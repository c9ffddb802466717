"""Days, weeks, months and terms in a place's own calendar, each with a label that never repeats. Pure.

A period is known by its label (`2026-11-22`, `2026-W47`, `2026-11`, `term:Autumn 2026`, `once`), made from the local
date and never from a length in seconds: days of 23 and 25 hours, a clock put back, or a daemon asleep at midnight
change nothing. Weeks are ISO 8601's, from Monday.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from daemon.kernel.clock import US_PER_S

ONCE = "once"
_TERM = "term:"
_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PeriodKind(StrEnum):
    """How often an allowance is granted anew; `none` grants once."""

    NONE = "none"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    TERM = "term"


@dataclass(frozen=True, slots=True)
class Term:
    """A stretch of days, both included, with a name of its own."""

    name: str
    start: date
    end: date


@dataclass(frozen=True, slots=True)
class Period:
    """One period: its label and first and last local day; `once` lasts for ever."""

    label: str
    first: date
    last: date


def local_date(at_us: int, zone: str) -> date:
    """The day it is in `zone` at `at_us`."""
    at = _EPOCH + timedelta(microseconds=at_us)
    return at.astimezone(ZoneInfo(zone)).date()


def midnight_us(day: date, zone: str) -> int:
    """The instant `day` begins in `zone`; where midnight is skipped, the first instant that exists."""
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return (local - _EPOCH) // timedelta(seconds=1) * US_PER_S


def period_on(kind: PeriodKind, day: date, terms: Sequence[Term] = ()) -> Period | None:
    """The period that holds `day`; None between terms."""
    match kind:
        case PeriodKind.DAILY:
            return Period(day.isoformat(), day, day)
        case PeriodKind.WEEKLY:
            year, week, weekday = day.isocalendar()
            first = day - timedelta(days=weekday - 1)
            return Period(f"{year}-W{week:02}", first, first + timedelta(days=6))
        case PeriodKind.MONTHLY:
            first = day.replace(day=1)
            after = (first + timedelta(days=31)).replace(day=1)
            return Period(f"{first:%Y-%m}", first, after - _DAY)
        case PeriodKind.TERM:
            held = [term for term in _ordered(terms) if term.start <= day <= term.end]
            return _of_term(held[-1]) if held else None
        case PeriodKind.NONE:
            return Period(ONCE, date.min, date.max)


def period_after(kind: PeriodKind, period: Period, terms: Sequence[Term] = ()) -> Period | None:
    """The next period of the same kind; None when there is none (no later term, or `once`)."""
    if kind is PeriodKind.NONE:
        return None
    if kind is PeriodKind.TERM:
        return next((_of_term(term) for term in _ordered(terms) if term.start > period.first), None)
    return period_on(kind, period.last + _DAY)


def period_named(label: str, terms: Sequence[Term] = ()) -> Period | None:
    """The period a label stands for, whatever its kind; None when nobody knows it (any more)."""
    if label == ONCE:
        return period_on(PeriodKind.NONE, date.min)
    if label.startswith(_TERM):
        return next((_of_term(term) for term in terms if _TERM + term.name == label), None)
    try:
        if "W" in label:
            year, _, week = label.partition("-W")
            return period_on(PeriodKind.WEEKLY, date.fromisocalendar(int(year), int(week), 1))
        if label.count("-") == 1:
            return period_on(PeriodKind.MONTHLY, date.fromisoformat(f"{label}-01"))
        return period_on(PeriodKind.DAILY, date.fromisoformat(label))
    except (ValueError, OverflowError):
        return None


def kind_of(label: str) -> PeriodKind:
    """What kind of period a label is of."""
    if label == ONCE:
        return PeriodKind.NONE
    if label.startswith(_TERM):
        return PeriodKind.TERM
    if "W" in label:
        return PeriodKind.WEEKLY
    return PeriodKind.MONTHLY if label.count("-") == 1 else PeriodKind.DAILY


def next_start(kind: PeriodKind, day: date, terms: Sequence[Term] = ()) -> date | None:
    """The first day of the first period that begins after `day`; None when there is none."""
    if kind is PeriodKind.NONE:
        return None
    if kind is PeriodKind.TERM:
        return next((term.start for term in _ordered(terms) if term.start > day), None)
    here = period_on(kind, day)
    return here.last + _DAY if here else None


def _of_term(term: Term) -> Period:
    return Period(_TERM + term.name, term.start, term.end)


def _ordered(terms: Sequence[Term]) -> list[Term]:
    return sorted(terms, key=lambda term: (term.start, term.end))
