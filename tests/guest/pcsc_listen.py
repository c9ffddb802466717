"""A program that listens to PC/SC readers and prints every event as a line of JSON; ends when told to."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import smartcard.scard  # before rights are given up: the interpreter may lie where only root may read
import structlog

from daemon.devices.readers.pcsc import PcscOptions, open_pcsc
from daemon.system import SystemClock
from tests.guest.listen import told

STOP = Path("/run/guest/stop")


async def listen(match: str) -> None:
    """Until the stop file is there."""

    async def follow() -> None:
        async for event in open_pcsc(PcscOptions(name="desk", match=match), SystemClock()).events():
            print(json.dumps(told(event) | {"at_s": time.monotonic()}), flush=True)

    task = asyncio.create_task(follow())
    while not STOP.exists():
        await asyncio.sleep(0.1)
    began_s = time.monotonic()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    print(json.dumps({"closed_s": time.monotonic() - began_s}), flush=True)


if __name__ == "__main__":
    assert smartcard.scard.INFINITE
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    asyncio.run(listen(sys.argv[1]))
