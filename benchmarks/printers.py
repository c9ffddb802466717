"""Simulated printers in a process of their own, which say when the first byte of each document reached them.

    python -m benchmarks.printers COUNT FOLDER

First line: their addresses, as a JSON list. Then one line per document: [printer, CLOCK_MONOTONIC in nanoseconds].
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from daemon.devices.simulated import SimulatedPrinter
from daemon.system import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PAGE_MS = 100


class TimedPrinter(SimulatedPrinter):
    """Tells when a document begins to arrive."""

    number = 0

    def _tell(self) -> None:
        print(json.dumps([self.number, time.monotonic_ns()]), flush=True)

    async def _receive(self, job: Any, message: Any, document_format: str, first: bytes, body: Any) -> None:
        if first:
            self._tell()

        async def timed() -> AsyncIterator[bytes]:
            is_told = bool(first)
            async for chunk in body:
                if not is_told:
                    self._tell()
                    is_told = True
                yield chunk

        await super()._receive(job, message, document_format, first, timed())


async def serve(count: int, folder: Path) -> None:
    """Until killed."""
    printers = [TimedPrinter(folder / f"p{n}", clock=SystemClock(), page_ms=PAGE_MS) for n in range(count)]
    for number, printer in enumerate(printers):
        printer.number = number
        await printer.start()
    print(json.dumps([printer.uri for printer in printers]), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
