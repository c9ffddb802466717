"""The house behind the IPP front (`daemon.web.ipp.backend.Backend`): each call is one verb."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from daemon.devices.errors import PrinterRefused, PrinterUnreachable
from daemon.jobs.facts import media_size_um
from daemon.jobs.lifecycle import ACTIVE
from daemon.kernel.errors import NotFound
from daemon.web.ipp.backend import Identity, JobChange, PersonalAddress, QueueStatus
from daemon.web.ipp.queues import Loaded, MediaSize
from daemon.workflows.printers import blocking_reasons

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from daemon.app.parts import Parts
    from daemon.app.verbs import Verbs
    from daemon.devices.capabilities import Capabilities
    from daemon.devices.printer import Printer
    from daemon.jobs.job import Job
    from daemon.workflows.jobs import Which
    from daemon.workflows.submit import NewJob, Submitter

IDLE, PROCESSING, STOPPED = 3, 4, 5
ACTIVE_JOBS_MAX = 50
OUT_OF_PAPER = frozenset({"media-empty", "media-needed", "input-tray-missing"})
"""What keeps a printer from printing (without severity) and makes a job that waits for it wait for paper."""
UM_PER_UNIT = 10
"""IPP counts paper in hundredths of a millimetre."""


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

        A queue that goes to one printer shows that printer's troubles and paper too, and has it asked again soon.
        """
        counts = await self._parts.house.jobs.counts_of_queue(queue)
        queued = sum(counts.values())
        is_busy = any(counts.get(state) for state in ACTIVE)
        printer = await self._target(queue)
        reasons: tuple[str, ...] = ("none",)
        state = PROCESSING if is_busy else IDLE
        if printer is not None:
            self._verbs.looks.soon(printer)
            reasons = tuple(printer.reasons) or ("none",)
            if blocking_reasons(printer.state, printer.reasons) and printer.state == "stopped":
                state = STOPPED
            if await self._needs_media(queue, printer, has_jobs=queued > 0, is_busy=is_busy):
                reasons = tuple(dict.fromkeys(("media-needed", *(r for r in reasons if r != "none"))))
        if self._parts.db.is_storage_full:
            reasons = ("spool-area-full",)
        return QueueStatus(
            state=state,
            reasons=reasons,
            queued_jobs=queued,
            is_accepting=not self._parts.db.is_storage_full,
            loaded=None if printer is None else loaded_media(printer.capabilities),
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

    async def _needs_media(self, queue: str, printer: Printer, *, has_jobs: bool, is_busy: bool) -> bool:
        """True while a job of the queue waits for paper (PWG 5100.14 asks for `media-needed` then, and only then).

        Either the printer has run out, and jobs wait before it or in it, or a job in it asks for what is not loaded.
        """
        if has_jobs and OUT_OF_PAPER.intersection(blocking_reasons(printer.state, printer.reasons)):
            return True
        ready = printer.capabilities.media_ready
        if not ready or not is_busy:
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


def loaded_media(capabilities: Capabilities) -> tuple[Loaded, ...] | None:
    """The paper a printer says is loaded, tray by tray; None where it names none (it may not know)."""
    trays = {(ready.width, ready.height): ready.source for ready in capabilities.media_col_ready}
    found = []
    for name in capabilities.media_ready:
        size_um = media_size_um(name)
        if size_um is not None:
            width, height = (round(um / UM_PER_UNIT) for um in size_um)
            found.append(Loaded(MediaSize(name, width, height), trays.get((width, height), "")))
    return tuple(found) or None
