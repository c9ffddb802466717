"""A real daemon as its own process over a new state directory, with the command line beside it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sys
from pathlib import Path

READY_S = 30.0
STOP_S = 10.0
PORTS = 8


def free_base() -> int:
    """A port from which PORTS ports in a row are free on loopback."""
    for _ in range(200):
        base = random.randrange(20000, 32000)
        with contextlib.ExitStack() as stack:
            try:
                for port in range(base, base + PORTS):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return base
    raise OSError("no free ports")


class Running:
    """One daemon; `config` lines are put into its configuration before it starts."""

    def __init__(self, state: Path):
        self.state = state
        self.base = free_base()
        self.process = None
        self.ready = {}

    @property
    def ca_file(self) -> Path:
        return self.state / "tls" / "ca.pem"

    def ipp(self, queue: str) -> str:
        return f"ipp://localhost:{self.base}/ipp/print/{queue}"

    def ipps(self, queue: str) -> str:
        return f"ipps://localhost:{self.base + 1}/ipp/print/{queue}"

    async def cli(self, *words: str, stdin: str = "") -> dict:
        """One command with --json; its answer."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "daemon",
            *words,
            "--json",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 60)
        assert process.returncode == 0, (words, out.decode(), err.decode()[-2000:])
        return json.loads(out)

    async def start(self, config: str, *, auto_create: bool = True) -> None:
        await self.cli("init", "--state", str(self.state), "--port-base", str(self.base))
        file = self.state / "holdfast.toml"
        text = file.read_text()
        if auto_create:
            text = text.replace("auto_create = false", "auto_create = true")
        file.write_text(
            text.replace('default_profile = "standard"', 'default_profile = "free"')
            + '\n[profiles.free]\ntitle = "Free"\nrestricted = false\n'
            + config
        )
        await self.launch()

    async def launch(self) -> None:
        with (self.state / "daemon.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "daemon",
                "daemon",
                "--config",
                str(self.state / "holdfast.toml"),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
        line = await asyncio.wait_for(self.process.stdout.readline(), READY_S)
        assert line, (self.state / "daemon.log").read_text()[-3000:]
        self.ready = json.loads(line)

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process is None or self.process.returncode is not None:
            return self.process.returncode if self.process else 0
        self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), STOP_S)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        return self.process.returncode


@contextlib.asynccontextmanager
async def running(folder: Path, config: str = ""):
    """A daemon that serves, stopped at the end."""
    one = Running(folder / "state")
    try:
        await one.start(config)
        yield one
    finally:
        await one.stop()
