"""Terminals as an administrator keeps them, in the words of the API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from daemon.auth.outages import ITSELF, Graces, is_away
from daemon.auth.terminal_reports import readers_of
from daemon.auth.terminal_rules import SITE
from daemon.auth.terminals import Binding, Change
from daemon.db.unit import UnitRefused
from daemon.kernel.clock import rfc3339
from daemon.kernel.errors import Conflict, NotFound

if TYPE_CHECKING:
    from daemon.auth.command_store import TerminalCommand
    from daemon.auth.outage_store import KeptOutage, OutageStore
    from daemon.auth.terminal_commands import TerminalCommands
    from daemon.auth.terminal_hours import TerminalHours
    from daemon.auth.terminal_store import Terminal, TerminalStore
    from daemon.auth.terminals import NewTerminal, Terminals
    from daemon.db.unit import Row
    from daemon.kernel.clock import Clock


Items = list[dict[str, Any]]


class TerminalUnknown(NotFound):
    """No terminal of that name or id, or it was revoked before."""

    code = "terminal-not-found"


@dataclass(frozen=True, slots=True)
class TerminalDraft:
    """A terminal as typed; `printers` by name or id, `readers` their readers in the same order (may be shorter)."""

    name: str
    printers: Sequence[str]
    readers: Sequence[str] = ()
    policy: str = SITE
    site: str = ""


@dataclass(frozen=True, slots=True)
class _Around:
    """What stands around the terminals' own rows, read once for all of them."""

    bindings: Mapping[int, Sequence[Row]] = field(default_factory=dict)
    outages: Mapping[int, Sequence[KeptOutage]] = field(default_factory=dict)
    waiting: Mapping[int, Sequence[TerminalCommand]] = field(default_factory=dict)


