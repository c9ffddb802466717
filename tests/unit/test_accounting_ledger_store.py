"""Reservations, settlements, grants, adjustments and refunds on a real database."""

from __future__ import annotations

import asyncio
import json

import pytest

from daemon.accounting.account_store import AccountView
from daemon.accounting.books import Books as WholeBooks
from daemon.accounting.ledger import plan_settlement, resolution_key
from daemon.db.unit import Unit, UnitRefused
from tests.helpers.books import EUR, HOUR_US, Books, Leg, Plan, Rule


@pytest.fixture
async def books(tmp_path):
    opened = await Books.open(tmp_path / "house.db")
    yield opened
    report = await WholeBooks(opened.db).verify()
    await opened.close()
    assert [m for m in report.mismatches if m.table != "delivery_leg"] == []


async def state(books, person):
    return [(pot.balance, pot.reserved) for pot in await books.pots(person)]


async def refused(awaitable):
    with pytest.raises(UnitRefused) as caught:
        await awaitable
    return caught.value.code


async def test_twenty_at_once_on_a_balance_for_three(books):
    """Twenty simultaneous releases on a balance for three grant exactly three."""
    ann = await books.person(15)
    deliveries = [await books.delivery(ann) for _ in range(20)]
    (pot,) = await books.pots(ann)

    async def release(delivery, job_id):
        unit = Unit()
        leg = Leg(pot.account_id, 5)
        books.store.reserve(
            unit, delivery_public_id=delivery, job_id=job_id, legs=[leg], at_us=1, expires_at_us=HOUR_US
        )
        await books.db.commit(unit)

    results = await asyncio.gather(*(release(*one) for one in deliveries), return_exceptions=True)
    codes = [getattr(result, "code", "granted") for result in results]
    assert sorted(codes) == ["granted"] * 3 + ["insufficient-funds"] * 17
    assert await state(books, ann) == [(15, 15)]
    unit = Unit()
    open_keys = [
        row["idempotency_key"]
        for row in await books.db.read("SELECT idempotency_key FROM transfer WHERE kind='pending'")
    ]
    books.store.void(unit, pending_keys=open_keys, at_us=2)
    await books.db.commit(unit)


async def test_selection_is_all_or_nothing(books):
    """A selection whose last leg is not covered reserves nothing at all."""
    ann = await books.person(10, 10, plan=Plan((Rule(), Rule("money", EUR))))
    assert await refused(books.reserve(ann, 10, 11)) == "insufficient-funds"
    assert await state(books, ann) == [(10, 0), (10, 0)]


async def test_partial_print_pays_the_printed_part(books):
    """What came out is posted, the rest of the reservation returns, and repeating it changes nothing."""
    ann = await books.person(50)
    delivery, job, legs = await books.reserve(ann, 20)
    assert await state(books, ann) == [(50, 20)]
    for _ in range(2):
        await books.settle(ann, delivery, job, legs, pages=7)
        assert await state(books, ann) == [(43, 0)]
    assert await refused(books.settle(ann, delivery, job, legs, pages=8)) == "ledger:resolved"


async def test_nothing_printed_gives_everything_back(books):
    """A void returns the reservation once; after it neither a post nor another void is possible."""
    ann = await books.person(50)
    delivery, job, legs = await books.reserve(ann, 20)
    for code in (None, "ledger:duplicate"):
        unit = Unit()
        books.store.void(unit, pending_keys=[leg.pending_key for leg in legs], at_us=books.clock.at_us)
        if code is None:
            await books.db.commit(unit)
        else:
            assert await refused(books.db.commit(unit)) == code
    assert await refused(books.settle(ann, delivery, job, legs, pages=20)) == "ledger:resolved"
    assert await state(books, ann) == [(50, 0)]


async def test_post_and_void_race_to_one_row(books):
    """Of a settlement, a void and an expiry of one reservation at the same instant exactly one is written."""
    ann = await books.person(50)
    delivery, job, legs = await books.reserve(ann, 20)
    books.clock.at_us += 2 * HOUR_US
    units = [Unit(), Unit(), Unit()]
    key = legs[0].pending_key
    books.store.post(units[0], pending_key=key, amount=20, at_us=books.clock.at_us)
    books.store.void(units[1], pending_keys=[key], at_us=books.clock.at_us)
    books.store.expire(units[2], pending_keys=[key], at_us=books.clock.at_us)
    results = await asyncio.gather(*map(books.db.commit, units), return_exceptions=True)
    assert sum(not isinstance(result, Exception) for result in results) == 1
    rows = await books.db.read("SELECT kind FROM transfer WHERE idempotency_key=:key", key=resolution_key(key))
    assert len(rows) == 1


