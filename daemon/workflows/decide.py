"""Deciding what became of an uncertain job: an operator looks at the printer's tray and says how much came out.

What follows is told before it is done: `preview` prices the number somebody has typed, `decide` posts it, gives the
rest back and ends the job; with 0 the job waits again and nothing is charged. When the printer answers in between, its
own word has settled the job and stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import BadInput, Conflict
from daemon.kernel.money import Amount, unit_of

if TYPE_CHECKING:
    from daemon.jobs.delivery_store import Delivery
    from daemon.jobs.job import Job
    from daemon.kernel.money import AmountJson
    from daemon.workflows.house import House
    from daemon.workflows.settle import Settle

UNCERTAIN = "uncertain"


class NotUncertain(Conflict):
    """The job's outcome is known: the printer answered, or somebody decided before."""

    code = "job-not-uncertain"


@dataclass(frozen=True, slots=True)
class Doubt:
    """An uncertain delivery and its job. `seen` is what the printer had reported, `most` what was to come out."""

    job: Job
    delivery: Delivery
    since_us: int
    decide_at_us: int | None

    @property
    def seen(self) -> int:
        """Impressions the printer had reported when it was last heard of."""
        return self.delivery.impressions or 0

    @property
    def most(self) -> int:
        """Impressions that were to come out."""
        return self.delivery.counts.impressions


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a decision would do: the price, and by unit what is charged and what is given back."""

    impressions: int
    price: AmountJson | None
    charged: tuple[Amount, ...]
    given_back: tuple[Amount, ...]


class Decide:
    """Uncertain jobs: listed, weighed, decided."""

    def __init__(self, house: House, settle: Settle) -> None:
        self._house = house
        self._settle = settle

    async def doubts(self) -> list[Doubt]:
        """Every uncertain job, the longest in doubt first."""
        found = []
        for delivery in await self._house.deliveries.live():
            job = await self._house.jobs.by_id(delivery.job_id) if delivery.phase == UNCERTAIN else None
            if job is not None:
                found.append(self._doubt(job, delivery))
        return sorted(found, key=lambda doubt: doubt.since_us)

    async def doubt(self, job: Job) -> Doubt | None:
        """The doubt about one job; None when its outcome is known."""
        delivery = await self._house.deliveries.live_of_job(job.id)
        if delivery is None or delivery.phase != UNCERTAIN:
            return None
        return self._doubt(job, delivery)

    async def preview(self, job: Job, impressions: int) -> Consequence:
        """What would follow if so many impressions came out.

        Raises:
            NotUncertain: there is nothing to decide.
            BadInput: below 0, or more than was to come out.
        """
        doubt = await self._checked(job, impressions)
        reserved: dict[str, int] = {}
        for leg in await self._house.deliveries.legs(doubt.delivery.id):
            reserved[leg.unit_code] = reserved.get(leg.unit_code, 0) + leg.amount
        charges: dict[str, int] = {}
        price = None
        if impressions:
            charges, price = await self._settle.charges_for(doubt.delivery, impressions)
        back = {code: amount - charges.get(code, 0) for code, amount in reserved.items()}
        return Consequence(impressions, price, _amounts(charges), _amounts(back))

    async def decide(self, job: Job, impressions: int, *, actor: str) -> None:
        """Settle by what somebody saw; 0 lets the job wait again. Audited in the same write.

        Raises:
            NotUncertain, BadInput: as `preview`.
        """
        doubt = await self._checked(job, impressions)
        await self._settle.decided(doubt.delivery, impressions=impressions, by=actor)

    async def _checked(self, job: Job, impressions: int) -> Doubt:
        doubt = await self.doubt(job)
        if doubt is None:
            raise NotUncertain("the outcome of this job is known by now")
        if not 0 <= impressions <= doubt.most:
            raise BadInput(f"a number from 0 to {doubt.most}", code="bad-count", most=doubt.most)
        return doubt

    def _doubt(self, job: Job, delivery: Delivery) -> Doubt:
        decide_at = delivery.decide_at_us
        wait_us = self._house.policy.uncertain_after_s * US_PER_S
        since = decide_at - wait_us if decide_at else delivery.sent_at_us or delivery.created_at_us
        return Doubt(job, delivery, since, decide_at)


def _amounts(by_unit: dict[str, int]) -> tuple[Amount, ...]:
    return tuple(Amount(unit_of(code), amount) for code, amount in sorted(by_unit.items()) if amount > 0)
