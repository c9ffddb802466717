"""The daemon's own look at its books: at start and daily. Nobody is asked to trust a ledger that does not add up.

A difference is said as loudly as can be (critical in the log, /readyz not ready, a figure), and changes nothing by
itself: which side is right only a person can tell.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from daemon.kernel.errors import Refusal, Unavailable

if TYPE_CHECKING:
    from daemon.accounting.books import Books
    from daemon.accounting.reconcile import VerifyReport
    from daemon.kernel.clock import Clock

log = structlog.get_logger(__name__)

INTERVAL_S = 86_400.0
RETRY_S = 600.0
"""After a check that could not be made: the disk was busy, or the books are too large for its time limit."""
TOLD_MAX = 20


class BookCheck:
    """`last` is the latest outcome, None before the first; `at_us` its time; `differences_total` since the start."""

    def __init__(self, books: Books, clock: Clock) -> None:
        self._books = books
        self._clock = clock
        self.last: VerifyReport | None = None
        self.at_us = 0
        self.differences_total = 0

    @property
    def are_wrong(self) -> bool:
        """True once a check has found a difference, until one finds none."""
        return self.last is not None and not self.last.ok

    async def run(self) -> None:
        """Owned by the application; ends by cancellation."""
        while True:
            is_done = await self.once()
            await asyncio.sleep(INTERVAL_S if is_done else RETRY_S)

    async def once(self) -> bool:
        """One check; False when it could not be made."""
        try:
            report = await self._books.check_balances()
        except (Refusal, Unavailable) as problem:
            log.warning("ledger.not-checked", problem=problem.code)
            return False
        self.last, self.at_us = report, self._clock.now_us()
        self.differences_total += len(report.mismatches)
        if report.ok:
            log.info("ledger.checked", transfers=report.transfers)
        else:
            shown = [one.to_json() for one in report.mismatches[:TOLD_MAX]]
            log.critical("ledger.differs", transfers=report.transfers, count=len(report.mismatches), differences=shown)
        return True
