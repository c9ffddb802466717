"""Grants: what a pot is given at the start of each period, once, however often and however late it is asked. Pure.

The state to keep per person and pot is the label of the last period granted. A grant's idempotency key is made from the
allowance's lineage, the account and the period's label; two grants of one period race to one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from daemon.accounting import periods
from daemon.accounting.allowance import PotRule, Profile
from daemon.accounting.periods import Period, PeriodKind, Term

CATCH_UP_PERIODS_MAX = 400
"""Most grants of one pot made up for after a long sleep: more than a year of days."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One period's allowance: `lineage`, account and `label` make its key; `amount` is before the cap."""

    lineage: str
    label: str
    amount: int
    cap: int | None


def period_label(rule: PotRule, at_us: int, tz: str, terms: Sequence[Term] = ()) -> str | None:
    """The label of the period `at_us` lies in, in the zone `tz`; None between terms."""
    period = periods.period_on(rule.period, periods.local_date(at_us, tz), terms)
    return period.label if period else None


def next_grant_us(rule: PotRule, at_us: int, tz: str, terms: Sequence[Term] = ()) -> int | None:
    """When the next period after `at_us` begins; None when there is none or nothing is granted."""
    if rule.amount == 0:
        return None
    start = periods.next_start(rule.period, periods.local_date(at_us, tz), terms)
    return None if start is None else periods.midnight_us(start, tz)


def grants_due(profile: Profile, rule: PotRule, *, last_label: str | None, at_us: int) -> tuple[Grant, ...]:
    """What a pot must still be given at `at_us`, oldest first; `last_label` is the last period granted, if any.

    Every period that began since is made up for, as if the daemon had never slept, up to `CATCH_UP_PERIODS_MAX` of the
    latest. A new pot gets the current period, whole. A rule that changed its rhythm begins with the first new period
    that starts after the last granted one has ended: editing a profile never grants twice for one day.
    """
    if rule.amount == 0:
        return ()
    today = periods.local_date(at_us, profile.timezone)
    current = periods.period_on(rule.period, today, profile.terms)
    if not last_label:
        return _grants(rule, [current] if current else [])
    last = periods.period_named(last_label, profile.terms)
    if rule.period is PeriodKind.NONE:
        return ()
    if last is None or last_label == periods.ONCE:
        return _grants(rule, [current] if current and current.label != last_label else [])
    return _grants(rule, _since(rule, last, kind=periods.kind_of(last_label), today=today, terms=profile.terms))


def _since(rule: PotRule, last: Period, *, kind: PeriodKind, today: date, terms: Sequence[Term]) -> list[Period]:
    """Periods of the rule after `last` that have begun by `today`."""
    if kind is rule.period:
        found = periods.period_after(rule.period, last, terms)
    else:
        start = periods.next_start(rule.period, last.last, terms)
        found = periods.period_on(rule.period, start, terms) if start else None
    made: list[Period] = []
    while found is not None and found.first <= today:
        made.append(found)
        found = periods.period_after(rule.period, found, terms)
    return made[-CATCH_UP_PERIODS_MAX:]


def _grants(rule: PotRule, due: Sequence[Period]) -> tuple[Grant, ...]:
    return tuple(Grant(rule.lineage, period.label, rule.amount, rule.cap) for period in due)
