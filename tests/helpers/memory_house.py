"""A small house behind the IPP front, in memory: jobs, people, and a sink that takes a moment per job.

It follows the same transition table as the real one, so that the front meets real states and reasons.
"""

from __future__ import annotations

import dataclasses
import hashlib

from daemon.jobs.job import Job
from daemon.jobs.lifecycle import ACTIVE, FINAL, Happening, advance, held_reasons
from daemon.kernel.errors import Conflict, Refusal, StorageFull
from daemon.kernel.ids import encode_id
from daemon.web.ipp.backend import Identity, PersonalAddress, QueueStatus

FORMATS = {
    b"%PDF": "application/pdf",
    b"RaS2": "image/pwg-raster",
    b"UNIR": "image/urf",
    b"\xff\xd8\xff\xe0": "image/jpeg",
    b"\xff\xd8\xff\xe1": "image/jpeg",
}


class MemoryHouse:
    """`auto` queues pass jobs on by themselves: `start_s` until processing, `print_s` until completed."""

    def __init__(
        self,
        clock,
        *,
        auto=(),
        start_s=0.0,
        print_s=1.0,
        media_wait_s=15.0,
        ready_media=("iso_a4_210x297mm", "na_letter_8.5x11in"),
    ):
        self.clock = clock
        self.auto = set(auto)
        self.start_s, self.print_s, self.media_wait_s = start_s, print_s, media_wait_s
        self.ready_media = set(ready_media)
        self.jobs = {}
        self.documents = {}
        self.people = {"alice": (1, "wonderland"), "bob": (2, "builder")}
        self.secrets = {"s3cr3t": PersonalAddress(Identity(1, "alice"), "personal")}
        self.disabled = set()
        self.identified = 0
        self.password_checks = 0
        self.is_full = False
        self.chunk_sizes = []

    # ----- submission -----
    async def validate(self, new):
        self._room()

    async def create(self, new):
        return self._add(new, Happening.CREATED)

    async def print(self, new, chunks, *, declared_format):
        self._room()
        data, kind = await self._spool(chunks)
        job = self._add(new, Happening.ARRIVED)
        return self._arrive(job, data, kind)

    async def send(self, job_id, submitter, chunks, *, declared_format):
        self._room()
        job = self.jobs[job_id]
        if job.state != "pending-held":
            raise Conflict("ended", code="job-not-held")
        data, kind = await self._spool(chunks)
        return self._arrive(job, data, kind)

    async def close(self, job_id, submitter):
        job = self.jobs[job_id]
        if job.format:
            return job
        step = advance(job.state, Happening.INCOMPLETE)
        return self._put(job, state=step.state, reasons=step.reasons, completed_at_us=self.clock.now_us())

    # ----- jobs -----
    async def get(self, job_id):
        self._tick()
        return self.jobs.get(job_id)

    async def list(self, *, queue, which, person_id, claimed_name, host, limit, first_id):
        self._tick()
        found = [j for j in self.jobs.values() if j.queue == queue and j.id >= first_id]
        found = [
            j
            for j in found
            if (j.person_id == person_id if person_id else (j.claimed_name, j.host) == (claimed_name, host))
        ]
        if which != "all":
            found = [j for j in found if (j.state in FINAL) == (which == "completed")]
        if which == "completed":
            found.reverse()
        return found[:limit]

    async def cancel(self, job, *, actor):
        if job.state in ACTIVE or job.state == "pending-held":
            return self._put(
                job, state="canceled", reasons=("job-canceled-by-user",), completed_at_us=self.clock.now_us()
            )
        raise Conflict("ended", code="job-not-held")

    async def hold(self, job, *, hold_until, actor):
        step = advance(job.state, Happening.HELD_BY_OWNER)
        return self._put(job, state=step.state, reasons=step.reasons, hold_until=hold_until)

    async def unhold(self, job, *, actor):
        step = advance(job.state, Happening.FREED_BY_OWNER)
        return self._put(job, state=step.state, reasons=step.reasons, hold_until="no-hold")

    async def change(self, job, change, *, actor):
        fields = {
            "ticket": change.ticket,
            "title": change.name,
            "priority": change.priority,
            "hold_until": change.hold_until,
        }
        return self._put(job, **{k: v for k, v in fields.items() if v is not None})

    # ----- queue -----
    async def identify(self, queue):
        self.identified += 1

    async def status(self, queue):
        self._tick()
        mine = [j for j in self.jobs.values() if j.queue == queue]
        active = [j for j in mine if j.state in ACTIVE]
        waiting = any(not self._is_ready(j) for j in active)
        return QueueStatus(
            state=4 if active else 3,
            reasons=("media-needed",) if waiting else ("none",),
            queued_jobs=sum(j.state not in FINAL for j in mine),
        )

    # ----- people -----
    async def authenticate(self, name, password, *, peer):
        self.password_checks += 1
        found = self.people.get(name)
        if found is None or found[1] != password or name in self.disabled:
            return None
        return Identity(found[0], name)

    async def is_current(self, identity):
        return identity.name not in self.disabled

    async def personal(self, secret):
        return self.secrets.get(secret)

    # ----- inside -----
    def _room(self):
        if self.is_full:
            raise StorageFull("the disk is full")

    async def _spool(self, chunks):
        digest, size, head = hashlib.sha256(), 0, b""
        async for chunk in chunks:
            self.chunk_sizes.append(len(chunk))
            digest.update(chunk)
            size += len(chunk)
            head = (head + chunk)[:8] if len(head) < 8 else head
        kind = next((v for k, v in FORMATS.items() if head.startswith(k)), None)
        if kind is None:
            raise Refusal("not one of ours", code="document-format-not-supported")
        return (size, digest.hexdigest()), kind

    def _add(self, new, happening):
        number = len(self.jobs) + 1
        now = self.clock.now_us()
        is_time_held = new.hold_until not in ("no-hold", "indefinite") or (
            new.submitter.queue in self.auto and new.hold_until == "indefinite"
        )
        extra = held_reasons(has_password=bool(new.password), is_time_held=is_time_held)
        step = advance("", happening, *extra)
        job = Job(
            id=number,
            public_id=encode_id(number.to_bytes(16, "big")),
            queue=new.submitter.queue,
            person_id=new.submitter.person_id,
            claimed_name=new.submitter.claimed_name,
            owner_name=new.submitter.claimed_name,
            title=new.name,
            host=new.submitter.host,
            state=step.state,
            reasons=step.reasons,
            version=1,
            ticket=new.ticket,
            facts=None,
            counts=None,
            price=None,
            account_ref=new.account_ref,
            password_hash=new.password.hex(),
            claim_code=None,
            priority=new.priority,
            hold_until=new.hold_until,
            hold_until_us=None,
            created_at_us=now,
            held_until_us=now + 86_400_000_000,
            processing_at_us=None,
            completed_at_us=None,
            printed_impressions=None,
            printed_sheets=None,
            is_uncertain=False,
            is_estimated=False,
            printer_id=None,
            message="",
            undo_until_us=None,
            octets=0,
            format="",
        )
        self.jobs[number] = job
        return job

    def _arrive(self, job, data, kind):
        self.documents[job.id] = data
        reasons = tuple(r for r in job.reasons if r not in ("job-incoming", "job-data-insufficient"))
        reasons += tuple(r for r in ("job-held-for-release", "job-release-wait") if r not in reasons)
        job = self._put(job, octets=data[0], format=kind, reasons=reasons)
        if job.queue in self.auto and "job-hold-until-specified" not in reasons:
            job = self._put(job, state="processing", reasons=("job-printing",), processing_at_us=self.clock.now_us())
        return job

    def _put(self, job, **changes):
        job = dataclasses.replace(job, version=job.version + 1, **changes)
        self.jobs[job.id] = job
        return job

    def _is_ready(self, job):
        return not job.ticket.media or job.ticket.media in self.ready_media

    def _tick(self):
        now = self.clock.now_us()
        for job in list(self.jobs.values()):
            least_s = self.print_s if self._is_ready(job) else self.media_wait_s
            if job.state == "processing" and now - job.processing_at_us > least_s * 1_000_000:
                self._put(
                    job,
                    state="completed",
                    reasons=("job-completed-successfully",),
                    completed_at_us=now,
                    printed_impressions=1,
                    printed_sheets=1,
                )
