"""People who come to exist by printing: who does, how they get a password, and who does not."""

from __future__ import annotations

import asyncio

from daemon.jobs.ticket import Ticket
from daemon.workflows.submit import NewJob, Submitter
from tests.helpers.documents import numbered
from tests.helpers.office import QUEUE, Office

CONFIG = '[people]\nauto_create = true\nmail_domain = "example.org"\n'


async def _print(house, name):
    async def chunks():
        yield numbered(1)

    new = NewJob(Submitter(QUEUE, name, None, "127.0.0.1"), "Report", Ticket())
    return await house.verbs.submit.print(new, chunks(), declared_format="application/pdf")


async def test_a_first_print_makes_a_person_and_mails_one_link(tmp_path):
    """The owner exists with PIN and allowance but without a password; one link goes to the domain's mail address."""
    house = await asyncio.to_thread(Office.make, tmp_path / "state", config=CONFIG)
    await house.open()
    try:
        first, second = await _print(house, "zoe"), await _print(house, "zoe")
        person = await house.parts.people.find("zoe")
        assert first.person_id == second.person_id == person.id
        assert (person.email, person.origin) == ("zoe@example.org", "first-print")
        assert person.pin
        assert not await house.parts.people_store.has_password(person.id)
        mails = await house.parts.db.read("SELECT kind FROM mail WHERE person_id=:id", id=person.id)
        assert [row["kind"] for row in mails] == ["password-link"]
    finally:
        await house.close()


async def test_a_request_without_a_name_makes_nobody(tmp_path):
    """`anonymous` is what a missing name reads as: its job has no owner, and no shared account comes to exist."""
    house = await asyncio.to_thread(Office.make, tmp_path / "state", config=CONFIG)
    await house.open()
    try:
        job = await _print(house, "anonymous")
        assert job.person_id is None
        assert await house.parts.people_store.count() == 0
    finally:
        await house.close()
