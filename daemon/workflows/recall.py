"""Taking back what was decided as not printed: a printer that comes back later may still hold it, and print it unpaid.

An uncertain job that was given back waits at the terminal again. Its old copy is looked for on its printer by its own
name as soon as that printer answers, and cancelled there before it prints; so it is never printed unpaid, and never
twice. Where the printer had printed it all the same, the audit log says how much.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from daemon.db.unit import Unit
from daemon.devices.errors import AddressForbidden, PrinterRefused, PrinterUnreachable
from daemon.kernel.errors import Refusal
from daemon.workflows.follow import neutral_name

if TYPE_CHECKING:
    from daemon.devices.printer import Printer
    from daemon.devices.printer_job import PrinterJobStatus
    from daemon.jobs.delivery_store import Delivery
    from daemon.workflows.house import House
    from daemon.workflows.printers import Printers

log = structlog.get_logger(__name__)

BATCH_MAX = 50
ASK_S = 5.0
SILENT_PAUSE_S = 30.0
"""A printer that did not answer is asked again for its copies after this long."""
ACTOR = "system"


class Recall:
    """Asks printers that are there again for copies nobody shall get."""

    def __init__(self, house: House, *, printers: Printers) -> None:
        self._house = house
        self._printers = printers
        self._silent_until_s: dict[int, float] = {}

    async def once(self) -> None:
        """Housekeeping: every copy whose printer may answer, once."""
        now_s = self._house.clock.monotonic_s()
        self._silent_until_s = {one: until for one, until in self._silent_until_s.items() if until > now_s}
        for delivery in await self._house.deliveries.to_recall(self._house.clock.now_us(), BATCH_MAX):
            if delivery.printer_id in self._silent_until_s:
                continue
            printer = await self._printers.by_id(delivery.printer_id)
            if printer.is_raw:
                await self._done(delivery)
                continue
            try:
                async with asyncio.timeout(ASK_S):
                    await self._one(delivery, printer)
            except (TimeoutError, PrinterUnreachable, PrinterRefused, AddressForbidden):
                self._silent_until_s[delivery.printer_id] = now_s + SILENT_PAUSE_S

    async def _one(self, delivery: Delivery, printer: Printer) -> None:
        """A copy that waits or prints is stopped, and looked at again; one that ended, or is not there, is done."""
        client = self._printers.client(printer)
        found = await client.find_job(name=neutral_name(delivery))
        if found is not None and not found.is_ended:
            await client.cancel(found.job_id)
            log.info("delivery.recalled", delivery_id=delivery.public_id, printer_id=printer.public_id)
            return
        await self._done(delivery, found)

    async def _done(self, delivery: Delivery, found: PrinterJobStatus | None = None) -> None:
        came_out = 0 if found is None else found.impressions or 0
        unit = Unit()
        self._house.deliveries.change(unit, delivery, ("voided",), recall_until_us=None)
        if came_out:
            log.warning("delivery.printed-after-decision", delivery_id=delivery.public_id, impressions=came_out)
            job = await self._house.jobs.by_id(delivery.job_id)
            subject = delivery.public_id if job is None else job.public_id
            unit.audit(
                actor=ACTOR,
                action="job.printed-after-decision",
                subject=subject,
                detail={"impressions": came_out},
                at_us=self._house.clock.now_us(),
            )
        try:
            await self._house.db.commit(unit)
        except Refusal as refusal:
            log.info("delivery.overtaken", delivery_id=delivery.public_id, code=refusal.code)
