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
from daemon.jobs.delivery_store import LIVE
from daemon.jobs.lifecycle import ACTIVE, STOP_ASKED, Step
from daemon.kernel.errors import Conflict, NotFound, Refusal, Unavailable
from daemon.workflows.follow import Follow, Lost, Quiet, neutral_name

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

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


class OutcomeUnknown(Conflict):
    """The job left, and the printer cannot be asked about it: there is nothing to stop, until it is decided."""

    code = "job-outcome-unknown"


class Deliver:
    """Runs deliveries."""

    def __init__(self, house: House, *, printers: Printers, settle: Settle, converter: Converter) -> None:
        self._house = house
        self._printers = printers
        self._settle = settle
        self._converter = converter
        self._follow = Follow(house, printers=printers, settle=settle)
        self._gates: dict[int, asyncio.Lock] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._is_closed = False
        self._left: set[str] = set()
        self._failures: dict[str, int] = {}
        self._sending: set[str] = set()
        self._all_sent = asyncio.Event()

    def start(self, public_id: str, printer_id: int) -> None:
        """Begins a delivery that has just been promised."""
        self._spawn(lambda: self._deliver(public_id, printer_id), public_id)

    def resume(self, delivery: Delivery) -> None:
        """Goes on following a delivery whose printer job is known."""
        self._spawn(lambda: self._resume(delivery), delivery.public_id)

    async def close(self) -> None:
        """Lets documents on the wire finish for a moment, then stops every task; recovery takes up the rest."""
        self._is_closed = True
        if self._sending:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_sent.wait(), CLOSE_S)
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self, job: Job) -> None:
        """Asks the printer to cancel a job that is on it; what came out until it really stops is charged.

        A job that has not begun to leave ends at once.

        Raises:
            PrinterUnreachable, PrinterRefused: it could not be asked.
            OutcomeUnknown: it left, and is not found on the printer.
            Unavailable: `job-being-sent`, there is no telling yet how to stop it.
        """
        delivery = await self._house.deliveries.live_of_job(job.id)
        if delivery is None:
            raise NotFound("This job is not on a printer.")
        if delivery.phase == "reserved":  # it waits for its turn at the printer
            await self._settle.withdraw(delivery)
            return
        if delivery.printer_job_id is None and delivery.phase == "uncertain":
            raise OutcomeUnknown(
                "Whether this job came out is not known, and the printer knows nothing of it: it cannot be stopped. "
                "It is decided when its time is up, or by an operator."
            )
        if delivery.printer_job_id is None:
            raise Unavailable("The job is just being sent. Try again in a moment.", code="job-being-sent")
        printer = await self._printers.by_id(delivery.printer_id)
        await self._printers.client(printer).cancel(delivery.printer_job_id)
        await self._note_wish(job)
        self._follow.hurry(delivery.public_id)

    async def _note_wish(self, job: Job) -> None:
        """The job says that it is being stopped; settled by then, it has its last word already."""
        fresh = await self._house.jobs.by_id(job.id)
        if fresh is None or fresh.state not in ACTIVE:
            return
        unit = Unit(essential=True)
        self._house.jobs.move(unit, fresh, Step(fresh.state, STOP_ASKED))
        try:
            await self._house.db.commit(unit)
        except Refusal as refusal:
            log.info("delivery.overtaken", job_id=job.public_id, code=refusal.code)

    def orphans(self, live: Sequence[Delivery]) -> list[Delivery]:
        """Those of all live deliveries that nobody works on: their task failed, or its release was cut short.

        A delivery whose task ended in order (it waits for the policy's decision) is none.
        """
        self._left &= {delivery.public_id for delivery in live}
        known = self._tasks.keys() | self._left
        return [] if self._is_closed else [delivery for delivery in live if delivery.public_id not in known]

    def failures(self, delivery: Delivery) -> int:
        """How often the work on this delivery has failed in a row since the start."""
        return self._failures.get(delivery.public_id, 0)

    # ----- inside -----
    def _spawn(self, work: Callable[[], Coroutine[object, object, None]], public_id: str) -> None:
        if public_id in self._tasks or self._is_closed:
            return  # housekeeping was faster than the release that promised it, or the next start takes it up
        self._left.discard(public_id)
        task = asyncio.create_task(self._guard(work, public_id), name=f"delivery-{public_id}")
        self._tasks[public_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(public_id, None))

    async def _guard(self, work: Callable[[], Coroutine[object, object, None]], public_id: str) -> None:
        """A failing delivery never takes another down; what is left undone is taken up again by housekeeping."""
        try:
            await work()
        except Exception:
            self._failures[public_id] = self._failures.get(public_id, 0) + 1
            log.exception("delivery.failed", delivery_id=public_id, failures=self._failures[public_id])
        else:
            self._left.add(public_id)
            self._failures.pop(public_id, None)

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
        await self._follow.to_the_end(await self._known(delivery.public_id), None)

    async def _send(self, delivery: Delivery, job: Job, printer: Printer) -> PrinterJob | Quiet | Lost | None:
        """The document on its way, or lost there; None when the delivery has ended already (given back)."""
        try:
            sent = await self._send_patiently(delivery, job, printer)
        except PrinterRefused as refusal:
            message = f"The printer did not take it: {refusal.message} Nothing was charged."
            await self._settle.not_sent(await self._known(delivery.public_id), message=message, code=refusal.code)
            return None
        except PrinterUnreachable as problem:
            return await self._interrupted(delivery, printer, problem)
        except (Refusal, Unavailable) as problem:
            return await self._unprepared(await self._known(delivery.public_id), problem)
        # Outside the handlers above: the printer has the document now, whatever happens to our note of it.
        if not isinstance(sent, Quiet):
            await self._mark_printing(delivery, sent)
        return sent

    async def _unprepared(self, known: Delivery, problem: Refusal | Unavailable) -> Lost | None:
        """Something of our own failed; given back, unless a byte may have left by then."""
        if known.phase != "reserved":
            return Lost() if known.phase in LIVE else None
        why = f" {problem.message}" if isinstance(problem, Refusal) else ""
        message = f"It could not be prepared for this printer.{why} Nothing was charged."
        await self._settle.not_sent(known, message=message, code=problem.code)
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

        async def mark() -> None:
            await self._mark_sending(delivery, printer)

        prepared = self._converter.prepare(lambda: self._house.spool.read(entry), plan=way, facts=job.facts)
        # Closed at once when the printer stops reading, so that the worker is free for the next one.
        async with contextlib.aclosing(prepared) as body:
            if printer.is_raw:
                await self._printers.raw_client(printer).print_document(body=body, on_sending=mark)
                return Quiet()
            return await self._printers.client(printer).print_document(
                format=way.format,
                attributes=way.attributes,
                job_name=neutral_name(delivery),
                user_name="holdfast",
                body=body,
                on_sending=mark,
            )

    async def _interrupted(self, delivery: Delivery, printer: Printer, problem: PrinterUnreachable) -> Lost | None:
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
        return Lost()

    async def _mark_sending(self, delivery: Delivery, printer: Printer) -> None:
        now = self._house.clock.now_us()  # before the counter is read: what ended after this may be in its difference
        counter = await self._printers.life_count(printer)
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
