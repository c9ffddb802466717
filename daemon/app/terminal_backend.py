"""The house behind the terminal API (`daemon.web.terminal.backend.Backend`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.devices.errors import PrinterRefused
from daemon.kernel.errors import Forbidden, NotFound
from daemon.kernel.money import Amount
from daemon.workflows.release import ReleaseRequest
from daemon.workflows.stand import printer_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.app.parts import Parts
    from daemon.app.verbs import Verbs
    from daemon.auth.identity import Session
    from daemon.auth.terminals import Terminal
    from daemon.jobs.job import Job
    from daemon.wire.messages import JobEventJson, JobsJson, PrinterJson, QuoteJson


class PreviewOff(Forbidden):
    """The site shows no previews."""

    code = "preview-off"


class TerminalBackend:
    """The verbs of somebody standing at a terminal."""

    def __init__(self, parts: Parts, verbs: Verbs) -> None:
        self._parts = parts
        self._verbs = verbs

    async def printers(self, terminal: Terminal) -> list[PrinterJson]:
        bound = await self._parts.printer_store.of_terminal(terminal.id)
        return [printer_json(one) for one in bound]

    async def jobs(self, session: Session, terminal: Terminal, *, printer_id: str) -> JobsJson:
        """The list; while it is made the printers are asked, so that their state is fresh when somebody chooses."""
        await self._parts.grants.for_id(session.person_id)
        bound = await self._parts.printer_store.of_terminal(terminal.id)
        for printer in bound:
            self._verbs.looks.soon(printer)
        titles = session.rights.titles
        return await self._verbs.stand.jobs(session.person_id, bound, printer_id=printer_id, shows_titles=titles)

    async def quote(
        self,
        session: Session,
        terminal: Terminal,
        *,
        job_ids: Sequence[str],
        printer_id: str,
        changes: Mapping[str, Mapping[str, Any]],
    ) -> QuoteJson:
        bound = await self._parts.printer_store.of_terminal(terminal.id)
        printer = self._verbs.stand.printer_of(bound, printer_id)
        return await self._verbs.stand.quote(session.person_id, printer, job_ids, changes)

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
    ) -> dict[str, Any]:
        bound = await self._parts.printer_store.of_terminal(terminal.id)
        printer = self._verbs.stand.printer_of(bound, printer_id)
        request = ReleaseRequest(
            person_id=session.person_id,
            job_ids=tuple(job_ids),
            printer_id=printer.id,
            key=key,
            actor=f"user:{session.person_public_id}@{terminal.public_id}",
            terminal_id=terminal.id,
            changes=changes,
            codes=codes,
        )
        done = await self._verbs.release.release(request)
        accounts = await self._parts.ledger.accounts(session.person_id)
        unit_code = done.total["unit"]
        mine = [a for a in accounts if a.kind == "user" and a.unit_code == unit_code]
        balance = Amount(mine[0].unit, sum(a.available for a in mine)).to_json() if mine else None
        return {"release_id": done.release_id, "items": list(done.items), "total": done.total, "balance": balance}

    async def delete(self, session: Session, job_ids: Sequence[str]) -> int:
        jobs = await self._verbs.jobs.of_person(session.person_id, job_ids)
        return await self._verbs.cancel.delete(jobs, undo=True)

    async def undo(self, session: Session, job_ids: Sequence[str]) -> None:
        await self._verbs.cancel.undo(await self._verbs.jobs.of_person(session.person_id, job_ids))

    async def claim(self, session: Session, code: str) -> str:
        return (await self._verbs.cancel.claim(code, session.person_id)).public_id

    async def cancel(self, session: Session, job_id: str) -> None:
        try:
            await self._verbs.cancel.one(await self._one(session, job_id))
        except PrinterRefused as refused:
            raise NotFound("The printer does not know this job any more.") from refused

    async def preview(self, session: Session, job_id: str) -> bytes:
        if not self._parts.settings.kiosk.preview:
            raise PreviewOff("Previews are switched off here.")
        job = await self._one(session, job_id)
        entry = await self._parts.house.jobs.entry_of(job.id)
        if entry is None:
            raise NotFound("The document is gone.")
        return await self._verbs.converter.preview(lambda: self._parts.house.spool.read(entry))

    async def job_event(self, session: Session, job_id: str) -> JobEventJson | None:
        return await self._verbs.stand.event(session.person_id, job_id)

    async def _one(self, session: Session, job_id: str) -> Job:
        return (await self._verbs.jobs.of_person(session.person_id, [job_id]))[0]
