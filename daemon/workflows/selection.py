"""A selection: the jobs somebody wants printed together, each planned for the printer they stand at, priced as one.

Pure decisions on facts that were read before; `workflows.release` writes the result in one unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.jobs import job_code
from daemon.jobs.counting import count
from daemon.jobs.delivery_plan import CannotPrint, plan
from daemon.jobs.lifecycle import CannotHappen
from daemon.jobs.ticket import downgrade
from daemon.kernel.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.jobs.abilities import Capabilities
    from daemon.jobs.delivery_plan import DeliveryPlan
    from daemon.jobs.job import Job
    from daemon.kernel.counts import Counts
    from daemon.people.person import Person
    from daemon.workflows.price import Priced, Prices


class StillReading(CannotHappen):
    """The document has not been read yet, so nobody knows its price; try again in a moment."""

    code = "job-preparing"


class WrongCode(Refusal):
    """The job code typed is not the one the job was sent with; nothing was charged."""

    code = "wrong-job-code"


class HeldUntil(CannotHappen):
    """The owner asked for a later time (job-hold-until), and it has not come."""

    code = "job-hold-until-specified"


@dataclass(frozen=True, slots=True)
class Planned:
    """One job of a selection: how it travels, what it puts on paper, what it costs; `before` is the unchanged price."""

    job: Job
    plan: DeliveryPlan
    counts: Counts
    priced: Priced
    before: Priced


@dataclass(frozen=True, slots=True)
class Station:
    """The printer a person stands at, as far as planning and pricing need it."""

    name: str
    tariff: str
    capabilities: Capabilities


def check_releasable(job: Job) -> None:
    """Refuses a job that cannot be released now, whatever it costs.

    Raises:
        CannotHappen, HeldUntil, StillReading: not held any more, not yet its time, not read yet.
    """
    if not job.is_held:
        raise CannotHappen("This job is not waiting any more.", state=job.state, job_id=job.public_id)
    if job.hold_until_us is not None:
        raise HeldUntil(
            "This job waits for the time it was sent for.", job_id=job.public_id, until_us=job.hold_until_us
        )
    if job.facts is None:
        raise StillReading("This job is still being prepared.", job_id=job.public_id)


def check_code(job: Job, typed: str | None, key: bytes) -> None:
    """Refuses a job with a job code unless the right one was typed."""
    if job.has_password and (typed is None or not job_code.matches(job.password_hash, typed, key)):
        raise WrongCode("This job wants the code it was sent with.", job_id=job.public_id)


def plan_job(
    job: Job,
    person: Person,
    station: Station,
    prices: Prices,
    *,
    changes: Mapping[str, Any] | None,
    impressions_before: int,
) -> Planned:
    """One job planned and priced for a printer.

    Raises:
        NotADowngrade: the changes ask for more than was submitted.
        CannotPrint: the printer cannot do it; data names every unmet wish and the job.
        StillReading: the document has not been read.
    """
    if job.facts is None:
        raise StillReading("This job is still being prepared.", job_id=job.public_id)
    ticket = downgrade(job.ticket, **_typed(changes)) if changes else job.ticket
    try:
        way = plan(ticket, job.facts, station.capabilities)
    except CannotPrint as refusal:
        refusal.data["job_id"] = job.public_id
        raise
    counts = count(job.facts, way.ticket)
    priced = prices.with_volume(
        person, counts, tariff=station.tariff, printer=station.name, impressions_before=impressions_before
    )
    before = priced
    if changes:
        unchanged = count(job.facts, job.ticket)
        before = prices.with_volume(
            person, unchanged, tariff=station.tariff, printer=station.name, impressions_before=impressions_before
        )
    return Planned(job, way, counts, priced, before)


def _typed(changes: Mapping[str, Any]) -> dict[str, Any]:
    known = {key: changes[key] for key in ("print_color_mode", "sides", "copies") if changes.get(key) is not None}
    if "copies" in known and (isinstance(known["copies"], bool) or not isinstance(known["copies"], int)):
        known["copies"] = -1  # refused by the ticket's own rule
    return known


def plan_all(
    jobs: Sequence[Job],
    person: Person,
    station: Station,
    prices: Prices,
    *,
    changes: Mapping[str, Mapping[str, Any]],
    impressions_before: int,
) -> list[Planned]:
    """Every job of a selection, in order; volume steps run on through the selection."""
    planned: list[Planned] = []
    volume = impressions_before
    for job in jobs:
        one = plan_job(job, person, station, prices, changes=changes.get(job.public_id), impressions_before=volume)
        planned.append(one)
        volume += one.counts.impressions
    return planned
