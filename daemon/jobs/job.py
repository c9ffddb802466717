"""A job as every other part sees it: one frozen value per row, named after RFC 8011's attributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.jobs.facts import DocumentFacts
    from daemon.jobs.ticket import Ticket
    from daemon.kernel.counts import Counts
    from daemon.kernel.money import Amount


@dataclass(frozen=True, slots=True)
class Job:
    """One print job.

    `id` is IPP's job-id; `public_id` is what scripts and screens use. `claimed_name` is requesting-user-name, a claim;
    `owner_name` is the person's network name once known. Times are microseconds UTC.
    `facts` is None until the document has been read; `price` is the last quote in the owner's first unit.
    """

    id: int
    public_id: str
    queue: str
    person_id: int | None
    claimed_name: str
    owner_name: str
    title: str
    host: str
    state: str
    reasons: tuple[str, ...]
    version: int
    ticket: Ticket
    facts: DocumentFacts | None
    counts: Counts | None
    price: Amount | None
    account_ref: str
    password_hash: str
    claim_code: str | None
    priority: int
    hold_until: str
    hold_until_us: int | None
    created_at_us: int
    held_until_us: int
    processing_at_us: int | None
    completed_at_us: int | None
    printed_impressions: int | None
    printed_sheets: int | None
    is_uncertain: bool
    is_estimated: bool
    printer_id: int | None
    message: str
    undo_until_us: int | None
    octets: int
    format: str

    @property
    def has_password(self) -> bool:
        """True when a job code is asked for before it prints (job-password)."""
        return bool(self.password_hash)

    @property
    def has_document(self) -> bool:
        """True from the moment the document is durable in the spool until it is destroyed."""
        return bool(self.format)

    @property
    def is_held(self) -> bool:
        """True while it waits for its owner."""
        return self.state == "pending-held"
