"""Housekeeping: what happens because time passes. Each pass is bounded and safe to repeat or to miss.

Held jobs expire without charge, their owners are warned before, deleted jobs become final, own hold times end, jobs
whose document never came are dropped, and orphaned spool files are swept.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from daemon.db.unit import Unit
from daemon.jobs.lifecycle import Happening, advance, held_reasons
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import Refusal, Unavailable
from daemon.kernel.events import Event
from daemon.workflows.submit import INCOMING_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from daemon.jobs.job import Job
    from daemon.workflows.cancel import Cancel
    from daemon.workflows.house import House

log = structlog.get_logger(__name__)

PASS_S = 5.0
BATCH_MAX = 200


class Housekeep:
    """Runs the passes until cancelled; `extra` are passes of other verbs (grants, uncertain jobs, mails)."""

    def __init__(self, house: House, cancel: Cancel, *, extra: Sequence[Callable[[], Awaitable[None]]] = ()) -> None:
        self._house = house
        self._cancel = cancel
        self._passes = (self.expire, self.warn, self.finish_deletions, self.end_holds, self.drop_incomplete, *extra)
        self._failing: set[str] = set()

    async def run(self) -> None:
        """Owned by the application's task group; ends by cancellation."""
        while True:
            await self.once()
            await asyncio.sleep(PASS_S)

    async def once(self) -> None:
        """Every pass, once; one that fails is logged on change and tried again next time."""
        for one in self._passes:
            name = getattr(one, "__qualname__", repr(one))
            try:
                await one()
            except (Refusal, Unavailable) as problem:
                if name not in self._failing:
                    self._failing.add(name)
                    log.warning("housekeeping.failing", what=name, problem=problem.code)
            else:
                self._failing.discard(name)

    async def sweep(self) -> None:
        """At start: removes spool files that no row names, and keys of days without documents."""
        names, days = await self._house.jobs.spool_names()
        await self._house.spool.sweep(names, days)

    async def expire(self) -> None:
        """Ends held jobs whose time is over: nothing was charged, the owner's history says so."""
        now = self._house.clock.now_us()
        for job in await self._house.jobs.due("expiry", now, BATCH_MAX):
            unit = Unit()
            step = advance(job.state, Happening.EXPIRED)
            message = "It was not released in time and has expired. Nothing was charged."
            self._house.jobs.move(unit, job, step, completed_at_us=now, message=message)
            unit.event(Event("job.expired", job.public_id, job.person_id), now)
            await self._mail(unit, job, "job-expired")
            await self._end(unit, job)

    async def warn(self) -> None:
        """Tells owners by mail, once, that a job will expire."""
        now = self._house.clock.now_us()
        rules = [rule for rule in self._house.queues.values() if rule.hold_s > rule.warn_before_s > 0]
        for rule in rules:
            soon = now + rule.warn_before_s * US_PER_S
            for job in await self._house.jobs.to_warn(rule.name, soon, BATCH_MAX):
                await self._warn(job, now)

    async def _warn(self, job: Job, now: int) -> None:
        unit = Unit()
        step = advance(job.state, Happening.ARRIVED, *job.reasons)
        self._house.jobs.move(unit, job, step, warned_at_us=now)
        await self._mail(unit, job, "job-expiring")
        await self._commit(unit, job)

    async def finish_deletions(self) -> None:
        """Destroys the documents of deleted jobs whose time for undo is over."""
        jobs = await self._house.jobs.due("undo", self._house.clock.now_us(), BATCH_MAX)
        if jobs:
            await self._cancel.forget(jobs)

    async def end_holds(self) -> None:
        """Lets go of jobs whose own hold time (job-hold-until) has come."""
        now = self._house.clock.now_us()
        for job in await self._house.jobs.due("hold", now, BATCH_MAX):
            unit = Unit()
            extra = held_reasons(has_password=job.has_password, is_time_held=False)
            step = advance(job.state, Happening.FREED_BY_OWNER, *extra)
            self._house.jobs.move(unit, job, step, hold_until_us=None)
            unit.event(Event("job.hold-cleared", job.public_id, job.person_id), now)
            await self._commit(unit, job)

    async def drop_incomplete(self) -> None:
        """Aborts jobs that were created long ago and never got their document (PWG multiple-operation-time-out)."""
        now = self._house.clock.now_us()
        for job in await self._house.jobs.incomplete(now - INCOMING_S * US_PER_S, BATCH_MAX):
            unit = Unit()
            step = advance(job.state, Happening.INCOMPLETE)
            self._house.jobs.move(unit, job, step, completed_at_us=now, message="No document was sent.")
            unit.event(Event("job.incomplete", job.public_id, job.person_id), now)
            await self._commit(unit, job)

    async def _mail(self, unit: Unit, job: Job, kind: str) -> None:
        person = await self._house.people.by_id(job.person_id) if job.person_id else None
        if person is not None and person.email:
            facts = {
                "title": job.title,
                "held_until_us": job.held_until_us,
                "queue": self._house.queue(job.queue).title,
            }
            self._house.mailer.notify(unit, kind, person, dedupe=f"{kind}:{job.public_id}", facts=facts)

    async def _end(self, unit: Unit, job: Job) -> None:
        entry = await self._house.jobs.entry_of(job.id)
        self._house.jobs.forget_document(unit, job.id)
        if await self._commit(unit, job) and entry is not None:
            await self._house.spool.delete(entry)

    async def _commit(self, unit: Unit, job: Job) -> bool:
        try:
            await self._house.db.commit(unit)
        except Refusal as refusal:  # it moved on meanwhile: the next pass looks again
            log.info("housekeeping.overtaken", job_id=job.public_id, code=refusal.code)
            return False
        return True
