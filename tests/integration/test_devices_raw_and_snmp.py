"""Old printers: a raw stream with nothing coming back, and a life counter read by SNMP."""

import asyncio
import contextlib

import pytest

from daemon.devices import ber, snmp
from daemon.devices.errors import PrinterUnreachable
from daemon.devices.raw_client import RawClient, RawTimeouts
from tests.helpers import snmp_agent
from tests.helpers.printing import LOOPBACK, Sent, chunks

FAST = RawTimeouts(connect_s=2, stall_s=0.5, close_s=0.5)


@contextlib.asynccontextmanager
async def sink(*, bytes_max: int | None = None, stalls: bool = False):
    """A raw port; yields its client and what arrived."""
    got = bytearray()

    async def run(reader, writer):
        if stalls:
            await asyncio.sleep(2)
        while data := await reader.read(65536):
            got.extend(data)
            if bytes_max is not None and len(got) >= bytes_max:
                writer.transport.abort()
                return
        writer.close()

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield RawClient(f"socket://127.0.0.1:{port}", allow_networks=LOOPBACK, timeouts=FAST), got
    finally:
        server.close()


async def test_raw_octets_arrive_as_they_are():
    """Everything arrives, in order, and on_sending came once."""
    data, sent = bytes(range(256)) * 4000, Sent()
    async with sink() as (client, got):
        assert await client.is_reachable()
        assert await client.print_document(body=chunks(data), on_sending=sent) == len(data)
        assert bytes(got) == data
        assert sent.times == 1


async def test_raw_failures_say_what_left_us():
    """No port: nothing sent. Cut on the way or no longer read: something was."""
    async with sink() as (client, _got):
        pass
    with pytest.raises(PrinterUnreachable) as caught:
        await client.print_document(body=chunks(b"x"), on_sending=Sent())
    assert not caught.value.may_have_sent
    assert not await client.is_reachable()
    async with sink(bytes_max=1000) as (client, _got):
        with pytest.raises(PrinterUnreachable) as caught:
            await client.print_document(body=chunks(bytes(64 << 20), 1 << 20), on_sending=Sent())
    assert caught.value.may_have_sent
    async with sink(stalls=True) as (client, _got):
        with pytest.raises(PrinterUnreachable) as caught:
            await client.print_document(body=chunks(bytes(64 << 20), 1 << 20), on_sending=Sent())
    assert caught.value.code == "printer-stalled"


async def test_the_life_counter_is_read():
    """A counter beyond 31 bits, after a lost datagram, by an agent with another library's encoding."""
    async with snmp_agent.running(count=4_000_000_000, drops=1) as agent:
        assert await snmp.life_count("127.0.0.1", agent.port, allow_networks=LOOPBACK, try_s=0.2) == 4_000_000_000
        assert agent.asked == 2


async def test_no_counter_is_none():
    """Another community, another unit, silence, a forbidden address: None, and no settlement is held up."""
    async with snmp_agent.running() as agent:
        assert await snmp.life_count("127.0.0.1", agent.port, "secret", allow_networks=LOOPBACK, try_s=0.05) is None
        agent.unit = 8
        assert await snmp.life_count("127.0.0.1", agent.port, allow_networks=LOOPBACK, try_s=0.2) is None
        asked = agent.asked
        assert await snmp.life_count("127.0.0.1", agent.port) is None
        assert agent.asked == asked
    assert await snmp.life_count("127.0.0.1", agent.port, allow_networks=LOOPBACK, try_s=0.05) is None
    assert await snmp.life_count("no-such-host.invalid", 161, allow_networks=LOOPBACK, try_s=0.05) is None


def test_answers_that_are_none_of_ours_are_dropped():
    """Wrong id, wrong community, cut-off and random octets never become a count."""
    asked = snmp.encode_get(7, "public", [(1, 3, 6, 1)])
    assert snmp.decode_response(asked, 7, "public") is None  # a request, not a response
    for size in range(len(asked)):
        with contextlib.suppress(ValueError):
            assert snmp.decode_response(asked[:size], 7, "public") is None
    for bad in (b"\x30\x80\x00\x00", b"\x30\x85\x01\x01\x01\x01\x01", b"\x02\x01\x00"):
        with pytest.raises(ValueError):
            snmp.decode_response(bad, 7, "public")


@pytest.mark.parametrize("number", [0, 1, 127, 128, 255, 256, 2**31 - 1, -1, -129])
def test_numbers_survive(number):
    """INTEGER in as few octets as it takes, and back."""
    ((tag, content),) = ber.elements(ber.integer(number))
    assert ber.number_of(tag, content) == number


def test_object_ids_survive():
    """Arcs of any size, and contents longer than the short form of a length."""
    for oid in ((1, 3, 6, 1, 2, 1, 43), (1, 3, 0, 127, 128, 16384, 2**31)):
        ((tag, content),) = ber.elements(ber.object_id(oid))
        assert (tag, ber.oid_of(content)) == (ber.OBJECT_ID, oid)
    ((_tag, content),) = ber.elements(ber.tlv(ber.OCTET_STRING, bytes(300)))
    assert len(content) == 300
