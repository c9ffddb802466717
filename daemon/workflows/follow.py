"""Following: a job on its printer, looked at until it has ended, remembered after every change.

The state alone proves nothing; what is kept is the largest count ever seen, because counters still rise after a
cancel is acknowledged. A printer that falls silent makes the job uncertain after a while, and is asked on: an answer
that comes later settles it still. A printer that restarted no longer knows our job, whatever its numbers say.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import structlog

from daemon.db.unit import Unit
from daemon.devices.errors import PrinterRefused, PrinterUnreachable
from daemon.jobs.lifecycle import STOP_ASKED, Happening, advance
from daemon.kernel.errors import NotFound, Refusal
from daemon.kernel.events import Event
from daemon.workflows.patience import Patience
from daemon.workflows.printers import blocking_reasons

if TYPE_CHECKING:
    from daemon.devices.printer import Printer
    from daemon.devices.printer_job import PrinterJob, PrinterJobStatus
    from daemon.jobs.delivery_store import Delivery
    from daemon.jobs.outcome import Ending
    from daemon.workflows.house import House
    from daemon.workflows.printers import Printers
    from daemon.workflows.settle import Settle

log = structlog.get_logger(__name__)

UNCERTAIN_POLL_S = 30.0
COUNTER_POLL_S = 2.0
COUNTER_STILL_POLLS = 5
COUNTER_FIRST_POLLS = 30
"""A minute: a cold printer warms up before its first side."""
COUNTER_MAX_S = 1800.0
FORGETS_AFTER_S = 45.0
"""Printers keep ended jobs for about a minute at least: a job of ours not found sooner never arrived."""
RESTART_SLACK_S = 5


LIVELY = ("processing", "processing-stopped")
NAME_PREFIX = "Holdfast "


def neutral_name(delivery: Delivery) -> str:
    """The job-name a printer sees: unique, so that the job can be found again, and silent about its content."""
    return f"{NAME_PREFIX}{delivery.public_id}"


@dataclass(frozen=True, slots=True)
class Quiet:
    """The printer took the bytes and has no words for jobs (raw port)."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Bytes may have left and no answer came: the printer is asked for the job with our name."""


