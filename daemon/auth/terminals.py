"""Terminals: added by an administrator, enrolled once with a short code, then known by their own key.

An address proves nothing. Each request is signed (see `wire.signing`); a time window bounds how old a captured
request may be and a counter makes it usable once. The highest counter is written down before a request that changes
anything is acted on, so a restart opens no window for replays of those.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from daemon.auth.keys import SealBroken
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
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock
    from daemon.kernel.ids import Dice

log = structlog.get_logger(__name__)

__all__ = ["Enrolled", "NewTerminal", "SignedHead", "Terminal", "Terminals"]

CODE_S = 900
CODE_TRIES_MAX = 8
POLICIES = ("card", "card+password", "none")
NAME_CHARS_MAX = 64
SEEN_EVERY_US = 30 * US_PER_S
_CODE = "terminal-code"
_USED = (1 << signing.WINDOW_BITS) - 1


class EnrolmentFailed(Refusal):
    """Unknown, used, expired code, or the two sides do not see the same keys. The code is spent either way."""

    code = "enrolment-failed"


class TerminalRevoked(Refusal):
    """The terminal was revoked; it must forget its key and show that."""

    code = "revoked"


class TerminalUnknown(Refusal):
    """No such terminal, or the signature is not its key's, or the request was seen before."""

    code = "terminal-unknown"


class ClockSkew(Refusal):
    """The request's time is too far from ours; `data["now_us"]` lets the terminal correct itself."""

    code = "clock-skew"


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
class SignedHead:
    """The four headers of a request and what they are about."""

    terminal_id: str
    time: str
    counter: str
    signature: str
    method: str
    target: str

    @property
    def changes(self) -> bool:
        """Whether acting on it twice would differ from acting on it once."""
        return self.method not in {"GET", "HEAD"}


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
    ) -> None:
        self._db = db
        self._store = store
        self._box = box
        self._ca_pem = ca_pem
        self._server_key_sha256 = server_key_sha256
        self._clock = clock
        self._dice = dice
        self._windows: dict[int, signing.ReplayWindow] = {}
        self._stretching = asyncio.Semaphore(1)

    async def add(
        self, name: str, *, printers: Sequence[str], policy: str = "card+password", site: str = "main", actor: str
    ) -> NewTerminal:
        """A new terminal at these printers (by name or id), and its code.

        Raises:
            TerminalRefused: no name, an unknown policy.
            NotFound: no such printer.
            UnitRefused: `name-taken`.
        """
        title = name.strip()
        if not title or len(title) > NAME_CHARS_MAX or not title.isprintable():
            raise TerminalRefused(f"a terminal's name has 1 to {NAME_CHARS_MAX} printable characters")
        if policy not in POLICIES:
            raise TerminalRefused(f"no policy {policy!r}: use one of {', '.join(POLICIES)}")
        if not printers:
            raise NotFound("a terminal stands at one printer at least")
        ids = []
        for printer in printers:
            found = await self._store.printer_ids([printer])
            if not found:
                raise NotFound(f"there is no printer {printer!r}")
            ids += found
        public_id = new_id(self._dice)
        now = self._clock.now_us()
        unit = Unit()
        self._store.insert(unit, public_id=public_id, name=title, site=site, policy=policy, at_us=now)
        for printer_id in dict.fromkeys(ids):
            self._store.bind(unit, public_id=public_id, printer_id=printer_id)
        unit.event(Event("terminal.added", public_id), now)
        unit.audit(actor=actor, action="terminal.added", subject=public_id, detail={"policy": policy}, at_us=now)
        await self._db.commit(unit)
        return await self.renew_code(public_id, actor=actor)

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
        self._windows.pop(terminal.id, None)
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
            detail={"version": version[:64]},
            at_us=now,
        )
        try:
            await self._db.commit(unit)
        except UnitRefused as refused:
            raise EnrolmentFailed from refused
        self._windows.pop(terminal.id, None)
        answer = signing.daemon_proof(key, **seen, ca_pem=self._ca_pem, terminal_id=terminal.public_id)
        return Enrolled(terminal, self._ca_pem, answer)

    async def recognise(self, head: SignedHead, body: bytes) -> Terminal:
        """The terminal that signed this request, once.

        Raises:
            TerminalUnknown, TerminalRevoked, ClockSkew: as they say.
        """
        terminal = await self._store.by_public(head.terminal_id[:64])
        if terminal is None or terminal.public_key is None:
            raise TerminalUnknown
        time_us, counter = _number(head.time), _number(head.counter)
        try:
            signed = signing.signing_input(
                method=head.method, target=head.target, body=body, time_us=time_us, counter=counter
            )
            signature = base64.b64decode(head.signature, validate=True)
            Ed25519PublicKey.from_public_bytes(terminal.public_key).verify(signature, signed)
        except (InvalidSignature, ValueError, binascii.Error) as error:
            raise TerminalUnknown("the signature does not fit") from error
        if terminal.revoked_at_us is not None:
            raise TerminalRevoked("This terminal was revoked.")
        now = self._clock.now_us()
        if abs(now - time_us) > signing.SKEW_MAX_US:
            raise ClockSkew("the request's time is too far from the daemon's", now_us=now)
        window = self._windows.get(terminal.id) or signing.ReplayWindow(terminal.counter, _USED)
        after = window.accept(counter)
        if after is None:
            raise TerminalUnknown("the request's counter was used before")
        self._windows[terminal.id] = after
        if head.changes or now - (terminal.last_seen_us or 0) > SEEN_EVERY_US:
            await self._write_seen(terminal, after.highest, now)
        return terminal

    async def note_version(self, terminal: Terminal, version: str) -> None:
        """Remember what the terminal runs."""
        if version[:64] != terminal.version:
            await self._write_seen(terminal, 0, self._clock.now_us(), version=version[:64])

    async def _write_seen(self, terminal: Terminal, counter: int, now: int, *, version: str | None = None) -> None:
        unit = Unit()
        self._store.seen(unit, terminal_id=terminal.id, counter=counter, at_us=now, version=version)
        await self._db.commit(unit)

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


def _number(text: str) -> int:
    """A header's whole number; what is none becomes 0, which no signature or window accepts."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else 0
