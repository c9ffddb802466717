"""Signing in: PIN and password, card, card and password, and Basic for IPP and the API.

Every way leads through `_prove`: the same hash is computed and the same kind of row written whether the person is
unknown, wrong, locked or switched off, and all of them hear `sign-in-failed`. Attempts on one identifier are checked
one after the other, so parallel guesses cannot overtake the count.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import structlog

from daemon.auth import lockout, pins
from daemon.auth.card_hashes import CardHashes
from daemon.auth.identity import (
    FULL,
    KEYPAD,
    CardsNotAccepted,
    Credential,
    Identity,
    Method,
    PasswordNeeded,
    SignedIn,
    SignInFailed,
    SignInPaused,
    Subject,
)
from daemon.auth.keys import SealBroken
from daemon.auth.passwords import StoredSecret, Verdict
from daemon.auth.secret_rules import KEYPAD_DIGITS_MAX
from daemon.auth.turns import Turns
from daemon.db.unit import Unit, UnitRefused
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import Busy, Refusal
from daemon.kernel.events import Event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.auth.identity import Mailer
    from daemon.auth.keys import KeyRing, SecretBox
    from daemon.auth.passwords import Passwords
    from daemon.auth.sessions import Sessions
    from daemon.auth.store import AuthStore
    from daemon.auth.terminals import Terminal
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock

log = structlog.get_logger(__name__)
T = TypeVar("T")

TICKET_S = 120
TICKET_CHARS_MAX = 1000
SECRET_CHARS_MAX = 1024
LOGIN_CHARS_MAX = 300
MOVED_TRIES_MAX = 8
DAY_US = 86_400 * US_PER_S
_TICKET = "sign-in-ticket"


@dataclass(frozen=True, slots=True)
class _Via:
    """Where an attempt comes from: `source` is throttled, `key` serialises, `where` is told in a mail."""

    source: str
    key: str
    method: Method
    where: str
    terminal_id: int | None = None


class SignIn:
    """All ways in."""

    def __init__(
        self,
        db: Database,
        store: AuthStore,
        sessions: Sessions,
        *,
        passwords: Passwords,
        card_keys: KeyRing,
        box: SecretBox,
        mailer: Mailer,
        clock: Clock,
        name_of: Callable[[str], str],
        limits: lockout.Limits = lockout.HOUSE_LIMITS,
    ) -> None:
        self._db = db
        self._store = store
        self._sessions = sessions
        self._passwords = passwords
        self._cards = CardHashes(card_keys)
        self._box = box
        self._mailer = mailer
        self._clock = clock
        self._name_of = name_of
        self._limits = limits
        self._throttle = lockout.Throttle(limits)
        self._turns = Turns()
        self._was_sprayed = False
        self.failures_total: Counter[str] = Counter()

    async def start(self) -> None:
        """Remember the failures of the last ten minutes: a restart opens no new tries."""
        since = self._clock.now_us() - lockout.WINDOW_US
        for row in await self._store.failures_since(since):
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

    async def by_card(self, raw: str, *, terminal: Terminal) -> SignedIn | PasswordNeeded:
        """A tap: by the terminal's policy a session, or a ticket that the password completes.

        Raises:
            CardsNotAccepted: the policy is none.
            SignInFailed: unreadable, unknown, blocked, expired, or its person is switched off.
            SignInPaused: this terminal failed too often.
        """
        if terminal.policy == "none":
            raise CardsNotAccepted("This terminal takes no cards.")
        via = _at_terminal(terminal, "card", key="")
        self._let_through(via)
        now = self._clock.now_us()
        hashes = self._cards.candidates(raw)
        row = await self._store.card([value for value, _ in hashes]) if hashes else None
        subject = await self._store.by_id(row.person_id) if row is not None else None
        is_good = (
            row is not None
            and subject is not None
            and subject.is_active
            and row.blocked_at_us is None
            and (row.expires_at_us is None or now < row.expires_at_us)
        )
        if not is_good or row is None or subject is None:
            await self._failed(Unit(), via, subject=None, credential=None, is_right=False)
            raise SignInFailed
        if terminal.policy == "card+password":
            return PasswordNeeded(self._ticket(subject, terminal, now))
        unit = Unit()
        is_old = row.key_id != self._cards.key_id
        self._store.card_used(
            unit, card_id=row.id, at_us=now, new_hash=hashes[0][0] if is_old else None, key_id=hashes[0][1]
        )
        signed = self._sessions.open(unit, subject, terminal_id=terminal.id, method="card")
        await self._commit_session(unit)
        return signed

    async def by_ticket(self, ticket: str, secret: str, *, terminal: Terminal) -> SignedIn:
        """The password after a tap.

        Raises:
            SignInFailed: as `by_pin`, or the ticket is too old or another terminal's.
        """
        person_id = self._opened(ticket, terminal)
        via = _at_terminal(terminal, "card+password", key=f"id:{person_id}")

        async def find() -> Subject | None:
            return await self._store.by_id(person_id or 0)

        return await self._prove(
            find,
            secret,
            via=via,
            finish=lambda unit, subject: self._sessions.open(
                unit, subject, terminal_id=terminal.id, method="card+password"
            ),
        )

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

    def card_hash(self, raw: str) -> tuple[bytes, str]:
        """(keyed hash, key id) of a raw read, for storing a card.

        Raises:
            cards.CardUnreadable: it is no card number.
        """
        return self._cards.of(raw)

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
        log.info("sign_in.failed", method=via.method, terminal_id=via.terminal_id)
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
        """Put a pause, and the first sign of a spray, where operators see them."""
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
                log.warning(topic, source_kind=via.source.partition(":")[0], terminal_id=via.terminal_id)
        await self._db.commit(unit)

    async def _rehash(self, subject: Subject, credential: Credential, secret: str, verdict: Verdict) -> None:
        if not verdict.needs_rehash:
            return
        stored = await self._passwords.hash(secret[:SECRET_CHARS_MAX])
        unit = Unit()
        self._store.rehash(unit, person_id=subject.id, old=credential, stored=stored)
        await self._db.commit(unit)

    async def _commit_session(self, unit: Unit) -> None:
        try:
            await self._db.commit(unit)
        except UnitRefused as refused:
            raise SignInFailed from refused

    def _let_through(self, via: _Via) -> None:
        wait = self._throttle.paused_s(source=via.source, now_us=self._clock.now_us())
        if wait:
            raise SignInPaused("Too many failed sign-ins here. Please wait a moment.", retry_after_s=wait)

    def _ticket(self, subject: Subject, terminal: Terminal, now: int) -> str:
        says = json.dumps([subject.id, terminal.id, now + TICKET_S * US_PER_S]).encode()
        return base64.urlsafe_b64encode(self._box.seal(says, place=_TICKET)).decode("ascii")

    def _opened(self, ticket: str, terminal: Terminal) -> int | None:
        try:
            sealed = base64.urlsafe_b64decode(ticket[:TICKET_CHARS_MAX].encode("ascii"))
            person_id, terminal_id, until = json.loads(self._box.open(sealed, place=_TICKET))
        except (SealBroken, ValueError):
            return None
        is_good = terminal_id == terminal.id and self._clock.now_us() < until
        return int(person_id) if is_good else None


def identity_of(subject: Subject) -> Identity:
    """The person as a proven identity."""
    return Identity(subject.id, subject.public_id, subject.name, subject.session_epoch)


def _at_terminal(terminal: Terminal, method: Method, *, key: str) -> _Via:
    return _Via(source=f"terminal:{terminal.id}", key=key, method=method, where=terminal.name, terminal_id=terminal.id)


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
