"""The terminal API's backend over the house's verbs: jobs as the screen lists them, prices for the printer stood at."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from daemon.auth.card_rules import CardRules
from daemon.auth.identity import StepUpNeeded
from daemon.jobs.lifecycle import FINAL
from daemon.kernel.errors import Forbidden, NotFound, Refusal
from daemon.kernel.money import Amount, parse_amount
from daemon.web.terminal.shapes import Listed, balance_of, charged, job_item, pot_item
from daemon.workflows.release import ReleaseRequest
from daemon.workflows.selection import plan_job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from daemon.auth.identity import Session
    from daemon.auth.terminal_store import TerminalStore
    from daemon.auth.terminals import Terminal
    from daemon.devices.printer import Printer
    from daemon.jobs.convert import Converter
    from daemon.jobs.job import Job
    from daemon.people.person import Person
    from daemon.wire.messages import JobEventJson, JobsJson, PrinterJson, ProblemJson, QuoteJson
    from daemon.workflows.cancel import Cancel
    from daemon.workflows.house import House
    from daemon.workflows.jobs import Jobs
    from daemon.workflows.price import Prices
    from daemon.workflows.printers import Printers
    from daemon.workflows.release import Release
    from daemon.workflows.selection import Station

RUNNING = ("pending", "processing", "processing-stopped")
LISTED_MAX = 200


class NoPrinterHere(Forbidden):
    """The terminal stands at no printer; an administrator has to bind one."""

    code = "printer-unknown"


class NoPreview(NotFound):
    """Previews are off, or this document has none."""

    code = "no-preview"


@dataclass(frozen=True, slots=True)
class KioskPolicy:
    """What a site decided.

    `card_cost_cap`: most a card alone may release at once, in whole units of the price its person sees (`2.50`);
    empty means no cap.
    """

    preview: bool = False
    card_cost_cap: str = ""
    cards: CardRules = field(default_factory=CardRules)


class HouseBackend:
    """Implements `daemon.web.terminal.backend.Backend`."""

    def __init__(
        self,
        house: House,
        *,
        terminals: TerminalStore,
        jobs: Jobs,
        cancel: Cancel,
        release: Release,
        prices: Prices,
        printers: Printers,
        converter: Converter | None = None,
        policy: KioskPolicy | None = None,
        look: Callable[[Printer], None] = lambda _printer: None,
    ) -> None:
        """`look` asks a printer for its state soon: somebody is standing at it."""
        self._house = house
        self._terminals = terminals
        self._jobs = jobs
        self._cancel = cancel
        self._release = release
        self._prices = prices
        self._printers = printers
        self._converter = converter
        self._policy = policy or KioskPolicy()
        self._look = look

    async def printers(self, terminal: Terminal) -> list[PrinterJson]:
        """The printers this terminal stands at, as last seen."""
        return [
            {
                "printer_id": row["public_id"],
                "name": row["name"],
                "state": row["state"],
                "reasons": json.loads(row["reasons"]),
                "accepting": bool(row["is_accepting"]),
                "location": row["location"],
                "reader": row["reader"],
            }
            for row in await self._terminals.printers(terminal.id)
        ]

    async def printer(self, printer_id: str) -> PrinterJson | None:
        """One printer as last seen; None when it was removed."""
        try:
            printer = await self._printers.named(printer_id)
        except NotFound:
            return None
        return {
            "printer_id": printer.public_id,
            "name": printer.name,
            "state": printer.state,
            "reasons": list(printer.reasons),
            "accepting": printer.is_accepting,
            "location": printer.location,
        }

    async def jobs(self, session: Session, terminal: Terminal, *, printer_id: str) -> JobsJson:
        """What waits and what runs, priced for the printer chosen."""
        person_id = session.person_id
        place = asyncio.gather(
            self._person(session),
            self._printer(session, terminal, printer_id),
            self.printers(terminal),
            self._prices.volume(person_id),
            self._house.ledger.accounts(person_id),
        )
        found = asyncio.gather(
            self._jobs.waiting(person_id),
            self._jobs.list(which="all", states=RUNNING, person_id=person_id, limit=LISTED_MAX),
        )
        (person, printer, printers, volume, accounts), (waiting, running) = await asyncio.gather(place, found)
        rights = self._policy.cards.rights(session.method)
        self._look(printer)
        station = self._printers.station(printer)
        listed = [self._listed(job, person, station, volume) for job in waiting[:LISTED_MAX]]
        listed += [Listed(job, None, None) for job in running if job.has_document]
        unit = self._prices.unit_shown(person)
        total = Amount(unit, sum(one.price.value for one in listed if one.is_ready and one.price is not None))
        balance = balance_of(accounts, unit)
        return {
            "items": [
                job_item(one, rights=rights, station=station, has_previews=self._policy.preview) for one in listed
            ],
            "total": total.to_json(),
            "balance": balance.to_json(),
            "balance_after": (balance - total).to_json(),
            "accounts": [pot_item(account) for account in accounts if account.kind == "user"],
            "printers": printers,
            "refused": {one.job.public_id: one.problem["code"] for one in listed if one.problem},
        }

    async def quote(
        self,
        session: Session,
        terminal: Terminal,
        *,
        job_ids: Sequence[str],
        printer_id: str,
        changes: Mapping[str, Mapping[str, Any]],
    ) -> QuoteJson:
        """The price of a selection with changes; promises nothing."""
        printer = await self._printer(session, terminal, printer_id)
        quoted = await self._release.quote(session.person_id, job_ids, printer, changes)
        answer: QuoteJson = {
            "items": [
                {
                    "job_id": item.job_id,
                    "price": item.price.to_json(),
                    "saving": item.saving.to_json(),
                    "sheets": item.sheets,
                    "impressions": item.impressions,
                    "color_impressions": item.color_impressions,
                }
                for item in quoted.items
            ],
            "total": quoted.total.to_json(),
            "balance": quoted.balance.to_json(),
            "balance_after": (quoted.balance - quoted.total).to_json(),
            "enough": quoted.is_enough,
            "needed": quoted.needed.to_json(),
            "available": quoted.available.to_json(),
            "fits": list(quoted.fits),
        }
        return answer

    async def release(
        self,
        session: Session,
        terminal: Terminal,
        *,
        job_ids: Sequence[str],
        printer_id: str,
        changes: Mapping[str, Mapping[str, Any]],
        codes: Mapping[str, str],
        key: str,
        total: Amount | None = None,
    ) -> dict[str, Any]:
        """Print: all of it reserved in one write, or nothing; the same key answers the same."""
        printer = await self._printer(session, terminal, printer_id)
        result = await self._release.release(
            ReleaseRequest(
                person_id=session.person_id,
                job_ids=tuple(job_ids),
                printer_id=printer.id,
                key=key,
                actor=f"user:{session.person_id}",
                terminal_id=terminal.id,
                changes=changes,
                codes=codes,
                expected_total=total,
                cost_cap=cap.value if (cap := await self.cost_cap(session)) is not None else None,
            )
        )
        person = await self._person(session)
        accounts = await self._house.ledger.accounts(session.person_id)
        return {
            "release_id": result.release_id,
            "items": list(result.items),
            "total": result.total,
            "balance": balance_of(accounts, self._prices.unit_shown(person)).to_json(),
            "printer": {"printer_id": printer.public_id, "name": printer.name},
        }

    async def cost_cap(self, session: Session) -> Amount | None:
        """The most this session may release at once; None without a cap."""
        if session.method != "card" or not self._policy.card_cost_cap:
            return None
        unit = self._prices.unit_shown(await self._person(session))
        return Amount(unit, parse_amount(self._policy.card_cost_cap, unit))

    async def printer_of_reader(self, terminal: Terminal, reader: str) -> str:
        """The printer that a tap on this reader means; empty when it means none in particular."""
        rows = await self._terminals.printers(terminal.id)
        return next((row["public_id"] for row in rows if row["reader"] == reader), "")

    async def delete(self, session: Session, job_ids: Sequence[str]) -> int:
        """Delete held jobs; until when they can be brought back."""
        return await self._cancel.delete(await self._own(session, job_ids), undo=True)

    async def undo(self, session: Session, job_ids: Sequence[str]) -> None:
        """Bring deleted jobs back."""
        await self._cancel.undo(await self._own(session, job_ids))

    async def claim(self, session: Session, code: str) -> str:
        """Take over the unclaimed job with this code."""
        return (await self._cancel.claim(code, session.person_id)).public_id

    async def cancel(self, session: Session, job_id: str) -> None:
        """Stop a job of one's own, wherever it is."""
        (job,) = await self._own(session, [job_id])
        await self._cancel.one(job)

    async def preview(self, session: Session, job_id: str) -> bytes:
        """A small PNG of the first page, where policy allows it."""
        (job,) = await self._own(session, [job_id])
        entry = await self._house.jobs.entry_of(job.id)
        if not self._policy.preview or self._converter is None or entry is None or not job.is_held:
            raise NoPreview("There is no preview of this document.")
        return await self._converter.preview(lambda: self._house.spool.read(entry))

    async def job_event(self, session: Session, job_id: str) -> JobEventJson | None:
        """A job of one's own as it is now; None when it is not."""
        try:
            job = await self._jobs.by_public(job_id)
        except NotFound:
            return None
        if job.person_id != session.person_id:
            return None
        delivery = None if job.state in FINAL or job.is_held else await self._house.deliveries.live_of_job(job.id)
        counts = delivery.counts if delivery else job.counts
        printed = (delivery.impressions, delivery.sheets) if delivery else (job.printed_impressions, job.printed_sheets)
        return {
            "job_id": job.public_id,
            "state": job.state,
            "reasons": list(job.reasons),
            "printed": {"impressions": printed[0] or 0, "sheets": printed[1] or 0},
            "of": {"impressions": counts.impressions if counts else 0},
            "price": job.price.to_json() if job.price else None,
            "charged": charged(job),
            "uncertain": job.is_uncertain,
            "estimated": job.is_estimated,
            "message": job.message,
        }

    # ----- inside -----
    async def _person(self, session: Session) -> Person:
        person = await self._house.people.by_id(session.person_id)
        if person is None or not person.is_active:
            raise Forbidden("You may not print here. Ask your administrator.", code="not-authorized")
        return person

    async def _printer(self, session: Session, terminal: Terminal, printer_id: str) -> Printer:
        """The printer named (a stopped printer offers others), else the first the terminal stands at.

        Raises:
            StepUpNeeded: a card alone prints at the terminal's own printers only.
        """
        rows = await self._terminals.printers(terminal.id)
        if printer_id:
            is_here = any(row["public_id"] == printer_id for row in rows)
            if not is_here and not self._policy.cards.rights(session.method).anywhere:
                raise StepUpNeeded("Sign in with your password to print elsewhere.")
            return await self._printers.named(printer_id)
        if not rows:
            raise NoPrinterHere("This terminal stands at no printer.")
        return await self._printers.by_id(rows[0]["id"])

    async def _own(self, session: Session, job_ids: Sequence[str]) -> list[Job]:
        return await self._jobs.of_person(session.person_id, job_ids)

    def _listed(self, job: Job, person: Person, station: Station, volume: int) -> Listed:
        """One waiting job at this printer, without changes; every price stands alone until jobs are chosen."""
        if job.facts is None:
            return Listed(job, None, None)
        try:
            planned = plan_job(job, person, station, self._prices, changes=None, impressions_before=volume)
        except Refusal as refusal:  # the printer cannot, or its tariff has no price for this person
            return Listed(job, None, {"code": refusal.code, "message": refusal.message})
        if job.hold_until_us is not None:
            waits: ProblemJson = {
                "code": "job-hold-until-specified",
                "message": "This job waits for the time it was sent for.",
            }
            return Listed(job, planned, waits)
        return Listed(job, planned, None)
