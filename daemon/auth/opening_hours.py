"""When a terminal is open: `Mo-Fr 07:00-19:00; Sa 08:00-12:00; 2026-12-24 off`, by the clock on its wall. Pure.

A subset of the opening hours people know from maps (OpenStreetMap's `opening_hours`): rules parted by `;`, each with
days (`Mo`, `Mo-Fr`, `Mo,We`, `daily`, or dates `2026-12-24`, `2026-12-24/2027-01-01`) and times (`07:00-12:00,
13:00-19:00`, `22:00-06:00` ends the next morning, `24:00` is midnight) or `off`. A later rule replaces what an
earlier one said for its days, and a date beats every weekday. Empty text and `24/7` mean: always open.

Open is decided by the wall clock alone. On the night the clocks go back an hour that comes twice counts twice; an
hour that the clocks skip never comes, and an opening inside it is at the skip.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

TEXT_CHARS_MAX = 500
RULES_MAX = 60
SPANS_MAX = 12
"""Times in one rule."""
AHEAD_DAYS = 400
"""An opening further away than this is none."""
BEHIND_DAYS = 8
"""An opening that began longer ago than this began then, as far as anybody cares."""
DAY_MINUTES = 24 * 60
ALWAYS = "24/7"
DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_NAMES = {name.lower(): n for n, name in enumerate(DAYS)} | {
    name: n
    for n, names in enumerate(
        (("mon", "monday"), ("tue", "tuesday"), ("wed", "wednesday"), ("thu", "thursday"), ("fri", "friday"),
         ("sat", "saturday"), ("sun", "sunday"))
    )
    for name in names
}  # fmt: skip
_TIME = re.compile(r"(\d{1,2}):(\d{2})")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
_CLOSED = ("off", "closed")


class HoursUnreadable(BadInput):
    """The text is no opening hours; `data["details"]` names every part that is not understood."""

    code = "hours-unreadable"


@dataclass(frozen=True, slots=True)
class Rule:
    """Some days and when they are open: minutes after midnight, `end` beyond 1440 reaching into the next day."""

    weekdays: frozenset[int]
    dates: tuple[tuple[date, date], ...]
    spans: tuple[tuple[int, int], ...]

    def names(self, day: date) -> bool:
        """Whether one of its dates is `day`."""
        return any(first <= day <= last for first, last in self.dates)


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """Parsed hours. Times given and answered are microseconds UTC; `zone` is the site's."""

    rules: tuple[Rule, ...] = ()

    def is_open(self, at_us: int, zone: tzinfo) -> bool:
        """Whether the wall clock shows an open minute."""
        if not self.rules:
            return True
        wall = _local(at_us, zone)
        minute = wall.hour * 60 + wall.minute
        return any(start <= minute < end for start, end in self._spans(wall.date())) or any(
            start <= minute + DAY_MINUTES < end for start, end in self._spans(wall.date() - timedelta(days=1))
        )

    def opens_at(self, at_us: int, zone: tzinfo) -> int | None:
        """The next moment it opens after `at_us`; None where that is not within `AHEAD_DAYS`."""
        if not self.rules:
            return None
        first = _local(at_us, zone).date()
        for ahead in range(AHEAD_DAYS + 1):
            for moment in self._moments(first + timedelta(days=ahead), zone):
                if moment > at_us and self._begins(moment, zone):
                    return moment
        return None

    def opened_at(self, at_us: int, zone: tzinfo) -> int:
        """When the opening that holds at `at_us` began, `BEHIND_DAYS` ago at most; `at_us` itself while closed."""
        earliest = at_us - BEHIND_DAYS * DAY_MINUTES * 60 * US_PER_S
        if not self.rules:
            return earliest
        if not self.is_open(at_us, zone):
            return at_us
        last = _local(at_us, zone).date()
        for behind in range(BEHIND_DAYS + 1):
            for moment in reversed(list(self._moments(last - timedelta(days=behind), zone))):
                if moment <= at_us and self._begins(moment, zone):
                    return max(moment, earliest)
        return earliest

    def _begins(self, moment: int, zone: tzinfo) -> bool:
        return self.is_open(moment, zone) and not self.is_open(moment - 1, zone)

    def _spans(self, day: date) -> tuple[tuple[int, int], ...]:
        """What the last rule for this day says; a rule with dates beats every rule of weekdays."""
        by_date = [rule for rule in self.rules if rule.names(day)]
        rules = by_date or [rule for rule in self.rules if day.weekday() in rule.weekdays]
        return rules[-1].spans if rules else ()

    def _moments(self, day: date, zone: tzinfo) -> Iterator[int]:
        """Every moment of a day at which it could open: its starts, twice in a doubled hour, and the clocks' change."""
        if not self._spans(day) and not self._spans(day - timedelta(days=1)):
            return
        found = set()
        for minute in {start for start, _ in self._spans(day)}:
            wall = datetime.combine(day, time(minute // 60, minute % 60))
            found |= {_instant(wall, zone, fold=fold) for fold in (0, 1)}
        midnight, next_midnight = (
            _instant(datetime.combine(one, time()), zone, fold=0) for one in (day, day + timedelta(days=1))
        )
        change = _change(midnight, next_midnight, zone)
        if change is not None:
            found.add(change)
        yield from sorted(found)


def parse_hours(text: str) -> OpeningHours:
    """Opening hours as typed.

    Raises:
        HoursUnreadable: every rule that is not understood, with what would be.
    """
    problems: list[dict[str, object]] = []

    def wrong(rule: str, message: str) -> None:
        problems.append({"file": "", "line": 0, "key": rule.strip()[:40], "message": message})

    parts = [part for part in text.split(";") if part.strip()]
    rules: list[Rule] = []
    if len(text) > TEXT_CHARS_MAX or len(parts) > RULES_MAX:
        wrong("", f"opening hours have at most {TEXT_CHARS_MAX} characters and {RULES_MAX} rules")
    elif text.strip() == ALWAYS:
        parts = []
    elif text.strip() and not parts:
        wrong(text, "there is no rule; leave it empty for always open, or write Mo-Fr 07:00-19:00")
    for part in [] if problems else parts:
        try:
            rules.append(_rule(part))
        except ValueError as problem:
            wrong(part, str(problem))
    if problems:
        said = "; ".join(f"{problem['key']!r}: {problem['message']}" for problem in problems)
        raise HoursUnreadable(f"these are no opening hours: {said}"[:TEXT_CHARS_MAX], details=problems)
    return OpeningHours(tuple(rules))


def _rule(text: str) -> Rule:
    words = re.sub(r"\s*([,/])\s*", r"\1", re.sub(r"(?<=[A-Za-z\d])\s*-\s*(?=[A-Za-z\d])", "-", text.strip())).split()
    if len(words) == 1 and (_TIME.match(words[0]) or words[0].lower() in _CLOSED):
        words = ["daily", *words]
    if len(words) != 2:
        raise ValueError("a rule is days and times, such as Mo-Fr 07:00-19:00")
    days, times = words
    weekdays: set[int] = set()
    dates: list[tuple[date, date]] = []
    for item in days.split(","):
        if _ISO.match(item):
            dates.append(_dates(item))
        else:
            weekdays |= _weekdays(item)
    spans = () if times.lower() in _CLOSED else _times(times)
    return Rule(frozenset(weekdays), tuple(dates), spans)


def _weekdays(item: str) -> set[int]:
    if item.lower() == "daily":
        return set(range(7))
    first, dash, last = item.lower().partition("-")
    if first not in _NAMES or (dash and last not in _NAMES):
        raise ValueError(f"{item!r} is no day: use Mo Tu We Th Fr Sa Su, Mo-Fr, daily, or a date 2026-12-24")
    begin, end = _NAMES[first], _NAMES[last or first]
    return {(begin + n) % 7 for n in range((end - begin) % 7 + 1)}


def _dates(item: str) -> tuple[date, date]:
    first, slash, last = item.partition("/")
    try:
        begin = date.fromisoformat(first)
        end = date.fromisoformat(last) if slash else begin
    except ValueError as problem:
        raise ValueError(f"{item!r} is no date: use 2026-12-24 or 2026-12-24/2027-01-01") from problem
    if end < begin:
        raise ValueError(f"{item!r} ends before it begins")
    return begin, end


def _times(text: str) -> tuple[tuple[int, int], ...]:
    items = text.split(",")
    if len(items) > SPANS_MAX:
        raise ValueError(f"a day has at most {SPANS_MAX} openings")
    spans = []
    for item in items:
        first, dash, last = item.partition("-")
        start, end = _minute(first), _minute(last) if dash else None
        if start is None or end is None or start >= DAY_MINUTES:
            raise ValueError(f"{item!r} is no time: use 07:00-19:00 or off")
        if start == end:
            raise ValueError(f"{item!r} is no time at all; all day is 00:00-24:00")
        spans.append((start, end if end > start else end + DAY_MINUTES))
    return tuple(sorted(spans))


def _minute(text: str) -> int | None:
    found = _TIME.fullmatch(text)
    if not found:
        return None
    hour, minute = int(found[1]), int(found[2])
    return hour * 60 + minute if minute < 60 and hour * 60 + minute <= DAY_MINUTES else None


def _local(at_us: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at_us // US_PER_S, UTC).astimezone(zone)


def _instant(wall: datetime, zone: tzinfo, *, fold: int) -> int:
    return int(wall.replace(tzinfo=zone, fold=fold).timestamp()) * US_PER_S


def _change(first_us: int, last_us: int, zone: tzinfo) -> int | None:
    """The moment between the two at which the zone's distance from UTC changes, to the second; None without one."""
    low, high = first_us // US_PER_S, last_us // US_PER_S

    def offset(second: int) -> timedelta | None:
        return datetime.fromtimestamp(second, UTC).astimezone(zone).utcoffset()

    before = offset(low)
    if offset(high) == before:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if offset(middle) == before else (low, middle)
    return high * US_PER_S
