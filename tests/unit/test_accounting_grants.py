"""Grants come once per period, at the right local day, however long the daemon slept and whatever the clock did."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.accounting import periods
from daemon.accounting.allowance import PotRule, Profile
from daemon.accounting.grants import CATCH_UP_PERIODS_MAX, grants_due, next_grant_us, period_label
from daemon.accounting.periods import PeriodKind, Term
from daemon.kernel.clock import US_PER_S
from daemon.kernel.money import PAGES

BERLIN, CAIRO = "Europe/Berlin", "Africa/Cairo"
TERMS = (
    Term("Autumn 2026", date(2026, 9, 1), date(2026, 12, 18)),
    Term("Spring 2027", date(2027, 1, 11), date(2027, 4, 2)),
)


def us(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * US_PER_S


def rule(period: str, amount: int = 100) -> PotRule:
    return PotRule("allowance", PAGES, amount, PeriodKind(period))


def due(period: str, last: str | None, at: str, *, zone: str = BERLIN, terms: tuple[Term, ...] = TERMS) -> list[str]:
    profile = Profile("p", (rule(period),), timezone=zone, terms=terms)
    return [grant.label for grant in grants_due(profile, rule(period), last_label=last, at_us=us(at, zone))]


@pytest.mark.parametrize(
    ("period", "at", "label"),
    [
        ("daily", "2026-11-22T23:59:59", "2026-11-22"),
        ("weekly", "2026-11-22T23:59:59", "2026-W47"),
        ("weekly", "2026-11-23T00:00:00", "2026-W48"),
        ("weekly", "2027-01-03T12:00:00", "2026-W53"),
        ("monthly", "2026-11-30T23:59:59", "2026-11"),
        ("monthly", "2026-12-01T00:00:00", "2026-12"),
        ("term", "2026-12-18T23:59:59", "term:Autumn 2026"),
        ("term", "2026-12-19T00:00:00", None),
        ("none", "2026-11-22T00:00:00", "once"),
    ],
)
def test_labels_are_made_of_the_local_day(period, at, label):
    """The label is that of the calendar on the wall of the profile's zone."""
    assert period_label(rule(period), us(at, BERLIN), BERLIN, TERMS) == label


def test_the_zone_decides_the_day():
    """One instant is two days in two places."""
    at = us("2026-11-22T23:30:00", BERLIN)
    assert period_label(rule("daily"), at, BERLIN) == "2026-11-22"
    assert period_label(rule("daily"), at, "Asia/Tokyo") == "2026-11-23"


@pytest.mark.parametrize(
    ("period", "at", "start"),
    [
        ("daily", "2026-03-28T12:00:00", "2026-03-29T00:00:00"),
        ("daily", "2026-10-25T12:00:00", "2026-10-26T00:00:00"),
        ("weekly", "2026-10-20T12:00:00", "2026-10-26T00:00:00"),
        ("monthly", "2026-12-31T23:00:00", "2027-01-01T00:00:00"),
        ("term", "2026-12-20T00:00:00", "2027-01-11T00:00:00"),
        ("term", "2026-08-20T00:00:00", "2026-09-01T00:00:00"),
    ],
)
def test_the_next_grant_is_at_local_midnight(period, at, start):
    """The next period begins at local midnight, also across a change of the clock."""
    assert next_grant_us(rule(period), us(at, BERLIN), BERLIN, TERMS) == us(start, BERLIN)


def test_no_next_grant_where_nothing_comes():
    """A single grant, an amount of nothing and the time after the last term have no next grant."""
    at = us("2027-06-01T00:00:00")
    assert next_grant_us(rule("none"), at, "UTC") is None
    assert next_grant_us(rule("monthly", 0), at, "UTC") is None
    assert next_grant_us(rule("term"), at, "UTC", TERMS) is None


def test_a_day_without_midnight_begins_at_its_first_instant():
    """Where summer time begins at midnight, the day starts when the clock says one."""
    start = periods.midnight_us(date(2026, 4, 24), CAIRO)
    assert datetime.fromtimestamp(start / US_PER_S, UTC).astimezone(ZoneInfo(CAIRO)).hour == 1
    assert periods.local_date(start, CAIRO) == date(2026, 4, 24)
    assert periods.local_date(start - 1, CAIRO) == date(2026, 4, 23)


