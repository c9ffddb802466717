"""A program that listens to one configured reader and prints every event as a line of JSON: the other side of guest tests."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

import evdev.ecodes  # before rights are given up: the interpreter may lie where only root may read
import structlog

from daemon.devices.readers.hid import EvdevOptions, open_evdev
from daemon.devices.readers.reading import Missed, Read, ReaderEvent
from daemon.system import SystemClock


def told(event: ReaderEvent) -> dict[str, object]:
    """An event as plain data."""
    if isinstance(event, Read):
        return {"read": event.raw}
    if isinstance(event, Missed):
        return {"missed": event.why}
    return {"state": event.state, "code": event.code, "model": event.model}


async def listen(options: EvdevOptions) -> None:
    """Until killed."""
    async for event in open_evdev(options, SystemClock()).events():
        print(json.dumps(told(event) | {"at_s": time.monotonic()}), flush=True)


if __name__ == "__main__":
    assert evdev.ecodes.KEY_ENTER
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    given = json.loads(sys.argv[1])
    user_id, group_ids = given.pop("user_id", 0), given.pop("group_ids", [])
    if user_id:
        os.setgroups(group_ids)
        os.setgid(user_id)
        os.setuid(user_id)
    asyncio.run(listen(EvdevOptions(**given)))
