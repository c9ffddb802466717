"""Allowances: which pots a person has and which pays for what. Pure; see `docs/allowances.md`.

Each unit a person has pots in is a constraint of its own: a job needs all of them, and is refused by the first that is
short. Pots of one unit are spent in the profile's order, first what is in them, then their overdrafts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from daemon.accounting.periods import PeriodKind, Term
from daemon.kernel.errors import Refusal
from daemon.kernel.money import AMOUNT_MAX, COLOUR_PAGES, PAGES, Amount, Unit, parse_amount, unit_of

if TYPE_CHECKING:
    from daemon.accounting.pricing import Quote

OVERRUN_KIND = "overrun"
UNLIMITED = AMOUNT_MAX
"""What an account without a limit may still pay."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """The first unit that is short: what is asked of it and what its pots may still pay.

    `owed` is what came out unpaid earlier; while it is more than nothing, nothing is released whatever is available.
    """

    needed: Amount
    available: Amount
    owed: Amount


class InsufficientFunds(Refusal):
    """The pots of one unit do not cover it (or, code `overrun-unsettled`, something is owed from an earlier job).

    `data`: `unit`, and as JSON amounts `needed`, `available`, `owed`; for a selection also `fits`, the jobs that
    together would be covered.
    """

    code = "insufficient-funds"

    @classmethod
    def of(cls, shortage: Shortage, *, fits: Sequence[str] = ()) -> InsufficientFunds:
        """The refusal that tells a shortage."""
        needed, available, owed = shortage.needed, shortage.available, shortage.owed
        message = f"This needs {needed.text()}; {available.text()} are available."
        if owed.value:
            message = f"{owed.text()} are owed from an earlier job and have to be settled first."
        return cls(
            message,
            code="overrun-unsettled" if owed.value else None,
            unit=needed.unit.code,
            needed=needed.to_json(),
            available=available.to_json(),
            owed=owed.to_json(),
            fits=list(fits),
        )


class CurrencyNotAccepted(Refusal):
    """The printer's tariff is in a currency the person has no pot in, though they pay in another."""

    code = "currency-not-accepted"


