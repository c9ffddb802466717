"""What a job costs: the algorithm of `docs/pricing.md`, in integers, rounded once per job. Pure.

The price of a full print is the quote; the price of a part is never more, since neither a side, a sheet nor colour can
make a job cheaper under the rules every tariff is checked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from daemon.accounting.tariff import PERCENT, MediaPrice, Rounding, Step, Tariff
from daemon.accounting.tariff_file import parse_tariff
from daemon.kernel.counts import Counts, MediaCount
from daemon.kernel.errors import Refusal
from daemon.kernel.money import AMOUNT_MAX, Amount, Unit

__all__ = ["PriceTooLarge", "Quote", "QuoteLine", "Rounding", "Tariff", "parse_tariff", "quote"]


class PriceTooLarge(Refusal):
    """The job costs more than an amount can hold; nobody could pay it."""

    code = "price-too-large"


@dataclass(frozen=True, slots=True)
class QuoteLine:
    """One line of a price.

    `kind`: `grey`, `colour` (sides), `sheet`, `duplex`, `flat-fee`, `minimum` or `rounding`. `each` is the price of one
    before the volume step, `percent_parts` the step (10000 = full price), `parts` the exact sum of the line in 1/10000
    of the smallest step; over all lines it is the price.
    """

    kind: str
    media: str
    count: int
    each: int
    percent_parts: int
    parts: int

    def to_json(self) -> dict[str, object]:
        """Plain data; `from_json` takes it back."""
        return {
            "kind": self.kind,
            "media": self.media,
            "count": self.count,
            "each": self.each,
            "percent_parts": self.percent_parts,
            "parts": self.parts,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> QuoteLine:
        """The line `to_json` described."""
        names = ("count", "each", "percent_parts", "parts")
        return cls(str(data["kind"]), str(data["media"]), *(int(data[name]) for name in names))


@dataclass(frozen=True, slots=True)
class Quote:
    """A price with everything it was made from: the same inputs make it again after a crash or a year later.

    `price` is in smallest steps of `unit`; `tariff` and `digest` name the tariff and its content; `rounding` is the
    policy in words; `impressions_before` the person's sides this period before this job; `printer` whose prices.
    """

    unit: Unit
    price: int
    lines: tuple[QuoteLine, ...]
    tariff: str
    rounding: str
    counts: Counts
    digest: str = ""
    impressions_before: int = 0
    printer: str = ""

    @property
    def amount(self) -> Amount:
        """The price with its unit."""
        return Amount(self.unit, self.price)

    def to_json(self) -> dict[str, object]:
        """Plain data; `from_json` takes it back."""
        return {
            "unit": self.unit.code,
            "scale": self.unit.scale,
            "price": self.price,
            "lines": [line.to_json() for line in self.lines],
            "tariff": self.tariff,
            "digest": self.digest,
            "rounding": self.rounding,
            "impressions_before": self.impressions_before,
            "printer": self.printer,
            "counts": [
                {
                    "media": m.media,
                    "impressions": m.impressions,
                    "color_impressions": m.color_impressions,
                    "sheets": m.sheets,
                    "duplex_sheets": m.duplex_sheets,
                }
                for m in self.counts.by_media
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Quote:
        """The quote `to_json` described."""
        return cls(
            unit=Unit(str(data["unit"]), int(data["scale"])),
            price=int(data["price"]),
            lines=tuple(QuoteLine.from_json(line) for line in data["lines"]),
            tariff=str(data["tariff"]),
            rounding=str(data["rounding"]),
            counts=Counts(tuple(MediaCount(**media) for media in data["counts"])),
            digest=str(data["digest"]),
            impressions_before=int(data["impressions_before"]),
            printer=str(data["printer"]),
        )


@dataclass(frozen=True, slots=True)
class _Sides:
    """`count` sides of one kind on one paper, `each` apiece."""

    each: int
    kind: str
    media: str
    count: int


def quote(tariff: Tariff, counts: Counts, *, impressions_before: int = 0, printer: str = "") -> Quote:
    """The price of `counts` on `printer`, with `impressions_before` sides already charged this period.

    Nothing printed costs nothing: no fee, no minimum.

    Raises:
        ValueError: counts that no paper can have.
        PriceTooLarge: beyond what an amount may be.
    """
    _check(counts, impressions_before)
    lines = [] if _is_nothing(counts) else list(_lines(tariff, counts, impressions_before, printer))
    exact = sum(line.parts for line in lines)
    price = tariff.rounding.apply(exact)
    if price > AMOUNT_MAX:
        raise PriceTooLarge(f"the price exceeds {AMOUNT_MAX} of the smallest steps of {tariff.unit.code}")
    if price * PERCENT != exact:
        lines.append(QuoteLine("rounding", "", 1, 0, PERCENT, price * PERCENT - exact))
    return Quote(
        unit=tariff.unit,
        price=price,
        lines=tuple(lines),
        tariff=tariff.name,
        rounding=tariff.rounding.text(tariff.unit),
        counts=counts,
        digest=tariff.digest,
        impressions_before=impressions_before,
        printer=printer,
    )


def _check(counts: Counts, impressions_before: int) -> None:
    if impressions_before < 0:
        raise ValueError("impressions_before counts sides and cannot be negative")
    for m in counts.by_media:
        sides_fit = 0 <= m.color_impressions <= m.impressions and 2 * m.duplex_sheets <= m.impressions
        if not (sides_fit and 0 <= m.duplex_sheets <= m.sheets):
            raise ValueError(f"no paper has such counts: {m}")


def _is_nothing(counts: Counts) -> bool:
    return counts.impressions == 0 and counts.sheets == 0


def _lines(tariff: Tariff, counts: Counts, before: int, printer: str) -> Iterator[QuoteLine]:
    """Every line but the rounding; their parts add up to at least the minimum."""
    prices = tariff.at(printer)
    rows = {m.media: prices.row(m.media) for m in counts.by_media}
    total = 0
    for line in (*_side_lines(_sides(counts, rows), tariff.steps, before), *_paper_lines(counts, rows)):
        total += line.parts
        yield line
    if prices.flat_fee:
        total += prices.flat_fee * PERCENT
        yield QuoteLine("flat-fee", "", 1, prices.flat_fee, PERCENT, prices.flat_fee * PERCENT)
    if total < prices.minimum * PERCENT:
        yield QuoteLine("minimum", "", 1, prices.minimum, PERCENT, prices.minimum * PERCENT - total)


def _sides(counts: Counts, rows: Mapping[str, MediaPrice]) -> list[_Sides]:
    """All sides, the dearest first; equal prices in an order that does not depend on the document's."""
    found = [
        _Sides(each, kind, m.media, count)
        for m in counts.by_media
        for kind, each, count in (
            ("grey", rows[m.media].grey, m.impressions - m.color_impressions),
            ("colour", rows[m.media].colour, m.color_impressions),
        )
        if count
    ]
    return sorted(found, key=lambda side: (-side.each, side.kind, side.media))


