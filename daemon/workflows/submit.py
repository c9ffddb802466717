"""Submission: a document becomes durable, then a held job, then the client is answered. In that order.

The answer to a client is sent only after the spool file and its directory are fsynced and the row is committed.
Reading the document comes later (`workflows.read`), so an acknowledgement never waits for a parser.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from daemon.db.unit import Unit
from daemon.jobs import job_code
from daemon.jobs.draft import Draft, as_written
from daemon.jobs.lifecycle import CannotHappen, Happening, advance, held_reasons
from daemon.jobs.queues import HOLD_KEYWORDS, hold_until_us
from daemon.jobs.store import id_of
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import Busy, Forbidden, NotFound, Refusal
from daemon.kernel.events import Event
from daemon.kernel.ids import new_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from daemon.jobs.job import Job
    from daemon.jobs.spool import SpoolEntry
    from daemon.jobs.ticket import Ticket
    from daemon.people.person import Person
    from daemon.workflows.house import House

FORMATS = {
    "application/pdf": (b"%PDF-",),
    "image/pwg-raster": (b"RaS2",),
    "image/urf": (b"UNIRAST\0",),
    "image/jpeg": (b"\xff\xd8\xff",),
}
"""Document formats taken, with the bytes they begin with."""

NOBODY = "anonymous"
"""What a request without a name is from (RFC 8011 section 4.2.1): nobody whose account could be opened."""
PDF_HEAD_BYTES = 1024
CLAIM_CODE_DIGITS = 8
TITLE_CHARS_MAX = 255
INCOMING_S = 600
"""A Create-Job whose document never comes is dropped after this many seconds."""


class FormatNotSupported(Refusal):
    """The document is none of the formats the queue takes."""

    code = "document-format-not-supported"


class NotAuthenticated(Refusal):
    """The queue wants an identity, and the client has not proven one."""

    code = "not-authenticated"


class NotPossible(Refusal):
    """The job is not in a state for this (IPP client-error-not-possible)."""

    code = "not-possible"


class ValuesNotSupported(Refusal):
    """A value that no printer of this queue knows."""

    code = "attributes-or-values-not-supported"


class TooManyJobs(Busy):
    """This person has as many held jobs as one may have; older ones must go first."""

    code = "too-many-jobs"


@dataclass(frozen=True, slots=True)
class Submitter:
    """Who sent it: the claim, and the person behind it where the way in proves one."""

    queue: str
    claimed_name: str
    person_id: int | None
    host: str
    is_authenticated: bool = False


@dataclass(frozen=True, slots=True)
class NewJob:
    """What a client asks for, already typed and checked by the front door."""

    submitter: Submitter
    name: str
    ticket: Ticket
    account_ref: str = ""
    password: bytes = field(default=b"", repr=False)
    password_encryption: str = "none"  # noqa: S105  -- the registry's keyword for "as typed"
    hold_until: str = "indefinite"
    priority: int = 50


def sniff(head: bytes, declared: str) -> str:
    """The document's format by its own bytes.

    Raises:
        FormatNotSupported: none that we take, whatever was declared.
    """
    for name, marks in FORMATS.items():
        if any(head.startswith(mark) for mark in marks):
            return name
    if b"%PDF-" in head[:PDF_HEAD_BYTES]:
        return "application/pdf"
    raise FormatNotSupported(
        "This is not a PDF, PWG raster, Apple raster or JPEG document.", declared=declared, supported=list(FORMATS)
    )


class Submit:
    """The verbs of a client: validate, print, create + send, close."""

    def __init__(self, house: House, *, arrived: Callable[[], None]) -> None:
        self._house = house
        self._arrived = arrived

    async def validate(self, new: NewJob) -> None:
        """Refuses exactly what `print` would refuse before the document is read; stores nothing."""
        self._check(new)
        await self._owner(new.submitter, may_create=False)

    async def print(self, new: NewJob, chunks: AsyncIterator[bytes], *, declared_format: str) -> Job:
        """One job with its document, durable when this returns."""
        self._check(new)
        owner = await self._owner(new.submitter, may_create=True)
        entry = await self._house.spool.write(chunks, bytes_max=self._house.document_octets_max)
        try:
            document_format = sniff(entry.head, declared_format)
            draft = self._draft(new, owner, has_document=True)
            unit = Unit()
            self._house.jobs.insert(unit, draft, entry, document_format=document_format)
            unit.event(Event("job.held", draft.public_id, draft.person_id), draft.created_at_us)
            self._house.jobs.answer_id(unit, draft)
            outcome = await self._house.db.commit(unit)
        except Exception:  # not when canceled: the write may go on without us, and its job needs the document
            await self._house.spool.delete(entry)
            raise
        self._arrived()
        owner_name = owner.name if owner else draft.claimed_name
        return as_written(
            draft, id_of(outcome.answer), owner_name=owner_name, octets=entry.octets, document_format=document_format
        )

    async def create(self, new: NewJob) -> Job:
        """A job that waits for its document (Create-Job)."""
        self._check(new)
        owner = await self._owner(new.submitter, may_create=True)
        draft = self._draft(new, owner, has_document=False)
        unit = Unit()
        self._house.jobs.insert(unit, draft, None)
        unit.event(Event("job.created", draft.public_id, draft.person_id), draft.created_at_us)
        await self._house.db.commit(unit)
        return await self._job(draft.public_id)

    async def send(
        self, job_id: int, submitter: Submitter, chunks: AsyncIterator[bytes], *, declared_format: str
    ) -> Job:
        """The document of a created job, durable when this returns (Send-Document with last-document)."""
        job = await self._mine(job_id, submitter)
        if job.has_document or "job-incoming" not in job.reasons:
            raise NotPossible("This job already has its document; jobs here have one document.")
        entry = await self._house.spool.write(chunks, bytes_max=self._house.document_octets_max)
        try:
            await self._attach(job, entry, declared_format)
        except Exception:  # as above; a file that no row names goes with the next start
            await self._house.spool.delete(entry)
            raise
        return await self._done(job.public_id)

    async def close(self, job_id: int, submitter: Submitter) -> Job:
        """Close-Job: no more documents will come. A job without any is aborted, as the RFC asks."""
        job = await self._mine(job_id, submitter)
        if job.has_document:
            return job
        if "job-incoming" not in job.reasons:
            raise NotPossible("This job is closed.")
        now = self._house.clock.now_us()
        unit = Unit()
        step = advance(job.state, Happening.INCOMPLETE)
        self._house.jobs.move(unit, job, step, completed_at_us=now, message="No document was sent.")
        unit.event(Event("job.incomplete", job.public_id, job.person_id), now)
        await self._house.db.commit(unit)
        return await self._job(job.public_id)

    # ----- inside -----
    async def _attach(self, job: Job, entry: SpoolEntry, declared_format: str) -> None:
        document_format = sniff(entry.head, declared_format)
        now = self._house.clock.now_us()
        is_time_held = job.hold_until_us is not None
        extra = held_reasons(has_password=job.has_password, is_time_held=is_time_held)
        step = advance(job.state, Happening.ARRIVED, *extra)
        unit = Unit()
        self._house.jobs.move(unit, job, step)
        self._house.jobs.attach(unit, job.public_id, entry, document_format=document_format)
        unit.event(Event("job.held", job.public_id, job.person_id), now)
        await self._house.db.commit(unit)

    async def _done(self, public_id: str) -> Job:
        self._arrived()
        return await self._job(public_id)

    async def _job(self, public_id: str) -> Job:
        job = await self._house.jobs.by_public(public_id)
        if job is None:
            raise NotFound
        return job

    async def _mine(self, job_id: int, submitter: Submitter) -> Job:
        job = await self._house.jobs.by_id(job_id)
        if job is None or job.queue != submitter.queue:
            raise NotFound("There is no such job.")
        proven = job.person_id is not None and job.person_id == submitter.person_id
        if proven or (not submitter.is_authenticated and job.claimed_name == submitter.claimed_name):
            if job.state != "pending-held":
                raise CannotHappen("This job takes no document any more.", state=job.state)
            return job
        raise NotFound("There is no such job.")

    def _check(self, new: NewJob) -> None:
        if new.password and new.password_encryption not in job_code.ENCRYPTIONS:
            raise ValuesNotSupported("This queue takes job-password as none or sha2-256.")
        if new.hold_until not in HOLD_KEYWORDS:
            raise ValuesNotSupported(f"job-hold-until {new.hold_until!r} is not known here.")

    async def _owner(self, submitter: Submitter, *, may_create: bool) -> Person | None:
        rule = self._house.queue(submitter.queue)
        if submitter.person_id is not None:
            return await self._with_room(_active(await self._house.people.by_id(submitter.person_id)))
        if rule.believes in ("authenticated", "personal"):
            raise NotAuthenticated("This queue wants to know who you are.")
        if rule.believes == "code" or not submitter.claimed_name:
            return None
        person = await self._house.people.by_name(submitter.claimed_name)
        if person is None and rule.may_create_people and may_create and submitter.claimed_name != NOBODY:
            return await self._house.people.create_at_first_print(submitter.claimed_name)
        return None if person is None else await self._with_room(_active(person))

    async def _with_room(self, person: Person) -> Person:
        if await self._house.jobs.held_count(person.id) >= self._house.held_jobs_max:
            raise TooManyJobs("You have too many jobs waiting. Release or delete some.", retry_after_s=60)
        return person

    def _draft(self, new: NewJob, owner: Person | None, *, has_document: bool) -> Draft:
        house, rule = self._house, self._house.queue(new.submitter.queue)
        now = house.clock.now_us()
        until = hold_until_us(new.hold_until, now, ZoneInfo(house.timezone))
        extra = held_reasons(has_password=bool(new.password), is_time_held=until is not None)
        arrival = Happening.ARRIVED if has_document else Happening.CREATED
        return Draft(
            public_id=new_id(house.dice),
            queue=rule.name,
            person_id=owner.id if owner else None,
            claimed_name=new.submitter.claimed_name,
            title=new.name[:TITLE_CHARS_MAX],
            host=new.submitter.host,
            step=advance("", arrival, *extra),
            ticket=new.ticket,
            account_ref=new.account_ref,
            password_hash=job_code.seal(new.password, new.password_encryption, house.code_key) if new.password else "",
            claim_code=self._claim_code() if rule.believes == "code" else None,
            priority=new.priority,
            hold_until=new.hold_until,
            hold_until_us=until,
            created_at_us=now,
            held_until_us=max(now, until or now) + rule.hold_s * US_PER_S,
        )

    def _claim_code(self) -> str:
        number = int.from_bytes(self._house.dice.token(8), "big") % 10**CLAIM_CODE_DIGITS
        return f"{number:0{CLAIM_CODE_DIGITS}d}"


def _active(person: Person | None) -> Person:
    if person is None or not person.is_active:
        raise Forbidden("You may not print here. Ask your administrator.", code="not-authorized")
    return person
