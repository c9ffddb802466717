"""Pots are spent in order with spill, every unit is its own constraint, and a selection is paid whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pytest

from daemon import settings
from daemon.accounting.allowance import (
    CurrencyNotAccepted,
    InsufficientFunds,
    Leg,
    PotRule,
    Profile,
    charges,
    plan_legs,
    plan_selection,
)
from daemon.accounting.periods import PeriodKind, Term
from daemon.accounting.pricing import quote
from daemon.accounting.tariff_file import parse_tariff
from daemon.kernel.counts import Counts, MediaCount
from daemon.kernel.money import COLOUR_PAGES, PAGES, Unit, unit_of

EUR = unit_of("EUR")
JOB = Counts((MediaCount("iso_a4_210x297mm", 10, 3, 5, 5),))
TARIFF = parse_tariff('currency = "EUR"\n[media.default]\ngrey = 0.05\ncolour = 0.20\n', "t.toml")


@dataclass(frozen=True)
class Account:
    account_id: int
    pot: str
    unit: Unit
    available: int
    limit: int | None = 0
    kind: str = "user"

    @property
    def spendable(self) -> int | None:
        return None if self.limit is None else self.available - self.limit


def profile(*pots: PotRule, restricted: bool = True) -> Profile:
    return Profile("p", pots, restricted=restricted)


THREE = profile(PotRule("allowance", PAGES), PotRule("colour", COLOUR_PAGES), PotRule("paid", EUR))


def test_charges_follow_the_units_of_the_profile():
    """Pages count sides, colour pages colour sides, money the price; other units are not charged."""
    quoted = quote(TARIFF, JOB)
    assert charges(THREE, quoted) == {"pages": 10, "colour_pages": 3, "EUR": 9500}
    assert charges(profile(PotRule("a", PAGES)), quoted) == {"pages": 10}
    assert charges(profile(), quoted) == {}


def test_another_currency_is_refused_not_free():
    """Somebody who pays in dollars does not print for nothing where prices are in euros; pages alone do."""
    with pytest.raises(CurrencyNotAccepted):
        charges(profile(PotRule("paid", unit_of("USD"))), quote(TARIFF, JOB))
    both = profile(PotRule("a", unit_of("USD")), PotRule("b", EUR))
    assert charges(both, quote(TARIFF, JOB)) == {"EUR": 9500}


def test_pots_are_spent_in_the_profiles_order_with_spill():
    """The first pot pays what it holds, the next the rest; legs come in ascending account id."""
    two = profile(PotRule("allowance", EUR), PotRule("paid", EUR))
    accounts = [Account(9, "allowance", EUR, 300), Account(4, "paid", EUR, 1000)]
    assert plan_legs(two, accounts, {"EUR": 700}) == (Leg(4, "EUR", 400), Leg(9, "EUR", 300))
    assert plan_legs(two, accounts, {"EUR": 300}) == (Leg(9, "EUR", 300),)
    assert plan_legs(two, accounts, {"EUR": 0}) == ()


def test_what_is_there_goes_before_any_overdraft():
    """An overdraft is touched only when every pot of the unit is empty, and is one leg with the pot's own money."""
    two = profile(PotRule("allowance", EUR, overdraft=500), PotRule("paid", EUR))
    accounts = [Account(1, "allowance", EUR, 300, -500), Account(2, "paid", EUR, 100)]
    assert plan_legs(two, accounts, {"EUR": 400}) == (Leg(1, "EUR", 300), Leg(2, "EUR", 100))
    assert plan_legs(two, accounts, {"EUR": 900}) == (Leg(1, "EUR", 800), Leg(2, "EUR", 100))
    already = [Account(1, "allowance", EUR, -200, -500), Account(2, "paid", EUR, 0)]
    assert plan_legs(two, already, {"EUR": 300}) == (Leg(1, "EUR", 300),)
    with pytest.raises(InsufficientFunds) as caught:
        plan_legs(two, already, {"EUR": 301})
    assert caught.value.data["available"]["amount"] == 300


def test_a_raised_limit_reserves_what_is_there():
    """A limit above zero (money that must stay) is respected."""
    assert plan_legs(profile(PotRule("a", PAGES)), [Account(1, "a", PAGES, 10, 4)], {"pages": 6})
    with pytest.raises(InsufficientFunds):
        plan_legs(profile(PotRule("a", PAGES)), [Account(1, "a", PAGES, 10, 4)], {"pages": 7})


def test_every_unit_must_be_covered_and_the_first_short_one_is_named():
    """Enough money does not help when colour pages are short; nothing is planned then."""
    accounts = [Account(1, "allowance", PAGES, 10), Account(2, "colour", COLOUR_PAGES, 2), Account(3, "paid", EUR, 9)]
    with pytest.raises(InsufficientFunds) as caught:
        plan_legs(THREE, accounts, {"pages": 10, "colour_pages": 3, "EUR": 9500})
    refusal = caught.value
    assert refusal.code == "insufficient-funds"
    assert refusal.data["unit"] == "colour_pages"
    assert refusal.data["needed"] == {"unit": "colour_pages", "amount": 3, "scale": 0}
    assert refusal.data["available"] == {"unit": "colour_pages", "amount": 2, "scale": 0}


