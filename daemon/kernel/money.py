"""Units and amounts. An amount is an integer in the unit's smallest step; floats never enter.

Money has ISO 4217 exponent + 2 decimals (0.35 cent per page is a real price), pages have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TypedDict

ISO_EXPONENT = {
    "EUR": 2, "USD": 2, "GBP": 2, "CHF": 2, "SEK": 2, "NOK": 2, "DKK": 2, "PLN": 2, "CZK": 2, "CAD": 2,
    "AUD": 2, "NZD": 2, "ILS": 2, "AED": 2, "JPY": 0, "KRW": 0, "ISK": 0, "KWD": 3, "BHD": 3, "TND": 3, "HUF": 2,
    "INR": 2, "BRL": 2, "MXN": 2, "ZAR": 2, "TRY": 2, "CNY": 2, "SGD": 2, "HKD": 2, "RON": 2, "BGN": 2,
}  # fmt: skip
"""ISO 4217 minor-unit exponents of the currencies a tariff may name."""

EXTRA_DECIMALS = 2
AMOUNT_MAX = 4_000_000_000_000_000_000
"""No single amount or balance may exceed this: it keeps every sum inside 64 bits."""


class AmountJson(TypedDict):
    """An amount as every API and command prints it."""

    unit: str
    amount: int
    scale: int


@dataclass(frozen=True, slots=True)
class Unit:
    """What is counted: `pages`, `colour_pages`, or a currency; `scale` is its number of decimals."""

    code: str
    scale: int

    @property
    def is_money(self) -> bool:
        """True for currencies, False for page counts."""
        return self.code in ISO_EXPONENT


PAGES = Unit("pages", 0)
COLOUR_PAGES = Unit("colour_pages", 0)


def unit_of(code: str) -> Unit:
    """The unit named `code`.

    Raises:
        ValueError: no such unit.
    """
    if code == PAGES.code:
        return PAGES
    if code == COLOUR_PAGES.code:
        return COLOUR_PAGES
    if code in ISO_EXPONENT:
        return Unit(code, ISO_EXPONENT[code] + EXTRA_DECIMALS)
    raise ValueError(f"unknown unit {code!r}: use pages, colour_pages or a currency such as EUR")


@dataclass(frozen=True, slots=True)
class Amount:
    """`value` smallest steps of `unit`; may be negative in balances."""

    unit: Unit
    value: int

    def __add__(self, other: Amount) -> Amount:
        self._same(other)
        return Amount(self.unit, self.value + other.value)

    def __sub__(self, other: Amount) -> Amount:
        self._same(other)
        return Amount(self.unit, self.value - other.value)

    def _same(self, other: Amount) -> None:
        if self.unit != other.unit:
            raise ValueError(f"cannot combine {self.unit.code} with {other.unit.code}")

    def to_json(self) -> AmountJson:
        """{"unit","amount","scale"}."""
        return {"unit": self.unit.code, "amount": self.value, "scale": self.unit.scale}

    def to_decimal(self) -> Decimal:
        """The exact value in whole units."""
        return Decimal(self.value).scaleb(-self.unit.scale)

    def text(self) -> str:
        """Plain text for logs and the CLI: `0.35 EUR`, `12 pages`; digits beyond the cent only when they matter."""
        if not self.unit.is_money:
            return f"{self.value} {self.unit.code}"
        whole = self.unit.scale - EXTRA_DECIMALS
        exact = self.to_decimal()
        short = exact.quantize(Decimal(1).scaleb(-whole), rounding=ROUND_HALF_EVEN)
        return f"{short if short == exact else exact} {self.unit.code}"


def parse_amount(text: str, unit: Unit) -> int:
    """Smallest steps of `unit` in a decimal text such as `0.35`; exact or refused.

    Raises:
        ValueError: not a plain decimal number, finer than the unit's scale, or too large.
    """
    try:
        exact = Decimal(text.strip()).scaleb(unit.scale)
    except ArithmeticError as error:
        raise ValueError(f"not a number: {text!r}") from error
    if not exact.is_finite() or exact != exact.to_integral_value():
        raise ValueError(f"{text!r} is finer than {unit.code} can hold ({unit.scale} decimals)")
    value = int(exact)
    if abs(value) > AMOUNT_MAX:
        raise ValueError(f"{text!r} is too large")
    return value
