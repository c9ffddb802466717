"""Races and failures between the steps of a delivery: nothing is stuck, printed twice, lost, or paid wrongly."""

import asyncio
from dataclasses import replace

import pytest

from daemon.db.unit import Unit
from daemon.devices.simulated import Model
from daemon.kernel.errors import Conflict, Refusal, StorageFull
from daemon.people.person import Person
from daemon.workflows.recall import Recall
from tests.helpers.documents import numbered
from tests.helpers.office import office

HELD = frozenset({"pending-held"})
POTS = """
[profiles.sides]
pots = [{ unit = "pages", amount = 50, period = "none" }]
[profiles.purse]
pots = [{ unit = "EUR", pot = "free", amount = 5.00, period = "none" }]
"""


def fail_once(house, word, error, *, times=1):
    """The next `times` units that contain `word` in a statement's values fail with `error` before anything is written."""
    real, left = house.parts.db.commit, [times]

    async def commit(unit: Unit):
        values = [str(value) for s in unit.statements for name, value in s.params.items() if name.startswith("set_")]
        if left[0] and word in values:
            left[0] -= 1
            raise error
        return await real(unit)

    house.parts.db.commit = commit


async def tend(house, job, **more):
    """The job once it has ended, housekeeping looking after orphans meanwhile."""

    async def look():
        while True:
            await asyncio.sleep(0.1)
            await house.verbs.recover.orphans()

    looking = asyncio.create_task(look())
    try:
        return await house.finished(job, **more)
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


@pytest.mark.parametrize("error", [StorageFull(), Refusal("odd", code="odd"), RuntimeError("a bug")])
@pytest.mark.parametrize("word", ["sending", "printing", "settled"])
async def test_a_write_that_fails_at_any_step_is_made_up_for_without_a_restart(tmp_path, word, error):
    """A full disk, a refusal, a bug at each write of a delivery: it prints at most once, and what printed is paid."""
    async with office(tmp_path) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        job = await house.read(await house.submit(anna, pages=2))
        fail_once(house, word, error)
        await house.release(anna, [job], printer)
        done = await tend(house, job, states=frozenset({"completed", "pending-held"}))
        printed = len(house.printers["p"].documents())
        assert (done.state, printed) in (("completed", 1), ("pending-held", 0))
        if word != "sending":
            assert printed == 1
        assert (await house.balance(anna), await house.reserved(anna)) == (200 - 2 * printed, 0)
        assert (await house.books())["ok"]


async def test_a_release_cut_off_after_its_write_is_carried_out(tmp_path):
    """The client is gone at the very moment of the commit: what was promised happens, once, without a restart."""
    async with office(tmp_path) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        job = await house.read(await house.submit(anna, pages=2))
        real = house.parts.db.commit

        async def commit(unit):
            outcome = await real(unit)
            if unit.key is not None:
                raise asyncio.CancelledError
            return outcome

        house.parts.db.commit = commit
        with pytest.raises(asyncio.CancelledError):
            await house.release(anna, [job], printer, key="tap")
        house.parts.db.commit = real
        again = await house.release(anna, [job], printer, key="tap")
        assert [item["job_id"] for item in again.items] == [job.public_id]
        assert (await tend(house, job)).state == "completed"
        assert await house.balance(anna) == 198
        assert len(house.printers["p"].documents()) == 1


async def test_a_submission_cut_off_during_its_write_keeps_its_document(tmp_path):
    """The client goes away while the row is being written: a job that exists has its document, and prints."""
    async with office(tmp_path) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        real = house.parts.db.commit

        async def commit(unit):
            await real(unit)
            raise asyncio.CancelledError

        house.parts.db.commit = commit
        with pytest.raises(asyncio.CancelledError):
            await house.submit(anna, pages=2)
        house.parts.db.commit = real
        (job,) = await house.verbs.jobs.waiting(anna.id)
        await house.release(anna, [await house.read(job)], printer)
        assert (await house.finished(job)).state == "completed"


