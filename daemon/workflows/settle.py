"""Settlement: the end of a delivery. What came out is posted, the rest given back, the job ends: all in one write.

Every path out of a delivery goes through here, so that each reservation is resolved exactly once: settled, or given
back because not a byte left, or kept while the outcome is uncertain until a named policy decides.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from daemon.accounting.ledger import plan_settlement
from daemon.db.unit import Unit
from daemon.jobs.counting import count_first
from daemon.jobs.lifecycle import STOP_ASKED, Happening, Step, advance, held_reasons
from daemon.jobs.outcome import Evidence, Outcome, decide
from daemon.kernel.clock import US_PER_S
from daemon.kernel.counts import NOTHING, Counts, MediaCount
from daemon.kernel.errors import NotFound, Refusal, Unavailable
from daemon.kernel.events import Event

if TYPE_CHECKING:
    from daemon.jobs.delivery_store import Delivery
    from daemon.jobs.job import Job
    from daemon.jobs.outcome import Ending
    from daemon.kernel.money import AmountJson
    from daemon.workflows.house import House
    from daemon.workflows.price import Prices

log = structlog.get_logger(__name__)

IN_FLIGHT = ("reserved", "sending", "printing", "uncertain")
TRIES = 5
RECALL_S = 7 * 86_400
"""So long a printer is asked for a copy of what was decided as not printed (`workflows.recall`)."""
TOLD = "An operator looked and said how much came out."
TOLD_NOTHING = "An operator looked: this did not print. Nothing was charged; it can be released again."

_HAPPENING = {
    "completed": Happening.COMPLETED,
    "canceled": Happening.CANCELED_ON_PRINTER,
    "aborted": Happening.ABORTED_BY_PRINTER,
    "gone": Happening.PARTIAL,
}


class Settle:
    """Ends deliveries."""

    def __init__(self, house: House, prices: Prices) -> None:
        self._house = house
        self._prices = prices

    async def finished(
        self, delivery: Delivery, ending: Ending, *, counter_after: int | None, message: str = ""
    ) -> bool:
        """The printer's last word on a job is in. Returns False when it proves nothing and the job is now uncertain."""
        delivery = await self._fresh(delivery)
        outcome = decide(await self._evidence(delivery, ending, counter_after))
        if outcome.impressions is None:
            if delivery.phase == "uncertain":
                return False
            await self.uncertain(delivery, message="The printer forgot this job before it said how it ended.")
            return False
        await self._write(delivery, _HAPPENING[ending], outcome, message=message)
        return True

    async def not_sent(self, delivery: Delivery, *, message: str, code: str) -> None:
        """Not a byte of the document left: everything is given back and the job waits again."""
        await self._give_back(delivery, Happening.NOT_SENT, ("reserved", "sending", "printing"), message, code)

    async def withdraw(self, delivery: Delivery, *, message: str = "") -> None:
        """Its owner changed their mind before a byte left: everything is given back, the job ends, the document goes.

        Raises:
            Unavailable: `job-being-sent`, it has just begun to leave.
        """
        house, now = self._house, self._house.clock.now_us()
        job = await self._job(delivery)
        step = advance(job.state, Happening.WITHDRAWN)
        entry = await house.jobs.entry_of(job.id)
        unit = Unit(essential=True)
        house.jobs.move(unit, job, step, completed_at_us=now, message=message)
        await self._void(unit, delivery, ("reserved",), why="withdrawn", at_us=now)
        house.jobs.forget_document(unit, job.id)
        unit.event(Event("job.deleted", job.public_id, job.person_id), now)
        try:
            await house.db.commit(unit)
        except Refusal as refusal:
            raise Unavailable("The job is just being sent. Try again in a moment.", code="job-being-sent") from refusal
        if entry is not None:
            await house.spool.delete(entry)
        log.info("delivery.voided", delivery_id=delivery.public_id, job_id=job.public_id, why="withdrawn")

    async def uncertain(self, delivery: Delivery, *, message: str) -> None:
        """Bytes left and nobody knows what became of them: never sent again by itself, the reservation stays."""
        now = self._house.clock.now_us()
        job = await self._job(delivery)
        unit = Unit(essential=True)
        step = advance(job.state, Happening.UNCERTAIN)
        self._house.jobs.move(unit, job, step, is_uncertain=1, message=message)
        decide_at = now + self._house.policy.uncertain_after_s * US_PER_S
        self._house.deliveries.change(
            unit, delivery, ("sending", "printing"), phase="uncertain", decide_at_us=decide_at
        )
        unit.event(Event("job.uncertain", job.public_id, job.person_id), now)
        await self._tell(unit, job, "job-uncertain", {"title": job.title, "decide_at_us": decide_at})
        await self._house.db.commit(unit)
        log.warning("delivery.uncertain", delivery_id=delivery.public_id, job_id=job.public_id)

    async def decided(self, delivery: Delivery, *, impressions: int, by: str) -> None:
        """Somebody looked: so many impressions came out of an uncertain job; with 0 it waits again, nothing charged."""
        if impressions > 0:
            outcome = Outcome(impressions, None, "told")
            await self._write(delivery, Happening.DECIDED_PRINTED, outcome, message=TOLD, by=by)
        else:
            not_printed = Happening.DECIDED_NOT_PRINTED
            await self._give_back(delivery, not_printed, ("uncertain",), TOLD_NOTHING, "told-nothing", by=by)
        log.info("delivery.decided", delivery_id=delivery.public_id, policy="told", impressions=impressions)

    async def charges_for(self, delivery: Delivery, impressions: int) -> tuple[dict[str, int], AmountJson]:
        """What so many impressions of a delivery would be charged: by unit code, and as the price shown."""
        job = await self._job(delivery)
        return await self._price(delivery, self._counts(delivery, job, Outcome(impressions, None, "told")))

    async def decide_uncertain(self) -> None:
        """Housekeeping: applies the policy to uncertain jobs whose time is over."""
        now = self._house.clock.now_us()
        for delivery in await self._house.deliveries.live():
            if delivery.phase != "uncertain" or (delivery.decide_at_us or 0) > now:
                continue
            try:
                await self._decide(delivery)
            except (Refusal, Unavailable) as problem:  # one that cannot be decided now never keeps the others
                log.warning("delivery.undecided", delivery_id=delivery.public_id, code=problem.code)

    async def expire_reservations(self) -> None:
        """Housekeeping: gives back reservations whose time is over; an answer that comes later is still collected."""
        now = self._house.clock.now_us()
        expired = await self._house.ledger.expired(now)
        for one in expired:
            unit = Unit(essential=True)
            self._house.ledger.expire(unit, pending_keys=[one.pending_key], at_us=now)
            try:
                await self._house.db.commit(unit)
            except Refusal as refusal:  # it was settled at this very moment
                log.info("reservation.overtaken", delivery_id=one.delivery_public_id, code=refusal.code)

    # ----- inside -----
    async def _decide(self, delivery: Delivery) -> None:
        policy = self._house.policy.uncertain
        seen = delivery.impressions or 0
        if policy == "charge-quote":
            await self._write(delivery, Happening.DECIDED_PRINTED, Outcome(delivery.counts.impressions, None, "quote"))
        elif policy == "charge-reported" and seen > 0:
            await self._write(
                delivery, Happening.DECIDED_PRINTED, Outcome(seen, delivery.color_impressions, "reported")
            )
        else:
            message = "It is not known whether this printed. Nothing was charged; it can be released again."
            not_printed = Happening.DECIDED_NOT_PRINTED
            await self._give_back(delivery, not_printed, ("uncertain",), message, "uncertain")
        log.info("delivery.decided", delivery_id=delivery.public_id, policy=policy, impressions=seen)

    async def _write(
        self, delivery: Delivery, happening: Happening, outcome: Outcome, *, message: str = "", by: str = ""
    ) -> None:
        """One write: post, return, end the job, destroy the document; again when the job's row moved meanwhile."""
        for attempt in range(TRIES):
            job = await self._job(delivery)
            try:
                await self._write_once(delivery, job, happening, outcome, message=message, by=by)
            except Refusal as refusal:
                fresh = await self._house.deliveries.by_public(delivery.public_id)
                if fresh is not None and fresh.phase not in IN_FLIGHT:
                    return
                if attempt == TRIES - 1 or refusal.code != "job-not-held":
                    raise
            else:
                return

    async def _write_once(
        self, delivery: Delivery, job: Job, happening: Happening, outcome: Outcome, *, message: str, by: str
    ) -> None:
        house, now = self._house, self._house.clock.now_us()
        counts = self._counts(delivery, job, outcome)
        actual, price = await self._price(delivery, counts)
        legs = await house.deliveries.legs(delivery.id)
        pots = await house.ledger.accounts(delivery.person_id)
        settlement = plan_settlement(actual, legs, pots)
        if happening is Happening.COMPLETED and counts.impressions < delivery.counts.impressions:
            happening = Happening.PARTIAL
        step = advance(job.state, happening)
        if happening is Happening.CANCELED_ON_PRINTER and STOP_ASKED[1] in job.reasons:
            step = Step(step.state, (STOP_ASKED[1],))
        entry = await house.jobs.entry_of(job.id)
        unit = Unit(essential=True)
        house.ledger.settle(
            unit,
            delivery_public_id=delivery.public_id,
            job_id=job.id,
            person_id=delivery.person_id,
            posts=settlement.posts,
            excess=settlement.excess,
            at_us=now,
        )
        self._end(
            unit, delivery, job, step, outcome, counts=counts, actual=actual, price=price, message=message, at_us=now
        )
        house.jobs.forget_document(unit, job.id)
        _note(unit, job, happening, by=by, impressions=counts.impressions, at_us=now)
        await house.db.commit(unit)
        if entry is not None:
            await house.spool.delete(entry)
        log.info(
            "delivery.settled",
            delivery_id=delivery.public_id,
            job_id=job.public_id,
            basis=outcome.basis,
            impressions=counts.impressions,
        )

    def _end(
        self,
        unit: Unit,
        delivery: Delivery,
        job: Job,
        step: Step,
        outcome: Outcome,
        *,
        counts: Counts,
        actual: dict[str, int],
        price: object,
        message: str,
        at_us: int,
    ) -> None:
        """Appends the last words on a job and its delivery: what came out, on what evidence, what it cost."""
        self._house.jobs.move(
            unit,
            job,
            step,
            completed_at_us=at_us,
            printed_impressions=counts.impressions,
            printed_sheets=counts.sheets,
            price=json.dumps(price),
            is_uncertain=0,
            is_estimated=int(outcome.is_estimated),
            message=message,
        )
        result = {
            "basis": outcome.basis,
            "impressions": counts.impressions,
            "color_impressions": counts.color_impressions,
            "sheets": counts.sheets,
            "charged": actual,
            "price": price,
        }
        self._house.deliveries.change(
            unit,
            delivery,
            IN_FLIGHT,
            phase="settled",
            ended_at_us=at_us,
            result=json.dumps(result),
            is_estimated=int(outcome.is_estimated),
        )

    async def _give_back(
        self,
        delivery: Delivery,
        happening: Happening,
        phases: tuple[str, ...],
        message: str,
        code: str,
        *,
        by: str = "",
    ) -> None:
        house, now = self._house, self._house.clock.now_us()
        job = await self._job(delivery)
        extra = held_reasons(has_password=job.has_password, is_time_held=False)
        step = advance(job.state, happening, *extra)
        until = max(job.held_until_us, now + house.policy.uncertain_after_s * US_PER_S)
        unit = Unit(essential=True)
        changes = {"message": message, "is_uncertain": 0, "processing_at_us": None, "held_until_us": until}
        house.jobs.move(unit, job, step, **changes)
        await self._void(unit, delivery, phases, why=code, at_us=now)
        _note(unit, job, happening, by=by, impressions=0, at_us=now)
        await house.db.commit(unit)
        log.info("delivery.voided", delivery_id=delivery.public_id, job_id=job.public_id, code=code)

    async def _void(self, unit: Unit, delivery: Delivery, phases: tuple[str, ...], *, why: str, at_us: int) -> None:
        """Appends the return of all that a delivery had set aside, and its end."""
        legs = await self._house.deliveries.legs(delivery.id)
        self._house.ledger.void(unit, pending_keys=[leg.pending_key for leg in legs], at_us=at_us)
        result = json.dumps({"basis": "nothing", "code": why, "charged": {}})
        changes: dict[str, object] = {"phase": "voided", "ended_at_us": at_us, "result": result}
        if "uncertain" in phases:
            changes["recall_until_us"] = at_us + RECALL_S * US_PER_S
        self._house.deliveries.change(unit, delivery, phases, **changes)

    async def _evidence(self, delivery: Delivery, ending: Ending, counter_after: int | None) -> Evidence:
        difference = None
        before = delivery.counter_before
        if counter_after is not None and before is not None and await self._house.deliveries.was_alone(delivery):
            difference = max(0, counter_after - before)
        return Evidence(
            ending=ending,
            expected_impressions=delivery.counts.impressions,
            expected_sheets=delivery.counts.sheets,
            impressions=delivery.impressions,
            color_impressions=delivery.color_impressions,
            sheets=delivery.sheets,
            counter_difference=difference,
        )

    def _counts(self, delivery: Delivery, job: Job, outcome: Outcome) -> Counts:
        """What is charged: the quoted counts when all came out, their first part when less did, more when more did."""
        came_out = outcome.impressions or 0
        quoted = delivery.counts
        if came_out == 0:
            return NOTHING
        if came_out >= quoted.impressions or job.facts is None:
            counts = _beyond(quoted, came_out - quoted.impressions)
        else:
            counts = count_first(job.facts, delivery.ticket, came_out)
        return _with_color(counts, outcome.color_impressions)

    async def _price(self, delivery: Delivery, counts: Counts) -> tuple[dict[str, int], AmountJson]:
        tariff = await self._house.rates.tariff_at(delivery.tariff)
        quoted = delivery.quote
        priced = self._prices.as_quoted(
            counts,
            tariff=tariff,
            printer=quoted["printer"],
            impressions_before=quoted["impressions_before"],
            units=quoted["units"],
            shown_in=quoted["price"]["unit"],
        )
        return priced.charges, priced.price.to_json()

    async def _tell(self, unit: Unit, job: Job, kind: str, facts: dict[str, object]) -> None:
        person = await self._house.people.by_id(job.person_id) if job.person_id else None
        if person is not None and person.email:
            self._house.mailer.notify(unit, kind, person, dedupe=f"{kind}:{job.public_id}", facts=facts)

    async def _fresh(self, delivery: Delivery) -> Delivery:
        fresh = await self._house.deliveries.by_public(delivery.public_id)
        if fresh is None:
            raise NotFound("There is no such delivery.")
        return fresh

    async def _job(self, delivery: Delivery) -> Job:
        job = await self._house.jobs.by_id(delivery.job_id)
        if job is None:
            raise NotFound("There is no such job.")
        return job


