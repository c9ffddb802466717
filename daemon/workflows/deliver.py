"""Delivery: a promised job travels to its printer, is followed to its end, and is handed to settlement.

One task per delivery, all owned here. Per printer documents leave one after another, in the order of release. What is
about to happen is written before it happens: `sending` before the first byte of a job-creating request, `printing`
with the printer's own job id as soon as it is known. So a restart (`workflows.recover`) always finds enough to go on
without ever sending a document again.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from daemon.db.unit import Unit
from daemon.devices.errors import PrinterRefused, PrinterUnreachable
from daemon.jobs.delivery_plan import plan
from daemon.kernel.errors import NotFound, Refusal, Unavailable
from daemon.workflows.follow import Follow, Quiet

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from daemon.devices.printer import Printer
    from daemon.devices.printer_job import PrinterJob
    from daemon.jobs.convert import Converter
    from daemon.jobs.delivery_store import Delivery
    from daemon.jobs.job import Job
    from daemon.workflows.house import House
    from daemon.workflows.printers import Printers
    from daemon.workflows.settle import Settle

log = structlog.get_logger(__name__)

BUSY_PATIENCE_S = 600.0
BUSY_PAUSE_S = 2.0
SENDING_LEASE_S = 120
CLOSE_S = 2.0
"""How long a stop waits for documents that are on the wire."""


def neutral_name(delivery: Delivery) -> str:
    """The job-name a printer sees: unique, so that the job can be found again, and silent about its content."""
    return f"Holdfast {delivery.public_id}"


class Deliver:
    """Runs deliveries."""

    def __init__(self, house: House, *, printers: Printers, settle: Settle, converter: Converter) -> None:
        self._house = house
        self._printers = printers
        self._settle = settle
        self._converter = converter
        self._follow = Follow(house, printers=printers, settle=settle)
        self._gates: dict[int, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending: set[str] = set()
        self._all_sent = asyncio.Event()

    def start(self, public_id: str, printer_id: int) -> None:
        """Begins a delivery that has just been promised."""
        self._spawn(self._deliver(public_id, printer_id), public_id)

    def resume(self, delivery: Delivery) -> None:
        """Goes on following a delivery whose printer job is known."""
        self._spawn(self._resume(delivery), delivery.public_id)

    async def close(self) -> None:
        """Lets documents on the wire finish for a moment, then stops every task; recovery takes up the rest."""
        if self._sending:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_sent.wait(), CLOSE_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop(self, job: Job) -> None:
        """Asks the printer to cancel a job that is on it; what came out until it really stops is charged.

        Raises:
            PrinterUnreachable, PrinterRefused: it could not be asked.
        """
        delivery = await self._house.deliveries.live_of_job(job.id)
        if delivery is None:
            raise NotFound("This job is not on a printer.")
        if delivery.printer_job_id is None:
            raise Unavailable("The job is just being sent. Try again in a moment.", code="job-being-sent")
        printer = await self._printers.by_id(delivery.printer_id)
        await self._printers.client(printer).cancel(delivery.printer_job_id)
        self._follow.hurry(delivery.public_id)

    # ----- inside -----
    def _spawn(self, work: Coroutine[object, object, None], public_id: str) -> None:
        task = asyncio.create_task(self._guard(work, public_id), name=f"delivery-{public_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, work: Coroutine[object, object, None], public_id: str) -> None:
        """A failing delivery never takes another down; what is left undone is recovered at the next start."""
        try:
            await work
        except Exception:
            log.exception("delivery.failed", delivery_id=public_id)

    async def _deliver(self, public_id: str, printer_id: int) -> None:
        gate = self._gates.setdefault(printer_id, asyncio.Lock())
        async with gate:
            delivery = await self._known(public_id)
            if delivery.phase != "reserved":
                return
            job = await self._house.jobs.by_id(delivery.job_id)
            if job is None:
                raise NotFound("There is no such job.")
            self._sending.add(public_id)
            self._all_sent.clear()
            try:
                sent = await self._send(delivery, job, await self._printers.by_id(printer_id))
            finally:
                self._sending.discard(public_id)
                if not self._sending:
                    self._all_sent.set()
        if sent is not None:
            await self._follow.to_the_end(await self._known(public_id), sent)

    async def _resume(self, delivery: Delivery) -> None:
        await self._follow.to_the_end(delivery, None)

    async def _send(self, delivery: Delivery, job: Job, printer: Printer) -> PrinterJob | Quiet | None:
        """The document on its way; None when the delivery has ended already (given back, or uncertain)."""
        try:
            return await self._send_patiently(delivery, job, printer)
        except PrinterRefused as refusal:
            message = f"The printer did not take it: {refusal.message} Nothing was charged."
            await self._settle.not_sent(await self._known(delivery.public_id), message=message, code=refusal.code)
        except PrinterUnreachable as problem:
            return await self._interrupted(delivery, printer, problem)
        except Refusal as refusal:
            message = f"It could not be prepared for this printer: {refusal.message} Nothing was charged."
            await self._settle.not_sent(await self._known(delivery.public_id), message=message, code=refusal.code)
        except Unavailable as problem:
            message = "It could not be prepared for the printer. Nothing was charged."
            await self._settle.not_sent(await self._known(delivery.public_id), message=message, code=problem.code)
        return None

    async def _send_patiently(self, delivery: Delivery, job: Job, printer: Printer) -> PrinterJob | Quiet:
        """Sends; a printer that is busy with another job is asked again for a while, not a byte having left."""
        deadline = self._house.clock.monotonic_s() + BUSY_PATIENCE_S
        while True:
            try:
                return await self._send_once(delivery, job, printer)
            except PrinterRefused as refusal:
                if not refusal.is_busy or self._house.clock.monotonic_s() > deadline:
                    raise
                await self._unmark(delivery)
                await asyncio.sleep(BUSY_PAUSE_S)

    async def _send_once(self, delivery: Delivery, job: Job, printer: Printer) -> PrinterJob | Quiet:
        entry = await self._house.jobs.entry_of(job.id)
        if entry is None or job.facts is None:
            raise NotFound("The document is gone.")
        able = replace(printer.capabilities, media_ready=())  # whether the paper is loaded was decided at release
        way = plan(delivery.ticket, job.facts, able)
        counter = await self._printers.life_count(printer)

        async def mark() -> None:
            await self._mark_sending(delivery, printer, counter)

        body = self._converter.prepare(lambda: self._house.spool.read(entry), plan=way, facts=job.facts)
        if printer.is_raw:
            await self._printers.raw_client(printer).print_document(body=body, on_sending=mark)
            return Quiet()
        sent = await self._printers.client(printer).print_document(
            format=way.format,
            attributes=way.attributes,
            job_name=neutral_name(delivery),
            user_name="holdfast",
            body=body,
            on_sending=mark,
        )
        await self._mark_printing(delivery, sent)
        return sent

    async def _interrupted(
        self, delivery: Delivery, printer: Printer, problem: PrinterUnreachable
    ) -> PrinterJob | Quiet | None:
        """The line broke. Nothing left: given back. A job without its document: removed there, given back.

        Otherwise the printer is asked for our own job before anybody thinks of it as lost.
        """
        known = await self._known(delivery.public_id)
        if not problem.may_have_sent or known.phase == "reserved":
            message = "The printer could not be reached. Nothing was charged."
            await self._settle.not_sent(known, message=message, code=problem.code)
            return None
        if not problem.may_have_printed:
            await self._printers.remove_empty_job(printer, neutral_name(delivery))
            message = "The connection to the printer broke before the document left. Nothing was charged."
            await self._settle.not_sent(known, message=message, code=problem.code)
            return None
        if printer.is_raw:
            await self._settle.uncertain(known, message="The connection to the printer broke while printing.")
            await self._follow.to_the_end(await self._known(delivery.public_id), None)
            return None
        await self._follow.find_and_follow(known)
        return None

    async def _mark_sending(self, delivery: Delivery, printer: Printer, counter: int | None) -> None:
        now = self._house.clock.now_us()
        unit = Unit(essential=True)
        self._house.deliveries.change(
            unit,
            delivery,
            ("reserved",),
            phase="sending",
            sent_at_us=now,
            counter_before=counter,
            printer_uuid=printer.uuid,
            printer_up_time_s=printer.up_time_s,
            lease_until_us=now + SENDING_LEASE_S * 1_000_000,
        )
        await self._house.db.commit(unit)

    async def _unmark(self, delivery: Delivery) -> None:
        """The printer refused the whole request: no job exists, so the delivery is as if never sent."""
        if (await self._known(delivery.public_id)).phase == "sending":
            unit = Unit(essential=True)
            self._house.deliveries.change(unit, delivery, ("sending",), phase="reserved", sent_at_us=None)
            await self._house.db.commit(unit)

    async def _mark_printing(self, delivery: Delivery, sent: PrinterJob) -> None:
        unit = Unit(essential=True)
        self._house.deliveries.change(
            unit,
            delivery,
            ("sending",),
            phase="printing",
            printer_job_id=sent.job_id,
            printer_job_uuid=sent.job_uuid,
        )
        await self._house.db.commit(unit)

    async def _known(self, public_id: str) -> Delivery:
        delivery = await self._house.deliveries.by_public(public_id)
        if delivery is None:
            raise NotFound("There is no such delivery.")
        return delivery
