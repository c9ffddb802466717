"""The printing client against our simulated printer: attributes, counts, faults, and what each failure lets us claim."""

import asyncio
import json

import pytest

from daemon.devices.errors import AddressForbidden, PrinterRefused, PrinterUnreachable, PrinterUntrusted
from daemon.devices.http_exchange import Timeouts
from daemon.devices.ipp_client import PrinterClient
from daemon.devices.simulated import Faults, Model, SimulatedPrinter
from daemon.devices.targets import parse_networks
from daemon.ipp.registry import Operation, Status
from daemon.system import SystemClock
from tests.helpers.printing import LOOPBACK, Sent, certificate, chunks, pdf, pwg, send, until


@pytest.fixture
async def printer(tmp_path):
    simulated = SimulatedPrinter(tmp_path / "out", clock=SystemClock(), page_ms=5)
    await simulated.start()
    yield simulated
    await simulated.close()


@pytest.fixture
def client(printer):
    return PrinterClient(printer.uri, allow_networks=LOOPBACK, timeouts=Timeouts(answer_s=5, document_answer_s=5))


def record(printer: SimulatedPrinter, number: int = -1) -> dict:
    return json.loads(printer.documents()[number].with_suffix(".json").read_text())


async def test_state_and_capabilities_in_one_question(printer, client):
    """A status carries everything delivery planning needs, and it survives its JSON."""
    status = await client.status()
    assert (status.state, status.reasons, status.accepting) == ("idle", (), True)
    assert status.uuid == printer.uuid
    found = status.capabilities
    assert "application/pdf" in found.formats
    assert found.copies_max == 999 and found.page_ranges and found.is_color
    assert found.raster_resolutions == ((300, 300),) and found.raster_types == ("black_1", "sgray_8", "srgb_8")
    assert found.media_ready == ("iso_a4_210x297mm", "na_letter_8.5x11in")
    assert [(m.width, m.height, m.source) for m in found.media_col_ready][0] == (21000, 29700, "main")
    assert 20 in found.finishings and found.supports(Operation.CREATE_JOB)
    assert type(found).from_json(json.loads(json.dumps(found.to_json()))) == found


async def test_document_and_ticket_arrive_untouched(printer, client):
    """The file is byte for byte what was sent, its attributes are those of the ticket, and on_sending came once."""
    data, sent = pdf(5, color=True), Sent()
    size = {"media-size": {"x-dimension": 21000, "y-dimension": 29700}, "media-source": "main"}
    job = await send(
        client, data, name="hf-1", sent=sent, copies=2, sides="two-sided-long-edge", finishings=[4], media_col=size
    )
    end = await until(client, job)
    assert (end.state, end.impressions, end.sheets, end.color_impressions) == ("completed", 10, 6, 10)
    assert end.job_uuid == job.job_uuid and end.name == "hf-1"
    assert sent.times == 1
    assert printer.documents()[0].read_bytes() == data
    seen = record(printer)
    assert seen["user_name"] == "ann" and seen["state"] == "completed"
    assert seen["attributes"] == {
        "copies": 2, "sides": "two-sided-long-edge", "finishings": 4,
        "media-col": {"media-size": {"x-dimension": 21000, "y-dimension": 29700}, "media-source": "main"},
    }  # fmt: skip


async def test_monochrome_counts_no_colour(client):
    """Asked for grey, the printer marks no side in colour."""
    end = await until(client, await send(client, pdf(2, color=True), print_color_mode="monochrome"))
    assert (end.impressions, end.color_impressions) == (2, 0)


async def test_raster_travels_compressed_and_arrives_whole(printer, client):
    """PWG raster goes as gzip because the printer offers it, and is written as it was before."""
    data = pwg(3, color=True)
    end = await until(client, await send(client, data, document_format="image/pwg-raster"))
    assert (end.impressions, end.color_impressions) == (3, 3)
    assert printer.documents()[0].read_bytes() == data
    assert printer.documents()[0].suffix == ".pwg"


async def test_print_job_where_there_is_no_create_job(tmp_path):
    """A printer with Print-Job only gets one request, and its job is followed the same way."""
    simulated = SimulatedPrinter(tmp_path, clock=SystemClock(), page_ms=5, model=Model(has_create_job=False))
    await simulated.start()
    try:
        client = PrinterClient(simulated.uri, allow_networks=LOOPBACK)
        assert not (await client.status()).capabilities.supports(Operation.CREATE_JOB)
        end = await until(client, await send(client, pdf(2), copies=3))
        assert (end.state, end.impressions) == ("completed", 6)
    finally:
        await simulated.close()


