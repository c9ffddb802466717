"""The shapes the terminal API lists jobs and pots in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.jobs.lifecycle import FINAL
from daemon.kernel.clock import rfc3339
from daemon.kernel.money import Amount

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.accounting.account_store import AccountView
    from daemon.auth.identity import Rights
    from daemon.jobs.job import Job
    from daemon.kernel.counts import Counts
    from daemon.kernel.money import AmountJson, Unit
    from daemon.wire.messages import JobJson, ProblemJson
    from daemon.workflows.selection import Planned, Station

MASKED_TITLE = "\u2022\u2022\u2022\u2022"


@dataclass(frozen=True, slots=True)
class Listed:
    """A job for the list: as sent, and as this printer would print it."""

    job: Job
    planned: Planned | None
    problem: ProblemJson | None

    @property
    def price(self) -> Amount | None:
        """Here, or by the house tariff where this printer cannot."""
        return self.planned.priced.price if self.planned else self.job.price

    @property
    def counts(self) -> Counts | None:
        """What it puts on paper here, or as sent."""
        return self.planned.counts if self.planned else self.job.counts

    @property
    def is_ready(self) -> bool:
        """Whether *Print all* means it."""
        return self.planned is not None and self.problem is None and self.job.is_held


def job_item(one: Listed, *, rights: Rights, station: Station, has_previews: bool) -> JobJson:
    """One job as the screen lists it; `rights` are the session's."""
    job, counts = one.job, one.counts
    ticket = one.planned.plan.ticket if one.planned else job.ticket
    may_change = rights.change and job.is_held and one.planned is not None
    sides_ok = not station.capabilities.sides or "two-sided-long-edge" in station.capabilities.sides
    impressions = counts.impressions if counts else 0
    has_backs = impressions > ticket.copies
    item: JobJson = {
        "job_id": job.public_id,
        "title": job.title if rights.titles else MASKED_TITLE,
        "pages": job.facts.page_count if job.facts else 0,
        "impressions": impressions,
        "color_impressions": counts.color_impressions if counts else 0,
        "sheets": counts.sheets if counts else 0,
        "copies": ticket.copies,
        "sides": ticket.sides,
        "print_color_mode": "monochrome" if ticket.is_monochrome else ticket.print_color_mode,
        "media": counts.by_media[0].media if counts and counts.by_media else ticket.media,
        "price": one.price.to_json() if one.price else None,
        "state": job.state,
        "reasons": list(job.reasons),
        "created_at": rfc3339(job.created_at_us) or "",
        "held_until": rfc3339(job.held_until_us) if job.is_held else None,
        "preparing": job.is_held and job.facts is None,
        "problem": one.problem,
        "needs_code": job.has_password,
        "may": {
            "monochrome": may_change and bool(counts and counts.color_impressions),
            "two_sided": may_change and sides_ok and has_backs and not ticket.is_two_sided,
            "fewer_copies": may_change and ticket.copies > 1,
        },
        "uncertain": job.is_uncertain,
        "preview": has_previews and rights.titles and job.is_held and job.facts is not None,
    }
    return item


def balance_of(accounts: Sequence[AccountView], unit: Unit) -> Amount:
    """What a person's pots of one unit hold and have not promised."""
    return Amount(unit, sum(a.available for a in accounts if a.kind == "user" and a.unit == unit))


def pot_item(account: AccountView) -> dict[str, Any]:
    """One pot."""
    return {
        "pot": account.pot,
        "balance": Amount(account.unit, account.balance).to_json(),
        "available": Amount(account.unit, account.available).to_json(),
    }


def charged(job: Job) -> AmountJson | None:
    """What a finished job really cost: nothing when nothing came out. None while it is not finished."""
    if job.state not in FINAL or job.processing_at_us is None or job.price is None:
        return None
    return (job.price if job.printed_impressions else Amount(job.price.unit, 0)).to_json()
