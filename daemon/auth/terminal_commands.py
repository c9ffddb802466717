"""What operators ask terminals to do: flash the screen, restart, send the log. Pushed, answered once, kept a month.

A command is a row and an event in one write; the terminal's stream tells it at once and again after each reconnect,
until it is answered or its time is over. A terminal that is away when it is asked does it when it comes back in time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from daemon.db.unit import Unit, UnitRefused
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import Conflict, NotFound, Refusal
from daemon.kernel.events import Event
from daemon.kernel.ids import new_id
from daemon.wire.messages import COMMAND_ANSWER_BYTES_MAX

if TYPE_CHECKING:
    from daemon.auth.command_store import CommandStore, TerminalCommand
    from daemon.auth.terminal_store import Terminal
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock
    from daemon.kernel.ids import Dice

log = structlog.get_logger(__name__)

KINDS = ("identify", "restart", "log")
COMMAND_S = 300
"""A command that nobody fetched is void after this: what was asked in the morning must not happen at night."""
KEPT_US = 31 * 86_400 * US_PER_S
OPEN_MAX = 8
"""Commands a terminal may have waiting."""


class CommandRefused(Refusal):
    """The terminal cannot be asked this now; the message says why."""

    code = "command-refused"


class CommandOver(Conflict):
    """It was answered before, or its time is over."""

    code = "command-over"


class TerminalCommands:
    """Asks, tells and takes answers."""

    def __init__(self, db: Database, store: CommandStore, *, clock: Clock, dice: Dice) -> None:
        self._db = db
        self._store = store
        self._clock = clock
        self._dice = dice

    async def ask(self, terminal: Terminal, kind: str, *, actor: str) -> TerminalCommand:
        """Ask it.

        Raises:
            CommandRefused: no such command, the terminal is not enrolled, or too much waits for it already.
            NotFound: the terminal was revoked meanwhile.
        """
        if kind not in KINDS:
            raise CommandRefused(f"no command {kind!r}: use one of {', '.join(KINDS)}")
        if terminal.public_key is None:
            raise CommandRefused("this terminal is not enrolled yet")
        now = self._clock.now_us()
        if len(await self._store.open_of(terminal.id, now)) >= OPEN_MAX:
            raise CommandRefused(f"{OPEN_MAX} commands wait for this terminal already")
        public_id = new_id(self._dice)
        unit = Unit()
        self._store.insert(
            unit,
            public_id=public_id,
            terminal_id=terminal.id,
            kind=kind,
            asked_by=actor,
            asked_at_us=now,
            expires_at_us=now + COMMAND_S * US_PER_S,
        )
        unit.event(Event("terminal.commanded", terminal.public_id), now)
        unit.audit(
            actor=actor, action="terminal.commanded", subject=terminal.public_id, detail={"kind": kind}, at_us=now
        )
        try:
            await self._db.commit(unit)
        except UnitRefused as refused:
            raise NotFound("there is no such terminal", code="terminal-not-found") from refused
        return await self.get(terminal, public_id)

    async def get(self, terminal: Terminal, public_id: str) -> TerminalCommand:
        """One command of this terminal.

        Raises:
            NotFound: there is none.
        """
        found = await self._store.by_public(public_id, terminal_id=terminal.id)
        if found is None:
            raise NotFound("there is no such command", code="command-not-found")
        return found

    async def latest(self, terminal: Terminal) -> list[TerminalCommand]:
        """What it was asked lately, newest first."""
        return await self._store.of(terminal.id)

    async def waiting(self, terminal: Terminal) -> list[TerminalCommand]:
        """What it is to do, oldest first."""
        return await self._store.open_of(terminal.id, self._clock.now_us())

    async def all_waiting(self) -> dict[int, list[TerminalCommand]]:
        """The same of every terminal, by its row."""
        found: dict[int, list[TerminalCommand]] = {}
        for command in await self._store.all_open(self._clock.now_us()):
            found.setdefault(command.terminal_id, []).append(command)
        return found

    async def answered(self, terminal: Terminal, public_id: str, text: str) -> None:
        """Take the terminal's answer, once.

        Raises:
            NotFound: no such command of this terminal.
            CommandOver: answered before, or too late.
            CommandRefused: longer than an answer may be.
        """
        if len(text.encode("utf-8", "replace")) > COMMAND_ANSWER_BYTES_MAX:
            raise CommandRefused(f"an answer has at most {COMMAND_ANSWER_BYTES_MAX} bytes")
        command = await self.get(terminal, public_id)
        now = self._clock.now_us()
        unit = Unit()
        clean = "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)
        self._store.answer(unit, command_id=command.id, at_us=now, text=clean)
        unit.event(Event("terminal.answered", terminal.public_id), now)
        try:
            await self._db.commit(unit)
        except UnitRefused as refused:
            raise CommandOver("this command was answered before, or its time is over") from refused
        log.info("terminal.answered", terminal_id=terminal.public_id, command_id=public_id, kind=command.kind)

    async def prune(self) -> None:
        """Forget what was asked more than a month ago."""
        before = self._clock.now_us() - KEPT_US
        if await self._store.has_older(before):
            unit = Unit()
            self._store.prune(unit, asked_before_us=before)
            await self._db.commit(unit)
