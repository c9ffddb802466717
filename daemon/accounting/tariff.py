"""A tariff as data: prices by paper size, fees, volume steps, rounding, and what differs per printer. Pure.

`docs/pricing.md` is the specification. Prices are integers in the smallest step of the currency (EUR: 1/10000).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from daemon.kernel.money import Amount, Unit

DEFAULT_MEDIA = "default"
PERCENT = 10_000
"""A whole price in the steps' resolution: percent with two decimals."""

ROUNDINGS = ("half-even", "half-up", "up", "down")
AREA_TOLERANCE_PERCENT = 95
"""A size that has at least this share of a row's area counts as not smaller than it."""

_SIZE = re.compile(r"_([0-9]+(?:\.[0-9]+)?)x([0-9]+(?:\.[0-9]+)?)(mm|in)$")
_DEFAULT_AREA_UM2 = 210_000 * 297_000


@dataclass(frozen=True, slots=True)
class MediaPrice:
    """The row of one paper size, in smallest steps; `duplex_discount` is per sheet marked on both sides."""

    grey: int
    colour: int
    sheet: int = 0
    duplex_discount: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """From impression number `above + 1` of the period on, a side costs `parts` / 10000 of its price."""

    above: int
    parts: int


@dataclass(frozen=True, slots=True)
class Rounding:
    """How a job's total becomes a price, once: to a multiple of `step` smallest steps by `policy`."""

    policy: str
    step: int

    def apply(self, parts: int) -> int:
        """Smallest steps for a total in 1/10000 of one, never negative."""
        size = self.step * PERCENT
        whole, rest = divmod(parts, size)
        if self.policy == "up":
            whole += rest > 0
        elif self.policy == "half-up":
            whole += 2 * rest >= size
        elif self.policy == "half-even":
            whole += 2 * rest > size or (2 * rest == size and whole % 2 == 1)
        return whole * self.step

    def text(self, unit: Unit) -> str:
        """`half-even to 0.01 EUR`."""
        return f"{self.policy} to {Amount(unit, self.step).text()}"


@dataclass(frozen=True, slots=True)
class PrinterPrice:
    """All that a tariff says for one printer, overrides already applied."""

    rows: Mapping[str, MediaPrice]
    flat_fee: int = 0
    minimum: int = 0

    def row(self, media: str) -> MediaPrice:
        """The row of a paper size: its own, else the largest that is not larger, else the smallest."""
        own = self.rows.get(media)
        if own is not None:
            return own
        area = _area(media)
        if area is None:
            return self.rows[DEFAULT_MEDIA]
        by_area = sorted((_area(name) or _DEFAULT_AREA_UM2, name) for name in self.rows)
        fitting = [name for size, name in by_area if area * 100 >= size * AREA_TOLERANCE_PERCENT]
        return self.rows[fitting[-1] if fitting else by_area[0][1]]


@dataclass(frozen=True, slots=True)
class Tariff:
    """A named list of prices. `source` is the file's text as read: the same text makes the same tariff again."""

    name: str
    unit: Unit
    house: PrinterPrice
    rounding: Rounding
    steps: tuple[Step, ...] = ()
    printers: Mapping[str, PrinterPrice] = field(default_factory=lambda: MappingProxyType({}))
    title: str = ""
    source: str = field(default="", compare=False, repr=False)
    digest: str = field(init=False, compare=False, repr=False)
    """SHA-256 of the canonical content, hex: two tariffs of one digest make the same prices."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha256(self.canonical().encode()).hexdigest())

    def at(self, printer: str) -> PrinterPrice:
        """The prices on a printer; the house's where the tariff does not name it."""
        return self.printers.get(printer, self.house)

    def canonical(self) -> str:
        """The content as one JSON text: independent of comments, order and how numbers were written."""
        content = {
            "currency": self.unit.code,
            "scale": self.unit.scale,
            "rounding": [self.rounding.policy, self.rounding.step],
            "steps": [[step.above, step.parts] for step in self.steps],
            "house": _canonical(self.house),
            "printers": {name: _canonical(prices) for name, prices in self.printers.items()},
        }
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _canonical(prices: PrinterPrice) -> dict[str, object]:
    rows = {name: [row.grey, row.colour, row.sheet, row.duplex_discount] for name, row in prices.rows.items()}
    return {"rows": rows, "flat_fee": prices.flat_fee, "minimum": prices.minimum}


def _area(media: str) -> int | None:
    """Square micrometres of a PWG self-describing size name (PWG 5101.1 section 5), or None."""
    found = _SIZE.search(media)
    if found is None:
        return None
    per_unit = 1_000 if found[3] == "mm" else 25_400
    return _micrometres(found[1], per_unit) * _micrometres(found[2], per_unit)


def _micrometres(text: str, per_unit: int) -> int:
    whole, _, digits = text.partition(".")
    scaled: int = int(whole + digits) * per_unit // 10 ** len(digits)
    return scaled
