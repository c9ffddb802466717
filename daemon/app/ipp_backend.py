"""The house behind the IPP front (`daemon.web.ipp.backend.Backend`): each call is one verb."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from daemon.devices.errors import PrinterRefused, PrinterUnreachable
from daemon.jobs.lifecycle import ACTIVE
from daemon.kernel.errors import NotFound
from daemon.web.ipp.backend import Identity, JobChange, PersonalAddress, QueueStatus
from daemon.workflows.printers import blocking_reasons

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from daemon.app.parts import Parts
    from daemon.app.verbs import Verbs
    from daemon.devices.printer import Printer
    from daemon.jobs.job import Job
    from daemon.workflows.jobs import Which
    from daemon.workflows.submit import NewJob, Submitter

IDLE, PROCESSING, STOPPED = 3, 4, 5
ACTIVE_JOBS_MAX = 50


class IppBackend:
    """What clients of the queues may do."""

    def __init__(self, parts: Parts, verbs: Verbs) -> None:
        self._parts = parts
        self._verbs = verbs

    async def validate(self, new: NewJob) -> None:
        await self._verbs.submit.validate(new)

    async def create(self, new: NewJob) -> Job:
        return await self._verbs.submit.create(new)

    async def print(self, new: NewJob, chunks: AsyncIterator[bytes], *, declared_format: str) -> Job:
        return await self._verbs.submit.print(new, chunks, declared_format=declared_format)

    async def send(
        self, job_id: int, submitter: Submitter, chunks: AsyncIterator[bytes], *, declared_format: str
    ) -> Job:
        return await self._verbs.submit.send(job_id, submitter, chunks, declared_format=declared_format)

    async def close(self, job_id: int, submitter: Submitter) -> Job:
        return await self._verbs.submit.close(job_id, submitter)

    async def get(self, job_id: int) -> Job | None:
        return await self._verbs.jobs.get(job_id)

    async def list(
        self,
        *,
        queue: str,
        which: str,
        person_id: int | None,
        claimed_name: str,
        host: str,
        limit: int,
        first_id: int,
    ) -> list[Job]:
        """One owner's jobs; a claim counts only together with the host it came from."""
        found = await self._verbs.jobs.list(
            queue=queue,
            which=cast("Which", which),
            person_id=person_id,
            claimed_name=claimed_name if person_id is None else None,
            host=host if person_id is None else None,
            limit=limit,
            after_id=max(0, first_id - 1),
        )
        return list(found)

    async def cancel(self, job: Job, *, actor: str) -> Job:
        await self._verbs.cancel.one(job, actor=actor)
        return await self._fresh(job)

    async def hold(self, job: Job, *, hold_until: str, actor: str) -> Job:
        del actor
        return await self._verbs.hold.hold(job, until=hold_until)

    async def unhold(self, job: Job, *, actor: str) -> Job:
        del actor
        freed = await self._verbs.hold.free(job)
        self._verbs.auto.wake()
        return freed

    async def change(self, job: Job, change: JobChange, *, actor: str) -> Job:
        del actor
        if change.hold_until is not None:
            job = await self._verbs.hold.hold(job, until=change.hold_until)
        if (change.ticket, change.name, change.priority) != (None, None, None):
            job = await self._verbs.hold.change(job, ticket=change.ticket, title=change.name, priority=change.priority)
        return job

    async def identify(self, queue: str) -> None:
        """A queue that goes to one printer shows that one; a find-me queue has no device of its own."""
        printer = await self._target(queue)
        if printer is not None and not printer.is_raw:
            try:
                await self._parts.printers.client(printer).identify()
            except (PrinterUnreachable, PrinterRefused):
                return

    async def status(self, queue: str) -> QueueStatus:
        """The queue now: idle while jobs wait for people, processing while one of its jobs prints.

        A queue that goes to one printer shows that printer's troubles too.
        """
        counts = await self._parts.house.jobs.counts_of_queue(queue)
        queued = sum(counts.values())
        is_busy = any(counts.get(state) for state in ACTIVE)
        printer = await self._target(queue)
        reasons: tuple[str, ...] = ("none",)
        if printer is not None:
            reasons = tuple(printer.reasons) or ("none",)
            if blocking_reasons(printer.state, printer.reasons) and printer.state == "stopped":
                return QueueStatus(state=STOPPED, reasons=reasons, queued_jobs=queued)
            if is_busy and await self._needs_media(queue, printer):
                reasons = ("media-needed",)
        if self._parts.db.is_storage_full:
            reasons = ("spool-area-full",)
        return QueueStatus(
            state=PROCESSING if is_busy else IDLE,
            reasons=reasons,
            queued_jobs=queued,
            is_accepting=not self._parts.db.is_storage_full,
        )

    async def authenticate(self, name: str, password: str, *, peer: str) -> Identity | None:
        found = await self._parts.sign_in.basic(name, password, peer=peer)
        return None if found is None else Identity(found.person_id, found.name, found.epoch)

    async def is_current(self, identity: Identity) -> bool:
        return await self._parts.sign_in.is_current(identity.person_id, epoch=identity.epoch)

    async def personal(self, secret: str) -> PersonalAddress | None:
        found = await self._parts.tokens.personal(secret)
        if found is None:
            return None
        return PersonalAddress(Identity(found.person_id, found.name, found.epoch), self._verbs.personal_queue)

    async def _needs_media(self, queue: str, printer: Printer) -> bool:
        """True while a job that is at the printer asks for paper that is not loaded there (PWG 5100.14)."""
        ready = printer.capabilities.media_ready
        if not ready:
            return False
        active = await self._parts.house.jobs.search({"queue": queue}, states=tuple(ACTIVE), limit=ACTIVE_JOBS_MAX)
        return any(job.ticket.media and job.ticket.media not in ready for job in active)

    async def _target(self, queue: str) -> Printer | None:
        rule = self._parts.house.queue(queue)
        if not rule.auto_release:
            return None
        try:
            return await self._parts.printers.named(rule.auto_release)
        except NotFound:
            return None

    async def _fresh(self, job: Job) -> Job:
        fresh = await self._verbs.jobs.get(job.id)
        if fresh is None:
            raise NotFound
        return fresh