async def test_a_lost_job_does_not_block_its_printer(tmp_path):
    """While one job's outcome is unknown, the next one prints on the same printer."""
    async with office(tmp_path, lost_after_s=0.5) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        first = await house.read(await house.submit(anna, pages=2))
        second = await house.read(await house.submit(anna, pages=1))
        house.printers["p"].behave(vanish="middle")
        await house.release(anna, [first], printer)
        await house.finished(first, states=frozenset({"processing-stopped", "pending-held"}))
        house.printers["p"].behave()
        await house.release(anna, [second], printer)
        assert (await house.finished(second, wait_s=8)).state == "completed"


async def test_a_job_waiting_for_its_turn_can_be_canceled(tmp_path):
    """A busy printer has not got a byte yet: Cancel-Job ends the job at once, gives everything back, nothing prints."""
    async with office(tmp_path) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        job = await house.read(await house.submit(anna, pages=2))
        house.printers["p"].behave(is_busy=True)
        await house.release(anna, [job], printer)
        await asyncio.sleep(0.3)
        async with asyncio.timeout(15):
            while True:
                try:
                    await house.verbs.cancel.one(await house.verbs.jobs.by_public(job.public_id))
                    break
                except Exception as problem:
                    assert getattr(problem, "code", "") == "job-being-sent"
                    await asyncio.sleep(0.05)
        house.printers["p"].behave()
        done = await house.finished(job)
        assert (done.state, done.reasons, done.has_document) == ("canceled", ("job-canceled-by-user",), False)
        await asyncio.sleep(2.5)
        assert house.printers["p"].documents() == []
        assert (await house.balance(anna), await house.reserved(anna)) == (200, 0)


@pytest.mark.parametrize(("before", "after"), [("sides", "purse"), ("purse", "sides")])
async def test_another_profile_between_quote_and_settlement_charges_what_was_quoted(tmp_path, before, after):
    """Moved to a profile with other pots while the job prints: the units of the quote are charged, none is free."""
    async with office(tmp_path, config=POTS) as house:
        anna = await house.hire("anna", profile=before)
        printer = await house.buy_printer("p", page_ms=100)
        job = await house.read(await house.submit(anna, pages=4))
        had = {a.account_id: a.available for a in await house.parts.ledger.accounts(anna.id)}
        result = await house.release(anna, [job], printer)
        unit = Unit()
        house.parts.house.people_store.set_profile(unit, anna, after)
        await house.parts.db.commit(unit)
        moved: Person = await house.parts.people.by_id(anna.id)
        await house.parts.grants.for_person(moved)
        done = await house.finished(job)
        accounts = await house.parts.ledger.accounts(anna.id)
        taken = sum(had[a.account_id] - a.available for a in accounts if a.account_id in had)
        assert taken == result.total["amount"] == done.price.value > 0
        assert done.price.to_json()["unit"] == result.total["unit"]
        assert (await house.books())["ok"]


async def test_an_uncertain_job_that_goes_on_is_not_decided_over(tmp_path):
    """Silent for a while, then alive again: the time for a decision stands still, and it is paid when it is done."""
    async with office(tmp_path, lost_after_s=0.3, uncertain_after_s=1) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p", page_ms=60_000)
        job = await house.read(await house.submit(anna, pages=2))
        await house.release(anna, [job], printer)
        await _until(house, job, lambda j: "job-printing" in j.reasons)
        house.printers["p"].behave(is_dead=True)
        await _until(house, job, lambda j: j.is_uncertain)
        house.printers["p"].behave()
        delivery = await house.parts.house.deliveries.live_of_job(job.id)
        house.verbs.deliver._follow.hurry(delivery.public_id)
        await _until(house, job, lambda j: not j.is_uncertain)
        await asyncio.sleep(1.1)
        await house.verbs.settle.decide_uncertain()
        still = await house.verbs.jobs.by_public(job.public_id)
        assert (still.state, await house.reserved(anna)) == ("processing", 2)


