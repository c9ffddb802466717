"""Signed in to the console: server-side sessions, revocable, with an idle and an absolute end.

They end with the person's epoch too: switched off, password changed, everything signed out.

The cookie holds 256 random bits and nothing else; only their hash is stored. Its value changes at sign-in and whenever
the person proves themselves again (ASVS 7.2.4), so a value that leaked before is worth nothing afterwards. What forms
carry against forgery is another random value that stays with the session, so that a form open in a second tab survives.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.auth import permissions
from daemon.auth.console_store import ConsoleSession
from daemon.auth.sessions import hashed, new_token
from daemon.db.unit import Unit
from daemon.kernel.clock import US_PER_S
from daemon.kernel.events import Event

if TYPE_CHECKING:
    from daemon.auth.console_store import ConsoleStore
    from daemon.auth.identity import Subject
    from daemon.auth.permissions import Actor
    from daemon.auth.service import SignIn
    from daemon.auth.store import AuthStore
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock
    from daemon.kernel.ids import Dice

TOKEN_PREFIX = "hfc_"  # noqa: S105  -- a public prefix, so that a leaked value is recognised
TOKEN_CHARS_MAX = 100
CSRF_BYTES = 24


@dataclass(frozen=True, slots=True)
class ConsoleTimes:
    """`idle_s` without use ends a session, `absolute_s` ends it in any case; `proof_s` a password given counts."""

    idle_s: int = 1800
    absolute_s: int = 43_200
    proof_s: int = 300


@dataclass(frozen=True, slots=True)
class Opened:
    """A session just opened and the one copy of its cookie's value."""

    token: str
    session: ConsoleSession

    def __repr__(self) -> str:
        return f"Opened({self.session!r})"


