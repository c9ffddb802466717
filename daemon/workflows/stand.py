"""What somebody at a terminal sees: their jobs, the price on this very printer, and what becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.jobs.delivery_plan import CannotPrint
from daemon.kernel.clock import rfc3339
from daemon.kernel.errors import Conflict, NotFound, Refusal
from daemon.kernel.money import Amount
from daemon.workflows.printers import blocking_reasons
from daemon.workflows.selection import plan_job

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.devices.printer import Printer
    from daemon.jobs.job import Job
    from daemon.people.person import Person
    from daemon.wire.messages import JobEventJson, JobJson, JobMayJson, JobsJson, PrinterJson, QuoteJson
    from daemon.workflows.house import House
    from daemon.workflows.jobs import Jobs
    from daemon.workflows.price import Priced, Prices
    from daemon.workflows.printers import Printers
    from daemon.workflows.release import Release

MASKED_TITLE = ""
"""A card-only session sees no titles: the screen writes a neutral word."""


class ChoosePrinter(Conflict):
    """The terminal stands at several printers, and none of them was named."""

    code = "choose-printer"


class Stand:
    """Reads for a signed-in person at a terminal."""

    def __init__(
        self,
        house: House,
        *,
        jobs: Jobs,
        prices: Prices,
        printers: Printers,
        release: Release,
        has_preview: bool,
    ) -> None:
        self._house = house
        self._jobs = jobs
        self._prices = prices
        self._printers = printers
        self._release = release
        self._has_preview = has_preview

    def printer_of(self, bound: Sequence[Printer], printer_id: str) -> Printer:
        """The printer meant: the one named, or the only one there is.

        Raises:
            NotFound: not one of this terminal's; ChoosePrinter: several, and none named.
        """
        if printer_id:
            for printer in bound:
                if printer.public_id == printer_id:
                    return printer
            raise NotFound("This terminal does not stand at that printer.", code="printer-not-here")
        if not bound:
            raise NotFound("This terminal has no printer. Ask your administrator.", code="printer-not-here")
        if len(bound) > 1:
            raise ChoosePrinter("Choose a printer first.")
        return bound[0]

    async def jobs(self, person_id: int, bound: Sequence[Printer], *, printer_id: str, shows_titles: bool) -> JobsJson:
        """Waiting and running jobs, priced for the printer chosen (else the first)."""
        person = await self._person(person_id)
        printer = self.printer_of(bound, printer_id or (bound[0].public_id if bound else ""))
        waiting = await self._jobs.waiting(person_id)
        running = await self._jobs.list(which="all", person_id=person_id, states=("processing", "processing-stopped"))
        volume = await self._prices.volume(person_id)
        items = [self._line(job, person, printer, volume, shows_title=shows_titles) for job in (*waiting, *running)]
        unit = self._prices.unit_shown(person)
        accounts = await self._house.ledger.accounts(person_id)
        mine = [a for a in accounts if a.kind == "user"]
        balance = Amount(unit, sum(a.available for a in mine if a.unit == unit))
        priced = [Amount(unit, i["price"]["amount"]) for i in items if i["price"] and i["state"] == "pending-held"]
        total = Amount(unit, sum(p.value for p in priced))
        return {
            "items": items,
            "total": total.to_json(),
            "balance": balance.to_json(),
            "balance_after": (balance - total).to_json(),
            "printers": [printer_json(one) for one in bound],
        }

    async def quote(
        self,
        person_id: int,
        printer: Printer,
        job_ids: Sequence[str],
        changes: Mapping[str, Mapping[str, Any]],
    ) -> QuoteJson:
        """A selection's price with changes; promises nothing."""
        found = await self._release.quote(person_id, job_ids, printer, changes)
        return {
            "items": [
                {
                    "job_id": item.job_id,
                    "price": item.price.to_json(),
                    "saving": item.saving.to_json(),
                    "sheets": item.sheets,
                    "impressions": item.impressions,
                    "color_impressions": item.color_impressions,
                }
                for item in found.items
            ],
            "total": found.total.to_json(),
            "balance": found.balance.to_json(),
            "balance_after": (found.balance - found.total).to_json(),
            "enough": found.is_enough,
            "needed": found.needed.to_json(),
            "available": found.available.to_json(),
            "fits": list(found.fits),
        }

    async def event(self, person_id: int, job_id: str) -> JobEventJson | None:
        """A job of one's own as it is now, with what was charged once it is settled; None for another's."""
        try:
            job = (await self._jobs.of_person(person_id, [job_id]))[0]
        except NotFound:
            return None
        is_final = job.completed_at_us is not None
        expected = job.counts.impressions if job.counts else 0
        delivery = await self._house.deliveries.last_of_job(job.id)
        if delivery is not None:
            expected = delivery.counts.impressions
        was_released = delivery is not None
        return {
            "job_id": job.public_id,
            "state": job.state,
            "reasons": list(job.reasons),
            "printed": {"impressions": job.printed_impressions or 0, "sheets": job.printed_sheets or 0},
            "of": {"impressions": expected},
            "price": job.price.to_json() if job.price else None,
            "charged": job.price.to_json() if is_final and was_released and job.price else None,
            "message": job.message,
        }

    # ----- inside -----
    async def _person(self, person_id: int) -> Person:
        person = await self._house.people.by_id(person_id)
        if person is None:
            raise NotFound
        return person

    def _line(self, job: Job, person: Person, printer: Printer, volume: int, *, shows_title: bool) -> JobJson:
        """One job here: its price on this printer, what may be changed, and why it cannot print if it cannot."""
        priced, counts, problem = self._here(job, person, printer, volume)
        ticket = job.ticket
        price: Amount | None = priced.price if priced is not None else None
        if not job.is_held:
            price = job.price
        return {
            "job_id": job.public_id,
            "title": job.title if shows_title else MASKED_TITLE,
            "pages": job.facts.page_count if job.facts else 0,
            "impressions": counts[0],
            "color_impressions": counts[1],
            "sheets": counts[2],
            "copies": ticket.copies,
            "sides": ticket.sides,
            "print_color_mode": ticket.print_color_mode,
            "media": job.counts.by_media[0].media if job.counts and job.counts.by_media else ticket.media,
            "price": price.to_json() if price is not None else None,
            "state": job.state,
            "reasons": list(job.reasons),
            "created_at": rfc3339(job.created_at_us) or "",
            "held_until": rfc3339(job.held_until_us) if job.is_held else None,
            "preparing": job.is_held and job.facts is None,
            "problem": {"code": problem.code, "message": problem.message} if problem is not None else None,
            "needs_code": job.has_password,
            "may": _may(job, printer),
            "uncertain": job.is_uncertain,
            "preview": self._has_preview and job.has_document and job.facts is not None,
        }

    def _here(
        self, job: Job, person: Person, printer: Printer, volume: int
    ) -> tuple[Priced | None, tuple[int, int, int], Refusal | None]:
        counts = job.counts
        known = (counts.impressions, counts.color_impressions, counts.sheets) if counts else (0, 0, 0)
        if job.facts is None or not job.is_held:
            return None, known, None
        station = self._printers.station(printer)
        try:
            planned = plan_job(job, person, station, self._prices, changes=None, impressions_before=volume)
        except CannotPrint as refusal:
            return self._price_elsewhere(job, person, printer, volume), known, refusal
        except Refusal as refusal:
            return None, known, refusal
        c = planned.counts
        return planned.priced, (c.impressions, c.color_impressions, c.sheets), None

    def _price_elsewhere(self, job: Job, person: Person, printer: Printer, volume: int) -> Priced | None:
        """A job this printer cannot do still shows what it would cost by this printer's tariff."""
        if job.counts is None:
            return None
        return self._prices.with_volume(
            person, job.counts, tariff=printer.tariff, printer=printer.name, impressions_before=volume
        )


def _may(job: Job, printer: Printer) -> JobMayJson:
    """Which downgrades make a difference for this job here."""
    is_color = job.facts is not None and job.facts.is_color and not job.ticket.is_monochrome
    counts = job.counts
    has_more = counts is not None and counts.impressions > job.ticket.copies
    can_turn = not printer.capabilities.sides or any(s != "one-sided" for s in printer.capabilities.sides)
    return {
        "monochrome": is_color,
        "two_sided": not job.ticket.is_two_sided and has_more and can_turn,
        "fewer_copies": job.ticket.copies > 1,
    }


def printer_json(printer: Printer) -> PrinterJson:
    """A printer as a terminal shows it; `reasons` are those that keep it from printing."""
    return {
        "printer_id": printer.public_id,
        "name": printer.name,
        "state": printer.state,
        "reasons": list(blocking_reasons(printer.state, printer.reasons)),
        "accepting": printer.is_accepting,
        "location": printer.location,
    }