class TerminalDesk:
    """Adds, shows, changes, asks and revokes terminals."""

    def __init__(
        self,
        terminals: Terminals,
        store: TerminalStore,
        *,
        hours: TerminalHours,
        commands: TerminalCommands,
        outages: OutageStore,
        graces: Graces,
        clock: Clock,
        site: str,
        daemon_url: str,
    ) -> None:
        self._terminals = terminals
        self._store = store
        self._hours = hours
        self._commands = commands
        self._outages = outages
        self._graces = graces
        self._clock = clock
        self._site = site
        self._daemon_url = daemon_url

    async def add(self, draft: TerminalDraft, *, actor: str) -> dict[str, Any]:
        """Announce a terminal; the code enrols it once.

        Raises:
            TerminalRefused, NotFound: not as typed.
            Conflict: the name is taken.
        """
        try:
            made = await self._terminals.add(
                draft.name,
                printers=_bindings(draft.printers, draft.readers),
                policy=draft.policy,
                site=draft.site or self._site,
                actor=actor,
            )
        except UnitRefused as refused:
            raise _name_taken(refused, draft.name) from refused
        return self._code(made)

    async def find(self, name_or_id: str) -> Terminal:
        """By public id or name; of several that had the name, the one not revoked.

        Raises:
            TerminalUnknown: there is none.
        """
        known = await self._terminals.list()
        found = [t for t in known if name_or_id in (t.public_id, t.name, _called(t))]
        if not found:
            raise TerminalUnknown(f"there is no terminal {name_or_id!r}")
        return min(found, key=lambda t: (t.revoked_at_us is not None, -(t.revoked_at_us or 0)))

    async def show(self, name_or_id: str) -> dict[str, Any]:
        """One terminal as scripts see it."""
        return self._shape(await self.find(name_or_id), await self._around())

    async def list(self) -> list[dict[str, Any]]:
        """All terminals, the revoked among them."""
        around = await self._around()
        return [self._shape(terminal, around) for terminal in await self._terminals.list()]

    async def change(
        self,
        name_or_id: str,
        *,
        name: str | None = None,
        policy: str | None = None,
        opening_hours: str | None = None,
        printers: Sequence[tuple[str, str]] | None = None,
        actor: str,
    ) -> dict[str, Any]:
        """Another name, policy, opening hours or printers (each with the reader that means it, or "").

        Raises:
            TerminalUnknown, TerminalRefused, HoursUnreadable, NotFound: not as typed.
            Conflict: the name is taken.
        """
        terminal = await self._in_use(name_or_id)
        bound = None if printers is None else [Binding(printer, reader) for printer, reader in printers]
        change = Change(name=name, policy=policy, opening_hours=opening_hours, printers=bound)
        try:
            await self._terminals.change(terminal.public_id, change, actor=actor)
        except UnitRefused as refused:
            raise _name_taken(refused, name or terminal.name) from refused
        return await self.show(terminal.public_id)

    async def renew_code(self, name_or_id: str, *, actor: str) -> dict[str, Any]:
        """Another code: the first was mistyped or is too old, or the device was replaced.

        Raises:
            TerminalUnknown: there is none, or it was revoked.
        """
        terminal = await self._in_use(name_or_id)
        return self._code(await self._terminals.renew_code(terminal.public_id, actor=actor))

    async def revoke(self, name_or_id: str, *, actor: str) -> dict[str, Any]:
        """Refuse its key from now on.

        Raises:
            TerminalUnknown: there is none, or it was revoked before.
        """
        terminal = await self._in_use(name_or_id)
        await self._terminals.revoke(terminal.public_id, actor=actor)
        return await self.show(terminal.public_id)

    async def ask(self, name_or_id: str, kind: str, *, actor: str) -> dict[str, Any]:
        """Ask it to identify itself, to restart, or for its log.

        Raises:
            TerminalUnknown, CommandRefused: as they say.
        """
        terminal = await self._in_use(name_or_id)
        return self._command(await self._commands.ask(terminal, kind, actor=actor))

    async def command(self, name_or_id: str, command_id: str) -> dict[str, Any]:
        """What became of a command.

        Raises:
            NotFound: there is none.
        """
        return self._command(await self._commands.get(await self.find(name_or_id), command_id))

    async def commands(self, name_or_id: str) -> Items:
        """What it was asked within the last month, newest first."""
        return [self._command(one) for one in await self._commands.latest(await self.find(name_or_id))]

    async def outages(self, name_or_id: str) -> Items:
        """When it was away and which readers it missed within the last year, newest first."""
        terminal = await self.find(name_or_id)
        return [_outage(one) for one in await self._outages.of(terminal.id)]

    # ----- inside -----
    async def _in_use(self, name_or_id: str) -> Terminal:
        terminal = await self.find(name_or_id)
        if terminal.revoked_at_us is not None:
            raise TerminalUnknown(f"terminal {_called(terminal)!r} was revoked before")
        return terminal

    async def _around(self) -> _Around:
        return _Around(
            bindings=await self._store.bindings(),
            outages=await self._outages.open(),
            waiting=await self._commands.all_waiting(),
        )

    def _code(self, made: NewTerminal) -> dict[str, Any]:
        return {
            "terminal_id": made.terminal.public_id,
            "name": made.terminal.name,
            "code": made.code,
            "expires_at": rfc3339(made.expires_at_us),
            "daemon_url": self._daemon_url,
        }

    def _command(self, command: TerminalCommand) -> dict[str, Any]:
        return {
            "command_id": command.public_id,
            "kind": command.kind,
            "state": command.state(self._clock.now_us()),
            "asked_by": command.asked_by,
            "asked_at": rfc3339(command.asked_at_us),
            "expires_at": rfc3339(command.expires_at_us),
            "done_at": rfc3339(command.done_at_us),
            "answer": command.answer,
        }

    def _shape(self, terminal: Terminal, around: _Around) -> dict[str, Any]:
        bindings = around.bindings.get(terminal.id, ())
        enrolled = "enrolled" if terminal.enrolled_at_us else "waiting"
        now = self._clock.now_us()
        shape = {
            "terminal_id": terminal.public_id,
            "name": _called(terminal),
            "state": "revoked" if terminal.revoked_at_us else enrolled,
            "policy": terminal.policy,
            "effective_policy": self._terminals.policy_of(terminal),
            "site": terminal.site,
            "printers": [row["name"] for row in bindings],
            "bindings": [{"printer": row["name"], "reader": row["reader"]} for row in bindings],
            "version": terminal.version,
            "created_at": rfc3339(terminal.created_at_us),
            "enrolled_at": rfc3339(terminal.enrolled_at_us),
            "revoked_at": rfc3339(terminal.revoked_at_us),
            "opening_hours": terminal.opening_hours,
            "paused_until": rfc3339(terminal.paused_until_us) if now < (terminal.paused_until_us or 0) else None,
            "readers": [
                {
                    "name": reader.name,
                    "kind": reader.kind,
                    "state": reader.state,
                    "code": reader.code,
                    "model": reader.model,
                    "since": rfc3339(reader.since_us or None),
                }
                for reader in readers_of(terminal.readers)
            ],
            "screen": json.loads(terminal.screen) or None,
            "problems": [_outage(one) for one in around.outages.get(terminal.id, ())],
            "pending": [self._command(one) for one in around.waiting.get(terminal.id, ())],
        }
        return shape | self._presence(terminal, now)

    def _presence(self, terminal: Terminal, now: int) -> dict[str, Any]:
        """Whether it is there: `online` or `away` since when; empty for one that has no key to speak with."""
        heard = self._terminals.heard_us(terminal)
        opening = self._hours.now(terminal)
        known = terminal.enrolled_at_us is not None and terminal.revoked_at_us is None
        gone = is_away(heard, now, self._graces)
        return {
            "presence": ("away" if gone else "online") if known else "",
            "last_seen_at": rfc3339(heard),
            "away_since": rfc3339(heard) if known and gone else None,
            "open": opening.is_open,
            "opens_at": rfc3339(opening.opens_at_us),
        }


def _bindings(printers: Sequence[str], readers: Sequence[str]) -> list[Binding]:
    filled = [*readers, *([""] * len(printers))]
    return [Binding(printer, reader) for printer, reader in zip(printers, filled, strict=False)]


def _outage(outage: KeptOutage) -> dict[str, Any]:
    return {
        "kind": "terminal-away" if outage.reader == ITSELF else "reader-away",
        "reader": outage.reader,
        "code": outage.code,
        "since": rfc3339(outage.began_at_us),
        "until": rfc3339(outage.ended_at_us),
    }


def _name_taken(refused: UnitRefused, name: str) -> Exception:
    if refused.code == "name-taken":
        return Conflict(f"a terminal is called {name!r} already", code="name-taken")
    if refused.code == "terminal-not-found":
        return TerminalUnknown(f"terminal {name!r} was revoked before")
    return refused


def _called(terminal: Terminal) -> str:
    """The name people gave it; a revoked terminal's row has given its name back."""
    return terminal.name.removesuffix(f" (revoked {terminal.public_id})") if terminal.revoked_at_us else terminal.name
