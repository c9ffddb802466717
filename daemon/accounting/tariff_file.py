"""Tariff files: TOML text to a `Tariff`, with every mistake reported at once by file, line and key. Pure.

The format is in `docs/pricing.md` section 1. Reading the file from disk is the caller's.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any

from daemon.accounting.tariff import (
    DEFAULT_MEDIA,
    PERCENT,
    ROUNDINGS,
    MediaPrice,
    PrinterPrice,
    Rounding,
    Step,
    Tariff,
)
from daemon.kernel.errors import BadInput
from daemon.kernel.money import EXTRA_DECIMALS, ISO_EXPONENT, Unit, parse_amount, unit_of
from daemon.settings.source import KeyPath, key_lines

FILE_CHARACTERS_MAX = 200_000
PRICE_UNITS_MAX = 10_000
"""Dearest single price in whole units of the currency: keeps every total inside an amount."""
STEPS_MAX = 100
ABOVE_MAX = 1_000_000_000
PERCENT_MAX = 1_000

_ROW = ("grey", "colour", "sheet", "duplex_discount")
_FEES = ("flat_fee", "minimum")
_TOP = ("title", "currency", "rounding", "round_to", *_FEES, "media", "steps", "printers")
_MEDIA_NAME = re.compile(r"[a-z]+_[a-z0-9._-]+_[0-9.]+x[0-9.]+(?:mm|in)")
_AT_LINE = re.compile(r"\(at line (\d+)")
_FALLBACK = Unit("EUR", ISO_EXPONENT["EUR"] + EXTRA_DECIMALS)
_FREE = MediaPrice(0, 0)


def parse_tariff(content: str, file: str) -> Tariff:
    """The tariff in `content`; its name is the file's name without the ending.

    Raises:
        BadInput: `data["details"]` lists every problem as {"file","line","key","message"[,"suggestion"]}.
    """
    reader = _Reader(file, {}, [])
    tariff: Tariff | None = None
    if len(content) > FILE_CHARACTERS_MAX:
        reader.refuse((), f"is longer than {FILE_CHARACTERS_MAX} characters")
    else:
        try:
            raw = tomllib.loads(content, parse_float=Decimal)
        except tomllib.TOMLDecodeError as error:
            found = _AT_LINE.search(str(error))
            line = int(found.group(1)) if found else len(content.splitlines())
            reader.refuse((), f"not valid TOML: {error}", line=line)
        except RecursionError:
            reader.refuse((), "is nested too deeply")
        else:
            for path, line in key_lines(content):
                reader.lines.setdefault(path, line)
            tariff = reader.tariff(raw, content)
    if reader.problems or tariff is None:
        raise BadInput(_summary(reader.problems), details=reader.problems)
    return tariff


def _summary(problems: list[dict[str, object]]) -> str:
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{first['file']}:{first['line']}: {first['key']}: {first['message']}{more}"


def _name_of(file: str) -> str:
    return file.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".toml")


class _Wrong(Exception):
    """One value's problem, caught where its key is known."""