async def test_what_was_decided_as_not_printed_is_taken_back_from_its_printer(tmp_path):
    """The printer comes back with the job in it: the copy is cancelled there; released again it prints once."""
    async with office(tmp_path, lost_after_s=0.3, uncertain_after_s=0) as house:
        anna = await house.hire("anna")
        printer = await house.buy_printer("p", model=Model(media_wait_s=60))
        recall = Recall(house.parts.house, printers=house.parts.printers)
        job = await house.read(await house.submit(anna, pages=3, media="iso_a3_297x420mm"))
        await house.release(anna, [job], printer, waits_for_media=True)
        await _until(house, job, lambda j: j.state == "processing-stopped")
        house.printers["p"].behave(is_dead=True)
        await _until(house, job, lambda j: j.is_uncertain)
        await house.verbs.settle.decide_uncertain()
        await recall.once()
        assert (await house.parts.house.deliveries.to_recall(0, 9))[0].job_id == job.id
        house.printers["p"].behave()
        recall._silent_until_s.clear()
        await recall.once()
        async with asyncio.timeout(10):
            while not house.printers["p"].jobs[0].is_ended:
                await asyncio.sleep(0.02)
        await recall.once()
        assert await house.parts.house.deliveries.to_recall(0, 9) == []
        again = await house.verbs.jobs.by_public(job.public_id)
        assert (again.state, await house.balance(anna)) == ("pending-held", 200)
        other = await house.buy_printer("q", model=Model(media_ready=("iso_a3_297x420mm",)))
        await house.release(anna, [again], other)
        await house.finished(again)
        came_out = [one.impressions_completed for name in "pq" for one in house.printers[name].jobs]
        assert came_out == [0, 3]
        assert await house.balance(anna) == 197


async def test_stopping_a_job_of_unknown_outcome_says_what_it_is(tmp_path):
    """Sent, and the printer knows nothing of it: cancelling is refused with that, not with `being sent`."""
    async with office(tmp_path, lost_after_s=0.2, uncertain_after_s=60) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p", page_ms=60_000)
        job = await house.read(await house.submit(anna, pages=1))
        await house.release(anna, [job], printer)
        await _until(house, job, lambda j: "job-printing" in j.reasons)
        house.printers["p"].behave(is_dead=True)
        await _until(house, job, lambda j: j.is_uncertain)
        unit, deliveries = Unit(), house.parts.house.deliveries
        delivery = await deliveries.live_of_job(job.id)
        deliveries.change(unit, delivery, ("uncertain",), printer_job_id=None)  # as if it had never been told
        await house.parts.db.commit(unit)
        with pytest.raises(Conflict) as refused:
            await house.verbs.cancel.one(await house.verbs.jobs.by_public(job.public_id))
        assert refused.value.code == "job-outcome-unknown"


async def test_one_that_cannot_be_decided_does_not_keep_the_others(tmp_path):
    """A decision that fails is tried again next time; the ones after it are made all the same."""
    async with office(tmp_path, lost_after_s=0.3, uncertain_after_s=0) as house:
        anna = await house.hire("anna")
        jobs = []
        for name in ("p", "q"):
            printer = await house.buy_printer(name, page_ms=60_000)
            job = await house.read(await house.submit(anna, pages=1))
            await house.release(anna, [job], printer)
            await _until(house, job, lambda j: "job-printing" in j.reasons)
            jobs.append(job)
        for name in ("p", "q"):
            house.printers[name].behave(is_dead=True)
        for job in jobs:
            await _until(house, job, lambda j: j.is_uncertain)
        fail_once(house, "voided", StorageFull())
        await house.verbs.settle.decide_uncertain()
        states = [(await house.verbs.jobs.by_public(job.public_id)).state for job in jobs]
        assert sorted(states) == ["pending-held", "processing-stopped"]
        await house.verbs.settle.decide_uncertain()
        assert [(await house.verbs.jobs.by_public(j.public_id)).state for j in jobs] == ["pending-held"] * 2
        assert await house.reserved(anna) == 0


