"""Setting secrets: by an administrator, or by the person through a mailed link. Never at a kiosk.

A link is 256 random bits, stored as a hash, good once and for a limited time. Looking at it changes nothing (mail
scanners look); only the POST that brings an acceptable password spends it. Whatever sets a password ends every
session, link and proof of before, and tells the person.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from daemon.auth import pins, secret_rules
from daemon.auth.identity import FULL, KEYPAD, Subject
from daemon.auth.sessions import hashed, new_token
from daemon.db.unit import Unit, UnitRefused
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import NotFound, Refusal
from daemon.kernel.events import Event

if TYPE_CHECKING:
    from daemon.auth.identity import Mailer
    from daemon.auth.passwords import Passwords, StoredSecret
    from daemon.auth.store import AuthStore
    from daemon.auth.token_store import TokenStore
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock
    from daemon.kernel.ids import Dice

log = structlog.get_logger(__name__)

LINK_PREFIX = "hfl_"
LINK_CHARS_MAX = 100
LINKS_PER_HOUR_MAX = 3
LINK_KIND = "password"
PRUNE_AFTER_US = 86_400 * US_PER_S
_HOUR_US = 3600 * US_PER_S


class LinkSpent(Refusal):
    """Used, superseded, too old or never made: one answer."""

    code = "link-spent"


class NoMailAddress(Refusal):
    """The person has no mail address, so no link can be sent."""

    code = "no-mail-address"


@dataclass(frozen=True, slots=True)
class CredentialRules:
    """What a site asks of secrets. Lengths in code points and digits, `link_s` in seconds."""

    password_chars_min: int = secret_rules.PASSWORD_CHARS_MIN
    keypad_allowed: bool = False
    keypad_digits_min: int = secret_rules.KEYPAD_DIGITS_MIN
    pin_digits: int = pins.LENGTH_DEFAULT
    link_s: int = 7 * 86_400
    house_names: tuple[str, ...] = ()


class Credentials:
    """Passwords, keypad passwords, PINs and the links that set them."""

    def __init__(
        self,
        db: Database,
        store: AuthStore,
        links: TokenStore,
        *,
        passwords: Passwords,
        mailer: Mailer,
        clock: Clock,
        dice: Dice,
        base_url: str,
        rules: CredentialRules | None = None,
    ) -> None:
        self._db = db
        self._store = store
        self._links = links
        self._passwords = passwords
        self._mailer = mailer
        self._clock = clock
        self._dice = dice
        self._base_url = base_url.rstrip("/")
        self._rules = rules or CredentialRules()

    async def prepare(self, secret: str, *, names: tuple[str, ...] = (), is_initial: bool = False) -> StoredSecret:
        """A new password checked and hashed, for `append_new` in the unit that adds its person.

        `is_initial`: an administrator gives it to somebody else to begin with; the shorter rule holds.

        Raises:
            secret_rules.PasswordRefused: with the reason.
        """
        if is_initial:
            return await self._passwords.hash(secret_rules.check_initial(secret))
        words = _words((*names, *self._rules.house_names))
        checked = secret_rules.check_password(secret, context=words, least=self._rules.password_chars_min)
        return await self._passwords.hash(checked)

    def weakness(self, secret: str, *, names: tuple[str, ...] = ()) -> str:
        """Why the rule for passwords people choose would refuse this one, in plain words; empty when it would not."""
        try:
            self.check(secret, names=names)
        except secret_rules.PasswordRefused as refused:
            return refused.message
        return ""

    def check(self, secret: str, *, names: tuple[str, ...] = ()) -> None:
        """The rule for passwords people choose for themselves.

        Raises:
            secret_rules.PasswordRefused: with the reason.
        """
        words = _words((*names, *self._rules.house_names))
        secret_rules.check_password(secret, context=words, least=self._rules.password_chars_min)

    def append_new(self, unit: Unit, *, public_id: str, stored: StoredSecret) -> None:
        """Append the first password of somebody added in the same unit."""
        self._store.set_credential(unit, public_id=public_id, kind=FULL, stored=stored, at_us=self._clock.now_us())

    async def set_password(self, person_id: int, secret: str, *, actor: str, is_initial: bool = False) -> None:
        """Replace a password; sessions and links of before end, the person is told.

        Raises:
            NotFound: no such person.
            secret_rules.PasswordRefused: with the reason.
        """
        subject = await self._subject(person_id)
        stored = await self.prepare(secret, names=_names(subject), is_initial=is_initial)
        unit = Unit()
        self._replace(unit, subject, FULL, stored, actor=actor)
        await self._db.commit(unit)

    async def set_keypad(self, person_id: int, secret: str, *, actor: str) -> None:
        """Replace a keypad password, where the site has them.

        Raises:
            NotFound: no such person.
            secret_rules.PasswordRefused: with the reason; `not-allowed` where the site has none.
        """
        if not self._rules.keypad_allowed:
            raise secret_rules.PasswordRefused("this site has no keypad passwords", reason="not-allowed")
        subject = await self._subject(person_id)
        checked = secret_rules.check_keypad(secret, pin=subject.pin, least=self._rules.keypad_digits_min)
        stored = await self._passwords.hash(checked)
        unit = Unit()
        self._replace(unit, subject, KEYPAD, stored, actor=actor)
        await self._db.commit(unit)

    async def unlock(self, person_id: int, *, actor: str) -> None:
        """An operator lifts every lock of a person; the secret stays.

        Raises:
            NotFound: no such person.
        """
        subject = await self._subject(person_id)
        now = self._clock.now_us()
        unit = Unit()
        self._store.clear(unit, person_id=subject.id)
        unit.event(Event("credential.unlocked", subject.public_id, subject.id), now)
        unit.audit(actor=actor, action="credential.unlocked", subject=subject.public_id, detail={}, at_us=now)
        await self._db.commit(unit)

    async def free_pin(self) -> str:
        """A PIN nobody has, of the site's length.

        Raises:
            pins.PinsExhausted: too many of that length are given out.
        """
        length = self._rules.pin_digits
        tries = pins.tries_for(taken=await self._store.pin_count(length=length), length=length)
        for _ in range(tries):
            pin = pins.drawn(self._dice.token(8), length=length)
            if not await self._store.has_pin(pin):
                return pin
        raise pins.PinsExhausted("no free PIN was found; choose longer ones")

    async def ask_link(self, name: str) -> None:
        """Somebody asks for a link without signing in: nothing is told, and at most three an hour go out."""
        subject = await self._store.by_name(name) if name else None
        if subject is None or not subject.is_active or not subject.email:
            return
        recent = self._clock.now_us() + self._rules.link_s * US_PER_S - _HOUR_US
        if await self._links.links_since(subject.id, kind=LINK_KIND, expires_after_us=recent) >= LINKS_PER_HOUR_MAX:
            log.info("password_link.limited", person_id=subject.public_id)
            return
        await self._send(subject, actor=f"user:{subject.id}")

    async def send_link(self, person_id: int, *, actor: str) -> None:
        """Mail a link; an administrator starts this and never sees or chooses the secret (ASVS 6.4.6).

        Raises:
            NotFound: no such person.
            NoMailAddress: nowhere to send it.
        """
        subject = await self._subject(person_id)
        if not subject.email:
            raise NoMailAddress("this person has no mail address")
        await self._send(subject, actor=actor)

    async def link_holder(self, token: str) -> Subject:
        """Whose password this link sets. Looking changes nothing.

        Raises:
            LinkSpent: it no longer works.
        """
        row = None
        if token.startswith(LINK_PREFIX) and len(token) <= LINK_CHARS_MAX:
            row = await self._links.link(hashed(token), kind=LINK_KIND, now_us=self._clock.now_us())
        subject = await self._store.by_id(row["person_id"]) if row else None
        if subject is None or not subject.is_active:
            raise LinkSpent("This link was used already or is too old. Ask for a new one.")
        return subject

    async def use_link(self, token: str, secret: str) -> str:
        """Set the password and spend the link, together; returns the person's PIN, made now if they had none.

        Raises:
            LinkSpent: it no longer works, or another window was faster.
            secret_rules.PasswordRefused: with the reason; the link still works.
        """
        subject = await self.link_holder(token)
        stored = await self.prepare(secret, names=_names(subject))
        pin = subject.pin or await self.free_pin()
        unit = Unit()
        self._links.spend_link(unit, value=hashed(token), now_us=self._clock.now_us())
        if not subject.pin:
            self._store.set_pin(unit, person_id=subject.id, pin=pin)
        self._replace(unit, subject, FULL, stored, actor=f"user:{subject.id}")
        try:
            await self._db.commit(unit)
        except UnitRefused as refused:
            raise LinkSpent("This link was used already or is too old. Ask for a new one.") from refused
        return pin

    async def prune(self) -> None:
        """Remove failures, sessions and links that ended more than a day ago."""
        unit = Unit()
        self._store.prune(unit, before_us=self._clock.now_us() - PRUNE_AFTER_US)
        await self._db.commit(unit)

    def _replace(self, unit: Unit, subject: Subject, kind: str, stored: StoredSecret, *, actor: str) -> None:
        now = self._clock.now_us()
        self._store.set_credential(unit, public_id=subject.public_id, kind=kind, stored=stored, at_us=now)
        self._store.void_sessions(unit, person_id=subject.id, at_us=now)
        unit.event(Event("credential.changed", subject.public_id, subject.id), now)
        unit.audit(
            actor=actor, action="credential.changed", subject=subject.public_id, detail={"kind": kind}, at_us=now
        )
        if subject.email:
            dedupe = f"password-changed:{subject.public_id}:{kind}:{now}"
            self._mailer.notify(unit, "password-changed", subject, dedupe=dedupe, facts={"at_us": now})

    async def _send(self, subject: Subject, *, actor: str) -> None:
        now = self._clock.now_us()
        token = new_token(self._dice, LINK_PREFIX)
        expires = now + self._rules.link_s * US_PER_S
        unit = Unit()
        self._links.add_link(
            unit, value=hashed(token), kind=LINK_KIND, person_id=subject.id, expires_at_us=expires, now_us=now
        )
        unit.audit(actor=actor, action="password-link.sent", subject=subject.public_id, detail={}, at_us=now)
        self._mailer.notify(
            unit,
            "password-link",
            subject,
            dedupe=f"password-link:{hashed(token).hex()[:32]}",
            facts={"url": f"{self._base_url}/password/set#t={token}", "code": token, "expires_at_us": expires},
        )
        await self._db.commit(unit)

    async def _subject(self, person_id: int) -> Subject:
        subject = await self._store.by_id(person_id)
        if subject is None:
            raise NotFound("there is no such person")
        return subject


def _names(subject: Subject) -> tuple[str, ...]:
    return (subject.name, subject.display_name, subject.email)


def _words(names: tuple[str, ...]) -> list[str]:
    """Names, and the parts they are made of."""
    return [part for name in names for part in (name, *re.split(r"[\s@._\-]+", name)) if part]
