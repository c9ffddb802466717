"""Terminals: added by an administrator, enrolled once with a short code, then known by their own key.

An address proves nothing. Each request is signed (see `wire.signing`); who signed it is `auth.recognition`'s to say.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from daemon.auth.keys import SealBroken
from daemon.auth.opening_hours import parse_hours
from daemon.auth.recognition import ClockSkew, Recognition, SignedHead, TerminalRevoked, TerminalUnknown
from daemon.auth.terminal_reports import newly_forged
from daemon.auth.terminal_rules import SITE, TERMINAL_POLICIES, effective_policy
from daemon.auth.terminal_store import Terminal, TerminalStore
from daemon.db.unit import Unit, UnitRefused
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import NotFound, Refusal
from daemon.kernel.events import Event
from daemon.kernel.ids import new_id
from daemon.wire import signing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.auth.keys import SecretBox
    from daemon.auth.terminal_reports import Report
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock
    from daemon.kernel.ids import Dice

log = structlog.get_logger(__name__)

__all__ = [
    "Binding", "Change", "ClockSkew", "Enrolled", "NewTerminal", "SignedHead", "Terminal", "TerminalRevoked",
    "TerminalUnknown", "Terminals",
]  # fmt: skip

CODE_S = 900
CODE_TRIES_MAX = 8
NAME_CHARS_MAX = 64
READER_CHARS_MAX = 64
PRINTERS_MAX = 64
_CODE = "terminal-code"


class EnrolmentFailed(Refusal):
    """Unknown, used, expired code, or the two sides do not see the same keys. The code is spent either way."""

    code = "enrolment-failed"


class TerminalRefused(Refusal):
    """The terminal cannot be added like this; the message says why."""

    code = "terminal-refused"


@dataclass(frozen=True, slots=True)
class NewTerminal:
    """A terminal just added and the code it enrols with, shown once."""

    terminal: Terminal
    code: str
    expires_at_us: int

    def __repr__(self) -> str:
        return f"NewTerminal({self.terminal.public_id})"


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What the daemon answers an enrolment with."""

    terminal: Terminal
    ca_pem: str
    proof: bytes


