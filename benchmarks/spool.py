"""The spool: small documents one after the other and together, and a large one at constant memory.

Each figure includes sealing (AES-256-GCM) and the fsyncs of file and directory. `plain` is the same bytes written by
one thread to one file with one fsync: what the disk gives.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from daemon.jobs.spool import Spool
from daemon.system import SystemClock, SystemDice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SMALL_BYTES = 20_000
SMALL_COUNT = 200
TOGETHER = 64
LARGE_BYTES = 500 << 20
PIECE_BYTES = 1 << 16
GROWTH_BYTES_MAX = 48 << 20
KIB = 1024


async def pieces(octets: int) -> AsyncIterator[bytes]:
    """A document of zeros, as it comes from the network."""
    piece = bytes(PIECE_BYTES)
    for at in range(0, octets, PIECE_BYTES):
        yield piece[: octets - at]


def plain(path: Path, octets: int) -> float:
    """Seconds to write the bytes and fsync, without a spool."""
    begin = time.perf_counter()
    with path.open("wb") as file:
        for at in range(0, octets, PIECE_BYTES):
            file.write(bytes(min(PIECE_BYTES, octets - at)))
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - begin


async def measure(folder: Path) -> dict[str, float]:
    """The figures."""
    spool = Spool(folder / "spool", folder / "keys", SystemClock(), SystemDice())
    await spool.write(pieces(1), bytes_max=1)
    waits, bare = [], []
    for number in range(SMALL_COUNT):
        begin = time.perf_counter()
        await spool.write(pieces(SMALL_BYTES), bytes_max=SMALL_BYTES)
        waits.append(time.perf_counter() - begin)
        bare.append(plain(folder / f"plain-{number}", SMALL_BYTES))
    begin = time.perf_counter()
    for _ in range(SMALL_COUNT // TOGETHER):
        await asyncio.gather(*(spool.write(pieces(SMALL_BYTES), bytes_max=SMALL_BYTES) for _ in range(TOGETHER)))
    together = (SMALL_COUNT // TOGETHER * TOGETHER) / (time.perf_counter() - begin)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB
    begin = time.perf_counter()
    entry = await spool.write(pieces(LARGE_BYTES), bytes_max=LARGE_BYTES)
    written = time.perf_counter() - begin
    begin = time.perf_counter()
    octets = 0
    async for chunk in spool.read(entry):
        octets += len(chunk)
    read = time.perf_counter() - begin
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB - before
    assert octets == LARGE_BYTES
    await spool.close()
    return {
        "small_ms": statistics.median(waits) * 1e3,
        "plain_small_ms": statistics.median(bare) * 1e3,
        "together_per_s": together,
        "large_write_MB_s": LARGE_BYTES / 1e6 / written,
        "large_checked_read_MB_s": LARGE_BYTES / 1e6 / read,
        "large_memory_growth_MB": growth / 1e6,
    }


def run() -> dict[str, object]:
    """Medians and targets of one run."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-", dir=Path.cwd()) as folder:
        medians = {name: round(value, 3) for name, value in asyncio.run(measure(Path(folder))).items()}
    targets = {"large_memory_growth_MB": GROWTH_BYTES_MAX / 1e6}
    met = {name: medians[name] <= most for name, most in targets.items()}
    ratios = {"small / plain": round(medians["small_ms"] / medians["plain_small_ms"], 2)}
    return {"name": "spool", "unit": "as named", "medians": medians, "ratios": ratios, "targets": targets, "met": met}


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
