"""Hold-Job, Release-Job and Set-Job-Attributes on a waiting job: its owner decides when it may go, and how."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from daemon.db.unit import Unit
from daemon.jobs.counting import count
from daemon.jobs.lifecycle import CannotHappen, Happening, advance, held_reasons
from daemon.jobs.queues import HOLD_KEYWORDS, hold_until_us
from daemon.jobs.store import counts_to_json
from daemon.kernel.errors import NotFound
from daemon.kernel.events import Event
from daemon.workflows.submit import ValuesNotSupported

if TYPE_CHECKING:
    from daemon.jobs.job import Job
    from daemon.jobs.ticket import Ticket
    from daemon.workflows.house import House


class Hold:
    """Changes of a held job that neither print nor end it."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def hold(self, job: Job, *, until: str = "indefinite") -> Job:
        """Keeps a held job until its owner frees it (`indefinite`) or a named time (RFC 8011 section 4.3.5).

        Raises:
            CannotHappen: it is not held any more.
            ValuesNotSupported: no such job-hold-until keyword.
        """
        if until not in HOLD_KEYWORDS:
            raise ValuesNotSupported(f"job-hold-until {until!r} is not known here.")
        if until == "no-hold":
            return await self.free(job)
        now = self._house.clock.now_us()
        let_go = hold_until_us(until, now, ZoneInfo(self._house.timezone))
        happening = Happening.HELD_BY_OWNER
        return await self._write(job, happening, hold_until=until, hold_until_us=let_go)

    async def free(self, job: Job) -> Job:
        """Ends an owner's own hold; the job then waits for its release like any other (RFC 8011 section 4.3.6)."""
        return await self._write(job, Happening.FREED_BY_OWNER, hold_until="no-hold", hold_until_us=None)

    async def change(
        self, job: Job, *, ticket: Ticket | None = None, title: str | None = None, priority: int | None = None
    ) -> Job:
        """Set-Job-Attributes by the owner: a new ticket is counted afresh; nothing is promised about its price."""
        columns: dict[str, object] = {}
        if ticket is not None:
            columns["ticket"] = json.dumps(ticket.to_json())
            if job.facts is not None:
                columns["counts"] = counts_to_json(count(job.facts, ticket))
            columns["price"] = None
        if title is not None:
            columns["name"] = self._house.jobs.seal_title(title)
        if priority is not None:
            columns["priority"] = priority
        happening = (
            Happening.HELD_BY_OWNER if job.hold_until == "indefinite" and _own_hold(job) else Happening.FREED_BY_OWNER
        )
        return await self._write(job, happening, **columns)

    async def _write(self, job: Job, happening: Happening, **columns: object) -> Job:
        if not job.has_document:
            raise CannotHappen("This job has no document yet.", code="not-possible")
        now = self._house.clock.now_us()
        until = columns.get("hold_until_us", job.hold_until_us)
        extra = held_reasons(has_password=job.has_password, is_time_held=until is not None)
        step = advance(job.state, happening, *extra)
        unit = Unit()
        self._house.jobs.move(unit, job, step, **columns)
        unit.event(Event(f"job.{happening.value}", job.public_id, job.person_id), now)
        await self._house.db.commit(unit)
        fresh = await self._house.jobs.by_public(job.public_id)
        if fresh is None:
            raise NotFound
        return fresh


def _own_hold(job: Job) -> bool:
    return "job-hold-until-specified" in job.reasons
