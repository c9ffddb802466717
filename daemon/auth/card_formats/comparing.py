"""What a change of formats would do to enrolled cards, and cards that are easily taken for each other. Pure.

Everything answers with the callers' card ids, never with numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from daemon.auth.card_formats.card_format import CardFormat
from daemon.auth.card_formats.steps import DIGITS
from daemon.auth.cards import CardUnreadable

_UPPER_HEX = frozenset("0123456789ABCDEF")
REVERSIBLE_CHARS_MIN = 6
"""Shorter texts are too often each other's reverse by chance."""


@dataclass(frozen=True, slots=True)
class Lost:
    """An enrolled card that the new format refuses, and why."""

    card_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What becomes of enrolled cards when `new` takes the place of `old`.

    `kept`: the same bytes, nothing to do. `changed`: other bytes, so the stored hash must be made again from the kept
    read, or the card stops matching. `lost`: readable before, refused from now on. `gained`: refused before, readable
    from now on. `unreadable`: refused by both. `merged`: cards that were different and would become one.
    """

    kept: tuple[str, ...]
    changed: tuple[str, ...]
    lost: tuple[Lost, ...]
    gained: tuple[str, ...]
    unreadable: tuple[str, ...]
    merged: tuple[tuple[str, ...], ...]

    @property
    def is_safe(self) -> bool:
        """True when no card stops matching and none become one, once the changed ones are re-hashed."""
        return not self.lost and not self.merged


def compare(old: CardFormat, new: CardFormat, raws: Iterable[tuple[str, str]]) -> Comparison:
    """Dry run: `raws` are (card id, raw read) of the cards enrolled by `old`."""
    kept: list[str] = []
    changed: list[str] = []
    lost: list[Lost] = []
    gained: list[str] = []
    unreadable: list[str] = []
    by_new: dict[bytes, dict[bytes, str]] = defaultdict(dict)
    for card_id, raw in raws:
        before, _ = _canonical(old, raw)
        after, reason = _canonical(new, raw)
        if after is None:
            unreadable.append(card_id) if before is None else lost.append(Lost(card_id, reason))
            continue
        (gained if before is None else kept if before == after else changed).append(card_id)
        by_new[after].setdefault(before or raw.encode("utf-8", "replace"), card_id)
    merged = tuple(tuple(sorted(group.values())) for group in by_new.values() if len(group) > 1)
    return Comparison(tuple(kept), tuple(changed), tuple(lost), tuple(gained), tuple(unreadable), merged)


def _canonical(card_format: CardFormat, raw: str) -> tuple[bytes | None, str]:
    try:
        return card_format.canonical(raw), ""
    except CardUnreadable as refused:
        return None, refused.message


class Likeness(StrEnum):
    """How two cards are taken for each other."""

    SAME = "same-number"  # the very same bytes
    CASE = "case"  # 04a1 and 04A1
    LEADING_ZEROS = "leading-zeros"  # 00123 and 123: a reader that drops zeros
    NAMESPACE = "namespace"  # one number in two namespaces: two sites, or one card enrolled twice
    FACILITY = "facility"  # one card number under two facility codes
    BYTE_ORDER = "byte-order"  # 01020304 and 04030201: readers of two makes
    NOTATION = "notation"  # 946EBD28 and 2490285352: hexadecimal and decimal of one card


@dataclass(frozen=True, slots=True)
class Collision:
    """Cards that are alike in one way; ids in the order they were given."""

    likeness: Likeness
    card_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    card_id: str
    namespace: str
    number: str
    canonical: bytes


def collisions(enrolled: Iterable[tuple[str, CardFormat, str]]) -> list[Collision]:
    """Cards that a reader or a person may take for each other; `enrolled` are (card id, its format, raw read).

    Each pair is told once, under the closest likeness. Reads that their format refuses are left out.
    """
    known = []
    for card_id, card_format, raw in enrolled:
        try:
            number = card_format.normalise(raw)
        except CardUnreadable:
            continue
        known.append(_Known(card_id, card_format.namespace, number, card_format.canonical_of(number)))
    found: list[Collision] = []
    told: dict[str, list[set[str]]] = defaultdict(list)
    for likeness, key in _KEYS.items():
        groups: dict[object, list[_Known]] = defaultdict(list)
        for one in known:
            for value in key(one):
                groups[value].append(one)
        for group in groups.values():
            ids = dict.fromkeys(one.card_id for one in group)
            is_new = not any(ids.keys() <= before for before in told[group[0].card_id])
            if len(ids) > 1 and is_new and _differs(likeness, group):
                found.append(Collision(likeness, tuple(ids)))
                for card_id in ids:
                    told[card_id].append(set(ids))
    return found


def _differs(likeness: Likeness, group: list[_Known]) -> bool:
    """A group counts when its members differ in the way the likeness is about."""
    if likeness is Likeness.SAME:
        return True
    if likeness is Likeness.NAMESPACE:
        return len({one.canonical for one in group}) > 1
    if likeness is Likeness.NOTATION:
        return len({DIGITS.issuperset(one.number) for one in group}) > 1
    return len({one.number for one in group}) > 1


def _case(one: _Known) -> list[object]:
    return [(one.namespace, one.number.upper())]


def _zeros(one: _Known) -> list[object]:
    return [(one.namespace, "-".join(part.lstrip("0") or "0" for part in one.number.upper().split("-")))]


def _facility(one: _Known) -> list[object]:
    facility, dash, number = one.number.partition("-")
    if dash and DIGITS.issuperset(facility + number) and facility and number:
        return [number.lstrip("0")]
    return []


def _byte_order(one: _Known) -> list[object]:
    number = one.number.upper()
    if len(number) % 2 or len(number) < REVERSIBLE_CHARS_MIN or not _UPPER_HEX.issuperset(number):
        return []
    octets = bytes.fromhex(number)
    return [min(octets, octets[::-1])]


def _notation(one: _Known) -> list[object]:
    """Values a number may stand for; byte order included, for a hexadecimal one that has letters."""
    number = one.number.upper()
    if DIGITS.issuperset(number):
        return [int(number)]
    if len(number) % 2 or not _UPPER_HEX.issuperset(number):
        return []
    octets = bytes.fromhex(number)
    return list({int.from_bytes(octets, "big"), int.from_bytes(octets, "little")})


_KEYS: dict[Likeness, Callable[[_Known], list[object]]] = {
    Likeness.SAME: lambda one: [one.canonical],
    Likeness.CASE: _case,
    Likeness.LEADING_ZEROS: _zeros,
    Likeness.NAMESPACE: lambda one: [one.number],
    Likeness.FACILITY: _facility,
    Likeness.BYTE_ORDER: _byte_order,
    Likeness.NOTATION: _notation,
}