class ConsoleSessions:
    """Opens, checks, extends and ends."""

    def __init__(
        self,
        db: Database,
        store: ConsoleStore,
        people: AuthStore,
        *,
        sign_in: SignIn,
        clock: Clock,
        dice: Dice,
        times: ConsoleTimes | None = None,
    ) -> None:
        self._db = db
        self._store = store
        self._people = people
        self._sign_in = sign_in
        self._clock = clock
        self._dice = dice
        self.times = times or ConsoleTimes()

    async def sign_in(self, login: str, password: str, *, peer: str, before: str = "") -> Opened:
        """Open a session with network name or mail address and the full password; the one of `before` ends.

        Raises:
            SignInFailed: unknown, wrong, locked or switched off: one answer.
            SignInPaused: this address failed too often.
            Busy: too many are signing in.
        """
        return await self._sign_in.by_password(
            login, password, peer=peer, finish=lambda unit, who: self._opened(unit, who, host=peer, before=before)
        )

    async def prove(self, session: ConsoleSession, password: str, *, peer: str) -> Opened:
        """The password once more, for a dangerous change: the same session under a new value.

        Raises:
            SignInFailed, SignInPaused, Busy: as `sign_in`; a wrong one counts like any other.
        """
        return await self._sign_in.by_person(
            session.person_id, password, peer=peer, finish=lambda unit, who: self._proven(unit, who, session, peer)
        )

    async def check(self, token: str) -> ConsoleSession | None:
        """The open session of this cookie value; its idle end moves, written when a tenth of the time has gone by."""
        if not token.startswith(TOKEN_PREFIX) or len(token) > TOKEN_CHARS_MAX:
            return None
        now = self._clock.now_us()
        session = await self._store.open_session(hashed(token), now_us=now)
        if session is None:
            return None
        until = min(now + self.times.idle_s * US_PER_S, session.absolute_us)
        if until - session.expires_at_us >= self.times.idle_s * US_PER_S // 10:
            unit = Unit()
            self._store.extend(unit, session.hash, expires_at_us=until, now_us=now)
            await self._db.commit(unit)
        return session

    async def actor(self, session: ConsoleSession) -> Actor:
        """The person with the roles they have now: a role taken away is gone with the next request."""
        roles = await self._people.roles(session.person_id)
        return permissions.actor(f"user:{session.person_id}", roles, person_id=session.person_id)

    def is_proven(self, session: ConsoleSession) -> bool:
        """Whether the password was given lately enough for a dangerous change."""
        return self._clock.now_us() < session.proven_at_us + self.times.proof_s * US_PER_S

    async def count_open(self, session: ConsoleSession) -> int:
        """How many browsers this person is signed in with, this one included."""
        return await self._store.count_open(session.person_id, now_us=self._clock.now_us())

    async def end(self, session: ConsoleSession) -> None:
        """Sign out here."""
        now = self._clock.now_us()
        unit = Unit()
        self._store.end(unit, session.hash, at_us=now)
        self._note(unit, session, "console.signed-out", now)
        await self._db.commit(unit)

    async def end_everywhere(self, session: ConsoleSession) -> None:
        """Sign out in every browser, and at terminals: the person's epoch moves on."""
        now = self._clock.now_us()
        unit = Unit()
        self._people.void_sessions(unit, person_id=session.person_id, at_us=now)
        self._store.end_all(unit, person_id=session.person_id, at_us=now)
        unit.event(Event("session.ended", session.public_id, session.person_id), now)
        self._note(unit, session, "console.signed-out-everywhere", now)
        await self._db.commit(unit)

    def _note(self, unit: Unit, session: ConsoleSession, action: str, now: int) -> None:
        actor = f"user:{session.person_id}"
        unit.audit(actor=actor, action=action, subject=session.public_id, detail={}, at_us=now)

    def _opened(self, unit: Unit, subject: Subject, *, host: str, before: str) -> Opened:
        now = self._clock.now_us()
        absolute = now + self.times.absolute_s * US_PER_S
        csrf = base64.urlsafe_b64encode(self._dice.token(CSRF_BYTES)).decode("ascii")
        if before:
            self._store.end(unit, hashed(before), at_us=now)
        opened = self._row(unit, subject, host=host, csrf=csrf, opened_at_us=now, absolute_us=absolute)
        unit.audit(
            actor=f"user:{subject.id}",
            action="console.signed-in",
            subject=subject.public_id,
            detail={"host": host},
            at_us=now,
        )
        return opened

    def _proven(self, unit: Unit, subject: Subject, session: ConsoleSession, host: str) -> Opened:
        self._store.end(unit, session.hash, at_us=self._clock.now_us())
        return self._row(
            unit,
            subject,
            host=host,
            csrf=session.csrf,
            opened_at_us=session.opened_at_us,
            absolute_us=session.absolute_us,
        )

    def _row(
        self, unit: Unit, subject: Subject, *, host: str, csrf: str, opened_at_us: int, absolute_us: int
    ) -> Opened:
        now = self._clock.now_us()
        token = new_token(self._dice, TOKEN_PREFIX)
        session = ConsoleSession(
            hash=hashed(token),
            person_id=subject.id,
            public_id=subject.public_id,
            name=subject.name,
            display_name=subject.display_name,
            language=subject.language,
            csrf=csrf,
            opened_at_us=opened_at_us,
            proven_at_us=now,
            expires_at_us=min(now + self.times.idle_s * US_PER_S, absolute_us),
            absolute_us=absolute_us,
        )
        self._store.insert(
            unit,
            value=session.hash,
            subject=subject,
            csrf=csrf,
            host=host,
            opened_at_us=opened_at_us,
            now_us=now,
            expires_at_us=session.expires_at_us,
            absolute_us=absolute_us,
        )
        return Opened(token, session)


def is_own_token(session: ConsoleSession, given: str) -> bool:
    """Whether a form carries this session's value against forgery; compared in constant time."""
    return hmac.compare_digest(session.csrf.encode(), given.encode("utf-8", "surrogatepass"))
