"""What the console's pages say, in the languages of the public pages: words, numbers, money and time."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_currency, format_decimal

from daemon.kernel.clock import US_PER_S, from_rfc3339
from daemon.kernel.errors import Refusal, Unavailable
from daemon.kernel.money import EXTRA_DECIMALS, Amount, unit_of

LANGUAGES = ("en", "de", "fr", "es")
PARTS = 10_000
"""A price line's parts: 1/10000 of the smallest step, and of a full price."""
TIMES = "\u00d7"
OWN_NAMES = {"en": "English", "de": "Deutsch", "fr": "Français", "es": "Español"}


@cache
def words(language: str) -> Mapping[str, str]:
    """Everything the console says in one language."""
    source = resources.files("daemon.web.console.texts") / f"desk.{language}.toml"
    return _flat(tomllib.loads(source.read_text("utf-8")))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in tree.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


@dataclass(frozen=True, slots=True)
class Speech:
    """One language in one time zone, at one moment."""

    language: str
    timezone: str
    now_us: int

    def __call__(self, key: str, /, **values: object) -> str:
        """The text of a key with its values filled in; what people typed is a value, never part of a text."""
        text = words(self.language)[key]
        return text.format_map(values) if values else text

    def some(self, key: str, /, default: str = "", **values: object) -> str:
        """As calling, or `default` where there is no such key."""
        return self(key, **values) if key in words(self.language) else default

    def count(self, key: str, number: int, /, **values: object) -> str:
        """`key.one` or `key.other` with the number as `{n}`."""
        return self(f"{key}.{'one' if number == 1 else 'other'}", n=self.number(number), **values)

    def number(self, value: int | Decimal) -> str:
        """1234 as the language writes it."""
        return str(format_decimal(value, locale=self.language))

    def amount(self, value: Mapping[str, Any] | Amount | None) -> str:
        """Money with its currency, pages as a count; digits beyond the cent only where they matter."""
        if value is None:
            return ""
        one = value if isinstance(value, Amount) else Amount(unit_of(value["unit"]), value["amount"])
        if not one.unit.is_money:
            return self.count(f"unit.{one.unit.code}", one.value)
        exact, places = one.to_decimal(), one.unit.scale - EXTRA_DECIMALS
        if exact == exact.quantize(Decimal(1).scaleb(-places)):
            return str(format_currency(exact, one.unit.code, locale=self.language))
        return f"{self.number(exact)}\u00a0{one.unit.code}"

    def amounts(self, values: Iterable[Amount]) -> str:
        """Several amounts in a row."""
        return " + ".join(self.amount(one) for one in values)

    def moment(self, at: int | str | None) -> str:
        """Date and time in the house's zone; empty for never."""
        at_us = _us(at)
        if at_us is None:
            return ""
        when = datetime.fromtimestamp(at_us / US_PER_S, UTC)
        return str(format_datetime(when, "medium", tzinfo=ZoneInfo(self.timezone), locale=self.language))

    def ago(self, at: int | str | None) -> str:
        """How long ago, or in how long; empty for never."""
        at_us = _us(at)
        if at_us is None:
            return ""
        apart = timedelta(microseconds=at_us - self.now_us)
        return str(format_timedelta(apart, add_direction=True, locale=self.language))

    def iso(self, at: int | str | None) -> str:
        """For `<time datetime>`."""
        at_us = _us(at)
        return "" if at_us is None else datetime.fromtimestamp(at_us // US_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def day(self, at: int | str | None) -> str:
        """The date in the house's zone; empty for never."""
        at_us = _us(at)
        if at_us is None:
            return ""
        when = datetime.fromtimestamp(at_us / US_PER_S, UTC).astimezone(ZoneInfo(self.timezone))
        return str(format_date(when, "medium", locale=self.language))

    def price_line(self, line: Mapping[str, Any], unit_code: str) -> str:
        """One line of a price: how many of what at how much each, and what the volume step made of it."""
        unit = unit_of(unit_code)
        total = self.amount(Amount(unit, round(int(line["parts"]) / PARTS)))
        kind = self(f"price-line.{line['kind']}")
        media = self.media(str(line["media"]))
        each = self.amount(Amount(unit, int(line["each"])))
        if not int(line["each"]):
            return f"{kind}: {total}"
        step = "" if int(line["percent_parts"]) == PARTS else f" {TIMES} {int(line['percent_parts']) / 100:g} %"
        of = f"{kind}, {media}" if media else kind
        return f"{self.number(int(line['count']))} {TIMES} {of}: {each}{step} = {total}"

    def media(self, name: str) -> str:
        """A paper's name as people say it: `iso_a4_210x297mm` is A4."""
        parts = name.split("_")
        return parts[1].upper() if len(parts) == 3 and parts[0] in ("iso", "jis", "na") else name

    def refusal(self, problem: Refusal | Unavailable) -> str:
        """Why not, in this language where the code has words, else as the rule says it."""
        reason = str(problem.data.get("reason", ""))
        return self.some(f"why.{reason}") or self.some(f"why.{problem.code}") or problem.message


def _us(at: int | str | None) -> int | None:
    if isinstance(at, str):
        return from_rfc3339(at) if at else None
    return at


def language_of(*, chosen: str, own: str, accept: str) -> str:
    """What somebody chose here, else their own language, else the browser's first that we have, else English."""
    for wanted in (chosen, own, *(part.partition(";")[0] for part in accept.split(",")[:20])):
        primary = wanted.strip().replace("_", "-").partition("-")[0].lower()
        if primary in LANGUAGES:
            return primary
    return LANGUAGES[0]
