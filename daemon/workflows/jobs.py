"""Looking at jobs: one, a person's, a queue's. A job one may not see looks like one that does not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from daemon.jobs.lifecycle import FINAL
from daemon.kernel.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.jobs.job import Job
    from daemon.workflows.cancel import Cancel
    from daemon.workflows.house import House

Which = Literal["not-completed", "completed", "all"]

OPEN_STATES = ("pending", "pending-held", "processing", "processing-stopped")


class Jobs:
    """Reads, with the rule of who may see what."""

    def __init__(self, house: House, cancel: Cancel) -> None:
        self._house = house
        self._cancel = cancel

    async def get(self, job_id: int) -> Job | None:
        """By IPP job-id."""
        return await self._house.jobs.by_id(job_id)

    async def by_public(self, public_id: str) -> Job:
        """By public id.

        Raises:
            NotFound: there is none.
        """
        job = await self._house.jobs.by_public(public_id)
        if job is None:
            raise NotFound("There is no such job.")
        return job

    async def of_person(self, person_id: int, public_ids: Sequence[str]) -> list[Job]:
        """The named jobs, all of them this person's, in the order they were asked for.

        Raises:
            NotFound: one is unknown or another person's; the two look alike.
        """
        found = {job.public_id: job for job in await self._house.jobs.many(list(dict.fromkeys(public_ids)))}
        jobs = [found.get(public_id) for public_id in dict.fromkeys(public_ids)]
        if any(job is None or job.person_id != person_id for job in jobs):
            raise NotFound("There is no such job among yours.")
        return [job for job in jobs if job is not None]

    async def waiting(self, person_id: int) -> list[Job]:
        """A person's held jobs, oldest first, with those that arrived under their name before they were known."""
        person = await self._house.people.by_id(person_id)
        if person is not None:
            early = await self._house.jobs.waiting_under(person.name)
            early = [job for job in early if job.has_document and job.claim_code is None]
            if early:
                await self._cancel.adopt(early, person_id)
        return [job for job in await self._house.jobs.held_of(person_id) if job.has_document]

    async def list(
        self,
        *,
        queue: str | None = None,
        which: Which = "not-completed",
        person_id: int | None = None,
        claimed_name: str | None = None,
        host: str | None = None,
        states: Sequence[str] = (),
        limit: int = 100,
        after_id: int = 0,
        newest_first: bool = False,
    ) -> list[Job]:
        """Jobs by queue, owner or claim; finished ones newest first (RFC 8011 section 4.2.6)."""
        where: dict[str, object] = {}
        if queue is not None:
            where["queue"] = queue
        if person_id is not None:
            where["person_id"] = person_id
        if claimed_name is not None:
            where["claimed_name"] = claimed_name
        if host is not None:
            where["host"] = host
        wanted = states or {"not-completed": OPEN_STATES, "completed": tuple(sorted(FINAL)), "all": ()}[which]
        return await self._house.jobs.search(
            where, states=wanted, after_id=after_id, limit=limit, newest_first=newest_first or which == "completed"
        )
