"""Printers that do not count jobs: their life counter decides where it can, the quote where it cannot."""

import asyncio
import contextlib

import pytest

from daemon.devices.printer import SnmpTarget
from daemon.workflows import follow
from tests.helpers import snmp_agent
from tests.helpers.office import office


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(follow, "COUNTER_POLL_S", 0.1)
    monkeypatch.setattr(follow, "COUNTER_FIRST_POLLS", 15)


@contextlib.asynccontextmanager
async def old_printer(agent, *, sides, pause_s=0.2):
    """A raw port that prints `sides` of every job, whatever the job has; its counter rises a while after the bytes."""
    tasks = set()

    async def count():
        for _ in range(sides):
            await asyncio.sleep(pause_s)
            agent.count += 1

    async def take(reader, writer):
        got = 0
        while chunk := await reader.read(65536):
            got += len(chunk)
        writer.close()
        if not got:
            return  # somebody only looked whether it is there
        task = asyncio.create_task(count())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield f"socket://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()


@pytest.mark.parametrize(("sides", "charged"), [(4, 4), (2, 2), (0, 0), (7, 4)])
async def test_a_raw_printer_is_charged_by_its_counter(tmp_path, sides, charged):
    """All, a part after a jam, nothing, and a copy made at the panel meanwhile: never more than the quote, estimated."""
    async with snmp_agent.running() as agent, old_printer(agent, sides=sides) as uri, office(tmp_path) as house:
        anna = await house.hire("anna")
        printer = await house.register("old", uri, snmp=SnmpTarget("127.0.0.1", agent.port))
        job = await house.read(await house.submit(anna, pages=4))
        await house.release(anna, [job], printer)
        done = await house.finished(job)
        assert (done.state, done.printed_impressions, done.is_estimated) == ("completed", charged, True)
        assert (await house.balance(anna), await house.reserved(anna)) == (200 - charged, 0)
        assert (await house.books())["ok"]


async def test_two_jobs_at_once_are_charged_by_their_quotes(tmp_path):
    """The printer was not one job's alone: the counter proves nothing about either of them."""
    async with (
        snmp_agent.running() as agent,
        old_printer(agent, sides=4, pause_s=0.3) as uri,
        office(tmp_path) as house,
    ):
        anna = await house.hire("anna")
        printer = await house.register("old", uri, snmp=SnmpTarget("127.0.0.1", agent.port))
        jobs = [await house.read(await house.submit(anna, pages=n)) for n in (2, 3)]
        await house.release(anna, jobs, printer)
        done = [await house.finished(job) for job in jobs]
        assert [(j.printed_impressions, j.is_estimated) for j in done] == [(2, True), (3, True)]
        assert await house.balance(anna) == 195


async def test_a_mute_ipp_printer_is_charged_by_its_counter(tmp_path):
    """It says completed before the paper is out, and no count: the counter is read once it stands still."""
    async with snmp_agent.running() as agent, office(tmp_path) as house:
        anna = await house.hire("anna")
        printer = await house.buy_printer("p", snmp=SnmpTarget("127.0.0.1", agent.port))
        house.printers["p"].behave(is_mute=True)
        job = await house.read(await house.submit(anna, pages=5))
        await house.release(anna, [job], printer)
        async with asyncio.timeout(10):
            while not house.printers["p"].engine.impressions_total:
                await asyncio.sleep(0.01)
        for _ in range(3):
            await asyncio.sleep(0.15)
            agent.count += 1
        done = await house.finished(job)
        assert (done.printed_impressions, done.is_estimated) == (3, True)
        assert await house.balance(anna) == 197
