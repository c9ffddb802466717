"""A code by mail in place of the password, where a site allows it: eight digits, ten minutes, once, at one terminal.

Asking answers the same whether the PIN is anybody's, has a mail address or asked too often: the terminal learns
nothing. Each person has one code at a time, five tries at it, and a few codes an hour, so whoever knows a PIN can
neither fill a mailbox nor try more than a few of a hundred million codes. Wrong codes count like wrong passwords.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import structlog

from daemon.auth import pins
from daemon.auth.code_store import CodeRow, CodeStore
from daemon.auth.identity import SignInPaused
from daemon.auth.tap_gate import Bucket
from daemon.db.unit import Unit
from daemon.kernel.clock import US_PER_S

if TYPE_CHECKING:
    from daemon.auth.identity import Mailer, Subject
    from daemon.auth.keys import KeyRing
    from daemon.auth.store import AuthStore
    from daemon.auth.terminals import Terminal
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock
    from daemon.kernel.ids import Dice

log = structlog.get_logger(__name__)

SOURCE = "codes:"
"""Questions for a code are remembered apart from failures: `codes:<terminal id>`."""
CODE_DIGITS = 8
CODE_S = 600
TRIES_MAX = 5
"""Wrong tries after which a code is void."""
CODES_PER_HOUR_MAX = 5
CODE_GAP_S = 60
"""Of one person."""
HOUR_US = 3600 * US_PER_S
ASKS_BURST = 6
ASK_GAP_S = 30
"""Of one terminal: this many at once, then two a minute."""
TERMINALS_MAX = 10_000


class MailedCodes:
    """Makes, mails and checks codes; `daemon.auth.service.SignIn.by_code` signs in with them."""

    def __init__(
        self,
        db: Database,
        people: AuthStore,
        *,
        ring: KeyRing,
        mailer: Mailer,
        is_allowed: bool,
        clock: Clock,
        dice: Dice,
    ) -> None:
        self._db = db
        self._store = CodeStore(db)
        self._people = people
        self._ring = ring
        self._mailer = mailer
        self._is_allowed = is_allowed
        self._clock = clock
        self._dice = dice
        self._asked: dict[int, Bucket] = {}

    def remember(self, terminal_id: int, at_us: int) -> None:
        """At start: a question of before the restart."""
        self._take(terminal_id, at_us)

    async def ask(self, pin: str, *, terminal: Terminal) -> int:
        """Mail a code to whoever has this PIN, if they may have one; until when it would be good, in any case.

        Raises:
            SignInPaused: this terminal asked too often.
        """
        now = self._clock.now_us()
        if wait := self._bucket(terminal.id).wait_us(now):
            raise SignInPaused("Too many codes asked for here.", retry_after_s=-(-wait // US_PER_S))
        self._take(terminal.id, now)
        until = now + CODE_S * US_PER_S
        subject = await self._people.by_pin(pin[: pins.LENGTH_MAX + 1])
        row = await self._store.of(subject.id if subject else 0)
        unit = Unit()
        self._people.add_failure(
            unit,
            at_us=now,
            source=f"{SOURCE}{terminal.id}",
            method="code",
            terminal_id=terminal.id,
            person_id=None,
        )
        if subject is not None and self._may_have_one(subject, row, now):
            self._make(unit, subject, row, terminal, now=now, until=until)
        await self._db.commit(unit)
        log.info("sign_in.code_asked", terminal_id=terminal.public_id)
        return until

    async def fits(self, subject: Subject | None, code: str, *, terminal: Terminal) -> bool:
        """Whether this is the person's code, here and now; the same work for whoever it is."""
        row = await self._store.of(subject.id if subject else 0)
        person_id = subject.id if subject else 0
        key = self._ring.current if row is None else self._ring.by_id(row.key_id)
        wanted = _hash(key.secret, person_id, terminal.id, code)
        is_same = hmac.compare_digest(wanted, row.hash if row else bytes(32))
        return (
            is_same
            and row is not None
            and self._is_allowed
            and row.used_at_us is None
            and row.failures < TRIES_MAX
            and self._clock.now_us() < row.expires_at_us
        )

    def use(self, unit: Unit, subject: Subject) -> None:
        """Append that the code is used up; refused as `sign-in-failed` when it was used or missed too often."""
        self._store.use(unit, subject.id, now_us=self._clock.now_us(), tries_max=TRIES_MAX)

    def missed(self, unit: Unit, subject: Subject) -> None:
        """Append a wrong try."""
        self._store.missed(unit, subject.id)

    # ----- inside -----
    def _may_have_one(self, subject: Subject, row: CodeRow | None, now: int) -> bool:
        if not (self._is_allowed and subject.is_active and subject.email):
            return False
        if row is None:
            return True
        is_spent = row.asked >= CODES_PER_HOUR_MAX and now - row.since_us < HOUR_US
        return not is_spent and now - row.asked_at_us >= CODE_GAP_S * US_PER_S

    def _make(
        self, unit: Unit, subject: Subject, row: CodeRow | None, terminal: Terminal, *, now: int, until: int
    ) -> None:
        code = f"{int.from_bytes(self._dice.token(8)) % 10**CODE_DIGITS:0{CODE_DIGITS}d}"
        key = self._ring.current
        goes_on = row is not None and now - row.since_us < HOUR_US
        made = CodeRow(
            terminal_id=terminal.id,
            hash=_hash(key.secret, subject.id, terminal.id, code),
            key_id=key.key_id,
            asked_at_us=now,
            asked=row.asked + 1 if row is not None and goes_on else 1,
            since_us=row.since_us if row is not None and goes_on else now,
            expires_at_us=until,
            failures=0,
            used_at_us=None,
        )
        self._store.put(unit, subject.id, made)
        facts = {"code": code, "where": terminal.name, "expires_at_us": until}
        self._mailer.notify(unit, "sign-in-code", subject, dedupe=f"code:{subject.public_id}:{now}", facts=facts)
        unit.audit(
            actor=f"terminal:{terminal.public_id}",
            action="sign-in.code-mailed",
            subject=subject.public_id,
            detail={},
            at_us=now,
        )

    def _bucket(self, terminal_id: int) -> Bucket:
        return self._asked.get(terminal_id) or Bucket(ASK_GAP_S * US_PER_S, ASKS_BURST)

    def _take(self, terminal_id: int, now: int) -> None:
        taken = self._bucket(terminal_id).taken(now)
        self._asked.pop(terminal_id, None)
        self._asked[terminal_id] = taken
        while len(self._asked) > TERMINALS_MAX:
            del self._asked[next(iter(self._asked))]


def _hash(key: bytes, person_id: int, terminal_id: int, code: str) -> bytes:
    says = f"sign-in-code:{person_id}:{terminal_id}:".encode() + code.encode("utf-8", "surrogatepass")
    return hmac.digest(key, says, "sha256")
