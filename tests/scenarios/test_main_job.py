"""The main job through the verbs, on real parts: held, released once, printed, paid for exactly what came out."""

import asyncio

import pytest

from daemon.kernel.errors import Refusal
from tests.helpers.documents import numbered
from tests.helpers.office import office


async def test_a_job_is_held_released_printed_and_paid(tmp_path):
    """A submitted job waits, prints once released, and the allowance falls by exactly its pages."""
    async with office(tmp_path) as house:
        anna = await house.hire("anna")
        printer = await house.buy_printer("floor-1")
        before = await house.balance(anna)
        content = numbered(3)
        job = await house.submit(anna, content=content)
        assert (job.state, job.reasons) == ("pending-held", ("job-held-for-release", "job-release-wait"))
        assert house.printers["floor-1"].documents() == []

        await house.release(anna, [job], printer)
        done = await house.finished(job)

        assert (done.state, done.printed_impressions, done.printed_sheets) == ("completed", 3, 3)
        assert not done.is_estimated
        assert await house.balance(anna) == before - 3
        assert await house.reserved(anna) == 0
        assert [p.read_bytes() for p in house.printers["floor-1"].documents()] == [content]
        assert (await house.books())["ok"]


async def test_the_same_tap_twice_prints_once(tmp_path):
    """Two identical releases at one instant answer alike; a third with another key is refused; one print, one charge."""
    async with office(tmp_path) as house:
        anna = await house.hire("anna")
        printer = await house.buy_printer("floor-1")
        job = await house.submit(anna, pages=2)
        await house.read(job)
        before = await house.balance(anna)

        first, second = await asyncio.gather(
            house.release(anna, [job], printer, key="k"), house.release(anna, [job], printer, key="k")
        )
        assert first == second
        with pytest.raises(Refusal) as refused:
            await house.release(anna, [job], printer, key="other")
        assert refused.value.code == "job-not-held"
        await house.finished(job)
        assert await house.balance(anna) == before - 2
        assert len(house.printers["floor-1"].documents()) == 1
