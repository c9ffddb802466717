"""What the terminal API asks of the house, as one protocol. Shapes are those of `daemon.wire.messages`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.auth.identity import Session
    from daemon.auth.terminals import Terminal
    from daemon.kernel.money import Amount
    from daemon.wire.messages import JobEventJson, JobsJson, PrinterJson, QuoteJson


class Backend(Protocol):
    """The verbs of somebody standing at a terminal. Every job named must be their own; others look unknown."""

    async def printers(self, terminal: Terminal) -> list[PrinterJson]:
        """The printers this terminal stands at, as last seen."""
        ...

    async def printer(self, printer_id: str) -> PrinterJson | None:
        """One printer as last seen, by its public id; None when it was removed."""
        ...

    async def jobs(self, session: Session, terminal: Terminal, *, printer_id: str) -> JobsJson:
        """What waits and what runs, priced for the printer chosen (empty: the terminal's first)."""
        ...

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
        ...

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
        """Print: all of it reserved in one write, or nothing; the same key answers the same.

        `total`: the price on the screen; another one by now refuses as `price-changed`.
        """
        ...

    async def cost_cap(self, session: Session) -> Amount | None:
        """The most this session may release at once; None without a cap."""
        ...

    async def printer_of_reader(self, terminal: Terminal, reader: str) -> str:
        """The printer that a tap on this reader means; empty when it means none in particular."""
        ...

    async def delete(self, session: Session, job_ids: Sequence[str]) -> int:
        """Delete held jobs; until when (microseconds UTC) they can be brought back."""
        ...

    async def undo(self, session: Session, job_ids: Sequence[str]) -> None:
        """Bring deleted jobs back."""
        ...

    async def claim(self, session: Session, code: str) -> str:
        """Take over the unclaimed job with this code; its id."""
        ...

    async def cancel(self, session: Session, job_id: str) -> None:
        """Stop a job of one's own, wherever it is."""
        ...

    async def preview(self, session: Session, job_id: str) -> bytes:
        """A small PNG of the first page, where policy allows it."""
        ...

    async def job_event(self, session: Session, job_id: str) -> JobEventJson | None:
        """A job of one's own as it is now; None when it is not."""
        ...