class Follow:
    """Looks at printer jobs until they have ended."""

    def __init__(self, house: House, *, printers: Printers, settle: Settle) -> None:
        self._house = house
        self._printers = printers
        self._settle = settle
        self._hurried: dict[str, asyncio.Event] = {}

    def hurry(self, public_id: str) -> None:
        """Look at that delivery now: something was just asked of its printer."""
        event = self._hurried.get(public_id)
        if event is not None:
            event.set()

    async def to_the_end(self, delivery: Delivery, sent: PrinterJob | Quiet | Lost | None) -> None:
        """Until the delivery is settled. A delivery without a printer job is first searched by its own name."""
        if isinstance(sent, Quiet):
            await self._watch_counter(delivery)
        elif delivery.printer_job_id is None:
            await self.find_and_follow(delivery)
        else:
            await self._watch(delivery)

    async def find_and_follow(self, delivery: Delivery) -> None:
        """The document may have left, the answer did not come back: ask the printer for the job with our name."""
        printer = await self._printers.by_id(delivery.printer_id)
        if printer.is_raw:
            await self._doubt(delivery, "The connection to the printer broke while printing.")
            return
        pause, deadline = (
            self._house.policy.poll_first_s,
            self._house.clock.monotonic_s() + self._house.policy.lost_after_s,
        )
        while True:
            found, has_answered = await self._find(printer, neutral_name(delivery))
            if found is not None:
                await self._adopt(delivery, found)
                return
            if has_answered and await self._never_arrived(delivery, printer):
                message = "The printer never got it. Nothing was charged; it can be released again."
                await self._settle.not_sent(delivery, message=message, code="printer-unreachable")
                return
            if delivery.phase != "uncertain" and (has_answered or self._house.clock.monotonic_s() > deadline):
                await self._doubt(delivery, "The printer was lost after the document had been sent.")
                delivery = await self._fresh(delivery)
            await asyncio.sleep(pause)
            pause = UNCERTAIN_POLL_S if delivery.phase == "uncertain" else min(pause * 2, self._house.policy.poll_max_s)
            if (await self._fresh(delivery)).phase not in ("sending", "printing", "uncertain"):
                return

    # ----- inside -----
    async def _find(self, printer: Printer, name: str) -> tuple[PrinterJobStatus | None, bool]:
        try:
            return await self._printers.client(printer).find_job(name=name), True
        except PrinterUnreachable:
            return None, False
        except PrinterRefused:
            return None, True

    async def _never_arrived(self, delivery: Delivery, printer: Printer) -> bool:
        """True when the printer answers, has not restarted, and is still too young in memory to have forgotten."""
        if delivery.sent_at_us is None or delivery.phase == "uncertain":
            return False
        age_s = (self._house.clock.now_us() - delivery.sent_at_us) / 1_000_000
        if age_s > FORGETS_AFTER_S:
            return False
        try:
            status = await self._printers.client(printer).status()
        except (PrinterUnreachable, PrinterRefused):
            return False
        return not _has_restarted(delivery, status.uuid, status.up_time_s)

    async def _adopt(self, delivery: Delivery, found: PrinterJobStatus) -> None:
        unit = Unit(essential=True)
        # It is no secret any more what becomes of it; whether the document is whole there is: hence `sending`.
        again: dict[str, object] = {"phase": "sending", "decide_at_us": None} if delivery.phase == "uncertain" else {}
        self._house.deliveries.change(
            unit,
            delivery,
            ("sending", "printing", "uncertain"),
            printer_job_id=found.job_id,
            printer_job_uuid=found.job_uuid,
            **again,
        )
        await self._house.db.commit(unit)
        await self._watch(await self._fresh(delivery))

    async def _watch(self, delivery: Delivery) -> None:
        hurried = self._hurried.setdefault(delivery.public_id, asyncio.Event())
        try:
            await self._watch_until_ended(delivery, hurried)
        finally:
            self._hurried.pop(delivery.public_id, None)

    async def _watch_until_ended(self, delivery: Delivery, hurried: asyncio.Event) -> None:
        patience = Patience(self._house.policy, self._house.clock)
        while True:
            printer = await self._printers.by_id(delivery.printer_id)
            seen = await self._look(delivery, printer)
            if seen is not None:
                if _is_stopped(seen) or (patience.is_at_rest and seen.state == "processing"):
                    seen = await self._with_printers_word(seen, printer)
                changed = await self._remember(delivery, seen)
                counts = (seen.impressions, seen.sheets)
                patience.heard(changed=changed, is_stopped=_is_stopped(seen), counts=counts)
                if _waits_in_vain(delivery, seen) or (patience.is_over and not seen.is_ended):
                    await self._printers.stop_there(printer, seen.job_id)
                if seen.is_ended:
                    await self._ended(delivery, seen, printer)
                    return
            elif patience.is_lost:
                await self._doubt(delivery, "The printer fell silent while printing.")
                patience.pause_s = UNCERTAIN_POLL_S
            delivery = await self._fresh(delivery)
            if delivery.phase not in ("printing", "sending", "uncertain"):
                return
            await self._pause(hurried, patience.pause_s)

    async def _with_printers_word(self, seen: PrinterJobStatus, printer: Printer) -> PrinterJobStatus:
        """Why a job does not move, many printers tell of themselves only; some even leave the job `processing`."""
        try:
            printer = await self._printers.ask(printer)
        except (PrinterUnreachable, PrinterRefused):
            return seen
        why = blocking_reasons(printer.state, printer.reasons)
        return replace(seen, state="processing-stopped", reasons=(*seen.reasons, *why)) if why else seen

    async def _pause(self, hurried: asyncio.Event, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):  # `wait_for` can swallow a cancellation in Python 3.11
                await hurried.wait()
        except TimeoutError:
            return
        hurried.clear()

    async def _look(self, delivery: Delivery, printer: Printer) -> PrinterJobStatus | None:
        """The job as the printer sees it; `gone` when it is not the printer, or not the life of it, that we sent it to.

        None when it does not answer, or answers that it cannot say.
        """
        from daemon.devices.printer_job import PrinterJobStatus

        job_id = delivery.printer_job_id
        if job_id is None:
            raise NotFound("This delivery has no printer job.")
        try:
            seen = await self._printers.client(printer).job_status(job_id)
        except (PrinterUnreachable, PrinterRefused):
            return None
        is_other = bool(delivery.printer_job_uuid and seen.job_uuid and seen.job_uuid != delivery.printer_job_uuid)
        is_other = is_other or (seen.name.startswith(NAME_PREFIX) and seen.name != neutral_name(delivery))
        if is_other or _has_restarted(delivery, "", seen.up_time_s):
            return PrinterJobStatus(job_id=job_id, state="gone")
        return seen

    async def _remember(self, delivery: Delivery, seen: PrinterJobStatus) -> bool:
        """Keeps the largest counts and the last state; moves the job between printing and stopped. True: changed."""
        impressions = _larger(delivery.impressions, seen.impressions)
        color = _larger(delivery.color_impressions, seen.color_impressions)
        sheets = _larger(delivery.sheets, seen.sheets)
        old = (delivery.last_state, delivery.impressions, delivery.color_impressions, delivery.sheets)
        if (seen.state, impressions, color, sheets) == old and not _known_again(delivery, seen):
            return False
        job = await self._house.jobs.by_id(delivery.job_id)
        unit = Unit(essential=True)
        self._house.deliveries.change(
            unit,
            delivery,
            ("sending", "printing", "uncertain"),
            last_state=seen.state,
            last_reasons=json.dumps(seen.reasons[:20]),
            impressions=impressions,
            color_impressions=color,
            sheets=sheets,
            **_known_again(delivery, seen),
        )
        now = self._house.clock.now_us()
        if job is not None and not seen.is_ended and job.state in LIVELY:
            stopped = _is_stopped(seen)
            kept = [reason for reason in job.reasons if reason in STOP_ASKED]
            step = advance(job.state, Happening.STOPPED if stopped else Happening.PRINTING, *kept)
            self._house.jobs.move(
                unit, job, step, printed_impressions=impressions, printed_sheets=sheets, is_uncertain=0
            )
            unit.event(Event("job.stopped" if stopped else "job.printing", job.public_id, job.person_id), now)
        try:
            await self._house.db.commit(unit)
        except Refusal as refusal:  # settled by somebody else meanwhile; the caller reads again
            log.info("delivery.overtaken", delivery_id=delivery.public_id, code=refusal.code)
        return True

    async def _ended(self, delivery: Delivery, seen: PrinterJobStatus, printer: Printer) -> None:
        if _never_began(delivery, seen):
            message = "The document did not reach the printer as a whole. Nothing was charged; release it again."
            await self._settle.not_sent(delivery, message=message, code="document-interrupted")
            return
        ending = cast("Ending", seen.state)
        is_told = any((delivery.impressions, delivery.sheets, seen.impressions, seen.sheets))
        counter = await (self._printers.life_count(printer) if is_told else self._still_count(delivery, printer))
        message = "" if ending == "completed" else _why(seen)
        if not await self._settle.finished(delivery, ending, counter_after=counter, message=message):
            log.warning("delivery.forgotten-by-printer", delivery_id=delivery.public_id)

    async def _watch_counter(self, delivery: Delivery) -> None:
        """Raw printing: wait until the life counter stands still, then settle on its difference, or on the quote."""
        printer = await self._printers.by_id(delivery.printer_id)
        await self._settle.finished(delivery, "completed", counter_after=await self._still_count(delivery, printer))

    async def _still_count(self, delivery: Delivery, printer: Printer) -> int | None:
        """The printer's life count once it has stopped rising; None where it has none. Paper comes after the bytes."""
        last, still, waited = await self._printers.life_count(printer), 0, 0.0
        before = delivery.counter_before
        while last is not None and waited < COUNTER_MAX_S:
            if still >= (COUNTER_STILL_POLLS if before is None or last != before else COUNTER_FIRST_POLLS):
                break
            await asyncio.sleep(COUNTER_POLL_S)
            waited += COUNTER_POLL_S
            count = await self._printers.life_count(printer)
            if count is None:
                break
            has_all = before is not None and count - before >= delivery.counts.impressions
            still = still + 1 if count == last else 0
            last = count
            if has_all and still:
                break
        return last

    async def _doubt(self, delivery: Delivery, message: str) -> None:
        fresh = await self._fresh(delivery)
        if fresh.phase in ("sending", "printing"):
            await self._settle.uncertain(fresh, message=message)

    async def _fresh(self, delivery: Delivery) -> Delivery:
        fresh = await self._house.deliveries.by_public(delivery.public_id)
        if fresh is None:
            raise NotFound("There is no such delivery.")
        return fresh


