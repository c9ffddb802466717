"""A printer's state for many streams: read once per change, however many terminals stand at it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.wire.messages import PrinterJson

PRINTERS_MAX = 4096
"""Printers remembered; the one changed longest ago is forgotten first."""


class PrinterNews:
    """Shares one read between all who ask for a printer as it is after one event."""

    def __init__(self, read: Callable[[str], Awaitable[PrinterJson | None]]) -> None:
        self._read = read
        self._reads: dict[str, tuple[int, asyncio.Task[PrinterJson | None]]] = {}
        self.reads_total = 0

    async def after(self, printer_id: str, seq: int) -> PrinterJson | None:
        """The printer as it was at event `seq` or later; None when it is gone.

        Raises:
            Unavailable: the store did not answer; the next who asks reads again.
        """
        known = self._reads.get(printer_id)
        if known is None or known[0] < seq or _has_failed(known[1]):
            self._reads.pop(printer_id, None)
            known = (seq, asyncio.create_task(self._once(printer_id), name="printer-news"))
            self._reads[printer_id] = known
            while len(self._reads) > PRINTERS_MAX:
                del self._reads[next(iter(self._reads))]
        return await asyncio.shield(known[1])

    async def _once(self, printer_id: str) -> PrinterJson | None:
        self.reads_total += 1
        return await self._read(printer_id)


def _has_failed(task: asyncio.Task[PrinterJson | None]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
