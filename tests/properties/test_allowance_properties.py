"""Whatever pots, balances and charges there are: nothing is spent that is not there, and nothing that is there is refused."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from daemon.accounting.allowance import InsufficientFunds, PotRule, Profile, plan_legs, plan_selection
from daemon.kernel.money import COLOUR_PAGES, PAGES, Unit, unit_of

UNITS = (PAGES, COLOUR_PAGES, unit_of("EUR"))


@dataclass(frozen=True)
class Account:
    account_id: int
    pot: str
    unit: Unit
    available: int
    limit: int | None
    kind: str = "user"

    @property
    def spendable(self) -> int | None:
        return None if self.limit is None else self.available - self.limit


@st.composite
def purses(draw) -> tuple[Profile, list[Account]]:
    count = draw(st.integers(1, 5))
    rules = tuple(PotRule(f"pot{index}", draw(st.sampled_from(UNITS))) for index in range(count))
    ids = draw(st.permutations(range(1, count + 1)))
    accounts = []
    for account_id, rule in zip(ids, rules, strict=True):
        limit = draw(st.one_of(st.none(), st.integers(-50, 20)))
        low = -50 if limit is None else limit
        accounts.append(Account(account_id, rule.pot, rule.unit, draw(st.integers(low, 100)), limit))
    return Profile("any", rules), draw(st.permutations(accounts))


def charges_of(profile: Profile):
    codes = sorted({rule.unit.code for rule in profile.pots})
    return st.fixed_dictionaries({code: st.integers(0, 120) for code in codes})


def spendable(accounts: list[Account], code: str) -> float:
    amounts = [a.spendable for a in accounts if a.unit.code == code]
    return float("inf") if None in amounts else sum(amount for amount in amounts if amount is not None)


@given(purses(), st.data())
def test_a_job_is_paid_exactly_or_refused_rightly(purse, data):
    """Legs add up to each charge and stay inside every limit; a refusal means that a unit really was short."""
    profile, accounts = purse
    wanted = data.draw(charges_of(profile))
    try:
        legs = plan_legs(profile, accounts, wanted)
    except InsufficientFunds as refusal:
        code = refusal.data["unit"]
        assert wanted[code] > spendable(accounts, code) == refusal.data["available"]["amount"]
        return
    by_id = {account.account_id: account for account in accounts}
    assert all(wanted[code] <= spendable(accounts, code) for code in wanted)
    assert [leg.account_id for leg in legs] == sorted({leg.account_id for leg in legs})
    for code, amount in wanted.items():
        assert sum(leg.amount for leg in legs if leg.unit_code == code) == amount
    for leg in legs:
        room = by_id[leg.account_id].spendable
        assert leg.amount > 0
        assert room is None or leg.amount <= room


@given(purses(), st.data())
def test_a_selection_is_all_or_nothing_and_what_fits_fits(purse, data):
    """A selection pays every job or none; the jobs said to fit are covered together, and none left out would be too."""
    profile, accounts = purse
    wanted = data.draw(st.lists(charges_of(profile), max_size=5))
    jobs = [(str(index), one) for index, one in enumerate(wanted)]
    selection = plan_selection(profile, accounts, jobs)
    codes = {rule.unit.code for rule in profile.pots}
    short = any(sum(one[code] for one in wanted) > spendable(accounts, code) for code in codes)
    assert (selection.shortage is not None) == short
    chosen = [job for job in jobs if job[0] in selection.fits]
    assert plan_selection(profile, accounts, chosen).shortage is None
    if short:
        assert all(legs == () for legs in selection.legs)
        for left_out in (job for job in jobs if job[0] not in selection.fits):
            older = [job for job in chosen if int(job[0]) < int(left_out[0])]
            assert plan_selection(profile, accounts, [*older, left_out]).shortage is not None
    else:
        for (_, one), legs in zip(jobs, selection.legs, strict=True):
            assert all(sum(leg.amount for leg in legs if leg.unit_code == code) == one[code] for code in one)
