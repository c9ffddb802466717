"""The https connection's own guards: slow heads, slow bodies, crowds; and the peer's uid on the admin socket."""

import asyncio
import os
import socket

import pytest

from daemon.cli.client import has_daemon
from daemon.system import SystemClock
from daemon.web import guard
from daemon.web.door import Door
from daemon.web.https import AddressTaken, WebServer, listen_admin, listen_tcp
from daemon.web.site import request_ids


async def echo(scope, receive, send):
    """Answers with the size of the body and who is there."""
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    body = f"{size} {scope['state'].get(guard.PEER_UID)}".encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]}
    )
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def server():
    sockets = listen_tcp(["127.0.0.1"], 0)
    web = WebServer(Door({"/": echo}, new_request_id=request_ids(SystemClock())), sockets)
    await web.start()
    yield web.addresses[0][1]
    await web.close()


async def ask(port: int, *parts: bytes, pause_s: float = 0.0) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_a_request_in_pieces_is_answered(server):
    """Slow but within its time: served, and the connection closed when asked."""
    answer = await ask(
        server,
        b"POST /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n",
        b"content-length: 3\r\n\r\na",
        b"bc",
        pause_s=0.05,
    )
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"3 None")


async def test_a_head_that_does_not_end_is_cut_off(server, monkeypatch):
    """One byte now and then keeps no connection open past its deadline."""
    monkeypatch.setattr(guard, "HEAD_TIMEOUT_S", 0.3)
    drops = [b"GET / HTTP/1.1\r\n", *[b"a: b\r\n"] * 10]
    assert await ask(server, *drops, pause_s=0.1) == b""


async def test_a_body_that_does_not_end_is_cut_off(server, monkeypatch):
    """The deadline is for the whole body, not for the next byte."""
    monkeypatch.setattr(guard, "BODY_TIMEOUT_S", 0.3)
    drops = [b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n", *[b"x"] * 10]
    assert await ask(server, *drops, pause_s=0.1) == b""


async def test_a_silent_connection_is_cut_off(server, monkeypatch):
    """Somebody who connects and says nothing is let go."""
    monkeypatch.setattr(guard, "HEAD_TIMEOUT_S", 0.2)
    assert await ask(server) == b""


async def test_a_head_beyond_its_limit_is_refused(server):
    """Endless header fields meet a limit, not the memory."""
    answer = await ask(server, b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: " + b"y" * 100_000 + b"\r\n\r\n")
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))


async def test_a_negative_or_odd_length_is_refused(server):
    """A content-length that is no number never reaches an application."""
    for length in (b"-5", b"1e3", b"0x10"):
        answer = await ask(
            server, b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: " + length + b"\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 400")


async def test_the_admin_socket_tells_the_peers_uid_and_is_its_owners_alone(tmp_path):
    """The kernel, not the client, says who is there; a stale socket of a dead daemon is replaced."""
    path = tmp_path / "admin.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    web = WebServer(echo, [listen_admin(path)])
    await web.start()
    try:
        assert path.stat().st_mode & 0o777 == 0o600
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\npeer_uid: 0\r\nconnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
    finally:
        await web.close()
    assert answer.endswith(f"0 {os.getuid()}".encode())


async def test_a_deep_state_directory_has_its_admin_socket_too(tmp_path):
    """A path longer than the kernel takes for a socket still has one, and the command line finds it."""
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    deep.mkdir(parents=True)
    web = WebServer(echo, [listen_admin(deep / "admin.sock")])
    await web.start()
    try:
        assert (deep / "admin.sock").is_socket()
        assert await asyncio.to_thread(has_daemon, deep / "admin.sock")
    finally:
        await web.close()
    assert not await asyncio.to_thread(has_daemon, deep / "admin.sock")


async def test_a_taken_port_is_said_so(server):
    """A port in use is `address-taken`, not a traceback."""
    with pytest.raises(AddressTaken):
        listen_tcp(["127.0.0.1"], server)


async def test_stopping_does_not_wait_for_an_idle_connection():
    """An open connection that asks nothing delays the end by no more than the stop's own grace."""
    web = WebServer(echo, listen_tcp(["127.0.0.1"], 0))
    await web.start()
    _, writer = await asyncio.open_connection("127.0.0.1", web.addresses[0][1])
    async with asyncio.timeout(4):
        await web.close()
    writer.close()
