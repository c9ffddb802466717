"""Reading: what a held document is, found out after its acknowledgement by a confined worker, once per job.

A document that cannot be read aborts its job with the reason in plain words; the client was already told "held", and
a client such as CUPS would repeat a refused submission for ever, so the refusal travels as the job's own state.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING

import structlog

from daemon.db.unit import Unit
from daemon.jobs.analysis import DocumentRefused
from daemon.jobs.counting import adopt, count, names_no_page
from daemon.jobs.lifecycle import Happening, advance
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import Refusal, Unavailable
from daemon.kernel.events import Event

if TYPE_CHECKING:
    from daemon.jobs.analysis import Analyser
    from daemon.jobs.facts import DocumentFacts
    from daemon.jobs.job import Job
    from daemon.jobs.ticket import Ticket
    from daemon.workflows.house import House
    from daemon.workflows.price import Prices

log = structlog.get_logger(__name__)

READERS = 2
BATCH_MAX = 16
LULL_S = 0.05
PATIENCE_S = 2.0
"""Acknowledgements come first: reading waits for a moment without arrivals, but never longer than this."""
RETRY_S = 5.0
KEEP_TRIES = 5
WAKE_S = 30.0
"""However the wake-up got lost, unread jobs are looked for this often."""


class Read:
    """Finds unread jobs and reads them, a few at a time, until cancelled."""

    def __init__(self, house: House, analyser: Analyser, prices: Prices) -> None:
        self._house = house
        self._analyser = analyser
        self._prices = prices
        self._wake = asyncio.Event()
        self._busy: set[int] = set()
        self._finished = asyncio.Event()
        self._arrived_s = 0.0
        self._wanted: Counter[str] = Counter()
        self._hurry = asyncio.Event()

    def wake(self) -> None:
        """A document arrived."""
        self._arrived_s = self._house.clock.monotonic_s()
        self._wake.set()

    async def run(self) -> None:
        """Owned by the application's task group; ends by cancellation."""
        gate = asyncio.Semaphore(READERS)
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                await self._lull()
                unread = await self._house.jobs.unread(BATCH_MAX)
                first = {job.id: job for job in await self._somebody_waits_for()}
                for job in [*first.values(), *(job for job in unread if job.id not in first)]:
                    if job.id in self._busy:
                        continue
                    await gate.acquire()
                    self._busy.add(job.id)
                    group.create_task(self._one(job, gate))
                if len(unread) == BATCH_MAX:  # more wait behind these
                    continue
                try:
                    async with asyncio.timeout(WAKE_S):  # `wait_for` can swallow a cancellation in Python 3.11
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def _lull(self) -> None:
        """Until no document has arrived for a moment, or somebody stands waiting for one, or patience ends."""
        clock = self._house.clock
        deadline = clock.monotonic_s() + PATIENCE_S
        while not self._wanted and clock.monotonic_s() < deadline:
            if clock.monotonic_s() - self._arrived_s >= LULL_S:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LULL_S):
                    await self._hurry.wait()

    async def _somebody_waits_for(self) -> list[Job]:
        """Unread jobs that are read before all others."""
        self._hurry.clear()
        if not self._wanted:
            return []
        wanted = await self._house.jobs.many(list(self._wanted))
        return [job for job in wanted if job.is_held and job.has_document and job.facts is None]

    async def wait_read(self, public_id: str, timeout_s: float) -> None:
        """Returns when the job has been read, or after the time-out; the caller looks at the row. It goes first."""
        self._wanted[public_id] += 1
        self._hurry.set()
        self._wake.set()
        try:
            await self._until_read(public_id, timeout_s)
        finally:
            self._wanted[public_id] -= 1
            if not self._wanted[public_id]:
                del self._wanted[public_id]

    async def _until_read(self, public_id: str, timeout_s: float) -> None:

        async def until_read() -> None:
            while True:
                finished = self._finished  # taken before the look, so that no end is missed
                job = await self._house.jobs.by_public(public_id)
                if job is None or job.facts is not None or not job.is_held:
                    return
                await finished.wait()

        try:
            await asyncio.wait_for(until_read(), timeout_s)
        except TimeoutError:
            return

    async def _one(self, job: Job, gate: asyncio.Semaphore) -> None:
        try:
            await self._read(job)
        except Unavailable as problem:
            log.warning("document.read-postponed", job_id=job.public_id, problem=problem.code)
            await asyncio.sleep(RETRY_S)
            self._wake.set()
        except Refusal as refusal:  # the job changed while it was read: the next look decides
            log.info("document.read-overtaken", job_id=job.public_id, code=refusal.code)
        finally:
            self._busy.discard(job.id)
            gate.release()
            self._finished.set()
            self._finished = asyncio.Event()

    async def _read(self, job: Job) -> None:
        entry = await self._house.jobs.entry_of(job.id)
        if entry is None:
            return
        started = self._house.clock.monotonic_s()
        try:
            facts = await self._analyser.analyse(lambda: self._house.spool.read(entry), format=job.format)
        except DocumentRefused as refusal:
            await self._refuse(job, refusal)
            return
        if names_no_page(facts, job.ticket):
            await self._refuse(job, _no_such_page(facts, job.ticket))
            return
        log.info(
            "document.read",
            job_id=job.public_id,
            pages=facts.page_count,
            seconds=round(self._house.clock.monotonic_s() - started, 3),
        )
        await self._keep(job, facts)

    async def _keep(self, job: Job, facts: DocumentFacts) -> None:
        """Writes what was found; its owner may have changed the ticket while the document was read."""
        for _ in range(KEEP_TRIES):
            fresh = await self._house.jobs.by_id(job.id)
            if fresh is None or not fresh.is_held or fresh.facts is not None:
                return
            ticket = adopt(fresh.ticket, facts)
            counts = count(facts, ticket)
            price = await self._prices.first_price(fresh, counts)
            unit = Unit()
            self._house.jobs.set_facts(unit, fresh, facts, ticket=ticket, counts=counts, price=price)
            unit.event(Event("job.read", job.public_id, fresh.person_id), self._house.clock.now_us())
            try:
                await self._house.db.commit(unit)
            except Refusal as refusal:
                log.info("document.read-overtaken", job_id=job.public_id, code=refusal.code)
            else:
                return
        self._wake.set()

    async def _refuse(self, job: Job, refusal: DocumentRefused) -> None:
        now = self._house.clock.now_us()
        fresh = await self._house.jobs.by_id(job.id)
        if fresh is None or not fresh.is_held:
            return
        reason = refusal.code if refusal.code.startswith("document-") else "document-format-error"
        step = advance(fresh.state, Happening.UNREADABLE, reason)
        entry = await self._house.jobs.entry_of(job.id)
        unit = Unit()
        self._house.jobs.move(unit, fresh, step, completed_at_us=now, message=refusal.message)
        self._house.jobs.forget_document(unit, job.id)
        unit.event(Event("job.unreadable", job.public_id, job.person_id), now)
        person = await self._house.people.by_id(fresh.person_id) if fresh.person_id else None
        if person is not None and person.email:
            self._house.mailer.notify(
                unit,
                "job-unreadable",
                person,
                dedupe=f"unreadable:{job.public_id}",
                facts={"title": fresh.title, "why": refusal.message, "at_us": now},
            )
        await self._house.db.commit(unit)
        if entry is not None:
            await self._house.spool.delete(entry)
        log.info(
            "document.refused", job_id=job.public_id, code=refusal.code, age_s=(now - job.created_at_us) // US_PER_S
        )


def _no_such_page(facts: DocumentFacts, ticket: Ticket) -> DocumentRefused:
    """Printing all of it instead would be paid for by somebody who asked for something else."""
    asked = ", ".join(f"{low}-{high}" if low != high else str(low) for low, high in ticket.page_ranges)
    pages = "1 page" if facts.page_count == 1 else f"{facts.page_count} pages"
    return DocumentRefused(
        f"The document has {pages}, and pages {asked} were asked for: there is nothing to print.",
        code="document-unprintable-error",
    )
