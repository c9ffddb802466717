"""Printers jam, lie, vanish and restart; the allowance goes down by exactly what came out, or by nothing."""

import asyncio
import json

import pypdfium2
import pytest

from daemon.devices.simulated import Model
from daemon.kernel.errors import Refusal, Unavailable
from tests.helpers.documents import numbered
from tests.helpers.office import office

UNCERTAIN = frozenset({"processing-stopped"})


async def test_a_jam_that_is_cleared_costs_the_whole_job_once(tmp_path):
    """While the printer stands still the job says so; when it goes on it prints to the end and is paid once."""
    async with office(tmp_path) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        house.printers["p"].behave(jam_after=2)
        job = await house.submit(anna, pages=5)
        await house.release(anna, [job], printer)
        stopped = await house.finished(job, states=UNCERTAIN)
        assert "printer-stopped" in stopped.reasons
        assert await house.reserved(anna) == 5
        house.printers["p"].behave()
        done = await house.finished(job)
        assert (done.state, done.printed_impressions) == ("completed", 5)
        assert await house.balance(anna) == 195


async def test_an_aborted_job_costs_what_came_out(tmp_path):
    """Aborted after two of five pages: two are paid, three given back."""
    async with office(tmp_path) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        house.printers["p"].behave(abort_after=2)
        job = await house.submit(anna, pages=5)
        await house.release(anna, [job], printer)
        done = await house.finished(job)
        assert (done.state, done.printed_impressions) == ("aborted", 2)
        assert (await house.balance(anna), await house.reserved(anna)) == (198, 0)
        assert (await house.books())["ok"]


async def test_an_abort_before_the_first_page_costs_nothing(tmp_path):
    """Nothing came out, nothing is paid."""
    async with office(tmp_path) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        house.printers["p"].behave(abort_after=0)
        job = await house.submit(anna, pages=5)
        await house.release(anna, [job], printer)
        done = await house.finished(job)
        assert (done.state, done.printed_impressions) == ("aborted", 0)
        assert (await house.balance(anna), await house.reserved(anna)) == (200, 0)


async def test_a_job_stopped_by_its_owner_costs_what_came_out(tmp_path):
    """Cancel on the printer: what came out until it really stopped is paid."""
    async with office(tmp_path) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p", page_ms=150)
        job = await house.submit(anna, pages=30)
        await house.release(anna, [job], printer)
        async with asyncio.timeout(10):
            while not (await house.verbs.jobs.by_public(job.public_id)).printed_impressions:
                await asyncio.sleep(0.02)
        await house.verbs.cancel.one(await house.verbs.jobs.by_public(job.public_id))
        done = await house.finished(job)
        assert (done.state, done.reasons) == ("canceled", ("job-canceled-by-user",))
        assert 0 < done.printed_impressions < 30
        assert await house.balance(anna) == 200 - done.printed_impressions
        assert house.printers["p"].engine.impressions_total == done.printed_impressions


@pytest.mark.parametrize("fault", ["is_stopped", "is_refusing", "is_dead"])
async def test_a_printer_that_cannot_print_is_refused_before_anything_is_reserved(tmp_path, fault):
    """The refusal names why and where else; the job stays held, nothing is reserved."""
    async with office(tmp_path) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        other = await house.buy_printer("other")
        await house.parts.printers.ask(other)
        job = await house.submit(anna, pages=2)
        await house.read(job)
        house.printers["p"].behave(**{fault: True})
        with pytest.raises((Refusal, Unavailable)) as refused:
            await house.release(anna, [job], printer)
        assert refused.value.code in ("printer-stopped", "printer-unreachable")
        assert [a["name"] for a in refused.value.data["alternatives"]] == ["other"]
        assert (await house.verbs.jobs.by_public(job.public_id)).state == "pending-held"
        assert (await house.balance(anna), await house.reserved(anna)) == (200, 0)


async def test_a_line_that_breaks_before_the_document_gives_the_job_back(tmp_path):
    """Not a byte of the document left: the job waits again, free of charge, and prints on the next try."""
    async with office(tmp_path) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        job = await house.submit(anna, pages=2)
        await house.read(job)
        house.printers["p"].behave(vanish="before")
        await house.release(anna, [job], printer)
        back = await house.finished(job, states=frozenset({"pending-held"}))
        assert "Nothing was charged" in back.message
        assert (await house.balance(anna), await house.reserved(anna)) == (200, 0)
        house.printers["p"].behave()
        await house.release(anna, [back], printer)
        assert (await house.finished(job)).state == "completed"
        assert await house.balance(anna) == 198


