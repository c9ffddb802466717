"""Watches over the terminals: tells when one falls silent or misses a reader, and when it is back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from daemon.auth.outages import ITSELF, Graces, Sight, judge
from daemon.auth.terminal_reports import readers_of
from daemon.db.unit import Unit
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import Unavailable
from daemon.kernel.events import Event

if TYPE_CHECKING:
    from daemon.auth.outage_store import KeptOutage, OutageStore
    from daemon.auth.outages import Verdict
    from daemon.auth.terminal_hours import TerminalHours
    from daemon.auth.terminals import Terminal, Terminals
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock

log = structlog.get_logger(__name__)

LOOK_S = 5.0
SETTLE_US = 30 * US_PER_S
"""After its own start the daemon waits this long for terminals to come back before it calls any of them away."""
KEPT_US = 366 * 86_400 * US_PER_S


class TerminalWatch:
    """Looks at all terminals every few seconds; what changed becomes a row, an event and a log line."""

    def __init__(
        self,
        db: Database,
        outages: OutageStore,
        *,
        terminals: Terminals,
        hours: TerminalHours,
        clock: Clock,
        graces: Graces,
    ) -> None:
        self._db = db
        self._outages = outages
        self._terminals = terminals
        self._hours = hours
        self._clock = clock
        self._graces = graces
        self._began_us = clock.now_us()
        self._is_failing = False

    async def run(self) -> None:
        """Owned by the application's task group; ends by cancellation."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
                self._is_failing = False
            except Unavailable as problem:
                if not self._is_failing:
                    log.warning("terminal_watch.failing", problem=problem.code)
                self._is_failing = True

    async def look(self) -> None:
        """One look at every terminal in use."""
        known = await self._outages.open()
        now = self._clock.now_us()
        for terminal in await self._terminals.list():
            told = known.get(terminal.id, [])
            if terminal.revoked_at_us is not None or terminal.public_key is None:
                await self._close(terminal, told, now)
                continue
            opening = self._hours.now(terminal)
            heard = self._terminals.heard_us(terminal) or terminal.created_at_us
            sight = Sight(
                heard_us=heard,
                is_open=opening.is_open,
                opened_at_us=max(opening.opened_at_us, self._began_us + SETTLE_US),
                readers=readers_of(terminal.readers),
            )
            verdict = judge(sight, {outage.reader for outage in told}, now, self._graces)
            await self._note(terminal, verdict, now)

    async def prune(self) -> None:
        """Forget outages that ended a year ago."""
        before = self._clock.now_us() - KEPT_US
        if await self._outages.has_older(before):
            unit = Unit()
            self._outages.prune(unit, ended_before_us=before)
            await self._db.commit(unit)

    async def _note(self, terminal: Terminal, verdict: Verdict, now: int) -> None:
        if not verdict.begins and not verdict.ends:
            return
        unit = Unit()
        for outage in verdict.begins:
            self._outages.begin(unit, terminal_id=terminal.id, outage=outage)
            _tell(unit, terminal, outage.reader, "away", now, code=outage.code)
        for reader in verdict.ends:
            self._outages.end(unit, terminal_id=terminal.id, reader=reader, at_us=now)
            _tell(unit, terminal, reader, "back", now)
        await self._db.commit(unit)

    async def _close(self, terminal: Terminal, told: list[KeptOutage], now: int) -> None:
        """A terminal that is out of use misses nothing any more, and nobody is told."""
        if not told:
            return
        unit = Unit()
        for outage in told:
            self._outages.end(unit, terminal_id=terminal.id, reader=outage.reader, at_us=now)
        await self._db.commit(unit)


def _tell(unit: Unit, terminal: Terminal, reader: str, what: str, now: int, *, code: str = "") -> None:
    """`terminal.away`, `terminal.back` about its id; `reader.away`, `reader.back` about `id:reader`."""
    is_itself = reader == ITSELF
    topic = f"terminal.{what}" if is_itself else f"reader.{what}"
    subject = terminal.public_id if is_itself else f"{terminal.public_id}:{reader}"
    unit.event(Event(topic, subject), now)
    log.info(topic, terminal_id=terminal.public_id, reader=reader, code=code)