class PotSource(Protocol):
    """One pot as configured: amounts in whole units; `cap` below zero means none."""

    @property
    def pot(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def amount(self) -> Decimal: ...
    @property
    def period(self) -> str: ...
    @property
    def cap(self) -> Decimal: ...
    @property
    def overdraft(self) -> Decimal: ...


class TermSource(Protocol):
    """One term as configured: days as YYYY-MM-DD."""

    @property
    def name(self) -> str: ...
    @property
    def start(self) -> str: ...
    @property
    def end(self) -> str: ...


class ProfileSource(Protocol):
    """A profile as configured."""

    @property
    def restricted(self) -> bool: ...
    @property
    def timezone(self) -> str: ...
    @property
    def terms(self) -> Sequence[TermSource]: ...
    @property
    def pots(self) -> Sequence[PotSource]: ...


@dataclass(frozen=True, slots=True)
class PotRule:
    """One pot: `amount` smallest steps of `unit` granted each `period`, never filling it above `cap` (None: no cap).

    `overdraft` is how far it may go below zero. `lineage` names the allowance across edits of its profile and moves to
    another one: pots of one name and unit are one allowance, granted once per period.
    """

    pot: str
    unit: Unit
    amount: int = 0
    period: PeriodKind = PeriodKind.NONE
    cap: int | None = None
    overdraft: int = 0

    @property
    def lineage(self) -> str:
        """First part of every grant's idempotency key."""
        return f"{self.pot}/{self.unit.code}"


@dataclass(frozen=True, slots=True)
class Profile:
    """What a kind of person is given. Unrestricted people are counted and never refused; without pots nothing is."""

    name: str
    pots: tuple[PotRule, ...] = ()
    restricted: bool = True
    timezone: str = "UTC"
    terms: tuple[Term, ...] = field(default=())

    @classmethod
    def of(cls, name: str, source: ProfileSource) -> Profile:
        """The profile that settings describe; they have been checked."""
        return cls(
            name=name,
            pots=tuple(_rule(pot) for pot in source.pots),
            restricted=source.restricted,
            timezone=source.timezone,
            terms=tuple(Term(t.name, date.fromisoformat(t.start), date.fromisoformat(t.end)) for t in source.terms),
        )


def _rule(source: PotSource) -> PotRule:
    unit = unit_of(source.unit)
    return PotRule(
        pot=source.pot,
        unit=unit,
        amount=parse_amount(str(source.amount), unit),
        period=PeriodKind(source.period),
        cap=None if source.cap < 0 else parse_amount(str(source.cap), unit),
        overdraft=parse_amount(str(source.overdraft), unit),
    )


def charges(profile: Profile, quote: Quote) -> dict[str, int]:
    """What a job takes of each unit the profile has pots in: sides, colour sides, the price. Zeros are kept.

    Raises:
        CurrencyNotAccepted: the person pays with money, but not with the tariff's.
    """
    units = dict.fromkeys(rule.unit.code for rule in profile.pots)
    if any(rule.unit.is_money for rule in profile.pots) and quote.unit.code not in units:
        raise CurrencyNotAccepted(f"prices here are in {quote.unit.code}", unit=quote.unit.code)
    costs = amounts(quote)
    return {code: costs[code] for code in units if code in costs}


def amounts(quote: Quote) -> dict[str, int]:
    """What a job costs in every unit there is: sides, colour sides, the price."""
    return {
        PAGES.code: quote.counts.impressions,
        COLOUR_PAGES.code: quote.counts.color_impressions,
        quote.unit.code: quote.price,
    }


class PotBalance(Protocol):
    """One account of a person as it is now, smallest steps of `unit`.

    `available`: balance less reserved, below zero in an overdraft; `spendable`: what may still be taken down to the
    account's limit, None without one; `kind`: `user`, `shared`, or `overrun` for what the person owes.
    """

    @property
    def account_id(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def pot(self) -> str: ...
    @property
    def unit(self) -> Unit: ...
    @property
    def available(self) -> int: ...
    @property
    def spendable(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Leg:
    """`amount` smallest steps of one unit out of one account."""

    account_id: int
    unit_code: str
    amount: int


@dataclass(slots=True)
class _Purse:
    """A pot while it is being spent: `own` is what is in it, `credit` how far it may go below."""

    account_id: int
    own: int
    credit: int

    def take(self, wanted: int, *, in_credit: bool) -> int:
        taken = min(wanted, self.credit if in_credit else self.own)
        if in_credit:
            self.credit -= taken
        else:
            self.own -= taken
        return taken


@dataclass(frozen=True, slots=True)
class Selection:
    """How jobs released together are paid.

    `legs`: each job's, in the order of the jobs, all empty when there is a shortage; `fits`: the jobs to preselect, all
    of them when nothing is short.
    """

    legs: tuple[tuple[Leg, ...], ...]
    fits: tuple[str, ...]
    shortage: Shortage | None


def plan_legs(profile: Profile, accounts: Sequence[PotBalance], charges: Mapping[str, int]) -> tuple[Leg, ...]:
    """Which pot pays how much of one job, at most one leg per account, in ascending account id.

    Raises:
        InsufficientFunds: names the first unit, in the profile's order, that is short.
    """
    selection = plan_selection(profile, accounts, [("", charges)])
    if selection.shortage is not None:
        raise InsufficientFunds.of(selection.shortage)
    return selection.legs[0]


def plan_selection(
    profile: Profile, accounts: Sequence[PotBalance], jobs: Sequence[tuple[str, Mapping[str, int]]]
) -> Selection:
    """How jobs (id, charges), oldest first, are paid together: all of them or none.

    When they are not covered, `fits` takes each job, oldest first, that what is left still covers: older jobs are
    closer to expiry, and the choice is explained in one sentence. It is not the largest possible number of jobs.
    """
    ids = tuple(job_id for job_id, _ in jobs)
    owed = _owed(accounts)
    purses = _purses(profile, accounts)
    before = {code: _left(held) for code, held in purses.items()}
    plan = [_spend(purses, wanted) for _, wanted in jobs]
    paid = tuple(legs for legs in plan if legs is not None)
    if owed is None and len(paid) == len(plan):
        return Selection(paid, ids, None)
    if owed is not None:
        needed = sum(wanted.get(owed.unit.code, 0) for _, wanted in jobs)
        short = _shortage(owed.unit, needed + owed.value, before, owed=owed.value)
        return Selection(((),) * len(jobs), (), short)
    fits = tuple(job_id for job_id, legs in zip(ids, plan, strict=True) if legs is not None)
    return Selection(((),) * len(jobs), fits, _first_short(profile, jobs, before))


def _first_short(
    profile: Profile, jobs: Sequence[tuple[str, Mapping[str, int]]], before: Mapping[str, int]
) -> Shortage:
    for unit in dict.fromkeys(rule.unit for rule in profile.pots):
        needed = sum(wanted.get(unit.code, 0) for _, wanted in jobs)
        if needed > before.get(unit.code, 0):
            return _shortage(unit, needed, before)
    raise ValueError("charges name a unit that the profile has no pot in")


def _shortage(unit: Unit, needed: int, before: Mapping[str, int], *, owed: int = 0) -> Shortage:
    available = before.get(unit.code, 0)
    return Shortage(Amount(unit, needed), Amount(unit, available), Amount(unit, owed))


def _owed(accounts: Sequence[PotBalance]) -> Amount | None:
    """What is owed from earlier jobs, in the first unit something is owed in."""
    for account in accounts:
        if account.kind == OVERRUN_KIND and account.available < 0:
            return Amount(account.unit, -account.available)
    return None


def _left(purses: Sequence[_Purse]) -> int:
    return sum(purse.own + purse.credit for purse in purses)


def _purses(profile: Profile, accounts: Sequence[PotBalance]) -> dict[str, list[_Purse]]:
    """The pots that exist as accounts, by unit, in the profile's order."""
    known = {(a.pot, a.unit.code): a for a in accounts if a.kind != OVERRUN_KIND}
    purses: dict[str, list[_Purse]] = {}
    for rule in profile.pots:
        account = known.get((rule.pot, rule.unit.code))
        if account is None:
            continue
        own = max(0, account.available)
        spendable = UNLIMITED if account.spendable is None else max(0, account.spendable)
        own = min(own, spendable)
        purses.setdefault(rule.unit.code, []).append(_Purse(account.account_id, own, spendable - own))
    return purses


def _spend(purses: Mapping[str, list[_Purse]], wanted: Mapping[str, int]) -> tuple[Leg, ...] | None:
    """Take `wanted` out of the purses: all units or, when one is short, nothing and None."""
    if any(amount > _left(purses.get(code, ())) for code, amount in wanted.items() if amount):
        return None
    taken: dict[tuple[int, str], int] = {}
    for code, amount in wanted.items():
        left = amount
        for in_credit in (False, True):
            for purse in purses.get(code, ()):
                part = purse.take(left, in_credit=in_credit)
                if part:
                    key = (purse.account_id, code)
                    taken[key] = taken.get(key, 0) + part
                    left -= part
    return tuple(Leg(account, code, amount) for (account, code), amount in sorted(taken.items()))
