"""Terminals as an administrator keeps them, in the words of the API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daemon.auth.terminal_store import Terminal, TerminalStore
from daemon.auth.terminals import Terminals
from daemon.db.unit import UnitRefused
from daemon.kernel.clock import rfc3339
from daemon.kernel.errors import Conflict, NotFound


class TerminalUnknown(NotFound):
    """No terminal of that name or id, or it was revoked before."""

    code = "terminal-not-found"


@dataclass(frozen=True, slots=True)
class TerminalDraft:
    """A terminal as typed; `printers` by name or id."""

    name: str
    printers: Sequence[str]
    policy: str = "card+password"
    site: str = ""


class TerminalDesk:
    """Adds, shows and revokes terminals."""

    def __init__(self, terminals: Terminals, store: TerminalStore, *, site: str, daemon_url: str) -> None:
        self._terminals = terminals
        self._store = store
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
                draft.name, printers=draft.printers, policy=draft.policy, site=draft.site or self._site, actor=actor
            )
        except UnitRefused as refused:
            if refused.code == "name-taken":
                raise Conflict(f"a terminal is called {draft.name!r} already", code="name-taken") from refused
            raise
        return {
            "terminal_id": made.terminal.public_id,
            "name": made.terminal.name,
            "code": made.code,
            "expires_at": rfc3339(made.expires_at_us),
            "daemon_url": self._daemon_url,
        }

    async def find(self, name_or_id: str) -> Terminal:
        """By public id or name; of several that had the name, the one not revoked.

        Raises:
            TerminalUnknown: there is none.
        """
        known = await self._terminals.list()
        found = [t for t in known if name_or_id in (t.public_id, t.name)]
        if not found:
            raise TerminalUnknown(f"there is no terminal {name_or_id!r}")
        return min(found, key=lambda t: t.revoked_at_us is not None)

    async def show(self, name_or_id: str) -> dict[str, Any]:
        """One terminal as scripts see it."""
        return await self._shape(await self.find(name_or_id))

    async def list(self) -> list[dict[str, Any]]:
        """All terminals, the revoked among them."""
        return [await self._shape(terminal) for terminal in await self._terminals.list()]

    async def revoke(self, name_or_id: str, *, actor: str) -> dict[str, Any]:
        """Refuse its key from now on.

        Raises:
            TerminalUnknown: there is none, or it was revoked before.
        """
        terminal = await self.find(name_or_id)
        if terminal.revoked_at_us is not None:
            raise TerminalUnknown(f"terminal {terminal.name!r} was revoked before")
        await self._terminals.revoke(terminal.public_id, actor=actor)
        return await self.show(terminal.public_id)

    async def _shape(self, terminal: Terminal) -> dict[str, Any]:
        state = "enrolled" if terminal.enrolled_at_us else "waiting"
        return {
            "terminal_id": terminal.public_id,
            "name": terminal.name,
            "state": "revoked" if terminal.revoked_at_us else state,
            "policy": terminal.policy,
            "site": terminal.site,
            "printers": [row["name"] for row in await self._store.printers(terminal.id)],
            "version": terminal.version,
            "created_at": rfc3339(terminal.created_at_us),
            "enrolled_at": rfc3339(terminal.enrolled_at_us),
            "last_seen_at": rfc3339(terminal.last_seen_us),
            "revoked_at": rfc3339(terminal.revoked_at_us),
        }