def _larger(known: int | None, seen: int | None) -> int | None:
    if known is None or seen is None:
        return seen if known is None else known
    return max(known, seen)


def _has_restarted(delivery: Delivery, uuid: str, up_time_s: int | None) -> bool:
    if uuid and delivery.printer_uuid and uuid != delivery.printer_uuid:
        return True
    before = delivery.printer_up_time_s
    return before is not None and up_time_s is not None and up_time_s + RESTART_SLACK_S < before


def _is_stopped(seen: PrinterJobStatus) -> bool:
    """The job stands still on the printer, whatever word the printer has for it."""
    return seen.state == "processing-stopped" or bool(blocking_reasons("processing", seen.reasons))


def _known_again(delivery: Delivery, seen: PrinterJobStatus) -> dict[str, object]:
    """Columns of a job that was uncertain and is seen alive on its printer: there is nothing to decide about it now."""
    if delivery.phase != "uncertain" or seen.is_ended:
        return {}
    return {"phase": "printing", "decide_at_us": None}


def _waits_in_vain(delivery: Delivery, seen: PrinterJobStatus) -> bool:
    """A printer job of ours, found again after a break, that still waits for a document we shall never send twice."""
    return delivery.phase == "sending" and seen.state in ("pending", "pending-held") and not seen.impressions


def _never_began(delivery: Delivery, seen: PrinterJobStatus) -> bool:
    """The document was never known to be whole there, and the printer says that it ended without a single side."""
    is_over = seen.state in ("canceled", "aborted")
    counts = (delivery.impressions, delivery.sheets, seen.impressions, seen.sheets)
    return delivery.phase == "sending" and is_over and 0 in counts and not any(counts)


def _why(seen: PrinterJobStatus) -> str:
    return seen.message or f"The printer ended this job as {seen.state}."