async def test_an_answer_that_is_lost_is_found_again_by_name(tmp_path):
    """The printer took it all but its answer never came: our own job is found there and paid once, never sent twice."""
    async with office(tmp_path) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        job = await house.submit(anna, pages=2)
        await house.read(job)
        house.printers["p"].behave(vanish="after")
        await house.release(anna, [job], printer)
        done = await house.finished(job)
        assert (done.state, done.printed_impressions) == ("completed", 2)
        assert await house.balance(anna) == 198
        assert len(house.printers["p"].documents()) == 1


async def test_a_printer_lost_while_printing_leaves_the_job_uncertain(tmp_path):
    """Nobody can know: never sent again, the reservation stays, the policy decides after its time; the owner may retry."""
    async with office(tmp_path, uncertain_after_s=1, lost_after_s=0.5) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p", page_ms=60_000)
        job = await house.submit(anna, pages=4)
        await house.release(anna, [job], printer)
        async with asyncio.timeout(10):
            while "job-printing" not in (await house.verbs.jobs.by_public(job.public_id)).reasons:
                await asyncio.sleep(0.02)
        house.printers["p"].behave(is_dead=True)
        async with asyncio.timeout(10):
            while not (await house.verbs.jobs.by_public(job.public_id)).is_uncertain:
                await asyncio.sleep(0.05)
        assert await house.reserved(anna) == 4
        with pytest.raises(Refusal):
            await house.release(anna, [job], printer)
        await asyncio.sleep(1.2)
        await house.verbs.settle.decide_uncertain()
        back = await house.verbs.jobs.by_public(job.public_id)
        assert (back.state, back.is_uncertain) == ("pending-held", False)
        assert (await house.balance(anna), await house.reserved(anna)) == (200, 0)
        assert (await house.books())["ok"]


async def test_a_restarted_printer_does_not_lend_its_new_job_to_ours(tmp_path):
    """Job numbers begin anew after a power cycle: another job under our number is never taken for ours."""
    async with office(tmp_path, lost_after_s=0.5) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        await asyncio.sleep(1.1)
        house.printers["p"].behave(jam_after=1)
        job = await house.submit(anna, pages=4)
        await house.release(anna, [job], printer)
        await house.finished(job, states=UNCERTAIN)
        await house.printers["p"].restart()
        house.printers["p"].behave()
        done = await house.finished(job, states=frozenset({"completed", "processing-stopped"}))
        async with asyncio.timeout(10):
            while done.state == "processing-stopped" and not done.is_uncertain:
                await asyncio.sleep(0.05)
                done = await house.verbs.jobs.by_public(job.public_id)
        charged = 200 - await house.balance(anna)
        assert (done.is_uncertain, charged) in ((True, 0), (False, 1))
        assert len(house.printers["p"].documents()) == 1


async def test_more_than_was_reserved_is_taken_and_the_rest_owed(tmp_path):
    """Paper that is out cannot be refused, a limit not broken: what is there is taken, the rest blocks the next release."""
    profile = '[profiles.small]\npots = [{ unit = "pages", amount = 4, period = "monthly" }]\n'
    async with office(tmp_path, config=profile) as house:
        anna = await house.hire("anna", profile="small")
        printer = await house.buy_printer("p")
        job = await house.submit(anna, pages=3)
        await house.read(job)
        house.printers["p"].behave(jam_after=2)
        await house.release(anna, [job], printer)
        await house.finished(job, states=UNCERTAIN)
        house.printers["p"].jobs[0].impressions_completed = 5  # three sheets went through twice
        house.printers["p"].behave()
        done = await house.finished(job)
        assert done.printed_impressions == 6
        assert await house.balance(anna) == 0
        owed = [a for a in await house.parts.ledger.accounts(anna.id) if a.kind == "overrun"]
        assert [a.balance for a in owed] == [-2]
        more = await house.submit(anna, pages=1)
        await house.read(more)
        with pytest.raises(Refusal) as refused:
            await house.release(anna, [more], printer)
        assert refused.value.code == "overrun-unsettled"
        assert (await house.books())["ok"]