async def test_a_reservation_that_expired_does_not_keep_its_job_for_ever(tmp_path):
    """The reservation's time ended before the decision's: the job comes back all the same."""
    async with office(tmp_path, lost_after_s=0.3, uncertain_after_s=2, reservation_s=1) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p", page_ms=60_000)
        job = await house.read(await house.submit(anna, pages=1))
        await house.release(anna, [job], printer)
        await _until(house, job, lambda j: "job-printing" in j.reasons)
        house.printers["p"].behave(is_dead=True)
        await _until(house, job, lambda j: j.is_uncertain)
        await asyncio.sleep(1.1)
        await house.verbs.settle.expire_reservations()
        assert await house.reserved(anna) == 0
        await asyncio.sleep(1.2)
        await house.verbs.settle.decide_uncertain()
        assert (await house.verbs.jobs.by_public(job.public_id)).state == "pending-held"
        assert await house.balance(anna) == 200
        assert (await house.books())["ok"]


async def test_a_change_made_while_the_document_is_read_is_kept(tmp_path):
    """Set-Job-Attributes during the reading: the counts are those of the new ticket."""
    async with office(tmp_path) as house:
        anna = await house.hire("anna")
        job = await house.submit(anna, content=numbered(4, color_pages=(1,)))
        fresh = await house.verbs.jobs.by_public(job.public_id)
        facts = (await house.read(job)).facts
        changed = await house.verbs.hold.change(
            await house.verbs.jobs.by_public(job.public_id), ticket=replace(fresh.ticket, copies=3)
        )
        assert changed.counts.impressions == 12
        unit = Unit()
        unit.add("UPDATE job SET facts=NULL, counts=NULL WHERE id=:id", id=job.id)
        await house.parts.db.commit(unit)
        await house.verbs.read._keep(fresh, facts)
        kept = await house.verbs.jobs.by_public(job.public_id)
        assert (kept.ticket.copies, kept.counts.impressions) == (3, 12)


async def test_an_undo_at_the_last_moment_keeps_the_document(tmp_path):
    """The final deletion and the undo meet: a job that came back has its document, and prints."""
    async with office(tmp_path) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        job = await house.read(await house.submit(anna))
        await house.verbs.cancel.delete([job], undo=True)
        gone = await house.verbs.jobs.by_public(job.public_id)
        await house.verbs.cancel.undo([gone])
        await house.verbs.cancel.forget([gone])  # housekeeping had read its list before the undo
        back = await house.verbs.jobs.by_public(job.public_id)
        assert back.has_document
        await house.release(anna, [back], printer)
        assert (await house.finished(job)).state == "completed"


async def test_an_override_while_jobs_print_leaves_their_money_alone(tmp_path):
    """Set to 10 while 4 are reserved: 10 are available, the 4 are paid all the same; a debt is settled by it."""
    async with office(tmp_path) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        job = await house.read(await house.submit(anna, pages=4))
        house.printers["p"].behave(jam_after=2)
        await house.release(anna, [job], printer)
        await _until(house, job, lambda j: j.state == "processing-stopped")

        async def set_to(steps, key):
            (pot,) = [a for a in await house.parts.ledger.accounts(anna.id) if a.kind == "user"]
            at_us = house.parts.clock.now_us()
            unit = house.parts.ledger.override(pot, to=steps, reason="r", actor="test", key=key, at_us=at_us)
            await house.parts.db.commit(unit)
            return {a.kind: a for a in await house.parts.ledger.accounts(anna.id)}

        accounts = await set_to(10, "first")
        assert (accounts["user"].available, accounts["user"].reserved) == (10, 4)
        await set_to(0, "second")
        house.printers["p"].jobs[0].impressions_completed = 7  # sheets went through again: more than was reserved
        house.printers["p"].behave()
        done = await house.finished(job)
        assert done.printed_impressions > 4
        accounts = {a.kind: a for a in await house.parts.ledger.accounts(anna.id)}
        assert (accounts["user"].available, accounts["overrun"].balance) == (0, 4 - done.printed_impressions)
        accounts = await set_to(20, "third")
        assert (accounts["user"].available, accounts["overrun"].balance) == (20, 0)
        assert (await house.books())["ok"]


async def _until(house, job, is_so, *, wait_s=10):
    async with asyncio.timeout(wait_s):
        while not is_so(await house.verbs.jobs.by_public(job.public_id)):
            await asyncio.sleep(0.02)
