"""The printing client against a real `ippeveprinter`: an independent opinion of the protocol, of trust and of faults."""

import asyncio
import hashlib
import ssl

import pytest

from daemon.devices.errors import PrinterUnreachable, PrinterUntrusted
from daemon.devices.http_exchange import Timeouts
from daemon.devices.ipp_client import PrinterClient
from daemon.ipp.registry import Operation, bare_reason
from tests.helpers import ippeveprinter
from tests.helpers.printing import LOOPBACK, pdf, pwg, send, until


@pytest.fixture
async def printer():
    async with ippeveprinter.running() as found:
        yield found


@pytest.fixture
def client(printer):
    return PrinterClient(printer.uri, allow_networks=LOOPBACK, timeouts=Timeouts(connect_s=2, answer_s=2))


def pin_of(printer: ippeveprinter.IppEvePrinter) -> str:
    pem = ssl.get_server_certificate(("localhost", printer.port))
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


async def test_a_document_and_its_ticket_arrive(printer, client):
    """The captured file is what was sent; the printer's own reading of the attributes is the ticket."""
    status = await client.status()
    assert status.state == "idle" and status.capabilities.supports(Operation.CREATE_JOB)
    data = pdf(3)
    printer.behave("ok", pages=3)
    size = {"media-size": {"x-dimension": 21000, "y-dimension": 29700}}
    job = await send(
        client, data, name="hf-ä-1", copies=2, sides="two-sided-long-edge", media_col=size, page_ranges=[[1, 2]]
    )
    end = await until(client, job)
    assert (end.state, end.impressions, end.sheets, end.color_impressions) == ("completed", 3, None, None)
    document = printer.documents()[0]
    seen = printer.environment(document)
    assert document.read_bytes() == data
    assert (seen["IPP_COPIES"], seen["IPP_SIDES"]) == ("2", "two-sided-long-edge")
    assert seen["IPP_JOB_NAME"] == "hf-ä-1" and seen["IPP_JOB_ORIGINATING_USER_NAME"] == "ann"
    assert seen["IPP_PAGE_RANGES"] == "1-2" and "x-dimension=21000" in seen["IPP_MEDIA_COL"]
    assert (await client.find_job(name="hf-ä-1")).job_id == job.job_id


async def test_compressed_raster_arrives_whole(printer, client):
    """The printer's own decompression gives back the raster file byte for byte."""
    data = pwg(2)
    await until(client, await send(client, data, document_format="image/pwg-raster"))
    assert printer.documents()[0].read_bytes() == data


async def test_trust_on_ipps(printer):
    """Pinned, its self-made certificate prints; unpinned, nothing is sent."""
    pin = await asyncio.to_thread(pin_of, printer)
    client = PrinterClient(printer.secure_uri, tls=f"pin:{pin}", allow_networks=LOOPBACK)
    assert (await until(client, await send(client, pdf(1)))).state == "completed"
    with pytest.raises(PrinterUntrusted):
        await PrinterClient(printer.secure_uri, allow_networks=LOOPBACK).status()
    assert len(printer.documents()) == 1


@pytest.mark.parametrize(("mode", "reason"), [("jam", "media-jam"), ("mediaempty", "media-empty")])
async def test_trouble_with_paper_is_seen_and_passes(printer, client, mode, reason):
    """The reason shows without its severity's spelling mattering, the count stands still, and the job ends well."""
    printer.behave(mode, pages=4, fault_at=2)
    job = await send(client, pdf(4))
    await until(client, job, lambda s: s.impressions == 2)
    async with asyncio.timeout(5):
        while reason not in {bare_reason(r) for r in (await client.status()).reasons}:
            await asyncio.sleep(0.05)
    printer.behave("ok", pages=4)
    end = await until(client, job)
    assert (end.state, end.impressions) == ("completed", 4)


@pytest.mark.parametrize("mode", ["abort", "crash"])
async def test_an_aborted_job_keeps_its_count(printer, client, mode):
    """Aborted after one of three: the last count is still told."""
    printer.behave(mode, pages=3, fault_at=1)
    end = await until(client, await send(client, pdf(3)))
    assert (end.state, end.impressions) == ("aborted", 1)


async def test_cancel_is_not_the_end(printer, client):
    """After Cancel-Job the job is still at work; its true end comes later."""
    printer.behave("ok", pages=8, page_s=0.1)
    job = await send(client, pdf(8))
    await until(client, job, lambda s: (s.impressions or 0) >= 1)
    assert await client.cancel(job.job_id, user_name="ann")
    end = await until(client, job)
    assert end.state == "canceled" and end.impressions >= 1


async def test_a_frozen_printer_is_unreachable_in_time(printer, client):
    """It takes the connection and says nothing: unreachable after the limit, and nothing was sent."""
    await client.status()
    printer.freeze()
    try:
        with pytest.raises(PrinterUnreachable) as caught:
            await client.status()
        assert not caught.value.may_have_sent
    finally:
        printer.thaw()


async def test_power_off_and_on_again(printer, client):
    """Gone, it is unreachable; back, it knows no job of before and starts its numbers anew."""
    printer.behave("ok", pages=50, page_s=0.1)
    job = await send(client, pdf(1), name="hf-before")
    printer.power_off()
    with pytest.raises(PrinterUnreachable) as caught:
        await client.job_status(job.job_id)
    assert not caught.value.may_have_sent
    await asyncio.to_thread(printer.start)
    assert (await client.job_status(job.job_id)).state == "gone"
    assert await client.find_job(name="hf-before") is None