def _side_lines(sides: list[_Sides], steps: tuple[Step, ...], before: int) -> Iterator[QuoteLine]:
    """Cut the row of sides where a volume step begins: sides below it keep their price."""
    number = before
    for side in sides:
        left = side.count
        while left:
            parts, ends = _step_at(steps, number)
            count = left if ends is None else min(left, ends - number)
            yield QuoteLine(side.kind, side.media, count, side.each, parts, count * side.each * parts)
            number += count
            left -= count


def _step_at(steps: tuple[Step, ...], number: int) -> tuple[int, int | None]:
    """The percent of the side after `number` sides, and the number of sides at which the next step begins."""
    parts = PERCENT
    for step in steps:
        if number < step.above:
            return parts, step.above
        parts = step.parts
    return parts, None


def _paper_lines(counts: Counts, rows: Mapping[str, MediaPrice]) -> Iterator[QuoteLine]:
    for m in counts.by_media:
        row = rows[m.media]
        if m.sheets and row.sheet:
            yield QuoteLine("sheet", m.media, m.sheets, row.sheet, PERCENT, m.sheets * row.sheet * PERCENT)
        if m.duplex_sheets and row.duplex_discount:
            off = -row.duplex_discount
            yield QuoteLine("duplex", m.media, m.duplex_sheets, off, PERCENT, m.duplex_sheets * off * PERCENT)
