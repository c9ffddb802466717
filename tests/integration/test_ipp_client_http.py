"""What a printer may do to us in HTTP: answer early, late, never, too much, or nonsense. A scripted server plays it."""

import asyncio
import contextlib

import pytest

from daemon.devices.errors import PrinterRefused, PrinterUnreachable
from daemon.devices.http_exchange import ANSWER_BYTES_MAX, Exchange, Sending, Timeouts
from daemon.devices.ipp_client import PrinterClient
from daemon.devices.targets import parse_uri
from tests.helpers.printing import LOOPBACK, chunks

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/ipp\r\nContent-Length: 3\r\n\r\nyes"
FAST = Timeouts(connect_s=2, answer_s=0.5, continue_s=0.1, stall_s=0.5, document_answer_s=0.5)


@contextlib.asynccontextmanager
async def scripted(script):
    """A server that hands each connection to `script(reader, writer)`; yields an exchange with it."""

    async def run(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await script(reader, writer)
        writer.close()

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield Exchange(parse_uri(f"ipp://127.0.0.1:{port}/ipp/print"), allow_networks=LOOPBACK, timeouts=FAST)
    finally:
        server.close()


def document() -> Sending:
    return Sending(is_job_creating=True)


async def head_of(reader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def test_continue_is_waited_for():
    """With 100 Continue the document follows; it arrives chunked, IPP first."""
    seen = {}

    async def script(reader, writer):
        seen["head"] = await head_of(reader)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        seen["body"] = await reader.readuntil(b"0\r\n\r\n")
        writer.write(OK)

    async with scripted(script) as exchange:
        assert await exchange.post(b"IPP", sending=document(), body=chunks(b"doc")) == b"yes"
    assert b"Expect: 100-continue" in seen["head"] and b"Transfer-Encoding: chunked" in seen["head"]
    assert seen["body"] == b"3\r\nIPP\r\n3\r\ndoc\r\n0\r\n\r\n"


async def test_a_printer_that_never_says_continue_gets_the_document_anyway():
    """RFC 9110 section 10.1.1: not to wait for ever."""

    async def script(reader, writer):
        await head_of(reader)
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(OK)

    async with scripted(script) as exchange:
        assert await exchange.post(b"IPP", sending=document(), body=chunks(b"doc")) == b"yes"


async def test_a_printer_that_hates_expect_is_asked_without():
    """417 before anything was sent: the same request again, without Expect, the document still whole."""
    heads = []

    async def script(reader, writer):
        heads.append(await head_of(reader))
        if len(heads) == 1:
            writer.write(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
            return
        assert await reader.readuntil(b"0\r\n\r\n") == b"3\r\nIPP\r\n3\r\ndoc\r\n0\r\n\r\n"
        writer.write(OK)

    async with scripted(script) as exchange:
        assert await exchange.post(b"IPP", sending=document(), body=chunks(b"doc")) == b"yes"
    assert b"Expect" in heads[0] and b"Expect" not in heads[1]


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "printer-needs-password"), (403, "printer-forbids"), (404, "printer-path-unknown"), (426, "printer-wants-tls"),
     (302, "printer-http-refused"), (413, "client-error-request-entity-too-large")],
)  # fmt: skip
async def test_http_refusals_before_the_document(status, code):
    """Refused at the head: a named refusal, not one octet of the job sent, redirects not followed."""

    async def script(reader, writer):
        await head_of(reader)
        writer.write(b"HTTP/1.1 %d No\r\nLocation: ipp://evil/\r\nContent-Length: 0\r\n\r\n" % status)

    sending = document()
    async with scripted(script) as exchange:
        with pytest.raises(PrinterRefused) as caught:
            await exchange.post(b"IPP", sending=sending, body=chunks(b"doc"))
    assert caught.value.code == code
    assert not sending.has_request and not sending.has_document