@dataclass(frozen=True, slots=True)
class Binding:
    """A printer a terminal stands at, by name or id; a tap on `reader` means this printer ("" for any reader)."""

    printer: str
    reader: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What an administrator may change of a terminal; None leaves it as it is."""

    name: str | None = None
    policy: str | None = None
    opening_hours: str | None = None
    printers: Sequence[Binding] | None = None


class Terminals:
    """Adds, enrols, recognises and revokes terminals."""

    def __init__(
        self,
        db: Database,
        store: TerminalStore,
        *,
        box: SecretBox,
        ca_pem: str,
        server_key_sha256: bytes,
        clock: Clock,
        dice: Dice,
        site_policy: str = "daily",
    ) -> None:
        """`site_policy` holds where a terminal's own says `site`."""
        self._db = db
        self._store = store
        self._box = box
        self._ca_pem = ca_pem
        self._server_key_sha256 = server_key_sha256
        self._clock = clock
        self._dice = dice
        self._site_policy = site_policy
        self._recognition = Recognition(db, store, clock=clock)
        self._stretching = asyncio.Semaphore(1)

    async def add(
        self, name: str, *, printers: Sequence[str | Binding], policy: str = SITE, site: str = "main", actor: str
    ) -> NewTerminal:
        """A new terminal at these printers (by name or id), and its code.

        Raises:
            TerminalRefused: no name, an unknown policy, a printer or reader named twice.
            NotFound: no such printer.
            UnitRefused: `name-taken`.
        """
        title, rule = _name(name), _policy(policy)
        bound = await self._bound([one if isinstance(one, Binding) else Binding(one) for one in printers])
        public_id = new_id(self._dice)
        now = self._clock.now_us()
        unit = Unit()
        self._store.insert(unit, public_id=public_id, name=title, site=site, policy=rule, at_us=now)
        for printer_id, reader in bound:
            self._store.bind(unit, public_id=public_id, printer_id=printer_id, reader=reader)
        unit.event(Event("terminal.added", public_id), now)
        unit.audit(actor=actor, action="terminal.added", subject=public_id, detail={"policy": policy}, at_us=now)
        await self._db.commit(unit)
        return await self.renew_code(public_id, actor=actor)

    async def change(self, public_id: str, change: Change, *, actor: str) -> None:
        """Another name, policy, opening hours or printers; the terminal hears of it at once.

        Raises:
            TerminalRefused, HoursUnreadable, NotFound: not as typed, or there is no such terminal or printer.
            UnitRefused: `name-taken`.
        """
        terminal = await self.get(public_id)
        name = terminal.name if change.name is None else _name(change.name)
        policy = terminal.policy if change.policy is None else _policy(change.policy)
        hours = terminal.opening_hours if change.opening_hours is None else change.opening_hours.strip()
        parse_hours(hours)
        now = self._clock.now_us()
        unit = Unit()
        self._store.change(unit, public_id=public_id, name=name, policy=policy, opening_hours=hours)
        after: dict[str, object] = {"name": name, "policy": policy, "opening_hours": hours}
        if change.printers is not None:
            bound = await self._bound(change.printers)
            self._store.unbind(unit, public_id=public_id)
            for printer_id, reader in bound:
                self._store.bind(unit, public_id=public_id, printer_id=printer_id, reader=reader)
            after["printers"] = [
                f"{one.printer}@{one.reader}" if one.reader else one.printer for one in change.printers
            ]
        before: dict[str, object] = {
            "name": terminal.name,
            "policy": terminal.policy,
            "opening_hours": terminal.opening_hours,
        }
        changed = {key: value for key, value in after.items() if before.get(key) != value}
        unit.event(Event("terminal.changed", public_id), now)
        unit.audit(actor=actor, action="terminal.changed", subject=public_id, detail=changed, at_us=now)
        await self._db.commit(unit)

    async def renew_code(self, public_id: str, *, actor: str) -> NewTerminal:
        """Another code for a terminal: the first was mistyped, or the device was replaced.

        Raises:
            NotFound: there is no such terminal, or it was revoked.
        """
        terminal = await self.get(public_id)
        for _ in range(CODE_TRIES_MAX):
            code = signing.make_code(self._dice.token(signing.LOCATOR_CHARS + signing.SECRET_CHARS))
            key = await self._stretched(code)
            now = self._clock.now_us()
            until = now + CODE_S * US_PER_S
            boxed = self._box.seal(key, place=f"{_CODE}:{code.locator}")
            unit = Unit()
            self._store.insert_code(unit, public_id=public_id, locator=code.locator, boxed=boxed, expires_at_us=until)
            unit.audit(actor=actor, action="terminal.code-made", subject=public_id, detail={}, at_us=now)
            try:
                await self._db.commit(unit)
            except UnitRefused as refused:
                if refused.code != "locator-taken":
                    raise
                continue
            return NewTerminal(terminal, code.text, until)
        raise TerminalRefused("no free code; try again")

    async def get(self, public_id: str) -> Terminal:
        """The terminal.

        Raises:
            NotFound: there is none, or it was revoked.
        """
        terminal = await self._store.by_public(public_id)
        if terminal is None or terminal.revoked_at_us is not None:
            raise NotFound("there is no such terminal")
        return terminal

    async def list(self) -> list[Terminal]:
        """All terminals, the revoked among them."""
        return await self._store.all()

    def policy_of(self, terminal: Terminal) -> str:
        """The policy that holds there: card, card+password, daily or none."""
        return effective_policy(terminal.policy, site_policy=self._site_policy)

    def heard_us(self, terminal: Terminal) -> int | None:
        """When it was last heard of, microseconds UTC; None for never."""
        return self._recognition.heard_us(terminal)

    @property
    def refusals(self) -> dict[str, int]:
        """Terminal messages refused since the start, by reason."""
        return self._recognition.refusals

    async def revoke(self, public_id: str, *, actor: str) -> None:
        """End a terminal now: its next request and its open streams are refused.

        Raises:
            NotFound: there is no such terminal.
        """
        terminal = await self.get(public_id)
        now = self._clock.now_us()
        unit = Unit()
        self._store.revoke(unit, terminal_id=terminal.id, at_us=now)
        unit.event(Event("terminal.revoked", public_id), now)
        unit.audit(actor=actor, action="terminal.revoked", subject=public_id, detail={"name": terminal.name}, at_us=now)
        await self._db.commit(unit)
        self._recognition.forget(terminal)
        log.info("terminal.revoked", terminal_id=public_id)

    async def enrol(self, *, locator: str, public_key: bytes, proof: bytes, version: str) -> Enrolled:
        """Take a terminal's key if it proves the code over it and over our own server key. One try per code.

        Raises:
            EnrolmentFailed: for whatever reason; the code is spent.
        """
        now = self._clock.now_us()
        waiting = await self._store.code(locator[: signing.LOCATOR_CHARS + 1])
        if waiting is None or waiting.tried_at_us is not None or waiting.expires_at_us <= now:
            raise EnrolmentFailed("This code is not known, was used, or is too old.")
        await self._spend(locator, now)
        try:
            key = self._box.open(waiting.boxed, place=f"{_CODE}:{locator}")
            Ed25519PublicKey.from_public_bytes(public_key)
        except (SealBroken, ValueError) as error:
            raise EnrolmentFailed from error
        seen = {"public_key": public_key, "server_key_sha256": self._server_key_sha256}
        if not signing.is_same_proof(proof, signing.terminal_proof(key, **seen)):
            log.warning("terminal.enrolment_failed", terminal_id=waiting.terminal.public_id)
            raise EnrolmentFailed("The code does not fit, or somebody stands between. Make a new code.")
        terminal = waiting.terminal
        unit = Unit()
        self._store.enrol(unit, terminal_id=terminal.id, public_key=public_key, version=version[:64], at_us=now)
        unit.event(Event("terminal.enrolled", terminal.public_id), now)
        unit.audit(
            actor=f"terminal:{terminal.public_id}",
            action="terminal.enrolled",
            subject=terminal.public_id,
            detail={"version": version[:64], "replaced": terminal.public_key is not None},
            at_us=now,
        )
        try:
            await self._db.commit(unit)
        except UnitRefused as refused:
            raise EnrolmentFailed from refused
        self._recognition.welcome(terminal, public_key)
        log.info("terminal.enrolled", terminal_id=terminal.public_id, is_again=terminal.public_key is not None)
        answer = signing.daemon_proof(key, **seen, ca_pem=self._ca_pem, terminal_id=terminal.public_id)
        return Enrolled(terminal, self._ca_pem, answer)

    async def recognise(self, head: SignedHead, body: bytes) -> Terminal:
        """The terminal that signed this request, once; its policy is the one that holds there.

        Raises:
            TerminalUnknown, TerminalRevoked, ClockSkew, MessageReplayed: as they say.
        """
        terminal = await self._recognition.recognise(head, body)
        return replace(terminal, policy=self.policy_of(terminal))

    async def refused_unread(self, reason: str) -> None:
        """Count a message that was refused before its signature could be looked at."""
        await self._recognition.refuse(reason, None)

    async def still(self, terminal: Terminal) -> Terminal:
        """The terminal as it is now, if the key it was recognised by is still in force.

        Raises:
            TerminalRevoked: it was revoked, or enrolled anew.
        """
        now = await self._store.by_public(terminal.public_id)
        if now is None or now.revoked_at_us is not None or now.public_key != terminal.public_key:
            raise TerminalRevoked("This terminal was revoked.")
        return now

    def check_in_force(self, terminal: Terminal) -> None:
        """The same without a look at the table: for the end of a request that began before.

        Raises:
            TerminalRevoked: it was revoked or enrolled anew by this daemon meanwhile.
        """
        if self._recognition.is_ended(terminal):
            raise TerminalRevoked("This terminal was revoked.")

    async def heard(self, terminal: Terminal, report: Report) -> None:
        """Remember what a terminal says of itself; written only when that changed."""
        readers, screen = (
            report.readers_after(terminal.readers, self._clock.now_us()),
            report.screen_after(terminal.screen),
        )
        version = report.version or terminal.version
        if (version, readers, screen) == (terminal.version, terminal.readers, terminal.screen):
            return
        now = self._clock.now_us()
        unit = Unit()
        self._store.heard(unit, terminal, at_us=now, version=version, readers=readers, screen=screen)
        unit.event(Event("terminal.reported", terminal.public_id), now)
        for reader in newly_forged(terminal.readers, readers):
            detail: dict[str, object] = {"reader": reader.name, "reason": reader.code}
            unit.audit(actor="system", action="reader.forged", subject=terminal.public_id, detail=detail, at_us=now)
        try:
            await self._db.commit(unit)
        except UnitRefused as refused:
            raise TerminalRevoked("This terminal was revoked.") from refused

    async def _bound(self, bindings: Sequence[Binding]) -> tuple[tuple[int, str], ...]:
        """(printer's row, reader) of each.

        Raises:
            NotFound: no printer, or one that does not exist.
            TerminalRefused: one named twice, or two printers behind one reader.
        """
        if not bindings:
            raise NotFound("a terminal stands at one printer at least")
        if len(bindings) > PRINTERS_MAX:
            raise TerminalRefused(f"a terminal stands at {PRINTERS_MAX} printers at most")
        found: list[tuple[int, str]] = []
        for one in bindings:
            ids = await self._store.printer_ids([one.printer])
            if not ids:
                raise NotFound(f"there is no printer {one.printer!r}")
            if len(one.reader) > READER_CHARS_MAX or not (one.reader.isprintable() or not one.reader):
                raise TerminalRefused(f"a reader's name has at most {READER_CHARS_MAX} printable characters")
            found.append((ids[0], one.reader))
        readers = [reader for _, reader in found if reader]
        if len({printer for printer, _ in found}) < len(found) or len(set(readers)) < len(readers):
            raise TerminalRefused("a printer is named once, and a reader stands for one printer")
        return tuple(found)

    async def _spend(self, locator: str, now: int) -> None:
        unit = Unit()
        self._store.try_code(unit, locator=locator, now_us=now)
        try:
            await self._db.commit(unit)
        except UnitRefused as refused:
            raise EnrolmentFailed from refused

    async def _stretched(self, code: signing.EnrolCode) -> bytes:
        async with self._stretching:
            return await asyncio.to_thread(signing.code_key, code)


def _name(text: str) -> str:
    title = text.strip()
    if not title or len(title) > NAME_CHARS_MAX or not title.isprintable():
        raise TerminalRefused(f"a terminal's name has 1 to {NAME_CHARS_MAX} printable characters")
    return title


def _policy(text: str) -> str:
    if text not in TERMINAL_POLICIES:
        raise TerminalRefused(f"no policy {text!r}: use one of {', '.join(TERMINAL_POLICIES)}")
    return text
