"""Signing in: PIN and password, card, card and password, and Basic for IPP and the API.

Every way leads through `_prove`: the same hash is computed and the same kind of row written whether the person is
unknown, wrong, locked or switched off, and all of them hear `sign-in-failed`. Attempts on one identifier are checked
one after the other, so parallel guesses cannot overtake the count.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import structlog

from daemon.auth import lockout, permissions, pins
from daemon.auth.card_sign_in import SOURCE as TAPS
from daemon.auth.identity import (
    FULL,
    KEYPAD,
    Credential,
    Identity,
    Method,
    PasswordNeeded,
    SignedIn,
    SignInFailed,
    SignInPaused,
    Subject,
)
from daemon.auth.mailed_codes import SOURCE as CODES
from daemon.auth.passwords import StoredSecret, Verdict
from daemon.auth.secret_rules import KEYPAD_DIGITS_MAX
from daemon.auth.tickets import PasswordTicket
from daemon.auth.turns import Turns
from daemon.db.unit import Unit, UnitRefused
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import BadInput, Busy, Refusal
from daemon.kernel.events import Event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.auth.card_sign_in import CardSignIn
    from daemon.auth.identity import Mailer, Session
    from daemon.auth.mailed_codes import MailedCodes
    from daemon.auth.passwords import Passwords
    from daemon.auth.sessions import Sessions
    from daemon.auth.store import AuthStore
    from daemon.auth.terminals import Terminal
    from daemon.auth.tickets import Tickets
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock

log = structlog.get_logger(__name__)
T = TypeVar("T")

SECRET_CHARS_MAX = 1024
LOGIN_CHARS_MAX = 300
MOVED_TRIES_MAX = 8
DAY_US = 86_400 * US_PER_S
_APART = {TAPS.rstrip(":"), CODES.rstrip(":")}
"""Sources that are counted apart from secrets tried."""


@dataclass(frozen=True, slots=True)
class _Via:
    """Where an attempt comes from: `source` is throttled, `key` serialises, `where` is told in a mail."""

    source: str
    key: str
    method: Method
    where: str
    terminal_id: int | None = None
    terminal: str | None = None  # its public id, as logs have it


class SignIn:
    """All ways in."""

    def __init__(
        self,
        db: Database,
        store: AuthStore,
        sessions: Sessions,
        *,
        passwords: Passwords,
        cards: CardSignIn,
        codes: MailedCodes,
        tickets: Tickets,
        mailer: Mailer,
        clock: Clock,
        name_of: Callable[[str], str],
        limits: lockout.Limits = lockout.HOUSE_LIMITS,
    ) -> None:
        self._db = db
        self._store = store
        self._sessions = sessions
        self._passwords = passwords
        self._tickets = tickets
        self._mailer = mailer
        self._clock = clock
        self._name_of = name_of
        self._limits = limits
        self._throttle = lockout.Throttle(limits)
        self._turns = Turns()
        self._was_sprayed = False
        self.cards = cards
        self.codes = codes
        self.failures_total: Counter[str] = Counter()

    async def start(self) -> None:
        """Remember the failures of the last ten minutes: a restart opens no new tries."""
        since = self._clock.now_us() - lockout.WINDOW_US
        for row in await self._store.failures_since(since):
            kind, _, where = row["source"].partition(":")
            if kind in _APART:
                remember = self.cards.remember if f"{kind}:" == TAPS else self.codes.remember
                remember(int(where), row["at_us"])
                continue
            person = f"p{row['person_id']}" if row["person_id"] else f"u{row['id']}"
            self._throttle.failed(source=row["source"], person=person, at_us=row["at_us"])
        self._was_sprayed = self._throttle.is_sprayed(self._clock.now_us())

    async def by_pin(self, pin: str, secret: str, *, terminal: Terminal) -> SignedIn:
        """Open a session at a terminal.

        Raises:
            SignInFailed: unknown, wrong, locked or switched off.
            SignInPaused: this terminal failed too often.
            Busy: too many are signing in.
        """
        via = _at_terminal(terminal, "pin", key=f"pin:{pin[: pins.LENGTH_MAX]}")
        return await self._prove(
            lambda: self._store.by_pin(pin[: pins.LENGTH_MAX + 1]),
            secret,
            via=via,
            finish=lambda unit, subject: self._sessions.open(unit, subject, terminal_id=terminal.id, method="pin"),
        )

    async def by_card(self, raw: str, *, terminal: Terminal, reader: str = "") -> SignedIn | PasswordNeeded:
        """A tap: `CardSignIn.tap`."""
        return await self.cards.tap(raw, terminal=terminal, reader=reader)

    async def by_ticket(self, ticket: str, secret: str, *, terminal: Terminal) -> SignedIn:
        """The password after a tap.

        Raises:
            SignInFailed: as `by_pin`, or the ticket is too old or another terminal's.
        """
        opened = self._tickets.password(ticket, terminal_id=terminal.id)
        via = _at_terminal(terminal, "card+password", key=f"id:{opened.person_id if opened else None}")

        async def find() -> Subject | None:
            return await self._store.by_id(opened.person_id) if opened else None

        def finish(unit: Unit, subject: Subject) -> SignedIn:
            assert opened is not None
            return self.cards.prove(unit, subject, opened, terminal_id=terminal.id)

        signed = await self._prove(find, secret, via=via, finish=finish)
        self.cards.taps_total["card+password"] += 1
        return signed

    async def step_up(self, session: Session, secret: str, *, terminal: Terminal) -> SignedIn:
        """The password in a session that a card alone opened: a full session takes its place.

        Raises:
            SignInFailed, SignInPaused, Busy: as `by_pin`; the card's session goes on.
            BadInput: no card opened this session.
        """
        if session.card_id is None:
            raise BadInput("this session was not opened by a card")
        asked = PasswordTicket(session.person_id, session.card_id)
        ticket = self._tickets.for_password(asked, terminal_id=terminal.id)
        return await self.by_ticket(ticket, secret, terminal=terminal)

    async def by_code(self, pin: str, code: str, *, terminal: Terminal) -> SignedIn:
        """PIN and the code mailed for this terminal; wrong codes count like wrong passwords.

        Raises:
            SignInFailed, SignInPaused, Busy: as `by_pin`; also where the site mails no codes.
        """
        via = _at_terminal(terminal, "code", key=f"pin:{pin[: pins.LENGTH_MAX]}")
        async with self._turns.turn(via.key):
            self._let_through(via)
            for _ in range(MOVED_TRIES_MAX):
                subject = await self._store.by_pin(pin[: pins.LENGTH_MAX + 1])
                is_right = await self.codes.fits(subject, code, terminal=terminal)
                try:
                    return await self._by_code(subject, via, terminal, is_right=is_right)
                except UnitRefused as refused:
                    if refused.code != "credential-moved":
                        raise SignInFailed from refused
        raise Busy("too many attempts at once", retry_after_s=1)

    async def _by_code(self, subject: Subject | None, via: _Via, terminal: Terminal, *, is_right: bool) -> SignedIn:
        """What follows from a code: with a password besides it, its counters hold for codes too."""
        credential = subject.credentials.get(FULL) if subject else None
        unit = Unit()
        is_open = credential is None or credential.attempts.is_open(self._clock.now_us())
        if is_right and subject is not None and subject.is_active and is_open:
            self.codes.use(unit, subject)
            if credential is not None:
                after = credential.attempts.succeeded()
                self._store.count(unit, person_id=subject.id, before=credential, after=after)
            signed = self._sessions.open(unit, subject, terminal_id=terminal.id, method="code")
            await self._db.commit(unit)
            return signed
        if subject is not None and not is_right:
            self.codes.missed(unit, subject)
        await self._failed(unit, via, subject=subject, credential=credential, is_right=is_right)
        raise SignInFailed

    async def basic(self, name: str, password: str, *, peer: str) -> Identity | None:
        """Who that is (HTTP Basic over TLS), by network name or alias and full password; None for every failure."""
        try:
            known = self._name_of(name)
        except Refusal:
            known = ""
        via = _Via(source=f"host:{peer}", key=f"name:{known}", method="password", where=peer)
        try:
            return await self._prove(
                lambda: self._store.by_name(known),
                password,
                via=via,
                finish=lambda _unit, subject: identity_of(subject),
            )
        except (SignInFailed, SignInPaused):
            return None

    async def by_password(self, login: str, password: str, *, peer: str, finish: Callable[[Unit, Subject], T]) -> T:
        """Network name, alias or mail address with the full password (the console); never a keypad password.

        `finish` appends what opens to the unit that proves it. Failures count for this address apart from IPP's.

        Raises:
            SignInFailed, SignInPaused, Busy: as `by_pin`; paused is the address.
        """
        wanted = login.strip()[:LOGIN_CHARS_MAX]
        try:
            known = self._name_of(wanted)
        except Refusal:
            known = ""

        async def find() -> Subject | None:
            return (await self._store.by_mail(wanted) if "@" in wanted else None) or await self._store.by_name(known)

        return await self._prove(find, password, via=_from_browser(peer, f"name:{known}"), finish=finish)

    async def by_person(self, person_id: int, password: str, *, peer: str, finish: Callable[[Unit, Subject], T]) -> T:
        """The same for somebody who is signed in to the console already: counted like any other try."""
        via = _from_browser(peer, f"id:{person_id}")
        return await self._prove(lambda: self._store.by_id(person_id), password, via=via, finish=finish)

    async def is_current(self, person_id: int, *, epoch: int) -> bool:
        """Whether a proof of before still stands: the person is active and nothing was changed or revoked since."""
        subject = await self._store.by_id(person_id)
        return subject is not None and subject.is_active and subject.session_epoch == epoch

    async def _prove(
        self,
        find: Callable[[], Awaitable[Subject | None]],
        secret: str,
        *,
        via: _Via,
        finish: Callable[[Unit, Subject], T],
    ) -> T:
        """Check one secret of one person and write down what came of it, in one change with what follows from it."""
        async with self._turns.turn(via.key):
            self._let_through(via)
            subject = await find()
            credential = _credential(subject, secret, via)
            stored = StoredSecret(credential.encoded, credential.key_id) if credential else None
            verdict = await self._passwords.verify(secret[:SECRET_CHARS_MAX], stored)
            for _ in range(MOVED_TRIES_MAX):
                unit = Unit()
                is_right = verdict.is_right and subject is not None and credential is not None
                try:
                    if is_right and self._is_open(subject, credential):
                        assert subject is not None
                        assert credential is not None
                        self._store.count(
                            unit, person_id=subject.id, before=credential, after=credential.attempts.succeeded()
                        )
                        result = finish(unit, subject)
                        await self._db.commit(unit)
                        await self._rehash(subject, credential, secret, verdict)
                        return result
                    await self._failed(unit, via, subject=subject, credential=credential, is_right=is_right)
                    raise SignInFailed
                except UnitRefused as refused:
                    if refused.code != "credential-moved":
                        raise SignInFailed from refused
                subject = await find()
                now_stored = subject.credentials.get(credential.kind) if subject and credential else None
                if credential is None or now_stored is None or now_stored.changed_at_us != credential.changed_at_us:
                    verdict = Verdict(is_right=False)
                credential = now_stored
            raise Busy("too many attempts at once", retry_after_s=1)

    def _is_open(self, subject: Subject | None, credential: Credential | None) -> bool:
        return (
            subject is not None
            and credential is not None
            and subject.is_active
            and credential.attempts.is_open(self._clock.now_us())
        )

    async def _failed(
        self, unit: Unit, via: _Via, *, subject: Subject | None, credential: Credential | None, is_right: bool
    ) -> None:
        """Write a failure: on the credential when the secret was wrong, on the source and the house in any case."""
        now = self._clock.now_us()
        if subject is not None and credential is not None and subject.is_active:
            after = credential.attempts if is_right else credential.attempts.failed(now, self._limits)
            self._store.count(unit, person_id=subject.id, before=credential, after=after)
            self._tell(unit, subject, credential.attempts.news(after), via, now)
        person = subject.id if subject else None
        self._store.add_failure(
            unit, at_us=now, source=via.source, method=via.method, terminal_id=via.terminal_id, person_id=person
        )
        await self._db.commit(unit)
        name = f"p{person}" if person else f"u{now}:{via.key}"
        is_paused = self._throttle.failed(source=via.source, person=name, at_us=now)
        self.failures_total[via.method] += 1
        log.info("sign_in.failed", method=via.method, terminal_id=via.terminal)
        await self._alert(via, now, is_paused=is_paused)

    def _tell(self, unit: Unit, subject: Subject, news: str, via: _Via, now: int) -> None:
        if not news:
            return
        facts = {"state": news, "at_us": now, "where": via.where}
        dedupe = (
            f"slowed:{subject.public_id}:{now // DAY_US}" if news == "slowed" else f"locked:{subject.public_id}:{now}"
        )
        if subject.email:
            self._mailer.notify(unit, "account-locked", subject, dedupe=dedupe, facts=facts)
        unit.event(Event(f"credential.{news}", subject.public_id, subject.id), now)
        unit.audit(
            actor="system", action=f"credential.{news}", subject=subject.public_id, detail={"by": via.method}, at_us=now
        )

    async def _alert(self, via: _Via, now: int, *, is_paused: bool) -> None:
        """Put a pause, and the first sign of a spray, where operators see them; administrators hear by mail, once."""
        is_sprayed = self._throttle.is_sprayed(now)
        begins, self._was_sprayed = is_sprayed and not self._was_sprayed, is_sprayed
        if not (is_paused or begins):
            return
        unit = Unit()
        if is_paused and via.terminal_id is not None:
            until = now + self._limits.source_pause_s * US_PER_S
            self._store.pause_terminal(unit, terminal_id=via.terminal_id, until_us=until)
        for topic, happened in (("sign-in.paused", is_paused), ("sign-in.sprayed", begins)):
            if happened:
                unit.event(Event(topic, via.where), now)
                unit.audit(actor="system", action=topic, subject=via.where, detail={}, at_us=now)
                log.warning(topic, source_kind=via.source.partition(":")[0], terminal_id=via.terminal)
        for admin in await self._store.holders(permissions.ADMIN) if begins else ():
            self._mailer.notify(
                unit, "sign-in-sprayed", admin, dedupe=f"sprayed:{admin.public_id}:{now}",
                facts={"at_us": now, "where": via.where},
            )  # fmt: skip
        await self._db.commit(unit)

    async def _rehash(self, subject: Subject, credential: Credential, secret: str, verdict: Verdict) -> None:
        if not verdict.needs_rehash:
            return
        stored = await self._passwords.hash(secret[:SECRET_CHARS_MAX])
        unit = Unit()
        self._store.rehash(unit, person_id=subject.id, old=credential, stored=stored)
        await self._db.commit(unit)

    def _let_through(self, via: _Via) -> None:
        wait = self._throttle.paused_s(source=via.source, now_us=self._clock.now_us())
        if wait:
            raise SignInPaused("Too many failed sign-ins here. Please wait a moment.", retry_after_s=wait)


def identity_of(subject: Subject) -> Identity:
    """The person as a proven identity."""
    return Identity(subject.id, subject.public_id, subject.name, subject.session_epoch)


def _at_terminal(terminal: Terminal, method: Method, *, key: str) -> _Via:
    return _Via(f"terminal:{terminal.id}", key, method, terminal.name, terminal.id, terminal.public_id)


def _from_browser(peer: str, key: str) -> _Via:
    return _Via(source=f"console:{peer}", key=key, method="password", where=peer)


def _credential(subject: Subject | None, secret: str, via: _Via) -> Credential | None:
    """Which of the person's secrets is meant: at a keypad short digits are the keypad password, if there is one."""
    if subject is None:
        return None
    is_digits = secret.isascii() and secret.isdigit() and len(secret) <= KEYPAD_DIGITS_MAX
    if via.terminal_id is not None and is_digits and KEYPAD in subject.credentials:
        return subject.credentials[KEYPAD]
    return subject.credentials.get(FULL)