async def test_an_error_of_the_server_before_the_document_proves_nothing_was_sent():
    """503 at the head: unreachable, and the job may safely be sent again."""

    async def script(reader, writer):
        await head_of(reader)
        writer.write(b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n")

    async with scripted(script) as exchange:
        with pytest.raises(PrinterUnreachable) as caught:
            await exchange.post(b"IPP", sending=document(), body=chunks(b"doc"))
    assert not caught.value.may_have_sent


async def test_an_answer_in_the_middle_of_the_document_ends_the_sending():
    """A printer that answers while we still send is listened to; the rest of an endless document stays here."""

    async def endless():
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0)

    async def script(reader, writer):
        await head_of(reader)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await reader.readexactly(100_000)
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(0.2)

    async with scripted(script) as exchange:
        assert await exchange.post(b"IPP", sending=document(), body=endless()) == b"yes"


async def test_a_connection_cut_before_the_request_is_told_from_one_cut_after():
    """Closed at once: nothing of the job was sent. Closed after the IPP header: it may have been."""

    async def at_once(reader, writer):
        await head_of(reader)

    async def later(reader, writer):
        await head_of(reader)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await reader.readuntil(b"IPP")

    for script, has_sent in ((at_once, False), (later, True)):
        async with scripted(script) as exchange:
            with pytest.raises(PrinterUnreachable) as caught:
                await exchange.post(b"IPP", sending=document(), body=chunks(b"doc"))
        assert caught.value.may_have_sent is has_sent


async def test_a_printer_that_stops_reading_stalls():
    """A full pipe for longer than the limit is `printer-stalled`, and something was sent."""

    async def script(reader, writer):
        await head_of(reader)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await asyncio.sleep(3)

    async with scripted(script) as exchange:
        with pytest.raises(PrinterUnreachable) as caught:
            await exchange.post(b"IPP", sending=document(), body=chunks(bytes(64 << 20), 1 << 20))
    assert caught.value.code == "printer-stalled" and caught.value.may_have_printed


async def test_silence_after_the_document_is_a_timeout():
    """Everything taken, nothing answered: unknown outcome, said so."""

    async def script(reader, writer):
        await reader.readuntil(b"0\r\n\r\n")
        await asyncio.sleep(2)

    async with scripted(script) as exchange:
        with pytest.raises(PrinterUnreachable) as caught:
            await exchange.post(b"IPP", sending=document(), body=chunks(b"doc"))
    assert caught.value.code == "printer-timeout" and caught.value.may_have_sent


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\n" + b"X-Junk: " + b"a" * 100_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (ANSWER_BYTES_MAX * 2) + bytes(ANSWER_BYTES_MAX + 70_000),
    ],
    ids=["no-http", "cut", "long-head", "bad-chunk", "endless"],
)
async def test_nonsense_is_unreachable_and_bounded(answer):
    """Whatever comes back, it is an Unavailable, not a crash, and no more than the limit is kept."""

    async def script(reader, writer):
        await head_of(reader)
        writer.write(answer)
        await writer.drain()

    async with scripted(script) as exchange:
        with pytest.raises(PrinterUnreachable):
            await exchange.post(b"IPP", sending=Sending())


async def test_an_answer_that_is_no_ipp():
    """HTTP 200 with a web page in it: `printer-not-ipp`."""

    async def script(reader, writer):
        await head_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html>hi</html>")

    async with scripted(script) as exchange:
        client = PrinterClient(exchange.target.uri, allow_networks=LOOPBACK, timeouts=FAST)
        with pytest.raises(PrinterUnreachable) as caught:
            await client.status()
    assert caught.value.code == "printer-not-ipp"


async def test_a_cancelled_delivery_closes_its_connection():
    """Cancelling the caller leaves neither a task nor an open connection behind."""
    closed = asyncio.Event()

    async def script(reader, writer):
        await head_of(reader)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        closed.set()

    async with scripted(script) as exchange:
        task = asyncio.create_task(exchange.post(b"IPP", sending=Sending()))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(2):
            await closed.wait()
    assert not [t for t in asyncio.all_tasks() if t.get_name().startswith("printer-")]