async def test_excess_takes_what_is_there_then_owes_and_blocks(books):
    """Paper beyond the reservation empties the pots in order, the rest is owed, and the next release is refused."""
    ann = await books.person(30, 10, plan=Plan((Rule(), Rule("paid"))))
    delivery, job, legs = await books.reserve(ann, 20)
    for _ in range(2):
        await books.settle(ann, delivery, job, legs, pages=45)
        assert await state(books, ann) == [(0, 0), (0, 0)]
        assert await books.overrun(ann) == 5
    assert await refused(books.reserve(ann, 0, 1)) == "overrun-unsettled"
    pot = (await books.pots(ann))[1]
    assert (await books.adjust(pot, 8))["balance"] == 3
    assert await books.overrun(ann) == 0
    await books.end(delivery)
    await books.settle(ann, *await books.reserve(ann, 0, 3), pages=3)


async def test_overrun_account_is_made_when_the_unit_is_new_to_the_person(books):
    """Something came out that was never quoted: it is taken from the person's pot of that unit."""
    ann = await books.person(10, 4, plan=Plan((Rule(), Rule("money", EUR))))
    delivery, job, legs = await books.reserve(ann, 5, 0)
    await books.settle(ann, delivery, job, legs, pages=5, EUR=9)
    assert await state(books, ann) == [(5, 0), (0, 0)]
    assert await books.overrun(ann) == 5


async def test_late_answer_after_expiry_is_still_paid(books):
    """A printer that answers after the reservation expired is paid from what is there, the rest is owed, once."""
    ann = await books.person(10)
    delivery, job, legs = await books.reserve(ann, 8)
    unit = Unit()
    books.store.expire(unit, pending_keys=[leg.pending_key for leg in legs], at_us=books.clock.at_us)
    assert await refused(books.db.commit(unit)) == "ledger:pending"
    books.clock.at_us += 2 * HOUR_US
    assert [one.pending_key for one in await books.store.expired(books.clock.at_us)] == [legs[0].pending_key]
    unit = Unit()
    books.store.expire(unit, pending_keys=[leg.pending_key for leg in legs], at_us=books.clock.at_us)
    await books.db.commit(unit)
    assert await state(books, ann) == [(10, 0)]
    await books.adjust((await books.pots(ann))[0], -4)
    for _ in range(2):
        await books.settle(ann, delivery, job, legs, pages=8)
        assert await state(books, ann) == [(0, 0)]
        assert await books.overrun(ann) == 2
    assert await refused(books.settle(ann, delivery, job, legs, pages=7)) == "ledger:resolved"


async def test_post_after_the_time_but_before_expiry_counts(books):
    """The paper is out: an answer after the time, while nobody has expired the reservation, posts normally."""
    ann = await books.person(10)
    delivery, job, legs = await books.reserve(ann, 8)
    books.clock.at_us += 2 * HOUR_US
    await books.settle(ann, delivery, job, legs, pages=8)
    assert await state(books, ann) == [(2, 0)]


async def test_adjustment_is_idempotent_and_audited(books):
    """The same key adjusts once and answers the same later; another amount under it is a conflict."""
    ann = await books.person(5)
    (pot,) = await books.pots(ann)
    first = await books.adjust(pot, 20, key="k", reason="broken tray")
    await books.adjust(pot, 1)
    assert await books.adjust(pot, 20, key="k", reason="broken tray") == first
    assert first["balance"] == 25
    assert await refused(books.adjust(pot, 21, key="k", reason="broken tray")) == "idempotency-conflict"
    assert await refused(books.adjust(pot, -27)) == "insufficient-funds"
    audit = await books.db.read("SELECT action, detail FROM audit ORDER BY id")
    assert [json.loads(row["detail"])["amount"] for row in audit] == [5, 20, 1]
    with pytest.raises(ValueError, match="moves something"):
        await books.adjust(pot, 0)


async def test_grant_is_made_once_per_period_and_clipped(books):
    """However often a period's grant is asked for it is made once; what exceeds the cap expires, reserved untouched."""
    ann = await books.person(40)
    (pot,) = await books.pots(ann)
    delivery, job, legs = await books.reserve(ann, 30)

    async def grant(period, amount=50, cap=45):
        unit = Unit()
        books.store.grant(
            unit, account_id=pot.account_id, amount=amount, cap=cap, lineage="x", period=period, at_us=books.clock.at_us
        )
        await books.db.commit(unit)

    for _ in range(3):
        await grant("2026-11")
        assert await state(books, ann) == [(75, 30)]
    await grant("2026-11", amount=99)
    assert await state(books, ann) == [(75, 30)]
    await grant("2026-12", amount=7, cap=10)
    assert await state(books, ann) == [(75, 30)]
    await books.settle(ann, delivery, job, legs, pages=30)


