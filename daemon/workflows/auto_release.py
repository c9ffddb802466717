"""Queues that do not hold: their jobs go to the queue's printer as soon as they have been read, paid by their owner."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from daemon.db.unit import Unit
from daemon.jobs.lifecycle import Happening, advance
from daemon.kernel.errors import Refusal, Unavailable
from daemon.workflows.release import QUEUE_ACTOR, ReleaseRequest

if TYPE_CHECKING:
    from daemon.jobs.job import Job
    from daemon.workflows.house import House
    from daemon.workflows.printers import Printers
    from daemon.workflows.release import Release

log = structlog.get_logger(__name__)

WAKE_S = 5.0
BATCH_MAX = 50
RETRY_S = 15


class AutoRelease:
    """Looks for releasable jobs of such queues whenever an event was written, and now and then."""

    def __init__(self, house: House, *, printers: Printers, release: Release) -> None:
        self._house = house
        self._printers = printers
        self._release = release
        self._queues = {rule.name: rule for rule in house.queues.values() if rule.auto_release}
        self._retry_at: dict[int, float] = {}
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Something changed that may let a job go."""
        self._woken.set()

    async def run(self) -> None:
        """Owned by the application's task group; ends by cancellation. Nothing to do without such queues."""
        seq = 0
        while self._queues:
            for name in self._queues:
                await self._one_queue(name)
            await self._house.db.wait_event(seq, timeout_s=WAKE_S)
            seq = self._house.db.event_seq

    async def _one_queue(self, name: str) -> None:
        jobs = await self._house.jobs.search({"queue": name}, states=("pending-held",), limit=BATCH_MAX)
        now = self._house.clock.monotonic_s()
        for job in jobs:
            is_free = job.hold_until_us is None and "job-hold-until-specified" not in job.reasons
            if job.facts is None or not is_free or job.has_password or self._retry_at.get(job.id, 0.0) > now:
                continue
            await self._let_go(job)

    async def _let_go(self, job: Job) -> None:
        """A refusal is written on the job, so that its owner sees why it waits; it is tried again later."""
        if job.person_id is None:
            return
        try:
            printer = await self._printers.named(self._queues[job.queue].auto_release)
            request = ReleaseRequest(
                person_id=job.person_id,
                job_ids=(job.public_id,),
                printer_id=printer.id,
                key=f"auto:{job.public_id}:{job.version}",
                actor=QUEUE_ACTOR,
                waits_for_media=True,
            )
            await self._release.release(request)
        except (Refusal, Unavailable) as problem:
            self._retry_at[job.id] = self._house.clock.monotonic_s() + RETRY_S
            await self._note(job, problem.message)
            log.info("auto-release.waits", job_id=job.public_id, code=problem.code)
        else:
            self._retry_at.pop(job.id, None)

    async def _note(self, job: Job, message: str) -> None:
        fresh = await self._house.jobs.by_id(job.id)
        if fresh is None or not fresh.is_held or fresh.message == message:
            return
        unit = Unit()
        step = advance(fresh.state, Happening.ARRIVED, *fresh.reasons)
        self._house.jobs.move(unit, fresh, step, message=message)
        try:
            await self._house.db.commit(unit)
        except Refusal as refusal:
            log.info("auto-release.overtaken", job_id=job.public_id, code=refusal.code)
