"""A daemon that gets its sockets from the service manager serves on them, says ready, and feeds the watchdog."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import ssl
import sys
from pathlib import Path

import pytest

from tests.helpers.daemon_process import free_base, holdfast

ROOT = Path(__file__).parents[2]
READY_S = 40
IPP_QUESTION = (
    b"POST /ipp/print/findme HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"
)


@pytest.fixture
async def manager(tmp_path):
    """The manager's end of the notify socket."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    channel.bind(str(tmp_path / "notify"))
    channel.setblocking(False)
    yield channel
    channel.close()


async def states(manager: socket.socket, wanted: str) -> set[str]:
    """States told until `wanted` is among them."""
    told: set[str] = set()
    async with asyncio.timeout(READY_S):
        while wanted not in told:
            told |= set((await asyncio.get_running_loop().sock_recv(manager, 4096)).decode().split("\n"))
    return told


async def ask(port: int, question: bytes, context: ssl.SSLContext | None = None) -> bytes:
    """First line of the answer."""
    async with asyncio.timeout(READY_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(question)
        line = await reader.readline()
        writer.close()
        return line


async def test_a_daemon_on_handed_over_sockets(tmp_path, manager):
    """The first client starts the daemon and is served; ready, watchdog and stopping are told; SIGTERM ends it cleanly."""
    activate = shutil.which("systemd-socket-activate")
    assert activate, "systemd-socket-activate is missing: it comes with the package systemd"
    base = free_base()
    unused = free_base(200) + 150  # what the configuration says; not what the manager opened
    made = await asyncio.to_thread(holdfast, "init", "--state", str(tmp_path / "state"), "--port-base", str(unused))
    environment = os.environ | {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "2000000"}
    options = [f"-E{name}" for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "PATH", "HOME")]
    listen = [word for index in range(3) for word in ("-l", f"127.0.0.1:{base + index}")]
    process = await asyncio.create_subprocess_exec(
        activate, *options, *listen, "--fdname=ipp:ipps:https",
        sys.executable, "-m", "daemon", "daemon", "--config", made["config"],
        cwd=ROOT, env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await _wait_for_port(base)
        first = asyncio.create_task(ask(base, IPP_QUESTION))
        assert "READY=1" in await states(manager, "READY=1")
        assert (await first).startswith(b"HTTP/1.1 4")
        context = ssl.create_default_context(cafile=made["ca_file"])
        context.check_hostname = False
        assert (await ask(base + 1, IPP_QUESTION, context)).startswith(b"HTTP/1.1 4")
        healthy = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert (await ask(base + 2, healthy, context)).startswith(b"HTTP/1.1 200")
        assert "WATCHDOG=1" in await states(manager, "WATCHDOG=1")
        process.send_signal(signal.SIGTERM)
        assert "STOPPING=1" in await states(manager, "STOPPING=1")
        async with asyncio.timeout(5):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _wait_for_port(port: int) -> None:
    """Until somebody listens there, without connecting: a connection would be the first client."""
    async with asyncio.timeout(READY_S):
        while f":{port:04X} 00000000:0000 0A" not in Path("/proc/net/tcp").read_text("ascii"):
            await asyncio.sleep(0.05)
