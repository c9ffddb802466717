"""Wiegand bit layouts: which bits are facility code and card number, and which parities must hold. Pure.

Layouts as HID and their readers publish them (H10301, H10302, H10304, H10306, Corporate 1000). Bits are numbered
from the left, the first one sent is bit 0. Parity is the only check such a card has, so a read whose parity is
wrong is refused: one bit of it was read wrongly, or it is a card of another layout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from daemon.auth.cards import CardUnreadable


@dataclass(frozen=True, slots=True)
class Field:
    """`length` bits from bit `start`."""

    start: int
    length: int

    @property
    def top(self) -> int:
        """The largest value that fits."""
        return (1 << self.length) - 1


@dataclass(frozen=True, slots=True)
class Parity:
    """The bit at `position` makes the count of ones in itself and `over` odd or even."""

    position: int
    is_odd: bool
    over: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """One card layout; parities stand in the order they are computed when a card is written."""

    name: str
    bits: int
    number: Field
    facility: Field | None
    parities: tuple[Parity, ...]

    def fits(self, value: int) -> bool:
        """True when `value` has no more bits than the layout."""
        return value >> self.bits == 0

    def is_parity_good(self, value: int) -> bool:
        """True when every parity holds."""
        return all(
            (sum(self._bit(value, at) for at in (*parity.over, parity.position)) & 1) == parity.is_odd
            for parity in self.parities
        )

    def decode(self, value: int) -> tuple[int | None, int]:
        """(facility code or None, card number).

        Raises:
            CardUnreadable: too many bits, or a parity that does not hold.
        """
        if not self.fits(value):
            raise CardUnreadable(f"has more than {self.bits} bits")
        if not self.is_parity_good(value):
            raise CardUnreadable(f"the parity of {self.name} is wrong: read wrongly, or a card of another layout")
        return None if self.facility is None else self._take(value, self.facility), self._take(value, self.number)

    def text(self, value: int) -> str:
        """`facility-number`, or the number alone where the layout has no facility code; raises as `decode`."""
        facility, number = self.decode(value)
        return str(number) if facility is None else f"{facility}-{number}"

    def encode(self, number: int, facility: int | None = None) -> int:
        """The bits of a card with this number, parities set.

        Raises:
            ValueError: a number does not fit its field, or the layout has no such field.
        """
        if not 0 <= number <= self.number.top or (facility is None) != (self.facility is None):
            raise ValueError("the numbers do not fit the layout")
        value = number << (self.bits - self.number.start - self.number.length)
        if facility is not None and self.facility is not None:
            if not 0 <= facility <= self.facility.top:
                raise ValueError("the facility code does not fit the layout")
            value |= facility << (self.bits - self.facility.start - self.facility.length)
        for parity in self.parities:
            ones = sum(self._bit(value, at) for at in parity.over)
            if (ones & 1) != parity.is_odd:
                value |= 1 << (self.bits - 1 - parity.position)
        return value

    def _bit(self, value: int, at: int) -> int:
        return value >> (self.bits - 1 - at) & 1

    def _take(self, value: int, field: Field) -> int:
        return value >> (self.bits - field.start - field.length) & field.top


def _span(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1))


def _pairs(first: int, last: int) -> tuple[int, ...]:
    """Two bits of every three, from `first` to `last`."""
    return tuple(at for at in range(first, last + 1) if (at - first) % 3 != 2)


def _halves(bits: int, *, shared: int = 0) -> tuple[Parity, ...]:
    """Even parity in front over the first half, odd at the end over the second; `shared` bits belong to both."""
    half = (bits + shared) // 2
    return (
        Parity(0, is_odd=False, over=_span(1, half - 1)),
        Parity(bits - 1, is_odd=True, over=_span(bits - half, bits - 2)),
    )


_LAYOUTS = (
    Layout("H10301 (26 bit)", 26, Field(9, 16), Field(1, 8), _halves(26)),
    Layout("H10306 (34 bit)", 34, Field(17, 16), Field(1, 16), _halves(34)),
    Layout(
        "Corporate 1000 (35 bit)",
        35,
        Field(14, 20),
        Field(2, 12),
        (
            Parity(1, is_odd=False, over=_pairs(2, 33)),
            Parity(34, is_odd=True, over=_pairs(1, 32)),
            Parity(0, is_odd=True, over=_span(1, 34)),
        ),
    ),
    Layout("H10304 (37 bit)", 37, Field(17, 19), Field(1, 16), _halves(37, shared=1)),
    Layout(
        "Corporate 1000 (48 bit)",
        48,
        Field(24, 23),
        Field(2, 22),
        (
            Parity(1, is_odd=False, over=_pairs(3, 46)),
            Parity(47, is_odd=True, over=_pairs(2, 45)),
            Parity(0, is_odd=True, over=_span(1, 47)),
        ),
    ),
)
LAYOUTS: Mapping[int, Layout] = MappingProxyType({layout.bits: layout for layout in _LAYOUTS})
"""Layouts with a facility code, by their number of bits."""
H10302 = Layout("H10302 (37 bit, no facility code)", 37, Field(1, 35), None, _halves(37, shared=1))
"""The same 37 bits and parities as H10304: a card does not say which of the two it is."""
