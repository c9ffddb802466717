"""Sessions: server-side, revocable, short. 256-bit bearer values, kept only as hashes.

A session ends by logout, by idling, at its absolute end, when somebody else signs in at the same terminal, and when
the person is switched off or their password changes (the epoch moves on).
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.auth.identity import Method, Session, SessionEnded, SignedIn, Subject
from daemon.db.unit import Unit, UnitRefused
from daemon.kernel.clock import US_PER_S
from daemon.kernel.events import Event

if TYPE_CHECKING:
    from daemon.auth.session_store import SessionStore
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock
    from daemon.kernel.ids import Dice

TOKEN_BYTES = 32
TOKEN_PREFIX = "hfs_"  # noqa: S105  -- a public prefix, so that a leaked value is recognised
TOKEN_CHARS_MAX = 100


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """`idle_s` without use ends a session, `absolute_s` ends it in any case."""

    idle_s: int = 120
    absolute_s: int = 900


class Sessions:
    """Opens, checks, extends and ends."""

    def __init__(
        self, db: Database, store: SessionStore, *, clock: Clock, dice: Dice, times: SessionTimes | None = None
    ) -> None:
        self._db = db
        self._store = store
        self._clock = clock
        self._dice = dice
        self._times = times or SessionTimes()

    def open(
        self, unit: Unit, subject: Subject, *, terminal_id: int | None, method: Method, card_id: int | None = None
    ) -> SignedIn:
        """Append a new session to the unit that proves it; at a terminal it replaces the one before.

        `card_id`: the card that took part; the session ends with it.
        """
        now = self._clock.now_us()
        token = new_token(self._dice, TOKEN_PREFIX)
        absolute = now + self._times.absolute_s * US_PER_S
        session = Session(
            hash=hashed(token),
            person_id=subject.id,
            person_public_id=subject.public_id,
            person_name=subject.name,
            language=subject.language,
            terminal_id=terminal_id,
            method=method,
            opened_at_us=now,
            expires_at_us=min(now + self._times.idle_s * US_PER_S, absolute),
            absolute_us=absolute,
            card_id=card_id,
        )
        if terminal_id is not None:
            self._store.end_at_terminal(unit, terminal_id=terminal_id, at_us=now)
        self._store.insert(
            unit,
            value=session.hash,
            subject=subject,
            terminal_id=terminal_id,
            method=method,
            opened_at_us=now,
            expires_at_us=session.expires_at_us,
            absolute_us=absolute,
            card_id=card_id,
        )
        where = subject.public_id if terminal_id is None else terminal_subject(terminal_id)
        unit.event(Event("session.opened", where, subject.id), now)
        return SignedIn(token, session, subject)

    async def check(self, token: str, *, terminal_id: int | None) -> Session:
        """The open session of this bearer value, used where it was opened.

        Raises:
            SessionEnded: there is none, or it is another terminal's.
        """
        if not token.startswith(TOKEN_PREFIX) or len(token) > TOKEN_CHARS_MAX:
            raise SessionEnded
        return await self.recheck(hashed(token), terminal_id=terminal_id)

    async def recheck(self, value: bytes, *, terminal_id: int | None) -> Session:
        """The same by the session's own hash: for streams that stay open.

        Raises:
            SessionEnded: it is over.
        """
        session = await self._store.open_session(value, now_us=self._clock.now_us())
        if session is None or session.terminal_id != terminal_id:
            raise SessionEnded
        return session

    async def extend(self, session: Session) -> int:
        """Move the idle end; returns it (microseconds UTC). Writes only when a tenth of the time has gone by.

        Raises:
            SessionEnded: it was over before.
        """
        now = self._clock.now_us()
        until = min(now + self._times.idle_s * US_PER_S, session.absolute_us)
        if until - session.expires_at_us < self._times.idle_s * US_PER_S // 10:
            return session.expires_at_us
        unit = Unit()
        self._store.extend(unit, session.hash, expires_at_us=until, now_us=now)
        try:
            await self._db.commit(unit)
        except UnitRefused as refused:
            raise SessionEnded from refused
        return until

    async def end(self, session: Session) -> None:
        """Log out; its streams hear of it."""
        now = self._clock.now_us()
        unit = Unit()
        self._store.end(unit, session.hash, at_us=now)
        unit.event(Event("session.ended", session.person_public_id, session.person_id), now)
        await self._db.commit(unit)


def terminal_subject(terminal_id: int) -> str:
    """The subject of `session.opened` at a terminal: whoever was signed in there hears that somebody else is now."""
    return f"terminal:{terminal_id}"


def new_token(dice: Dice, prefix: str) -> str:
    """A fresh bearer value: prefix and 43 characters (256 bits)."""
    return prefix + base64.urlsafe_b64encode(dice.token(TOKEN_BYTES)).decode("ascii").rstrip("=")


def hashed(token: str) -> bytes:
    """What is stored for a bearer value; with 256 random bits a plain hash is enough (ASVS 6.5.2)."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
