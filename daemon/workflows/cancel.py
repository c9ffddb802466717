"""Cancelling, deleting with undo, and claiming: what an owner (or an admin) does to a job that is not printing.

A deleted job keeps its document for a moment so that *Undo* is possible; then its key is destroyed. A job that is
already on a printer is asked to stop there, and is charged for what came out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

import structlog

from daemon.db.unit import Unit
from daemon.jobs.lifecycle import FINAL, CannotHappen, Happening, advance, held_reasons
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import NotFound, Refusal
from daemon.kernel.events import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.jobs.job import Job
    from daemon.workflows.house import House

CLAIM_TRIES_MAX = 10
"""Wrong claim codes one person may try within `CLAIM_WINDOW_S`: a code is short and not to be found by trying."""
CLAIM_WINDOW_S = 600


log = structlog.get_logger(__name__)


class Stopper(Protocol):
    """Asks the printer that has a job to stop it (`workflows.deliver`)."""

    async def stop(self, job: Job) -> None: ...


class Cancel:
    """Delete, undo, cancel, claim."""

    def __init__(self, house: House, *, stopper: Stopper) -> None:
        self._house = house
        self._stopper = stopper
        self._wrong: dict[int, deque[int]] = {}

    async def delete(self, jobs: Sequence[Job], *, undo: bool, message: str = "", actor: str = "") -> int:
        """Cancels held jobs together, all or none; returns until when (microseconds UTC) they can come back.

        Raises:
            CannotHappen: one of them is no longer held.
        """
        now = self._house.clock.now_us()
        until = now + self._house.policy.undo_s * US_PER_S if undo else now
        unit = Unit()
        for job in jobs:
            step = advance(job.state, Happening.DELETED)
            self._house.jobs.move(unit, job, step, completed_at_us=now, undo_until_us=until, message=message)
            unit.event(Event("job.deleted", job.public_id, job.person_id), now)
            _note(unit, job, actor=actor, at_us=now)
        await self._house.db.commit(unit)
        if not undo:
            await self.forget(jobs)
        return until

    async def undo(self, jobs: Sequence[Job]) -> None:
        """Brings deleted jobs back, while their time for it runs; nothing else about them has changed."""
        now = self._house.clock.now_us()
        unit = Unit()
        for job in jobs:
            if job.undo_until_us is None or job.undo_until_us <= now or not job.has_document:
                raise CannotHappen("It is too late to bring this job back.", code="undo-too-late")
            extra = held_reasons(has_password=job.has_password, is_time_held=job.hold_until_us is not None)
            step = advance(job.state, Happening.UNDELETED, *extra)
            self._house.jobs.move(unit, job, step, completed_at_us=None, undo_until_us=None, message="")
            unit.event(Event("job.undeleted", job.public_id, job.person_id), now)
        await self._house.db.commit(unit)

    async def one(self, job: Job, *, message: str = "", actor: str = "") -> None:
        """Cancel-Job: a held job ends now; a job on a printer is stopped there and settled for what came out.

        Raises:
            CannotHappen: the job is final already (`client-error-not-possible`).
        """
        if job.state in FINAL:
            raise CannotHappen(f"This job is {job.state} already.", code="not-possible", state=job.state)
        if actor:
            log.info("job.cancel-asked", job_id=job.public_id, actor=actor)
        if job.is_held:
            await self.delete([job], undo=False, message=message, actor=actor)
        else:
            await self._stopper.stop(job)
            unit = Unit()
            _note(unit, job, actor=actor, at_us=self._house.clock.now_us())
            if unit.audits:
                await self._house.db.commit(unit)

    async def claim(self, code: str, person_id: int) -> Job:
        """Gives the unclaimed job with this code to a person; the code is spent.

        Raises:
            NotFound: no held job has it (wrong, spent, expired: all look alike).
            Refusal: `too-many-tries`, with `retry_after_s`.
        """
        self._check_tries(person_id)
        digits = "".join(c for c in code if c.isdigit())
        job = await self._house.jobs.by_claim_code(digits) if digits else None
        person = await self._house.people.by_id(person_id)
        if job is None or person is None:
            self._wrong.setdefault(person_id, deque()).append(self._house.clock.now_us())
            raise NotFound("No waiting job has this code.")
        await self.adopt([job], person_id)
        fresh = await self._house.jobs.by_public(job.public_id)
        if fresh is None:
            raise NotFound
        return fresh

    def _check_tries(self, person_id: int) -> None:
        """Counted here, in memory: who restarts the daemon does not guess codes."""
        now, window_us = self._house.clock.now_us(), CLAIM_WINDOW_S * US_PER_S
        for known in [one for one, tries in self._wrong.items() if tries[-1] <= now - window_us]:
            del self._wrong[known]
        tries = self._wrong.get(person_id, deque())
        while tries and tries[0] <= now - window_us:
            tries.popleft()
        if len(tries) >= CLAIM_TRIES_MAX:
            wait_s = -(-(tries[0] + window_us - now) // US_PER_S)
            raise Refusal("Too many wrong codes. Please wait a while.", code="too-many-tries", retry_after_s=wait_s)

    async def adopt(self, jobs: Sequence[Job], person_id: int) -> None:
        """Makes a person the owner of unowned held jobs."""
        now = self._house.clock.now_us()
        unit = Unit()
        for job in jobs:
            extra = held_reasons(has_password=job.has_password, is_time_held=job.hold_until_us is not None)
            step = advance(job.state, Happening.CLAIMED, *extra)
            self._house.jobs.move(unit, job, step, person_id=person_id, claim_code=None)
            unit.event(Event("job.claimed", job.public_id, person_id), now)
        await self._house.db.commit(unit)

    async def forget(self, jobs: Sequence[Job]) -> None:
        """Destroys the documents of ended jobs: first the rows with their keys, then the files."""
        entries = await asyncio.gather(*(self._house.jobs.entry_of(job.id) for job in jobs))
        unit = Unit()
        for job in jobs:
            self._house.jobs.forget_document(unit, job.id)
        await self._house.db.commit(unit)
        for job, entry in zip(jobs, entries, strict=True):
            if entry is not None and await self._house.jobs.entry_of(job.id) is None:
                await self._house.spool.delete(entry)


def _note(unit: Unit, job: Job, *, actor: str, at_us: int) -> None:
    """Appends who cancelled a job that is somebody else's."""
    if actor:
        unit.audit(actor=actor, action="job.canceled", subject=job.public_id, detail={"state": job.state}, at_us=at_us)
