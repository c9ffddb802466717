"""Volume steps while several releases of one person are under way: the price shown is the price posted."""

import asyncio

from daemon.accounting.books import Books
from daemon.workflows.release import PriceChanged
from tests.helpers.office import office

CONFIG = """
[tariffs]
default = "steps"
[profiles.purse]
pots = [{ unit = "EUR", pot = "free", amount = 50.00, period = "none" }]
"""
TARIFF = """title = "Steps"
currency = "EUR"
rounding = "half-even"
round_to = "0.01"
[media.default]
grey = "0.10"
colour = "0.10"
[[steps]]
above = 4
percent = 50
"""


def steps(state):
    """The tariff beside those of a new installation."""
    (state / "tariffs" / "steps.toml").write_text(TARIFF)


async def charged(house, person):
    """What each print took, oldest first."""
    lines, _ = await Books(house.parts.db).statement(person.id)
    return [-line["amount"]["amount"] for line in lines if line["kind"] == "print"]


async def test_two_releases_at_one_instant_are_priced_one_after_the_other(tmp_path):
    """4 sides each from a fresh month, step after the 4th: one costs 0.40, the other 0.20, whoever is first."""
    async with office(tmp_path, config=CONFIG, prepare=steps) as house:
        anna = await house.hire("anna", profile="purse")
        printers = [await house.buy_printer(name, tariff="steps") for name in "pq"]
        jobs = [await house.read(await house.submit(anna, pages=4)) for _ in printers]
        results = await asyncio.gather(
            *(house.release(anna, [job], printer) for job, printer in zip(jobs, printers, strict=True))
        )
        shown = sorted(result.total["amount"] for result in results)
        assert shown == [2000, 4000]
        for job in jobs:
            await house.finished(job)
        assert sorted(await charged(house, anna)) == shown
        assert (await house.books())["ok"]


async def test_a_job_under_way_counts_and_a_shown_price_is_never_overtaken(tmp_path):
    """While 4 sides print, the next job is quoted by the step; a total shown before that is refused, with the new one."""
    async with office(tmp_path, config=CONFIG, prepare=steps) as house:
        anna = await house.hire("anna", profile="purse")
        slow = await house.buy_printer("slow", page_ms=60_000, tariff="steps")
        other = await house.buy_printer("other", tariff="steps")
        first, second = [await house.read(await house.submit(anna, pages=4)) for _ in range(2)]
        before = await house.verbs.release.quote(anna.id, [second.public_id], other, {})
        await house.release(anna, [first], slow)
        now = await house.verbs.release.quote(anna.id, [second.public_id], other, {})
        assert (before.total.value, now.total.value) == (4000, 2000)
        try:
            await house.release(anna, [second], other, expected_total=before.total)
        except PriceChanged as refused:
            assert refused.data["total"]["amount"] == 2000
        else:
            raise AssertionError("released at a price that was not shown")
        await house.release(anna, [second], other, expected_total=now.total)
        await house.finished(second)
        assert await charged(house, anna) == [2000]