@dataclass(slots=True)
class _Reader:
    """Walks the raw tables, keeps every problem, and never stops at the first."""

    file: str
    lines: dict[KeyPath, int]
    problems: list[dict[str, object]]

    def refuse(self, path: KeyPath, message: str, *, suggestion: str = "", line: int = 0) -> None:
        """Note a problem at `path`, or at the nearest table that stands in the file."""
        for size in range(len(path), 0, -1):
            line = line or self.lines.get(path[:size], 0)
        found: dict[str, object] = {"file": self.file, "line": line or 1, "key": ".".join(path), "message": message}
        if suggestion:
            found["suggestion"] = suggestion
        self.problems.append(found)

    def tariff(self, raw: Mapping[str, Any], content: str) -> Tariff:
        """The whole file; only meaningful when no problem was noted."""
        self.known(raw, (), _TOP)
        unit = self.currency(raw)
        house = self.house(raw, unit)
        steps = self.steps(raw)
        printers = self.printers(raw, unit, house)
        rounding = self.rounding(raw, unit)
        self.check_rows(house, (), steps)
        for name, prices in printers.items():
            self.check_rows(prices, ("printers", name), steps)
        return Tariff(
            name=_name_of(self.file),
            unit=unit,
            house=house,
            rounding=rounding,
            steps=steps,
            printers=MappingProxyType(printers),
            title=self.text(raw, "title"),
            source=content,
        )

    def known(self, table: Mapping[str, Any], path: KeyPath, names: Collection[str]) -> None:
        """Refuse every key that is not one of `names`, with the likeliest that was meant."""
        for key in table:
            if key in names:
                continue
            close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
            tail = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(names)}"
            self.refuse((*path, key), f"unknown key {key!r}; {tail}", suggestion=close[0] if close else "")

    def text(self, raw: Mapping[str, Any], key: str) -> str:
        value = raw.get(key, "")
        if isinstance(value, str) and len(value) <= 127 and value.isprintable():
            return value
        self.refuse((key,), "must be one line of text, at most 127 characters")
        return ""

    def currency(self, raw: Mapping[str, Any]) -> Unit:
        code = raw.get("currency")
        if code is None:
            self.refuse(("currency",), "is required: an ISO 4217 code such as EUR")
        elif not isinstance(code, str) or code not in ISO_EXPONENT:
            close = difflib.get_close_matches(str(code).upper(), ISO_EXPONENT, n=1)
            message = f"{code!r} is not a known ISO 4217 currency"
            self.refuse(("currency",), message, suggestion=close[0] if close else "")
        else:
            return unit_of(code)
        return _FALLBACK

    def price(self, table: Mapping[str, Any], key: str, path: KeyPath, unit: Unit, default: int = 0) -> int:
        """One price in smallest steps; `default` where the key is missing or wrong."""
        if key not in table:
            return default
        try:
            value = parse_amount(str(_decimal(table[key])), unit)
            if value < 0:
                raise _Wrong("must not be negative")
            if value > PRICE_UNITS_MAX * 10**unit.scale:
                raise _Wrong(f"must not be more than {PRICE_UNITS_MAX} {unit.code}")
        except (_Wrong, ValueError) as error:
            self.refuse((*path, key), str(error))
            return default
        return value

    def house(self, raw: Mapping[str, Any], unit: Unit) -> PrinterPrice:
        base = PrinterPrice({DEFAULT_MEDIA: _FREE})
        media = raw.get("media")
        if not isinstance(media, Mapping) or not isinstance(media.get(DEFAULT_MEDIA), Mapping):
            self.refuse(("media", DEFAULT_MEDIA), "is required: a table with at least grey and colour")
        else:
            for key in ("grey", "colour"):
                if key not in media[DEFAULT_MEDIA]:
                    self.refuse(("media", DEFAULT_MEDIA, key), "is required")
        return self.prices(raw, (), unit, base)

    def prices(self, table: Mapping[str, Any], path: KeyPath, unit: Unit, base: PrinterPrice) -> PrinterPrice:
        """`base` with what `table` says differently. The default row is read first: the others start from it."""
        rows = dict(base.rows)
        media = table.get("media", {})
        if not isinstance(media, Mapping):
            self.refuse((*path, "media"), "must be a table of tables such as [media.default]")
            media = {}
        for name in sorted(media, key=lambda name: name != DEFAULT_MEDIA):
            here = (*path, "media", name)
            if name != DEFAULT_MEDIA and not _MEDIA_NAME.fullmatch(name):
                self.refuse(here, f"{name!r} is not a PWG size name such as iso_a3_297x420mm")
            elif not isinstance(media[name], Mapping):
                self.refuse(here, "must be a table")
            else:
                self.known(media[name], here, _ROW)
                under = rows.get(name, rows[DEFAULT_MEDIA])
                values = {key: self.price(media[name], key, here, unit, getattr(under, key)) for key in _ROW}
                rows[name] = replace(under, **values)
        fees = {key: self.price(table, key, path, unit, getattr(base, key)) for key in _FEES}
        return PrinterPrice(MappingProxyType(rows), **fees)

    def printers(self, raw: Mapping[str, Any], unit: Unit, house: PrinterPrice) -> dict[str, PrinterPrice]:
        tables = raw.get("printers", {})
        if not isinstance(tables, Mapping):
            self.refuse(("printers",), 'must hold a table per printer such as [printers."Lobby"]')
            return {}
        made = {}
        for name, table in tables.items():
            path = ("printers", name)
            if not isinstance(table, Mapping):
                self.refuse(path, "must be a table")
                continue
            self.known(table, path, (*_FEES, "media"))
            made[name] = self.prices(table, path, unit, house)
        return made

    def rounding(self, raw: Mapping[str, Any], unit: Unit) -> Rounding:
        policy = raw.get("rounding", ROUNDINGS[0])
        if policy not in ROUNDINGS:
            close = difflib.get_close_matches(str(policy), ROUNDINGS, n=1)
            message = f"{policy!r} is not one of {', '.join(ROUNDINGS)}"
            self.refuse(("rounding",), message, suggestion=close[0] if close else "")
            policy = ROUNDINGS[0]
        coin = 10**EXTRA_DECIMALS
        step = self.price(raw, "round_to", (), unit, coin)
        if step == 0:
            self.refuse(("round_to",), "must be more than 0")
        return Rounding(policy, step or coin)

    def steps(self, raw: Mapping[str, Any]) -> tuple[Step, ...]:
        items = raw.get("steps", [])
        if not isinstance(items, list) or len(items) > STEPS_MAX:
            self.refuse(("steps",), f"must be at most {STEPS_MAX} tables [[steps]]")
            return ()
        made: list[tuple[int, Step]] = []
        for index, item in enumerate(items):
            path = ("steps", str(index))
            if not isinstance(item, Mapping):
                self.refuse(path, "must be a table")
                continue
            self.known(item, path, ("above", "percent"))
            step = self.step(item, path)
            if step is not None:
                made.append((index, step))
        for message, index in _step_order(made):
            self.refuse(("steps", str(index)), message)
        return tuple(step for _, step in made)

    def step(self, item: Mapping[str, Any], path: KeyPath) -> Step | None:
        known = len(self.problems)
        above, parts = item.get("above"), -1
        if not isinstance(above, int) or isinstance(above, bool) or not 0 <= above <= ABOVE_MAX:
            self.refuse((*path, "above"), f"must be a whole number of sides from 0 to {ABOVE_MAX}")
        try:
            if "percent" not in item:
                raise _Wrong("is required")
            exact = _decimal(item["percent"]) * 100
            if exact != exact.to_integral_value() or not 0 <= exact <= PERCENT_MAX * 100:
                raise _Wrong(f"must be from 0 to {PERCENT_MAX}, with at most two decimals")
            parts = int(exact)
        except _Wrong as error:
            self.refuse((*path, "percent"), str(error))
        return Step(int(above or 0), parts) if len(self.problems) == known else None

    def check_rows(self, prices: PrinterPrice, path: KeyPath, steps: tuple[Step, ...]) -> None:
        """The rules of `docs/pricing.md` section 1 that keep prices from turning the wrong way."""
        least = min((PERCENT, *(step.parts for step in steps)))
        told = {str(problem["key"]).rpartition(".")[0] for problem in self.problems}
        for name, row in prices.rows.items():
            here = (*path, "media", name)
            rests_on = {".".join((*base, "media", one)) for base in ((), path) for one in (name, DEFAULT_MEDIA)}
            if rests_on & told:
                continue  # prices that were not understood have been told; what follows from them has not been written
            if row.colour < row.grey:
                message = "is less than grey: changing a job to grey must not make it dearer"
                self.refuse((*here, "colour"), message)
            if row.duplex_discount * PERCENT > min(row.grey, row.colour) * least:
                message = "is more than the cheapest side costs: printing one side more would make a job cheaper"
                self.refuse((*here, "duplex_discount"), message)


def _decimal(raw: object) -> Decimal:
    """A TOML number, or one in quotes, exactly."""
    if isinstance(raw, bool) or not isinstance(raw, (int, str, Decimal)) or len(str(raw)) > 40:
        raise _Wrong(f"must be a number such as 0.05, not {str(raw)[:40]!r}")
    try:
        value = Decimal(raw)
    except InvalidOperation:
        raise _Wrong(f"must be a number such as 0.05, not {str(raw)!r}") from None
    if not value.is_finite() or abs(value.adjusted()) > 20:
        raise _Wrong(f"must be an ordinary number such as 0.05, not {str(raw)!r}")
    return value


def _step_order(steps: list[tuple[int, Step]]) -> Iterator[tuple[str, int]]:
    """Problems between steps: `above` rises, and the percent only falls or only rises from 100."""
    before, parts, direction = -1, PERCENT, 0
    for index, step in steps:
        if step.above <= before:
            yield f"above = {step.above} must be more than the step before it", index
        change = (step.parts > parts) - (step.parts < parts)
        if change and direction and change != direction:
            yield "percent must only fall or only rise from one step to the next, starting at 100", index
        before, parts, direction = step.above, step.parts, direction or change
