"""HTTP for the simulated printer: a small h11 server, streaming, over plain TCP and TLS."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import h11

READ_BYTES: Final = 65_536
IDLE_S: Final = 60.0
LINGER_S: Final = 1.0
LINGER_BYTES_MAX: Final = 16 << 20

Handler = Callable[[h11.Request, AsyncIterator[bytes]], Awaitable[tuple[int, bytes]]]


class Vanished(Exception):
    """The printer drops the connection without a word."""


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
    """Answer requests on one connection until either side has enough."""
    connection = h11.Connection(our_role=h11.SERVER)
    try:
        while await _one(connection, reader, writer, handler):
            connection.start_next_cycle()
        writer.close()
    except (Vanished, OSError, h11.ProtocolError, TimeoutError):
        writer.transport.abort()


async def _one(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler
) -> bool:
    """One request and its answer; True if another may follow."""
    request = await _event(connection, reader, writer, is_idle=True)
    if not isinstance(request, h11.Request):
        return False
    status, answer = await handler(request, _body(connection, reader, writer))
    headers = [("Content-Type", "application/ipp"), ("Content-Length", str(len(answer)))]
    if connection.their_state is not h11.DONE:
        headers.append(("Connection", "close"))
    for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=answer), h11.EndOfMessage()):
        writer.write(connection.send(event) or b"")
    await writer.drain()
    if connection.their_state is not h11.DONE:
        await _linger(reader)
    return connection.our_state is h11.DONE and connection.their_state is h11.DONE


async def _linger(reader: asyncio.StreamReader) -> None:
    """Read on a little after an early answer: closing on unread octets would take the answer away from its reader."""
    total = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            while total < LINGER_BYTES_MAX and (data := await reader.read(READ_BYTES)):
                total += len(data)


async def _body(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> AsyncIterator[bytes]:
    while True:
        event = await _event(connection, reader, writer)
        if not isinstance(event, h11.Data):
            return
        yield bytes(event.data)


async def _event(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_idle: bool = False
) -> h11.Event | None:
    """The next event, None at the connection's end."""
    while True:
        event = connection.next_event()
        if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
            return None
        if event is not h11.NEED_DATA:
            assert isinstance(event, h11.Event)
            return event
        if connection.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[])
            writer.write(connection.send(go_on) or b"")
        async with asyncio.timeout(IDLE_S if is_idle else None):
            connection.receive_data(await reader.read(READ_BYTES))
