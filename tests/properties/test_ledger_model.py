"""The ledger against a model that fits on one page, driven by hypothesis through the real writer."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, precondition, rule

from daemon.accounting.books import Books as WholeBooks
from daemon.accounting.ledger import resolution_key
from daemon.db.unit import Unit, UnitRefused
from tests.helpers.books import HOUR_US, Books, Plan, Rule

OVERDRAFT = 5


@dataclass
class Held:
    """A reservation as the model sees it."""

    person: int
    delivery: str
    job: int
    legs: list
    amount: int
    state: str = "open"
    posted: int = 0
    refunded: int = 0


@dataclass
class Purse:
    """One person's pot."""

    limit: int
    balance: int = 0
    reserved: int = 0
    debt: int = 0
    periods: set = field(default_factory=set)

    @property
    def spendable(self):
        return self.balance - self.reserved - self.limit

    def take(self, amount):
        """Beyond any reservation: what is there, then debt."""
        taken = max(0, min(amount, self.spendable))
        self.balance -= taken
        self.debt += amount - taken

    def pay_debt(self):
        paid = max(0, min(self.debt, self.spendable))
        self.balance -= paid
        self.debt -= paid


class LedgerMachine(RuleBasedStateMachine):
    """Two people, one pot each; every verb in any order."""

    reservations = Bundle("reservations")

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.books = self.run(Books.open(Path(self.folder.name) / "house.db"))
        people = [self.run(self.books.person()), self.run(self.books.person(plan=Plan((Rule(overdraft=OVERDRAFT),))))]
        self.pots = {person: self.run(self.books.pots(person))[0] for person in people}
        self.model = dict(zip(people, (Purse(0), Purse(-OVERDRAFT)), strict=True))
        self.people = people
        self.count = 0

    def run(self, awaitable):
        return self.loop.run_until_complete(awaitable)

    def code(self, awaitable):
        """None when it went through, else the refusal's code."""
        try:
            self.run(awaitable)
        except UnitRefused as refused:
            return refused.code
        return None

    @rule(which=st.integers(0, 1), amount=st.integers(-30, 60).filter(bool))
    def adjust(self, which, amount):
        person = self.people[which]
        purse = self.model[person]
        expected = None if amount > 0 or purse.spendable >= -amount else "insufficient-funds"
        assert self.code(self.books.adjust(self.pots[person], amount)) == expected
        if expected is None:
            purse.balance += amount
            if amount > 0:
                purse.pay_debt()

    @rule(which=st.integers(0, 1), period=st.integers(1, 4), amount=st.integers(1, 30), cap=st.integers(0, 40))
    def grant(self, which, period, amount, cap):
        person = self.people[which]
        purse = self.model[person]
        unit = Unit()
        self.books.store.grant(
            unit, account_id=self.pots[person].account_id, amount=amount, cap=cap, lineage="x", period=str(period),
            at_us=self.books.clock.at_us,
        )  # fmt: skip
        assert self.code(self.books.db.commit(unit)) is None
        if period in purse.periods:
            return
        purse.periods.add(period)
        purse.balance += amount
        purse.balance -= min(amount, max(0, purse.balance - purse.reserved - cap))
        purse.pay_debt()

    @rule(target=reservations, which=st.integers(0, 1), amount=st.integers(1, 40))
    def reserve(self, which, amount):
        person = self.people[which]
        purse = self.model[person]
        expected = "overrun-unsettled" if purse.debt else None if purse.spendable >= amount else "insufficient-funds"
        try:
            delivery, job, legs = self.run(self.books.reserve(person, amount))
        except UnitRefused as refused:
            assert refused.code == expected
            return multiple()
        assert expected is None
        purse.reserved += amount
        return Held(person, delivery, job, legs, amount)

    @rule(held=reservations, actual=st.integers(0, 55))
    def settle(self, held, actual):
        purse = self.model[held.person]
        result = self.code(self.books.settle(held.person, held.delivery, held.job, held.legs, pages=actual))
        within = min(actual, held.amount)
        if held.state == "open":
            assert result is None
            purse.reserved -= held.amount
            purse.balance -= within
            held.state, held.posted, held.actual = "posted", within, actual
            if actual > within:
                purse.take(actual - within)
        elif held.state == "expired" and held.posted == 0 and not hasattr(held, "actual"):
            assert result is None
            purse.take(within)
            held.actual = actual
            if actual > within:
                purse.take(actual - within)
        elif hasattr(held, "actual") and min(held.actual, held.amount) == within:
            # The same answer again; a surplus is taken once per delivery and unit, and is never another one later.
            is_other = actual > within and held.actual > held.amount and actual != held.actual
            assert result == ("ledger:resolved" if is_other else None)
            if actual > within and held.actual <= held.amount:
                purse.take(actual - within)
                held.actual = actual
        else:
            assert result == "ledger:resolved"

    @rule(held=reservations)
    def void(self, held):
        unit = Unit()
        self.books.store.void(unit, pending_keys=[leg.pending_key for leg in held.legs], at_us=self.books.clock.at_us)
        # An expired reservation is returned already: passed over, like a leg that was never reserved.
        expected = None if held.state in ("open", "expired") else "ledger:duplicate"
        assert self.code(self.books.db.commit(unit)) == expected
        if held.state == "open":
            self.model[held.person].reserved -= held.amount
            held.state = "void"

    @rule(held=reservations, hours=st.integers(0, 2))
    def expire(self, held, hours):
        self.books.clock.at_us += hours * HOUR_US
        row = self.run(
            self.books.db.read_one(
                "SELECT expires_at_us FROM transfer WHERE idempotency_key=:key", key=held.legs[0].pending_key
            )
        )
        is_due = self.books.clock.at_us >= row["expires_at_us"]
        unit = Unit()
        self.books.store.expire(unit, pending_keys=[leg.pending_key for leg in held.legs], at_us=self.books.clock.at_us)
        expected = "ledger:duplicate" if held.state != "open" else None if is_due else "ledger:pending"
        assert self.code(self.books.db.commit(unit)) == expected
        if expected is None:
            self.model[held.person].reserved -= held.amount
            held.state = "expired"

    @rule(held=reservations, amount=st.integers(1, 40))
    def refund(self, held, amount):
        self.count += 1
        key = resolution_key(held.legs[0].pending_key)
        unit = self.books.store.refund(
            transfer_key=key, amount=amount, reason="r", actor="a", key=f"r{self.count}", at_us=self.books.clock.at_us
        )
        result = self.code(self.books.db.commit(unit))
        if held.state != "posted":
            assert result == "not-found"
        elif held.refunded + amount > held.posted:
            assert result == "ledger:reversal"
        else:
            assert result is None
            held.refunded += amount
            self.model[held.person].balance += amount

    @precondition(lambda self: self.count % 7 == 0)
    @rule()
    def reopen(self):
        """Closing and opening again changes nothing."""
        clock, numbers = self.books.clock, self.books.numbers
        self.run(self.books.close())
        self.books = self.run(Books.open(Path(self.folder.name) / "house.db"))
        self.books.clock.at_us = clock.at_us
        self.books.numbers = numbers
        self.count += 1

    @invariant()
    def same(self):
        for person, purse in self.model.items():
            (pot,) = self.run(self.books.pots(person))
            assert (pot.balance, pot.reserved) == (purse.balance, purse.reserved)
            assert self.run(self.books.overrun(person)) == purse.debt

    def teardown(self):
        report = self.run(WholeBooks(self.books.db).verify())
        self.run(self.books.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        self.folder.cleanup()
        # The test's deliveries never end, so only their legs may differ.
        assert {one.table for one in report.mismatches} <= {"delivery_leg"}


LedgerMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=30, deadline=None, database=None)
TestLedgerAgainstTheModel = LedgerMachine.TestCase
