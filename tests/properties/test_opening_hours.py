"""Opening hours: what is typed means what the wall clock shows, on every day of the year and in every zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daemon.auth.opening_hours import AHEAD_DAYS, DAYS, HoursUnreadable, parse_hours
from daemon.kernel.clock import US_PER_S

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Kathmandu"), UTC]
"""Lord Howe moves its clocks by half an hour only; Kathmandu never, and is 5:45 ahead."""
MINUTE_US = 60 * US_PER_S
DAY_US = 1440 * MINUTE_US

minutes = st.integers(0, 1439)
spans = st.tuples(minutes, st.integers(1, 1440)).filter(lambda pair: pair[0] != pair[1])
rules = st.lists(
    st.tuples(st.frozensets(st.integers(0, 6), min_size=1), st.lists(spans, min_size=0, max_size=3)),
    min_size=1,
    max_size=4,
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(
    lambda at: int(at.replace(tzinfo=UTC).timestamp()) * US_PER_S
)


def us(*parts: int, zone=BERLIN, fold: int = 0) -> int:
    """A moment by the wall clock."""
    return int(datetime(*parts, tzinfo=zone, fold=fold).timestamp()) * US_PER_S


def text(drawn) -> str:
    """Rules as somebody would type them."""
    parts = []
    for days, times in drawn:
        named = ",".join(DAYS[day] for day in sorted(days))
        hours = ",".join(f"{a // 60:02d}:{a % 60:02d}-{b // 60:02d}:{b % 60:02d}" for a, b in times)
        parts.append(f"{named} {hours or 'off'}")
    return "; ".join(parts)


def shown_open(drawn, at_us: int, zone) -> bool:
    """The same told from the drawn rules alone: the last rule of today, and of yesterday as far as it reaches over."""
    wall = datetime.fromtimestamp(at_us // US_PER_S, UTC).astimezone(zone)
    minute = wall.hour * 60 + wall.minute

    def times(day: date):
        found = [spans for days, spans in drawn if day.weekday() in days]
        return found[-1] if found else []

    today = any(a <= minute < (b if b > a else 2880) for a, b in times(wall.date()))
    over = any(b <= a and minute < b for a, b in times(wall.date() - timedelta(days=1)))
    return today or over


@settings(max_examples=300)
@given(rules, moments, st.sampled_from(ZONES))
def test_open_is_what_the_wall_clock_shows(drawn, at_us, zone):
    """`is_open` agrees with the rules read by a person looking at the clock."""
    assert parse_hours(text(drawn)).is_open(at_us, zone) == shown_open(drawn, at_us, zone)


@settings(max_examples=120, deadline=None)
@given(rules, moments, st.sampled_from(ZONES))
@example([(frozenset({6}), [(150, 240)])], us(2026, 3, 29, 0, 30), BERLIN)
@example([(frozenset({6}), [(135, 165)])], us(2026, 10, 25, 2, 50), BERLIN)
@example([(frozenset({6}), [(60, 150)])], us(2026, 10, 25, 2, 40), BERLIN)
def test_it_opens_when_it_says_and_not_before(drawn, at_us, zone):
    """From `at` to `opens_at` no later minute begins an opening, and at `opens_at` it is open: over every clock change."""
    hours = parse_hours(text(drawn))
    opens = hours.opens_at(at_us, zone)
    until = opens if opens is not None else at_us + 9 * DAY_US
    assert opens is None or hours.is_open(opens, zone)
    was_open = hours.is_open(at_us, zone)
    minute = at_us - at_us % MINUTE_US + MINUTE_US
    while minute < until:
        is_open = hours.is_open(minute, zone)
        assert was_open or not is_open, "it opened before it said"
        was_open, minute = is_open, minute + 5 * MINUTE_US if until - minute > DAY_US else minute + MINUTE_US
    if opens is not None:
        assert not hours.is_open(opens - 1, zone)


@settings(max_examples=120, deadline=None)
@given(rules, moments, st.sampled_from(ZONES))
def test_it_opened_when_it_says(drawn, at_us, zone):
    """Between `opened_at` and now it was open all the time."""
    hours = parse_hours(text(drawn))
    opened = hours.opened_at(at_us, zone)
    assert opened <= at_us
    if hours.is_open(at_us, zone):
        step = max((at_us - opened) // 200, 1)
        assert all(hours.is_open(moment, zone) for moment in range(opened, at_us, step))
    else:
        assert opened == at_us


@given(st.text(max_size=60))
def test_nonsense_is_refused_with_what_is_wrong(typed):
    """Whatever is typed is opening hours or is told what is not understood; nothing else happens."""
    try:
        parse_hours(typed)
    except HoursUnreadable as refused:
        assert refused.data["details"]
        assert all(problem["message"] for problem in refused.data["details"])


@pytest.mark.parametrize(
    ("typed", "opened", "closed"),
    [
        ("Mo-Fr 07:00-19:00; Sa 08:00-12:00", [(2026, 11, 23, 7, 0), (2026, 11, 28, 11, 59)], [(2026, 11, 28, 12, 0)]),
        ("mo - fr 7:00 - 19:00", [(2026, 11, 23, 7, 0)], [(2026, 11, 22, 12, 0)]),
        ("Sa-Mo 10:00-11:00", [(2026, 11, 22, 10, 0), (2026, 11, 23, 10, 30)], [(2026, 11, 24, 10, 0)]),
        ("08:00-12:00, 13:00-17:00", [(2026, 11, 22, 13, 0)], [(2026, 11, 22, 12, 30)]),
        ("daily 22:00-06:00", [(2026, 11, 22, 23, 0), (2026, 11, 23, 5, 59)], [(2026, 11, 23, 6, 0)]),
        ("Fr 00:00-24:00", [(2026, 11, 27, 23, 59)], [(2026, 11, 28, 0, 0)]),
        ("24/7", [(2026, 11, 22, 3, 0)], []),
        ("", [(2026, 11, 22, 3, 0)], []),
        ("daily 08:00-18:00; Tuesday off", [(2026, 11, 23, 9, 0)], [(2026, 11, 24, 9, 0)]),
        ("2026-12-24 off; daily 08:00-18:00", [(2026, 12, 23, 9, 0)], [(2026, 12, 24, 9, 0)]),
        ("daily 08:00-18:00; 2026-12-24/2027-01-01 09:00-10:00", [(2026, 12, 31, 9, 30)], [(2026, 12, 31, 11, 0)]),
    ],
)
def test_hours_as_people_write_them(typed, opened, closed):
    """Ranges over the weekend, lunch breaks, nights, midnight, holidays; a date beats every weekday."""
    hours = parse_hours(typed)
    assert all(hours.is_open(us(*at), BERLIN) for at in opened)
    assert not any(hours.is_open(us(*at), BERLIN) for at in closed)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("Mo-Fr", "days and times"),
        ("Mo-Fr 07:00", "'07:00' is no time"),
        ("Mi 07:00-08:00", "'Mi' is no day"),
        ("Mo 07:00-07:00", "no time at all"),
        ("Mo 24:00-25:00", "'24:00-25:00'"),
        ("Mo 07:60-08:00", "'07:60-08:00'"),
        ("2026-02-30 off", "'2026-02-30' is no date"),
        ("2026-12-24/2026-12-01 off", "ends before it begins"),
        (";;", "there is no rule"),
        ("Mo 07:00-19:00; Su?; Xx off", "'Su?'"),
        ("x" * 600, "at most 500"),
        ("Mo " + ",".join(["07:00-08:00"] * 13), "at most 12"),
    ],
)
def test_mistakes_are_named(typed, says):
    """Each rule that is not understood is named, with what would be."""
    with pytest.raises(HoursUnreadable) as refused:
        parse_hours(typed)
    assert says in refused.value.message


def test_every_mistake_is_told_at_once():
    """Two wrong rules are two details."""
    with pytest.raises(HoursUnreadable) as refused:
        parse_hours("Mo 07:00-19:00; Su?; Xx off")
    assert [problem["key"] for problem in refused.value.data["details"]] == ["Su?", "Xx off"]


def test_clock_changes_to_the_minute():
    """An opening inside the skipped hour is at the skip; a doubled hour opens twice."""
    hours = parse_hours("Su 02:30-04:00")
    assert hours.opens_at(us(2026, 3, 29, 0, 0), BERLIN) == us(2026, 3, 29, 3, 0)
    twice = parse_hours("Su 02:15-02:45")
    first = twice.opens_at(us(2026, 10, 25, 0, 0), BERLIN)
    second = twice.opens_at(first, BERLIN)
    assert first == us(2026, 10, 25, 2, 15)
    assert second == us(2026, 10, 25, 2, 15, fold=1) == first + 3600 * US_PER_S


def test_what_never_opens_says_so():
    """Hours of last year: closed, and no next opening."""
    hours = parse_hours("2020-01-01 08:00-09:00")
    now = us(2026, 11, 22, 12, 0)
    assert not hours.is_open(now, BERLIN)
    assert hours.opens_at(now, BERLIN) is None
    far = datetime.fromtimestamp(now // US_PER_S, UTC).date() + timedelta(days=AHEAD_DAYS - 1)
    assert parse_hours(f"{far} 08:00-09:00").opens_at(now, BERLIN) is not None


def test_always_open_never_opens_again():
    """24/7 has no next opening, and has been open for longer than anybody counts."""
    hours = parse_hours("24/7")
    now = us(2026, 11, 22, 12, 0)
    assert hours.opens_at(now, BERLIN) is None
    assert hours.opened_at(now, BERLIN) <= now - 8 * DAY_US
