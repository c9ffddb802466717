"""A card on a real pcscd: from pcscd's word that it lies there to its number in the event loop, and what waiting costs.

pcscd looks at the virtual reader every 0.4 s, as at many real ones; that is not ours and not counted. A second observer
in another process notes when pcscd says "a card"; the number's time is counted from there.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TAPS = 25
IDLE_S = 8.0
ROOM_S = 180
TARGETS = {"number_p95_ms": 25.0, "idle_cpu_percent": 0.1, "rss_mb": 3.0}

OBSERVER = """
import time
from smartcard.scard import *
_, context = SCardEstablishContext(SCARD_SCOPE_SYSTEM)
state = 0
print("watching", flush=True)
while True:
    result, states = SCardGetStatusChange(context, INFINITE, [("Virtual PCD 00 00", state)])
    if result != 0:
        break
    before, state = state, states[0][1] & ~SCARD_STATE_CHANGED
    if state & SCARD_STATE_PRESENT and state >> 16 != before >> 16:
        print(time.monotonic(), flush=True)
"""


def run() -> dict[str, Any]:
    """Measure in a room of its own: the virtual reader binds every address."""
    words = ["unshare", "--mount", "--net", "--fork", "--kill-child"]
    if os.getuid() != 0:
        words.append("--map-root-user")
    done = subprocess.run(
        [*words, sys.executable, "-m", "benchmarks.readers"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=ROOM_S,
        check=True,
    )
    medians = json.loads(done.stdout.splitlines()[-1])
    met = {name: medians[name] <= limit for name, limit in TARGETS.items()}
    return {"name": "readers", "unit": "ms", "medians": medians, "ratios": {}, "targets": TARGETS, "met": met}


async def measure(folder: Path) -> dict[str, float]:
    """Taps one after the other, then silence."""
    from tests.helpers.pcscd import Desk

    desk = Desk(folder)
    await desk.start_service()
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    observer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OBSERVER, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert observer.stdout is not None
    await observer.stdout.readline()
    await desk.watch()
    numbers = []
    for number in range(TAPS):
        async with desk.tap(f"0400{number:04x}"):
            await desk.read()
            read_s = time.monotonic()
            seen_s = float(await observer.stdout.readline())
            numbers.append((read_s - seen_s) * 1000)
        await asyncio.sleep(0.6)
    began, began_cpu = time.monotonic(), time.process_time()
    await desk.rest(IDLE_S)
    idle = (time.process_time() - began_cpu) / (time.monotonic() - began) * 100
    observer.kill()
    await observer.wait()
    await desk.unwatch()
    await desk.end_service()
    return {
        "number_p50_ms": round(statistics.median(numbers), 2),
        "number_p95_ms": round(statistics.quantiles(numbers, n=20)[-1], 2),
        "number_max_ms": round(max(numbers), 2),
        "idle_cpu_percent": round(idle, 3),
        "rss_mb": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024, 2),
    }


def main() -> None:
    """Inside the room."""
    for words in (["mount", "-t", "tmpfs", "room", "/run"], ["ip", "link", "set", "lo", "up"]):
        subprocess.run(words, check=True)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(measure(Path(folder)))))


if __name__ == "__main__":
    main()