@given(
    st.integers(us("1990-01-01T00:00:00"), us("2060-01-01T00:00:00")),
    st.sampled_from([BERLIN, CAIRO, "America/Havana", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "UTC"]),
    st.sampled_from(["daily", "weekly", "monthly"]),
)
def test_periods_join_without_gap_or_overlap(at, zone, period):
    """The next grant lies in the future, its label is new, and until the instant before it the label is the same."""
    following = next_grant_us(rule(period), at, zone)
    label = period_label(rule(period), at, zone)
    assert following > at
    assert period_label(rule(period), following - 1, zone) == label
    after = period_label(rule(period), following, zone)
    assert after > label
    assert periods.period_named(label) == periods.period_on(PeriodKind(period), periods.local_date(at, zone))
    assert periods.kind_of(label) is PeriodKind(period)


def test_a_new_pot_gets_the_current_period_whole():
    """Somebody who starts in the middle of a month gets that month, and nothing of the months before."""
    assert due("monthly", None, "2026-11-22T10:00:00") == ["2026-11"]
    assert due("none", None, "2026-11-22T10:00:00") == ["once"]
    assert due("none", "", "2026-11-22T10:00:00") == ["once"]
    assert due("term", None, "2026-12-25T10:00:00") == []


def test_a_granted_period_is_not_due_again():
    """Asked again in the same period, or with the clock put back, nothing is due."""
    assert due("monthly", "2026-11", "2026-11-30T23:59:59") == []
    assert due("daily", "2026-10-25", "2026-10-25T02:30:00") == []
    assert due("monthly", "2026-11", "2026-10-03T00:00:00") == []
    assert due("none", "once", "2030-01-01T00:00:00") == []


def test_sleep_is_made_up_for():
    """Every period that began while the daemon was away is granted, oldest first."""
    assert due("monthly", "2026-08", "2026-11-22T10:00:00") == ["2026-09", "2026-10", "2026-11"]
    assert due("daily", "2026-03-27", "2026-03-30T00:00:00") == ["2026-03-28", "2026-03-29", "2026-03-30"]
    assert due("weekly", "2026-W52", "2027-01-04T00:00:00") == ["2026-W53", "2027-W01"]
    assert due("term", "term:Autumn 2026", "2027-05-01T00:00:00") == ["term:Spring 2027"]


def test_making_up_is_bounded():
    """After years of sleep the latest periods are granted, no more than the named limit."""
    labels = due("daily", "2020-01-01", "2026-11-22T10:00:00")
    assert len(labels) == CATCH_UP_PERIODS_MAX
    assert labels[-1] == "2026-11-22"


@pytest.mark.parametrize(
    ("period", "last", "at", "labels"),
    [
        ("weekly", "2026-11", "2026-11-30T10:00:00", []),
        ("weekly", "2026-11", "2026-12-07T10:00:00", ["2026-W50"]),
        ("monthly", "2026-W47", "2026-11-30T10:00:00", []),
        ("monthly", "2026-W47", "2026-12-01T10:00:00", ["2026-12"]),
        ("daily", "2026-11", "2026-12-02T10:00:00", ["2026-12-01", "2026-12-02"]),
        ("none", "2026-11", "2027-12-02T10:00:00", []),
        ("term", "2026-12", "2027-02-01T10:00:00", ["term:Spring 2027"]),
        ("monthly", "once", "2026-11-22T10:00:00", ["2026-11"]),
        ("monthly", "term:forgotten", "2026-11-22T10:00:00", ["2026-11"]),
    ],
)
def test_another_rhythm_never_grants_twice_for_one_day(period, last, at, labels):
    """An edited profile begins with the first new period after the last granted one has ended."""
    assert due(period, last, at) == labels


def test_grants_carry_what_their_key_is_made_of():
    """The grant's key needs lineage and label; profile name and amount are not part of it."""
    profile = Profile("a", (rule("monthly"),), timezone=BERLIN)
    at = us("2026-11-22T10:00:00", BERLIN)
    (one,) = grants_due(profile, rule("monthly"), last_label=None, at_us=at)
    (other,) = grants_due(replace(profile, name="b"), rule("monthly", 300), last_label=None, at_us=at)
    assert (one.lineage, one.label) == (other.lineage, other.label)
    assert (one.amount, other.amount) == (100, 300)
    assert grants_due(profile, rule("monthly", 0), last_label=None, at_us=at) == ()


def test_unknown_labels_name_nothing():
    """Text that no period has is no period."""
    for label in ("2026-13", "2026-W60", "yesterday", "term:never", "9999-12"):
        assert periods.period_named(label, TERMS) is None


def test_once_lasts_for_ever():
    """A single grant has no period after it and none that begins later."""
    once = periods.period_on(PeriodKind.NONE, date(2026, 11, 22))
    assert once == periods.period_named("once")
    assert periods.period_after(PeriodKind.NONE, once) is None
    assert periods.next_start(PeriodKind.NONE, date(2026, 11, 22)) is None
