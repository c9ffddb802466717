"""A jam on a real ippeveprinter, which leaves its job `processing` and tells of the jam only itself."""

import asyncio

from tests.helpers.ippeveprinter import running
from tests.helpers.office import office


async def test_a_jam_is_seen_at_the_job_and_cleared(tmp_path):
    """The job says it is stopped while the sheet is stuck, goes on when it is cleared, and is paid once."""
    async with running() as witness, office(tmp_path) as house:
        anna = await house.hire("anna")
        printer = await house.register("witness", witness.uri)
        witness.behave("jam", pages=3, fault_at=1)
        job = await house.submit(anna, pages=3)
        await house.release(anna, [job], printer)
        stopped = await house.finished(job, states=frozenset({"processing-stopped"}))
        assert "printer-stopped" in stopped.reasons
        await asyncio.to_thread(witness.behave, "ok", pages=3)
        done = await house.finished(job)
        assert (done.state, done.printed_impressions) == ("completed", 3)
        assert await house.balance(anna) == 197