def _note(unit: Unit, job: Job, happening: Happening, *, by: str, impressions: int, at_us: int) -> None:
    """Appends what happened to the job for those who watch; decided `by` somebody, to the audit too."""
    unit.event(Event(f"job.{happening.value}", job.public_id, job.person_id), at_us)
    if by:
        detail: dict[str, object] = {"impressions": impressions}
        unit.audit(actor=by, action="job.decided", subject=job.public_id, detail=detail, at_us=at_us)


def _beyond(quoted: Counts, extra: int) -> Counts:
    """The quoted counts with `extra` grey one-sided impressions on the first paper: a banner, a jammed sheet again."""
    if extra <= 0 or not quoted.by_media:
        return quoted
    first = quoted.by_media[0]
    more = replace(first, impressions=first.impressions + extra, sheets=first.sheets + extra)
    return Counts((more, *quoted.by_media[1:]))


def _with_color(counts: Counts, color: int | None) -> Counts:
    """The counts with no more colour than the printer counted; never more than was quoted."""
    if color is None or color >= counts.color_impressions:
        return counts
    left = color
    rows: list[MediaCount] = []
    for row in counts.by_media:
        taken = min(row.color_impressions, left)
        left -= taken
        rows.append(replace(row, color_impressions=taken))
    return Counts(tuple(rows))