def test_a_missing_account_has_nothing():
    """A pot that was never opened holds nothing; a unit without charge needs none."""
    assert plan_legs(THREE, [Account(1, "allowance", PAGES, 5)], {"pages": 5, "colour_pages": 0})
    with pytest.raises(InsufficientFunds) as caught:
        plan_legs(THREE, [Account(1, "allowance", PAGES, 5)], {"pages": 5, "colour_pages": 1})
    assert caught.value.data["available"]["amount"] == 0


def test_unrestricted_people_are_never_refused():
    """Without a limit the last of the money goes first, the rest is counted below zero."""
    free = profile(PotRule("a", PAGES), restricted=False)
    assert plan_legs(free, [Account(1, "a", PAGES, 3, None)], {"pages": 1000}) == (Leg(1, "pages", 1000),)


def test_something_owed_blocks_every_release():
    """What came out unpaid earlier is settled first, whatever the pots hold."""
    accounts = [Account(1, "a", PAGES, 100), Account(2, "overrun", PAGES, -5, None, "overrun")]
    with pytest.raises(InsufficientFunds) as caught:
        plan_legs(profile(PotRule("a", PAGES)), accounts, {"pages": 1})
    assert caught.value.code == "overrun-unsettled"
    assert caught.value.data["owed"]["amount"] == 5
    selection = plan_selection(profile(PotRule("a", PAGES)), accounts, [("x", {"pages": 1})])
    assert (selection.fits, selection.legs) == ((), ((),))
    settled = [accounts[0], Account(2, "overrun", PAGES, 0, None, "overrun")]
    assert plan_legs(profile(PotRule("a", PAGES)), settled, {"pages": 1})


def test_a_selection_is_paid_whole():
    """Jobs of a selection share the pots: each job's legs start where the older job's ended."""
    two = profile(PotRule("allowance", EUR), PotRule("paid", EUR))
    accounts = [Account(1, "allowance", EUR, 300), Account(2, "paid", EUR, 300)]
    selection = plan_selection(two, accounts, [("a", {"EUR": 200}), ("b", {"EUR": 0}), ("c", {"EUR": 300})])
    assert selection.shortage is None
    assert selection.fits == ("a", "b", "c")
    assert selection.legs == ((Leg(1, "EUR", 200),), (), (Leg(1, "EUR", 100), Leg(2, "EUR", 200)))


def test_a_short_selection_pays_nothing_and_says_what_fits():
    """All or nothing; preselected is, oldest first, each job that what is left still covers."""
    one = profile(PotRule("a", PAGES))
    accounts = [Account(1, "a", PAGES, 10)]
    jobs = [("old", {"pages": 4}), ("big", {"pages": 7}), ("new", {"pages": 6}), ("free", {"pages": 0})]
    selection = plan_selection(one, accounts, jobs)
    assert selection.legs == ((), (), (), ())
    assert selection.fits == ("old", "new", "free")
    assert (selection.shortage.needed.value, selection.shortage.available.value) == (17, 10)
    refusal = InsufficientFunds.of(selection.shortage, fits=selection.fits)
    assert refusal.data["fits"] == ["old", "new", "free"]
    assert plan_selection(one, accounts, [jobs[0], jobs[2], jobs[3]]).shortage is None


def test_a_charge_in_a_foreign_unit_is_a_bug():
    """Charges are made from the profile; a unit it has no pot in cannot be a shortage."""
    with pytest.raises(ValueError, match="no pot"):
        plan_legs(profile(PotRule("a", PAGES)), [Account(1, "a", PAGES, 1)], {"EUR": 1})


def test_a_profile_as_configured():
    """Settings become rules: whole units to smallest steps, no cap from -1, dates from text."""
    made = Profile.of(
        "pupils",
        settings.Profile(
            timezone="Europe/Berlin",
            terms=(settings.Term("Autumn 2026", "2026-09-01", "2026-12-18"),),
            pots=(
                settings.Pot("allowance", "EUR", Decimal("5.00"), "monthly", Decimal(10), Decimal("0.50")),
                settings.Pot("pages", "pages", Decimal(200), "term"),
            ),
        ),
    )
    assert made.pots[0] == PotRule("allowance", EUR, 50_000, PeriodKind.MONTHLY, 100_000, 5_000)
    assert made.pots[1].cap is None
    assert made.terms[0] == Term("Autumn 2026", made.terms[0].start, made.terms[0].end)
    assert str(made.terms[0].end) == "2026-12-18"
    assert made.pots[0].lineage == "allowance/EUR"
