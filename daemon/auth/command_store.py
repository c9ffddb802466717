"""Rows of what operators asked terminals to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.db.database import Database
    from daemon.db.unit import Unit

_COLUMNS = "id, public_id, terminal_id, kind, asked_by, asked_at_us, expires_at_us, done_at_us, answer"
LIST_MAX = 50


@dataclass(frozen=True, slots=True)
class TerminalCommand:
    """One command; `done_at_us` None: not answered. Times are microseconds UTC."""

    id: int
    public_id: str
    terminal_id: int
    kind: str
    asked_by: str
    asked_at_us: int
    expires_at_us: int
    done_at_us: int | None
    answer: str

    def state(self, now_us: int) -> str:
        """`answered`, `expired` or `pending`."""
        if self.done_at_us is not None:
            return "answered"
        return "expired" if self.expires_at_us <= now_us else "pending"


class CommandStore:
    """Reads and appends table terminal_command."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def open_of(self, terminal_id: int, now_us: int) -> list[TerminalCommand]:
        """What a terminal has not answered and still may, oldest first."""
        rows = await self._db.read(
            f"""SELECT {_COLUMNS} FROM terminal_command
                 WHERE terminal_id=:terminal AND done_at_us IS NULL AND expires_at_us>:now ORDER BY id""",
            terminal=terminal_id,
            now=now_us,
        )
        return [TerminalCommand(**row) for row in rows]

    async def all_open(self, now_us: int) -> list[TerminalCommand]:
        """The same of all terminals."""
        rows = await self._db.read(
            f"SELECT {_COLUMNS} FROM terminal_command WHERE done_at_us IS NULL AND expires_at_us>:now ORDER BY id",
            now=now_us,
        )
        return [TerminalCommand(**row) for row in rows]

    async def of(self, terminal_id: int) -> list[TerminalCommand]:
        """The latest commands of a terminal, newest first."""
        rows = await self._db.read(
            f"SELECT {_COLUMNS} FROM terminal_command WHERE terminal_id=:terminal ORDER BY id DESC LIMIT :most",
            terminal=terminal_id,
            most=LIST_MAX,
        )
        return [TerminalCommand(**row) for row in rows]

    async def by_public(self, public_id: str, *, terminal_id: int) -> TerminalCommand | None:
        """The command, of this terminal."""
        row = await self._db.read_one(
            f"SELECT {_COLUMNS} FROM terminal_command WHERE public_id=:id AND terminal_id=:terminal",
            id=public_id,
            terminal=terminal_id,
        )
        return TerminalCommand(**row) if row else None

    def insert(
        self,
        unit: Unit,
        *,
        public_id: str,
        terminal_id: int,
        kind: str,
        asked_by: str,
        asked_at_us: int,
        expires_at_us: int,
    ) -> None:
        """Append a command; refused as `terminal-not-found` when the terminal was revoked meanwhile."""
        unit.add(
            """INSERT INTO terminal_command(public_id, terminal_id, kind, asked_by, asked_at_us, expires_at_us)
               SELECT :public, id, :kind, :by, :at, :until FROM terminal
                WHERE id=:terminal AND revoked_at_us IS NULL""",
            rows=1,
            refusal="terminal-not-found",
            public=public_id,
            kind=kind,
            by=asked_by,
            at=asked_at_us,
            until=expires_at_us,
            terminal=terminal_id,
        )

    def answer(self, unit: Unit, *, command_id: int, at_us: int, text: str) -> None:
        """Append its answer; refused as `command-over` when it has one or its time is over."""
        unit.add(
            """UPDATE terminal_command SET done_at_us=:at, answer=:answer
                WHERE id=:id AND done_at_us IS NULL AND expires_at_us>:at""",
            rows=1,
            refusal="command-over",
            at=at_us,
            answer=text,
            id=command_id,
        )

    def prune(self, unit: Unit, *, asked_before_us: int) -> None:
        """Append the end of commands asked before a time."""
        unit.add("DELETE FROM terminal_command WHERE asked_at_us<:before", before=asked_before_us)

    async def has_older(self, asked_before_us: int) -> bool:
        """Whether there is something to prune."""
        row = await self._db.read_one(
            "SELECT 1 AS found FROM terminal_command WHERE asked_at_us<:before LIMIT 1", before=asked_before_us
        )
        return row is not None
