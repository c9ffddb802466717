"""Which terminal signed this request: signature, time window, counter; and what is refused is counted by its reason.

The row is read for every request, so a revocation holds from the next one on. The highest counter is written down
before a request that changes anything is acted on, in a write that only a key still in force can make.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from daemon.auth.forgeries import NOBODY, Forgeries
from daemon.db.unit import Unit, UnitRefused
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import Refusal
from daemon.kernel.events import Event
from daemon.wire import signing
from daemon.wire.messages import PREFIX

if TYPE_CHECKING:
    from daemon.auth.terminal_store import Terminal, TerminalStore
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock

log = structlog.get_logger(__name__)

SEEN_EVERY_US = 30 * US_PER_S
"""When a terminal was last heard of is written this often; in between it is known here."""
NUMBER_DIGITS_MAX = 19
TERMINAL_ID_CHARS_MAX = 64
HARMLESS = frozenset({f"{PREFIX}/heartbeat"})
"""POSTs whose repetition after a restart does nothing the next one does not mend: their counter needs no write."""
_USED = (1 << signing.WINDOW_BITS) - 1


class TerminalRevoked(Refusal):
    """The terminal was revoked, or its key replaced by another device's; it must forget its key and show that."""

    code = "revoked"


class TerminalUnknown(Refusal):
    """No such terminal, or the signature is not its key's over this very request: the two look alike."""

    code = "terminal-unknown"


class MessageReplayed(TerminalUnknown):
    """Signed by the terminal, but its counter was used before, or is so old that nobody can tell."""

    code = "replayed"


class ClockSkew(Refusal):
    """The request's time is too far from ours; `data["now_us"]` lets the terminal correct itself."""

    code = "clock-skew"


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
        return self.method not in {"GET", "HEAD"} and self.target not in HARMLESS


class Recognition:
    """Recognises terminals; `refusals` counts what was refused, by reason."""

    def __init__(self, db: Database, store: TerminalStore, *, clock: Clock) -> None:
        self._db = db
        self._store = store
        self._clock = clock
        self._windows: dict[int, tuple[bytes, signing.ReplayWindow]] = {}
        self._heard_us: dict[int, int] = {}
        self._ended: set[tuple[int, bytes]] = set()
        self._forgeries = Forgeries()

    @property
    def refusals(self) -> dict[str, int]:
        """Refused messages since the start, by reason."""
        return dict(self._forgeries.totals)

    def heard_us(self, terminal: Terminal) -> int | None:
        """When it was last heard of, microseconds UTC."""
        return max((self._heard_us.get(terminal.id, 0), terminal.last_seen_us or 0)) or None

    def forget(self, terminal: Terminal) -> None:
        """Its key is no longer in force: what is under way with it is refused at its end."""
        self._windows.pop(terminal.id, None)
        if terminal.public_key is not None:
            self._ended.add((terminal.id, terminal.public_key))

    def welcome(self, terminal: Terminal, public_key: bytes) -> None:
        """Another key is in force from now on."""
        self.forget(terminal)
        self._ended.discard((terminal.id, public_key))

    def is_ended(self, terminal: Terminal) -> bool:
        """Whether the key this terminal was recognised by has been revoked or replaced since, here."""
        return terminal.public_key is not None and (terminal.id, terminal.public_key) in self._ended

    async def recognise(self, head: SignedHead, body: bytes) -> Terminal:
        """The terminal that signed this request, once.

        Raises:
            TerminalUnknown, TerminalRevoked, ClockSkew, MessageReplayed: as they say.
        """
        if not head.terminal_id or not head.signature:
            await self.refuse("unsigned", None)
            raise TerminalUnknown("the request is not signed")
        terminal = await self._store.by_public(head.terminal_id[:TERMINAL_ID_CHARS_MAX])
        if terminal is None or terminal.public_key is None:
            await self.refuse("unknown", None)
            raise TerminalUnknown
        is_signed = _is_signed(head, body, terminal.public_key)
        is_old = not is_signed and terminal.replaced_key is not None and _is_signed(head, body, terminal.replaced_key)
        if not is_signed and not is_old:
            await self.refuse("signature", terminal)
            raise TerminalUnknown("the signature does not fit")
        if is_old or terminal.revoked_at_us is not None:
            self._forgeries.totals["revoked"] += 1
            raise TerminalRevoked("This terminal was revoked.")
        now = self._clock.now_us()
        if abs(now - _number(head.time)) > signing.SKEW_MAX_US:
            await self.refuse("clock-skew", terminal)
            raise ClockSkew("the request's time is too far from the daemon's", now_us=now)
        after = self._window(terminal).accept(_number(head.counter))
        if after is None:
            await self.refuse("replayed", terminal)
            raise MessageReplayed("the request's counter was used before")
        self._windows[terminal.id] = (terminal.public_key, after)
        self._heard_us[terminal.id] = now
        if head.changes or now - (terminal.last_seen_us or 0) > SEEN_EVERY_US:
            await self._write_seen(terminal, after.highest, now)
        return terminal

    async def refuse(self, reason: str, terminal: Terminal | None) -> None:
        """Count a refused message; many of them are told to operators, once per window."""
        now = self._clock.now_us()
        name = terminal.public_id if terminal is not None else NOBODY
        if not self._forgeries.refused(reason, terminal=name, at_us=now):
            return
        unit = Unit()
        unit.event(Event("terminal.forged", name), now)
        unit.audit(actor="system", action="terminal.forged", subject=name, detail={"reason": reason}, at_us=now)
        log.warning("terminal.forged", terminal_id=name, reason=reason)
        await self._db.commit(unit)

    def _window(self, terminal: Terminal) -> signing.ReplayWindow:
        """The counters used by this very key; a key that replaced another begins anew."""
        key, window = self._windows.get(terminal.id, (b"", None))
        if window is None or key != terminal.public_key:
            return signing.ReplayWindow(terminal.counter, _USED)
        return window

    async def _write_seen(self, terminal: Terminal, counter: int, now: int) -> None:
        unit = Unit()
        key = terminal.public_key or b""
        self._store.seen(unit, terminal_id=terminal.id, public_key=key, counter=counter, at_us=now)
        try:
            await self._db.commit(unit)
        except UnitRefused as refused:
            self._forgeries.totals["revoked"] += 1
            raise TerminalRevoked("This terminal was revoked.") from refused


def _is_signed(head: SignedHead, body: bytes, public_key: bytes) -> bool:
    try:
        signed = signing.signing_input(
            method=head.method,
            target=head.target,
            body=body,
            time_us=_number(head.time),
            counter=_number(head.counter),
        )
        signature = base64.b64decode(head.signature, validate=True)
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signed)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def _number(text: str) -> int:
    """A header's whole number; what is none becomes 0, which no signature or window accepts."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS_MAX else 0
