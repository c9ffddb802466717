"""What the IPP front asks of the house: the workflows behind it, as one protocol.

The composition root hands over the real thing; tests of the front use a small house in memory. Refusals and
Unavailable pass through and become IPP status codes in `refusals.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from daemon.jobs.job import Job
    from daemon.jobs.ticket import Ticket
    from daemon.web.ipp.queues import Loaded
    from daemon.workflows.submit import NewJob, Submitter


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody proven: `name` is the network name, `epoch` changes when their credentials do."""

    person_id: int
    name: str
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class PersonalAddress:
    """What a secret queue address stands for."""

    identity: Identity
    queue: str


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """The live part of a queue: RFC 8011 sections 5.4.11, 5.4.12 and 5.4.24; times in microseconds UTC.

    `loaded` is the paper in the printer behind it; None where it goes to no one printer, or that one does not say.
    """

    state: int = 3
    reasons: tuple[str, ...] = ("none",)
    message: str = ""
    changed_at_us: int = 0
    queued_jobs: int = 0
    is_accepting: bool = True
    loaded: tuple[Loaded, ...] | None = None


@dataclass(frozen=True, slots=True)
class JobChange:
    """Set-Job-Attributes: None leaves a value as it is."""

    ticket: Ticket | None = None
    name: str | None = None
    priority: int | None = None
    hold_until: str | None = None


class Backend(Protocol):
    """The house behind the queue."""

    async def validate(self, new: NewJob) -> None:
        """Refuse what Print-Job would refuse before its document."""
        ...

    async def create(self, new: NewJob) -> Job:
        """A job without document yet (`pending-held`, `job-incoming`)."""
        ...

    async def print(self, new: NewJob, chunks: AsyncIterator[bytes], *, declared_format: str) -> Job:
        """A job with its document, durable when this returns."""
        ...

    async def send(
        self, job_id: int, submitter: Submitter, chunks: AsyncIterator[bytes], *, declared_format: str
    ) -> Job:
        """The document of a created job, durable when this returns."""
        ...

    async def close(self, job_id: int, submitter: Submitter) -> Job:
        """No document will follow."""
        ...

    async def get(self, job_id: int) -> Job | None:
        """The job with that job-id, of any queue."""
        ...

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
        """Jobs of one owner (person, else claimed name and host) in a queue; `which`: not-completed, completed, all."""
        ...

    async def cancel(self, job: Job, *, actor: str) -> Job:
        """Cancel; a Conflict when the job has ended."""
        ...

    async def hold(self, job: Job, *, hold_until: str, actor: str) -> Job:
        """Set an own hold time."""
        ...

    async def unhold(self, job: Job, *, actor: str) -> Job:
        """Take the own hold time away; the job goes on waiting for its owner at the kiosk."""
        ...

    async def change(self, job: Job, change: JobChange, *, actor: str) -> Job:
        """Change what may be changed while held."""
        ...

    async def identify(self, queue: str) -> None:
        """Somebody wants to find the device: show it wherever the queue has a screen."""
        ...

    async def status(self, queue: str) -> QueueStatus:
        """The queue now."""
        ...

    async def authenticate(self, name: str, password: str, *, peer: str) -> Identity | None:
        """Who that is, or None in the same time for unknown, wrong, disabled and locked."""
        ...

    async def is_current(self, identity: Identity) -> bool:
        """True while an identity proven before still stands (not disabled, credentials unchanged)."""
        ...

    async def personal(self, secret: str) -> PersonalAddress | None:
        """Whose address that is, or None."""
        ...
