"""What a client asks for on its ticket, kept to the end: pages that are not there, and the account it names."""

from daemon.accounting.books import Books
from daemon.jobs.ticket import Ticket
from daemon.workflows.submit import NewJob, Submitter
from tests.helpers.documents import numbered
from tests.helpers.office import QUEUE, office


async def _stream(content):
    yield content


async def test_pages_that_are_not_there_end_the_job_and_cost_nothing(tmp_path):
    """Ranges wholly outside the document abort it with the reason, instead of printing all of it."""
    async with office(tmp_path) as house:
        anna = await house.hire("anna")
        job = await house.read(await house.submit(anna, pages=3, page_ranges=((10, 12), (20, 20))))
        assert (job.state, job.reasons) == ("aborted", ("document-unprintable-error", "aborted-by-system"))
        assert job.message == (
            "The document has 3 pages, and pages 10-12, 20 were asked for: there is nothing to print."
        )
        assert not job.has_document
        assert await house.reserved(anna) == 0
        cut = await house.read(await house.submit(anna, pages=3, page_ranges=((10, 12),)))
        assert (cut.state, cut.counts.impressions) == ("pending-held", 3)


async def test_the_account_a_client_names_goes_with_the_job_into_the_books(tmp_path):
    """`job-account-id` is kept on the job, and stands in the owner's statement and in the export."""
    async with office(tmp_path) as house:
        anna, printer = await house.hire("anna"), await house.buy_printer("p")
        submitter = Submitter(QUEUE, anna.name, anna.id, "127.0.0.1", is_authenticated=True)
        new = NewJob(submitter, "Plan", Ticket(), account_ref="ACME-7")
        made = await house.verbs.submit.print(new, _stream(numbered(2)), declared_format="application/pdf")
        job = await house.read(made)
        assert job.account_ref == "ACME-7"
        await house.release(anna, [job], printer)
        await house.finished(job)
        books = Books(house.parts.db)
        lines, _ = await books.statement(anna.id)
        assert [line["job"]["job_account_id"] for line in lines if line["job"]] == ["ACME-7"]
        about = [row for row in [one async for one in books.export()] if row["job"] == job.id]
        assert {row["job_account_id"] for row in about} == {"ACME-7"}


async def test_what_a_submission_is_answered_with_is_what_was_written(tmp_path):
    """The job a client is told of is made without asking the store again, and is the same in every field."""
    async with office(tmp_path) as house:
        anna = await house.hire("anna")
        house._tasks[0].cancel()  # nobody reads it meanwhile
        proven = Submitter(QUEUE, "Anna", anna.id, "127.0.0.1", is_authenticated=True)
        claimed = Submitter(QUEUE, "somebody", None, "10.0.0.9")
        rich = Ticket(
            copies=2, sides="two-sided-long-edge", page_ranges=((1, 2),), finishings=(4,), media="iso_a4_210x297mm"
        )
        for new in (
            NewJob(proven, "Plän", rich, account_ref="A", password=b"1234", hold_until="night", priority=70),
            NewJob(claimed, "", Ticket()),
        ):
            made = await house.verbs.submit.print(new, _stream(numbered(2)), declared_format="application/pdf")
            assert made == await house.verbs.jobs.by_public(made.public_id)