async def test_a_jam_shows_and_clears(printer, client):
    """A jam stops printer and job with its reason and the count so far; cleared, the job goes on to its end."""
    printer.behave(jam_after=2)
    job = await send(client, pdf(4))
    stopped = await until(client, job, lambda s: s.state == "processing-stopped")
    assert stopped.impressions == 2
    status = await client.status()
    assert (status.state, status.reasons) == ("stopped", ("media-jam-error",))
    printer.behave()
    assert (await until(client, job)).impressions == 4


async def test_faults_by_control_file(printer, client):
    """A test in another process steers the printer by writing JSON; removing the file mends everything."""
    printer.engine.control_file.write_text(json.dumps({"abort_after": 1}))
    end = await until(client, await send(client, pdf(3)))
    assert (end.state, end.impressions, end.reasons) == ("aborted", 1, ("aborted-by-system",))
    printer.engine.control_file.unlink()
    assert (await until(client, await send(client, pdf(3)))).state == "completed"


async def test_cancel_stops_with_the_true_count(printer, client):
    """Cancelled mid-way, a job ends canceled with what came out; cancelling again, or an unknown job, finds nothing."""
    printer.engine.page_ms = 30
    job = await send(client, pdf(50))
    await until(client, job, lambda s: (s.impressions or 0) >= 2)
    assert await client.cancel(job.job_id)
    end = await until(client, job)
    assert end.state == "canceled" and 2 <= end.impressions < 50
    assert not await client.cancel(job.job_id)
    assert not await client.cancel(4711)


async def test_own_job_is_found_by_name_or_uuid(client):
    """Before anybody thinks of sending again, the printer can be asked whether it has the job."""
    job = await send(client, pdf(1), name="delivery-abc")
    await until(client, job)
    assert (await client.find_job(name="delivery-abc")).job_id == job.job_id
    assert (await client.find_job(uuid=job.job_uuid)).state == "completed"
    assert await client.find_job(name="delivery-ab") is None


async def test_a_restarted_printer_shows_it(printer, client):
    """After power off the old job is gone, ids begin again at 1 with another uuid, and up-time is small."""
    first = await send(client, pdf(1))
    await until(client, first)
    await printer.restart()
    assert (await client.job_status(first.job_id)).state == "gone"
    second = await send(client, pdf(1))
    assert second.job_id == first.job_id and second.job_uuid != first.job_uuid
    assert (await client.status()).up_time_s <= 2


async def test_a_mute_printer_counts_nothing(printer, client):
    """Without counters the client says None, not 0."""
    printer.behave(is_mute=True)
    end = await until(client, await send(client, pdf(2)))
    assert (end.state, end.impressions, end.sheets, end.color_impressions) == ("completed", None, None, None)


@pytest.mark.parametrize(("fault", "prints"), [("before", False), ("middle", False), ("after", True)])
async def test_a_lost_connection_is_never_a_clean_no(printer, client, fault, prints):
    """Cut before, within or after the document: may_have_sent is true, and only looking tells what became of it."""
    printer.behave(vanish=fault)
    with pytest.raises(PrinterUnreachable) as caught:
        await send(client, pdf(2), name="hf-lost")
    assert caught.value.may_have_sent and caught.value.printer_job is not None
    printer.behave()
    job = caught.value.printer_job
    if fault == "before":
        assert not (await client.job_status(job.job_id)).is_ended
    else:
        assert (await until(client, job)).state == ("completed" if prints else "aborted")
    assert (await client.find_job(name="hf-lost")).job_id == job.job_id


async def test_nothing_sent_is_said_so(printer, client):
    """A printer that drops every connection after its state was asked got no job: may_have_sent is false."""
    await client.status()
    printer.behave(is_dead=True)
    sent = Sent()
    with pytest.raises(PrinterUnreachable) as caught:
        await send(client, pdf(1), sent=sent)
    assert not caught.value.may_have_sent and not caught.value.may_have_printed
    assert sent.times == 0