async def test_refund_never_exceeds_the_charge(books):
    """A charge is given back in parts up to the whole, once per key, and no further."""
    ann = await books.person(20)
    delivery, job, legs = await books.reserve(ann, 12)
    await books.settle(ann, delivery, job, legs, pages=12)

    async def refund(key, amount):
        unit = books.store.refund(
            transfer_key=resolution_key(legs[0].pending_key), amount=amount, reason="smeared", actor="user:1", key=key,
            at_us=books.clock.at_us,
        )  # fmt: skip
        return await books.db.commit(unit)

    assert not (await refund("a", 5)).replayed
    assert (await refund("a", 5)).replayed
    assert await refused(refund("b", 8)) == "ledger:reversal"
    await refund("c", None)
    assert await state(books, ann) == [(20, 0)]
    assert await refused(refund("d", 1)) == "ledger:reversal"


async def test_overdraft_and_unrestricted(books):
    """An overdraft is spent to its last page; an unrestricted person is counted and never refused."""
    ann = await books.person(5, plan=Plan((Rule(overdraft=3),)))
    assert await refused(books.reserve(ann, 9)) == "insufficient-funds"
    await books.settle(ann, *await books.reserve(ann, 8), pages=8)
    bob = await books.person(plan=Plan(restricted=False))
    await books.settle(bob, *await books.reserve(bob, 1_000_000), pages=1_000_005)
    assert (await books.pots(bob))[0].limit is None
    assert (await books.pots(bob))[0].spendable is None
    assert (await books.pots(ann))[0].spendable == 0
    assert await books.overrun(bob) == 0


async def test_accounts_follow_the_profile(books):
    """New pots are opened, limits change with an audit entry, a limit in use waits, and a repetition does nothing."""
    ann = await books.person(5)
    await books.settle(ann, *await books.reserve(ann, 5), pages=5)
    wider = Plan((Rule(overdraft=4), Rule("paid", EUR)))

    async def ensure(plan):
        unit = Unit()
        await books.store.ensure_accounts(unit, ann, plan)
        if unit.statements:
            await books.db.commit(unit)
        return [(pot.pot, pot.limit) for pot in await books.pots(ann)]

    assert await ensure(wider) == [("allowance", -4), ("paid", 0)]
    await books.settle(ann, *await books.reserve(ann, 3), pages=3)
    assert await ensure(Plan()) == [("allowance", -3), ("paid", 0)]
    assert await ensure(Plan()) == [("allowance", -3), ("paid", 0)]
    rows = await books.db.read("SELECT detail FROM audit WHERE action='account.limit-changed'")
    assert [json.loads(row["detail"])["after"] for row in rows] == [-4, 0, 0]


async def test_ledger_time_never_falls(books):
    """A clock that steps back moves neither the ledger's time nor the length of a reservation."""
    ann = await books.person(50)
    at = books.clock.at_us
    books.clock.at_us -= 24 * HOUR_US
    _, _, legs = await books.reserve(ann, 5, hours=1)
    row = await books.db.read_one(
        "SELECT at_us, expires_at_us FROM transfer WHERE idempotency_key=:key", key=legs[0].pending_key
    )
    assert (row["at_us"], row["expires_at_us"]) == (at, at + HOUR_US)


def test_settlement_divides_in_order():
    """What came out fills the reservations in order; legs of nothing take nothing; the surplus names its pots."""
    legs = [Leg(1, 5, "pages", b"a"), Leg(2, 0, "pages", b"b"), Leg(3, 5, "pages", b"c"), Leg(4, 9, "EUR", b"d")]
    pots = [AccountView(1, "user", "a", EUR, 0, 0, 0), AccountView(9, "overrun", "overrun", EUR, 0, 0, None)]
    plan = plan_settlement({"pages": 7, "EUR": 10}, legs, pots)
    assert [(post.pending_key, post.amount) for post in plan.posts] == [(b"a", 5), (b"c", 2), (b"d", 9)]
    assert [(one.unit_code, one.amount, one.account_ids) for one in plan.excess] == [("EUR", 1, (1,))]
    with pytest.raises(ValueError, match="less than"):
        plan_settlement({"pages": -1}, legs, pots)


async def test_another_surplus_is_refused(books):
    """A surplus once taken is not taken again in another amount, however often settlement is repeated."""
    ann = await books.person(9)
    delivery, job, legs = await books.reserve(ann, 1)
    await books.settle(ann, delivery, job, legs, pages=2)
    assert await refused(books.settle(ann, delivery, job, legs, pages=3)) == "ledger:resolved"
    await books.settle(ann, delivery, job, legs, pages=2)
    assert await state(books, ann) == [(7, 0)]
