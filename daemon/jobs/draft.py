"""A job about to be written for the first time, and the job it then is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.jobs.job import Job

if TYPE_CHECKING:
    from daemon.jobs.lifecycle import Step
    from daemon.jobs.ticket import Ticket


@dataclass(frozen=True, slots=True)
class Draft:
    """A job about to be written for the first time."""

    public_id: str
    queue: str
    person_id: int | None
    claimed_name: str
    title: str
    host: str
    step: Step
    ticket: Ticket
    account_ref: str
    password_hash: str
    claim_code: str | None
    priority: int
    hold_until: str
    hold_until_us: int | None
    created_at_us: int
    held_until_us: int


def as_written(draft: Draft, job_id: int, *, owner_name: str, octets: int = 0, document_format: str = "") -> Job:
    """The job as the store would read it back right after its write: nobody has to ask for what was just said."""
    return Job(
        id=job_id,
        public_id=draft.public_id,
        queue=draft.queue,
        person_id=draft.person_id,
        claimed_name=draft.claimed_name,
        owner_name=owner_name,
        title=draft.title,
        host=draft.host,
        state=draft.step.state,
        reasons=tuple(draft.step.reasons),
        version=1,
        ticket=draft.ticket,
        facts=None,
        counts=None,
        price=None,
        account_ref=draft.account_ref,
        password_hash=draft.password_hash,
        claim_code=draft.claim_code,
        priority=draft.priority,
        hold_until=draft.hold_until,
        hold_until_us=draft.hold_until_us,
        created_at_us=draft.created_at_us,
        held_until_us=draft.held_until_us,
        processing_at_us=None,
        completed_at_us=None,
        printed_impressions=None,
        printed_sheets=None,
        is_uncertain=False,
        is_estimated=False,
        printer_id=None,
        message="",
        undo_until_us=None,
        octets=octets,
        format=document_format,
    )
