"""The allowance under pressure: exactly what it covers, all or nothing, once per period, whatever happens at once."""

import asyncio

import pytest

from daemon.kernel.errors import Refusal
from tests.helpers.documents import numbered
from tests.helpers.office import office

SMALL = '[profiles.small]\npots = [{ unit = "pages", amount = 3, period = "monthly" }]\n'
MIXED = """
[profiles.mixed]
pots = [
  { unit = "EUR", pot = "free", amount = 0.10, period = "monthly" },
  { unit = "EUR", pot = "paid", amount = 1.00 },
  { unit = "colour_pages", amount = 1, period = "monthly" },
]
"""


async def test_twenty_releases_at_once_on_a_balance_for_three_grant_three(tmp_path):
    """Twenty terminals release one page each at the same instant: three print, seventeen are refused by name."""
    async with office(tmp_path, config=SMALL) as house:
        anna = await house.hire("anna", profile="small")
        printer = await house.buy_printer("p")
        jobs = [await house.submit(anna, pages=1) for _ in range(20)]
        for job in jobs:
            await house.read(job)
        results = await asyncio.gather(*(house.release(anna, [job], printer) for job in jobs), return_exceptions=True)
        refused = [r for r in results if isinstance(r, Refusal)]
        assert len(refused) == 17
        assert {r.code for r in refused} == {"insufficient-funds"}
        for job, result in zip(jobs, results, strict=True):
            if not isinstance(result, Refusal):
                assert (await house.finished(job)).state == "completed"
        assert (await house.balance(anna), await house.reserved(anna)) == (0, 0)
        assert len(house.printers["p"].documents()) == 3
        assert (await house.books())["ok"]


async def test_print_all_is_all_or_nothing_and_names_what_fits(tmp_path):
    """Five pages on a balance of three: nothing is reserved; needed, available and the jobs that fit are named."""
    async with office(tmp_path, config=SMALL) as house:
        anna = await house.hire("anna", profile="small")
        printer = await house.buy_printer("p")
        jobs = [await house.submit(anna, pages=n) for n in (2, 2, 1)]
        for job in jobs:
            await house.read(job)
        with pytest.raises(Refusal) as refused:
            await house.release(anna, jobs, printer)
        data = refused.value.data
        assert refused.value.code == "insufficient-funds"
        assert (data["needed"]["amount"], data["available"]["amount"]) == (5, 3)
        assert data["fits"] == [jobs[0].public_id, jobs[2].public_id]
        assert await house.reserved(anna) == 0
        await house.release(anna, [jobs[0], jobs[2]], printer)
        for job in (jobs[0], jobs[2]):
            assert (await house.finished(job)).state == "completed"
        assert await house.balance(anna) == 0


async def test_too_little_refuses_at_release_not_at_submission(tmp_path):
    """A job that cannot be paid is taken and held all the same."""
    async with office(tmp_path, config=SMALL) as house:
        anna = await house.hire("anna", profile="small")
        printer = await house.buy_printer("p")
        job = await house.read(await house.submit(anna, pages=9))
        assert job.state == "pending-held"
        with pytest.raises(Refusal) as refused:
            await house.release(anna, [job], printer)
        assert refused.value.code == "insufficient-funds"
        await house.parts.people.disable(anna, actor="test")


async def test_pots_are_spent_in_order_and_every_unit_must_cover(tmp_path):
    """Money spills from the free pot to the paid one; a colour quota of its own refuses the second colour page."""
    async with office(tmp_path, config=MIXED) as house:
        anna = await house.hire("anna", profile="mixed")
        printer = await house.buy_printer("p")
        first = await house.read(await house.submit(anna, content=numbered(2, color_pages=(1,))))
        await house.release(anna, [first], printer)
        done = await house.finished(first)
        accounts = {a.pot: a for a in await house.parts.ledger.accounts(anna.id) if a.kind == "user"}
        spent = 11000 - accounts["free"].balance - accounts["paid"].balance
        assert spent == done.price.value > 1000
        assert accounts["free"].balance == 0
        assert accounts["allowance"].balance == 0
        second = await house.read(await house.submit(anna, content=numbered(1, color_pages=(1,))))
        with pytest.raises(Refusal) as refused:
            await house.release(anna, [second], printer)
        assert refused.value.data["unit"] == "colour_pages"


async def test_a_disabled_person_releases_nothing(tmp_path):
    """Disabled between reading the list and the tap: refused, nothing reserved."""
    async with office(tmp_path) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        job = await house.read(await house.submit(anna))
        await house.parts.people.disable(anna, actor="test")
        with pytest.raises(Refusal):
            await house.release(anna, [job], printer)
        assert await house.reserved(anna) == 0


async def test_another_persons_job_looks_like_none(tmp_path):
    """Whose job it is cannot be found out by trying to release it."""
    async with office(tmp_path) as house:
        anna, mallory = await house.hire("anna"), await house.hire("mallory")
        printer = await house.buy_printer("p")
        job = await house.read(await house.submit(anna))
        with pytest.raises(Refusal) as refused:
            await house.release(mallory, [job], printer)
        assert refused.value.code == "not-found"


async def test_a_period_is_granted_once_however_often_the_house_restarts(tmp_path):
    """Restarts and repeated catch-ups leave one grant per period."""
    async with office(tmp_path, config=SMALL) as house:
        anna = await house.hire("anna", profile="small")
        for _ in range(3):
            await house.restart()
            await house.parts.grants.catch_up()
            await house.parts.grants.for_person(anna)
        assert await house.balance(anna) == 3


async def test_an_expired_job_costs_nothing_and_is_in_the_history(tmp_path):
    """After its hold time the job is gone, unpaid, and says why; its document's key is destroyed."""
    config = "[queues.findme]\nhold_s = 60\n"
    async with office(tmp_path, config=config) as house:
        anna = await house.hire("anna", email="anna@example.org")
        job = await house.read(await house.submit(anna))
        assert job.held_until_us - job.created_at_us == 60_000_000
        real = house.parts.house.clock

        class Later:
            def now_us(self):
                return real.now_us() + 61_000_000

            def monotonic_s(self):
                return real.monotonic_s()

        object.__setattr__(house.parts.house, "clock", Later())
        await house.verbs.housekeep.once()
        done = await house.verbs.jobs.by_public(job.public_id)
        assert (done.state, done.reasons) == ("canceled", ("job-canceled-after-timeout",))
        assert "Nothing was charged" in done.message
        assert await house.balance(anna) == 200
        assert not done.has_document
        mails = await house.parts.db.read("SELECT kind FROM mail")
        assert [m["kind"] for m in mails] == ["job-expired"]


async def test_a_deleted_job_can_come_back_for_a_moment(tmp_path):
    """Delete, undo, release: nothing was lost; after the time for undo the document is destroyed."""
    async with office(tmp_path, undo_s=1) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        job = await house.read(await house.submit(anna))
        await house.verbs.cancel.delete([job], undo=True)
        gone = await house.verbs.jobs.by_public(job.public_id)
        assert gone.state == "canceled"
        await house.verbs.cancel.undo([gone])
        back = await house.verbs.jobs.by_public(job.public_id)
        await house.release(anna, [back], printer)
        assert (await house.finished(back)).state == "completed"
        other = await house.read(await house.submit(anna))
        await house.verbs.cancel.delete([other], undo=True)
        await asyncio.sleep(1.1)
        await house.verbs.housekeep.once()
        late = await house.verbs.jobs.by_public(other.public_id)
        assert not late.has_document
        with pytest.raises(Refusal) as refused:
            await house.verbs.cancel.undo([late])
        assert refused.value.code == "undo-too-late"
