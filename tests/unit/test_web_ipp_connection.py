"""The HTTP layer of the IPP listeners, over real sockets: order of answers, refusals before bodies, limits, TLS."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl

import pytest

from daemon.system import SystemClock
from daemon.web.ipp.http import HttpLimits, Reply, plain
from daemon.web.ipp.listener import IppListener
from tests.helpers.certificate import self_signed


class Echo:
    """Answers with method, path and the size of the body; `/refuse` before the body, `/early` without reading it."""

    def __init__(self):
        self.chunks = []
        self.release = asyncio.Event()

    async def begin(self, head):
        if head.path == "/refuse":
            return plain(401, is_last=True)

        async def answer(body):
            if head.path == "/early":
                return Reply(200, b"early")
            if head.path == "/slow":
                await self.release.wait()
            if head.path == "/broken":
                raise RuntimeError("a bug")
            size = 0
            async for chunk in body:
                self.chunks.append(len(chunk))
                size += len(chunk)
            return Reply(200, f"{head.method} {head.path} {size} {'tls' if head.is_tls else 'plain'}".encode())

        return answer


@pytest.fixture
async def server():
    """Starts listeners with the wished limits; closes them at the end."""
    made = []

    async def start(handler=None, context=None, upgrade=None, **limits):
        listener = IppListener(
            handler=handler or Echo(),
            clock=SystemClock(),
            limits=dataclasses.replace(HttpLimits(), **limits),
            context=context,
            upgrade_context=upgrade,
        )
        made.append(listener)
        [(host, port)] = await listener.start()
        listener.port = port
        return listener

    yield start
    for listener in made:
        await listener.close()


async def dial(listener, **options):
    return await asyncio.open_connection("127.0.0.1", listener.port, **options)


async def response(reader):
    """(status, headers, body) of one answer with a length."""
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode()
    lines = head.split("\r\n")
    headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:] if line)}
    body = (
        await reader.readexactly(int(headers.get("content-length", 0)))
        if not lines[0].startswith("HTTP/1.1 1")
        else b""
    )
    return int(lines[0].split(" ")[1]), headers, body


async def test_requests_are_answered_in_order_on_one_connection(server):
    """Pipelined requests, with length and chunked bodies, get their answers in order; the connection stays open."""
    reader, writer = await dial(await server())
    writer.write(
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
        b"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n2\r\nef\r\n0\r\n\r\n"
        b"GET /c HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    assert [(await response(reader))[2] for _ in range(3)] == [
        b"POST /a 3 plain",
        b"POST /b 6 plain",
        b"GET /c 0 plain",
    ]
    writer.close()


@pytest.mark.parametrize("chunks", [b"zz\r\nabc\r\n", b"3\r\nabcdef\r\n", b"-1\r\n"])
async def test_broken_chunk_framing_is_told_and_closes(server, chunks):
    """A body that is not framed as HTTP says gets a 400 with `Connection: close`, and the listener goes on."""
    listener = await server()
    reader, writer = await dial(listener)
    writer.write(b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n" + chunks)
    status, headers, _ = await response(reader)
    assert (status, headers["connection"]) == (400, "close")
    assert await reader.read() == b""
    reader, writer = await dial(listener)
    writer.write(b"GET /c HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await response(reader))[0] == 200
    writer.close()


async def test_refusal_comes_before_the_body_and_closes(server):
    """A client that waits for 100 Continue gets the refusal instead, never an invitation to send."""
    reader, writer = await dial(await server())
    writer.write(b"POST /refuse HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n")
    status, headers, _ = await response(reader)
    assert (status, headers["connection"]) == (401, "close")
    assert await reader.read() == b""


async def test_continue_is_sent_when_the_body_is_wanted(server):
    """100 Continue arrives as soon as the handler reads, and only once."""
    reader, writer = await dial(await server())
    writer.write(b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    assert (await response(reader))[0] == 100
    writer.write(b"ab")
    await writer.drain()
    writer.write(b"cd")
    assert (await response(reader))[2] == b"POST /a 4 plain"


async def test_an_answer_without_reading_closes_over_a_waiting_body(server):
    """If the handler answers early while the client still waits for 100, the connection cannot be reused."""
    reader, writer = await dial(await server())
    writer.write(b"POST /early HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    status, headers, body = await response(reader)
    assert (status, headers.get("connection"), body) == (200, "close", b"early")


async def test_a_short_unread_body_keeps_the_connection(server):
    """A small body nobody read is swallowed, and the next request on the connection is answered."""
    reader, writer = await dial(await server())
    writer.write(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcdGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await response(reader))[2] == b"early"
    assert (await response(reader))[2] == b"GET /b 0 plain"


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 40000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X%d: y\r\n" % i for i in range(200)) + b"\r\n", 431),
        (b"nonsense\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    ],
)
async def test_bad_heads_are_refused(server, request_head, status):
    """Oversized, malformed and unacceptable heads get their HTTP status and a closed connection."""
    reader, writer = await dial(await server(body_bytes_max=1000))
    writer.write(request_head)
    assert (await response(reader))[0] == status
    assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_a_chunked_body_over_the_limit_is_refused(server):
    """Without a declared length the limit still holds, and the refusal reaches the client."""
    reader, writer = await dial(await server(body_bytes_max=1000))
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + b"x" * 2000)
    assert (await response(reader))[0] == 413


async def test_a_slow_head_is_cut_off(server):
    """A head that does not arrive in time is answered 408; an idle connection is closed without a word."""
    listener = await server(head_timeout_s=0.2, idle_timeout_s=0.2)
    reader, writer = await dial(listener)
    writer.write(b"GET / HT")
    assert (await response(reader))[0] == 408
    idle, _ = await dial(listener)
    assert await asyncio.wait_for(idle.read(), 5) == b""


async def test_a_stalled_body_is_cut_off(server):
    """A body that stops arriving is answered 408."""
    reader, writer = await dial(await server(body_stall_s=0.2))
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    assert (await response(reader))[0] == 408


async def test_a_trickling_body_is_cut_off(server):
    """A body slower than the least rate is ended although it never stalls."""
    reader, writer = await dial(await server(body_rate_grace_s=0.3, body_rate_min_bytes_per_s=1000.0))
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
    answer = asyncio.create_task(response(reader))
    while not answer.done():
        writer.write(b"x")
        await asyncio.sleep(0.05)
    assert (await answer)[0] == 408


async def test_back_pressure_reaches_the_client(server):
    """While the handler does not read, the client cannot push more than buffers hold."""
    handler = Echo()
    listener = await server(handler)
    reader, writer = await dial(listener)
    size = 64 * 1024 * 1024
    writer.write(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
    sent, block = 0, bytes(1024 * 1024)
    try:
        while sent < size:
            writer.write(block)
            sent += len(block)
            async with asyncio.timeout(0.5):
                await writer.drain()
    except TimeoutError:
        pass
    assert sent < 20 * 1024 * 1024
    handler.release.set()
    while sent < size:
        writer.write(block)
        sent += len(block)
        await writer.drain()
    assert (await response(reader))[2] == b"POST /slow %d plain" % size
    assert max(handler.chunks) <= 512 * 1024


async def test_connection_limits(server):
    """Beyond the limit a connection is answered 503 and closed; room returns when others leave."""
    listener = await server(connections_max=2)
    first, second = await dial(listener), await dial(listener)
    await asyncio.sleep(0.05)
    reader, _ = await dial(listener)
    assert (await response(reader))[0] == 503
    first[1].close()
    second[1].close()
    await asyncio.sleep(0.1)
    reader, writer = await dial(listener)
    writer.write(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await response(reader))[0] == 200


async def test_a_bug_answers_500_and_serving_goes_on(server):
    """An unexpected error costs one connection, not the listener."""
    listener = await server()
    reader, writer = await dial(listener)
    writer.write(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await response(reader))[0] == 500
    reader, writer = await dial(listener)
    writer.write(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await response(reader))[0] == 200


async def test_half_closed_client_gets_its_answer(server):
    """A client that ends its sending side after the request still reads the answer."""
    reader, writer = await dial(await server())
    writer.write(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na")
    writer.write_eof()
    assert (await response(reader))[2] == b"POST /a 1 plain"


async def test_tls_listener_and_upgrade_of_a_plain_connection(server):
    """`https` from the first byte works; and a plain connection changes to TLS by Upgrade, request replayed inside."""
    server_side, client_side = self_signed("localhost")
    listener = await server(context=server_side)
    reader, writer = await dial(listener, ssl=client_side, server_hostname="localhost")
    writer.write(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na")
    assert (await response(reader))[2] == b"POST /a 1 tls"
    writer.close()

    listener = await server(upgrade=server_side)
    reader, writer = await dial(listener)
    writer.write(b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: TLS/1.2,TLS/1.1,TLS/1.0\r\n\r\n")
    status, headers, _ = await response(reader)
    assert status == 101
    assert headers["upgrade"].startswith("TLS/")
    await writer.start_tls(client_side, server_hostname="localhost")
    assert (await response(reader))[2] == b"OPTIONS * 0 tls"
    writer.write(b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab")
    assert (await response(reader))[2] == b"POST /b 2 tls"


async def test_plain_bytes_after_an_upgrade_request_are_not_taken_into_tls(server):
    """A request smuggled behind the upgrade request is dropped with its connection."""
    server_side, _ = self_signed("localhost")
    reader, writer = await dial(await server(upgrade=server_side))
    writer.write(
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: TLS/1.2\r\n\r\n"
        b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    data = await asyncio.wait_for(reader.read(), 10)
    assert b"smuggled" not in data


async def test_a_plain_client_at_the_tls_port_is_no_harm(server):
    """Bytes that are not TLS end that connection and nothing else."""
    server_side, client_side = self_signed("localhost")
    listener = await server(context=server_side)
    reader, writer = await dial(listener)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError, ssl.SSLError)):
        await response(reader)
    reader, writer = await dial(listener, ssl=client_side, server_hostname="localhost")
    writer.write(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await response(reader))[0] == 200


async def test_closing_lets_a_busy_request_finish(server):
    """Idle connections end at once; a request under way gets its answer within the grace."""
    handler = Echo()
    listener = await server(handler)
    idle, _ = await dial(listener)
    reader, writer = await dial(listener)
    writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(0.1)
    closing = asyncio.create_task(listener.close())
    assert await asyncio.wait_for(idle.read(), 2) == b""
    handler.release.set()
    assert (await response(reader))[0] == 200
    await asyncio.wait_for(closing, 5)
    assert listener.open_connections == 0


async def test_an_unread_request_without_body_keeps_the_connection(server):
    """GET and OPTIONS answered from the head alone leave the connection open."""
    reader, writer = await dial(await server())
    for _ in range(3):
        writer.write(b"GET /early HTTP/1.1\r\nHost: x\r\n\r\n")
        status, headers, _ = await response(reader)
        assert (status, headers.get("connection")) == (200, None)


async def test_continue_is_sent_although_the_body_has_begun(server):
    """A client that sends the beginning of its body with the head still gets its 100 at once (CUPS waits for it)."""
    reader, writer = await dial(await server())
    writer.write(b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nab")
    assert (await response(reader))[0] == 100
    writer.write(b"cd")
    assert (await response(reader))[2] == b"POST /a 4 plain"
