"""The ledger's rules: which key a movement has, and how what came out is divided over what was reserved. Pure.

Words are TigerBeetle's: a *pending* transfer reserves, *post*, *void* or *expire* resolves it exactly once, a
*direct* transfer moves at once, a *reversal* gives back. All three resolutions of one reservation share one key, so
that they race to one row. Every key is derived: the same movement can be asked for any number of times.

More came out than was reserved: paper cannot be refused and a limit is not broken. What is available is taken, the
rest goes to the person's *overrun* account, which blocks further releases until it is settled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from daemon.kernel.ids import derived_key, request_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REVENUE = "revenue"
GRANTS = "grants"
ADJUSTMENTS = "adjustments"
EXPIRED = "expired"
ROUNDING = "rounding"
OVERRUN = "overrun"
HOUSE_POTS = (("sink", REVENUE), ("source", GRANTS), ("source", ADJUSTMENTS), ("sink", EXPIRED), ("sink", ROUNDING))
"""The house's own accounts, one of each per unit: kind and pot."""

UNLIMITED_MIN = -4_000_000_000_000_000_000
"""`available_min` of an unrestricted account: never met, and every sum stays inside 64 bits."""


class Charge(Protocol):
    """What a leg of a job costs: `amount` smallest steps out of the account `account_id`."""

    @property
    def account_id(self) -> int: ...
    @property
    def amount(self) -> int: ...


class ReservedLeg(Protocol):
    """One reservation of a delivery."""

    @property
    def account_id(self) -> int: ...
    @property
    def unit_code(self) -> str: ...
    @property
    def amount(self) -> int: ...
    @property
    def pending_key(self) -> bytes: ...


class Pot(Protocol):
    """An account a person's excess may be taken from."""

    @property
    def account_id(self) -> int: ...
    @property
    def unit_code(self) -> str: ...
    @property
    def kind(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Post:
    """Take `amount` (0 up to the reserved) of one reservation; the rest of it returns."""

    pending_key: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class Excess:
    """`amount` of a unit that came out beyond all reservations: out of `account_ids` in order, then overrun."""

    unit_code: str
    amount: int
    account_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a delivery's reservations are resolved."""

    posts: tuple[Post, ...]
    excess: tuple[Excess, ...]


def plan_settlement(actual: Mapping[str, int], legs: Sequence[ReservedLeg], pots: Sequence[Pot]) -> Settlement:
    """Divide what really came out (`actual`, by unit code) over the reservations, in their order.

    Every reservation gets exactly one post, of 0 where nothing is left to take; legs of nothing have none. What
    exceeds all reservations of a unit is taken from the person's pots of that unit, in the order given.
    """
    if any(amount < 0 for amount in actual.values()):
        raise ValueError("nothing can have come out less than not at all")
    left = dict(actual)
    posts = []
    for leg in legs:
        if leg.amount == 0:
            continue
        taken = min(leg.amount, left.get(leg.unit_code, 0))
        posts.append(Post(leg.pending_key, taken))
        left[leg.unit_code] = left.get(leg.unit_code, 0) - taken
    excess = tuple(
        Excess(unit, amount, tuple(pot.account_id for pot in pots if pot.unit_code == unit and pot.kind != OVERRUN))
        for unit, amount in sorted(left.items())
        if amount > 0
    )
    return Settlement(tuple(posts), excess)


def owner_of(person_id: int) -> str:
    """The `owner` text of a person's accounts."""
    return f"person:{person_id}"


def reservation_key(delivery: str, leg: int) -> bytes:
    """Of the pending transfer of one leg of one delivery."""
    return derived_key("reserve", delivery, str(leg))


def resolution_key(pending_key: bytes) -> bytes:
    """Shared by post, void and expire of one reservation: only one of them can ever be written."""
    return derived_key("resolve", pending_key.hex())


def late_key(pending_key: bytes, part: str) -> bytes:
    """Of what is taken for a reservation that had already expired; `part` is `taken` or `overrun`."""
    return derived_key("late", pending_key.hex(), part)


def excess_key(delivery: str, unit_code: str, part: str) -> bytes:
    """Of what is taken beyond a delivery's reservations; `part` is an account id or `overrun`."""
    return derived_key("excess", delivery, unit_code, part)


def adjustment_key(key: str) -> bytes:
    """Of an administrator's adjustment, from the key the caller made."""
    return derived_key("adjust", key)


def override_key(key: str) -> bytes:
    """Of an administrator's override of what is available, from the key the caller made."""
    return derived_key("override", key)


def refund_key(key: str) -> bytes:
    """Of an administrator's refund, from the key the caller made."""
    return derived_key("refund", key)


def grant_key(lineage: str, account_id: int, period: str) -> bytes:
    """Of one period's grant: `lineage` names the allowance across edits of its profile, `period` is `2026-11`."""
    return derived_key("grant", lineage, str(account_id), period)


def clip_key(grant: bytes) -> bytes:
    """Of what a grant exceeded the accumulation cap by."""
    return derived_key("clip", grant.hex())


def recovery_key(cause: bytes) -> bytes:
    """Of the overrun paid back out of what `cause` brought in."""
    return derived_key("recover", cause.hex())


def digest(*parts: object) -> bytes:
    """Tells two requests under one key apart; never includes the time of asking."""
    return request_digest(*(part.hex() if isinstance(part, bytes) else str(part) for part in parts))