async def test_refusals_name_the_status(printer, client):
    """Not accepting, wrong format: PrinterRefused with the IPP status, nothing on paper, nothing to look for."""
    printer.behave(is_refusing=True)
    with pytest.raises(PrinterRefused) as caught:
        await send(client, pdf(1))
    assert caught.value.status == Status.SERVER_ERROR_NOT_ACCEPTING_JOBS
    assert caught.value.code == "server-error-not-accepting-jobs"
    printer.behave()
    with pytest.raises(PrinterRefused) as caught:
        await send(client, b"%!PS", document_format="application/postscript")
    assert caught.value.code == "client-error-document-format-not-supported"
    assert printer.jobs == []


async def test_a_busy_printer_is_asked_again(printer, client, monkeypatch):
    """Busy is retried a few times, then told; becoming free in between, the job goes through."""
    monkeypatch.setattr("daemon.devices.ipp_client.BUSY_WAIT_S", 0.05)
    printer.behave(Faults(is_busy=True))
    with pytest.raises(PrinterRefused) as caught:
        await send(client, pdf(1))
    assert caught.value.is_busy
    sending = asyncio.create_task(send(client, pdf(1)))
    await asyncio.sleep(0.06)
    printer.behave()
    assert (await until(client, await sending)).state == "completed"


async def test_our_own_broken_document_leaves_no_paper(printer, client):
    """A document that fails on our side is interrupted, not finished: the printer aborts what it has."""

    async def broken():
        yield pdf(1)[:100]
        raise OSError("spool")

    with pytest.raises(PrinterUnreachable) as caught:
        await client.print_document(
            format="application/pdf", attributes={}, job_name="x", user_name="ann", body=broken(), on_sending=Sent()
        )
    assert caught.value.code == "document-interrupted" and caught.value.may_have_sent
    assert (await until(client, caught.value.printer_job)).state == "aborted"
    assert printer.documents() == []


async def test_ipps_is_trusted_by_pin_or_authority_only(tmp_path):
    """The pinned or vouched-for certificate prints; any other gets not one octet of IPP."""
    context, pem, pin = certificate(tmp_path)
    simulated = SimulatedPrinter(tmp_path / "out", clock=SystemClock(), page_ms=5, tls=context)
    await simulated.start()
    try:
        uri = simulated.secure_uri
        for client in (
            PrinterClient(uri, tls=f"pin:{pin.upper()}", allow_networks=LOOPBACK),
            PrinterClient(uri, ca_file=str(pem), allow_networks=LOOPBACK),
        ):
            assert (await until(client, await send(client, pdf(1)))).state == "completed"
        before = len(simulated.jobs)
        for client in (
            PrinterClient(uri, tls="pin:" + "0" * 64, allow_networks=LOOPBACK),
            PrinterClient(uri, allow_networks=LOOPBACK),
        ):
            with pytest.raises(PrinterUntrusted) as caught:
                await client.status()
            assert not caught.value.may_have_sent
        assert len(simulated.jobs) == before
    finally:
        await simulated.close()


async def test_addresses_are_guarded(printer):
    """Without being listed, loopback is refused before a connection is made."""
    for networks in ((), parse_networks(["10.0.0.0/8"]), parse_networks(["0.0.0.0/0"])):
        with pytest.raises(AddressForbidden):
            await PrinterClient(printer.uri, allow_networks=networks).status()


async def test_identify_and_answers_in_time(printer, client):
    """Identify-Printer is heard; a printer that takes too long is unreachable."""
    await client.identify(actions=["display"], message="hello")
    impatient = PrinterClient(printer.uri, allow_networks=LOOPBACK, timeouts=Timeouts(answer_s=0.1))
    printer.behave(answer_delay_ms=2000)
    with pytest.raises(PrinterUnreachable) as caught:
        await impatient.status()
    assert caught.value.code == "printer-timeout"


async def test_a_damaged_document_aborts_on_the_printer(client):
    """What the printer cannot read ends aborted with nothing printed."""
    end = await until(client, await send(client, b"%PDF-1.4 nonsense"))
    assert (end.state, end.impressions) == ("aborted", 0)


async def test_twenty_jobs_at_once_all_arrive(printer, client):
    """One client serves concurrent deliveries, each with its own connection."""
    jobs = await asyncio.gather(*(send(client, pdf(1), name=f"n{n}") for n in range(20)))
    assert len({job.job_id for job in jobs}) == 20
    assert {(await until(client, job)).state for job in jobs} == {"completed"}
    assert len(printer.documents()) == 20
    async for chunk in chunks(b"x"):
        assert chunk == b"x"
