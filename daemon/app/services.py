"""What stands behind the admin API, from the parts and the verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.accounting.books import Books
from daemon.app.parts import link_base
from daemon.kernel.errors import Unavailable
from daemon.web.api.services import ApiServices, CardServices, Health
from daemon.workflows.accounts import Accounts
from daemon.workflows.cancel import Cancel
from daemon.workflows.decide import Decide
from daemon.workflows.jobs import Jobs
from daemon.workflows.printer_desk import PrinterDesk
from daemon.workflows.terminal_desk import TerminalDesk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.app.card_parts import CardParts
    from daemon.app.parts import Parts
    from daemon.app.verbs import Verbs
    from daemon.jobs.job import Job


class NoStopper:
    """Without a daemon nothing is on a printer that could be stopped from here."""

    async def stop(self, job: Job) -> None:
        message = "This job is on a printer; only the running daemon can stop it."
        raise Unavailable(message, code="daemon-not-running", job_id=job.public_id)


def api_services(
    parts: Parts, verbs: Verbs | None, *, metrics: Callable[[], Awaitable[bytes]] | None = None
) -> ApiServices:
    """The services of a running daemon, or with `verbs` None of a command on its own."""
    settings, house = parts.settings, parts.house
    cancel = verbs.cancel if verbs is not None else Cancel(house, stopper=NoStopper())
    jobs = verbs.jobs if verbs is not None else Jobs(house, cancel)

    async def health() -> Health:
        return await _health(parts, verbs)

    async def status() -> dict[str, Any]:
        return {"jobs": await house.jobs.counts_by_state()}

    return ApiServices(
        clock=parts.clock,
        people=parts.people,
        printers=PrinterDesk(
            db=parts.db,
            store=parts.printer_store,
            printers=parts.printers,
            tariffs=parts.rates.tariffs,
            default_tariff=settings.tariffs.default,
            site=settings.people.site,
            clock=parts.clock,
            dice=parts.dice,
        ),
        terminals=terminal_desk(parts),
        jobs=jobs,
        cancel=cancel,
        accounts=Accounts(
            db=parts.db,
            ledger=parts.ledger,
            books=Books(parts.db),
            grants=parts.grant_store,
            catch_up=parts.grants.for_person,
            clock=parts.clock,
        ),
        tokens=parts.tokens,
        cards=_cards(parts.cards),
        personal_urls=settings.server.personal_urls,
        release=verbs.release if verbs is not None else None,
        decide=Decide(house, verbs.settle) if verbs is not None else None,
        health=health,
        metrics=metrics,
        status=status,
    )


def terminal_desk(parts: Parts) -> TerminalDesk:
    """The administrators' side of the terminals."""
    care = parts.terminal_care
    return TerminalDesk(
        parts.terminals,
        parts.terminal_store,
        hours=care.hours,
        commands=care.commands,
        outages=care.outages,
        graces=care.graces,
        clock=parts.clock,
        site=parts.settings.people.site,
        daemon_url=link_base(parts.settings),
    )


def _cards(cards: CardParts) -> CardServices:
    return CardServices(
        desk=cards.desk,
        enrolment=cards.enrolment,
        importer=cards.importer,
        keys=cards.keys,
        survey=cards.survey,
    )


async def _health(parts: Parts, verbs: Verbs | None) -> Health:
    """Ready means: jobs can be taken, read and released."""
    found = {"database": "ok", "storage": "ok", "documents": "ok", "ledger": "ok"}
    try:
        await parts.db.read("SELECT 1")
    except Exception as problem:
        found["database"] = type(problem).__name__
    if parts.db.is_storage_full or not await parts.house.spool.has_room():
        found["storage"] = "full"
    if parts.book_check.are_wrong:
        found["ledger"] = "the books do not add up: holdfast ledger verify"
    if verbs is None:
        found["daemon"] = "not running"
    return Health(all(value == "ok" for value in found.values()), found)
