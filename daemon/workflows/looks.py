"""Looking at printers: now and then at all of them, at once at the one somebody has just walked up to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from daemon.kernel.errors import Refusal, Unavailable

if TYPE_CHECKING:
    from daemon.devices.printer import Printer
    from daemon.devices.store import PrinterStore
    from daemon.workflows.house import House
    from daemon.workflows.printers import Printers

log = structlog.get_logger(__name__)

AT_ONCE = 8
FRESH_US = 2_000_000
PASS_S = 5.0
UNDER_WAY_MAX = 64


class Looks:
    """Keeps the printers' states true enough to choose by."""

    def __init__(self, house: House, store: PrinterStore, printers: Printers, *, interval_s: int) -> None:
        self._house = house
        self._store = store
        self._printers = printers
        self._interval_us = interval_s * 1_000_000
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._gate = asyncio.Semaphore(AT_ONCE)

    def soon(self, printer: Printer) -> None:
        """Ask this printer now, unless it was asked a moment ago or is being asked."""
        now = self._house.clock.now_us()
        is_fresh = printer.checked_at_us is not None and now - printer.checked_at_us < FRESH_US
        if is_fresh or printer.id in self._tasks or len(self._tasks) >= UNDER_WAY_MAX:
            return
        task = asyncio.create_task(self._look(printer), name=f"look-{printer.public_id}")
        self._tasks[printer.id] = task
        task.add_done_callback(lambda _done: self._tasks.pop(printer.id, None))

    async def run(self) -> None:
        """Owned by the application's task group; ends by cancellation, and its questions with it."""
        try:
            while True:
                now = self._house.clock.now_us()
                for printer in await self._store.page():
                    if printer.checked_at_us is None or now - printer.checked_at_us >= self._interval_us:
                        self.soon(printer)
                await asyncio.sleep(PASS_S)
        finally:
            for task in self._tasks.values():
                task.cancel()

    async def _look(self, printer: Printer) -> None:
        async with self._gate:
            try:
                await self._printers.ask(printer)
            except (Refusal, Unavailable) as problem:
                if printer.state != "unreachable":
                    log.info("printer.silent", printer_id=printer.public_id, code=problem.code)