async def test_a_printer_without_counts_is_settled_on_the_quote_and_marked(tmp_path):
    """A printer that says completed and nothing else costs the price shown, marked estimated."""
    async with office(tmp_path) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        house.printers["p"].behave(is_mute=True)
        job = await house.submit(anna, pages=3)
        await house.release(anna, [job], printer)
        done = await house.finished(job)
        assert (done.state, done.is_estimated, done.printed_impressions) == ("completed", True, 3)
        assert await house.balance(anna) == 197


async def test_a_raw_printer_is_settled_on_the_quote_and_marked(tmp_path):
    """Port 9100 takes the bytes and says nothing: printed, paid as quoted, estimated."""
    got = bytearray()

    async def take(reader, writer):
        while chunk := await reader.read(65536):
            got.extend(chunk)
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with office(tmp_path) as house:
        anna = await house.hire("anna")
        printer = await house.register("old", f"socket://127.0.0.1:{port}")
        content = numbered(3)
        job = await house.submit(anna, content=content)
        await house.release(anna, [job], printer)
        done = await house.finished(job)
        assert (done.state, done.is_estimated) == ("completed", True)
        assert await house.balance(anna) == 197
        assert bytes(got) == content
    server.close()


async def test_a_printer_that_cannot_staple_says_so_before_release(tmp_path):
    """The refusal names the wish; nothing is reserved."""
    async with office(tmp_path) as house:
        anna = await house.hire("anna")
        printer = await house.buy_printer("plain", model=Model(finishings=(3,)))
        job = await house.submit(anna, pages=2, finishings=(4,))
        await house.read(job)
        with pytest.raises(Refusal) as refused:
            await house.release(anna, [job], printer)
        assert refused.value.code == "cannot-staple"
        assert await house.reserved(anna) == 0


async def test_a_damaged_document_ends_with_a_reason_and_costs_nothing(tmp_path):
    """The submission is acknowledged, the reading refuses: aborted, the reason is plain, the document is gone."""
    async with office(tmp_path) as house:
        anna = await house.hire("anna")
        job = await house.submit(anna, content=b"%PDF-1.7\n" + b"\x00garbage" * 100)
        done = await house.finished(job)
        assert done.state == "aborted"
        assert "document-format-error" in done.reasons
        assert done.message
        async with asyncio.timeout(10):  # the file goes right after the write that ends the job
            while [p for p in (house.state / "spool").rglob("*") if p.is_file()]:
                await asyncio.sleep(0.02)


async def test_grey_two_sided_and_fewer_copies_are_what_the_printer_gets(tmp_path):
    """A downgrade at the kiosk changes the delivered file and ticket, and the price with it."""
    async with office(tmp_path) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        job = await house.submit(anna, content=numbered(4, color_pages=(1, 3)), copies=3)
        await house.read(job)
        changes = {job.public_id: {"print_color_mode": "monochrome", "sides": "two-sided-long-edge", "copies": 1}}
        await house.release(anna, [job], printer, changes=changes)
        done = await house.finished(job)
        assert (done.state, done.printed_impressions, done.printed_sheets) == ("completed", 4, 2)
        assert await house.balance(anna) == 196
        document = house.printers["p"].documents()[0]
        ticket = json.loads(document.with_suffix(".json").read_text())
        assert "two-sided-long-edge" in json.dumps(ticket)
        pdf = pypdfium2.PdfDocument(document.read_bytes())
        assert len(pdf) == 4
        picture = pdf[0].render(scale=0.5).to_numpy()
        spread = picture.max(axis=2).astype(int) - picture.min(axis=2)
        assert spread.max() <= 8


async def test_a_job_stuck_for_too_long_is_stopped_there_and_settled(tmp_path):
    """A printer that stands still longer than the site allows loses the job; what had come out is paid."""
    async with office(tmp_path, stopped_timeout_s=1) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        house.printers["p"].behave(jam_after=2)
        job = await house.submit(anna, pages=5)
        await house.release(anna, [job], printer)
        done = await house.finished(job)
        assert (done.state, done.printed_impressions) == ("canceled", 2)
        assert (await house.balance(anna), await house.reserved(anna)) == (198, 0)
