"""Cards get their owners: at the desk, by the person at a terminal, by a tap an administrator gives to somebody.

All three end in `enrol`: one unit with the row, the event, the audit entry and the mail to the owner, who so hears of
a card that was linked to their name whoever did it. A number is never shown again, not even to who typed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from daemon.auth import permissions as p
from daemon.auth.card_rules import LABEL_CHARS_MAX, CardLimitReached, CardLinkExpired, CardTaken, expiry_of
from daemon.auth.card_store import NewCard
from daemon.auth.identity import StepUpNeeded
from daemon.db.unit import Unit, UnitRefused
from daemon.kernel.clock import rfc3339
from daemon.kernel.errors import BadInput
from daemon.kernel.events import Event
from daemon.kernel.ids import new_id
from daemon.people import names

if TYPE_CHECKING:
    from daemon.auth.card_sign_in import CardSignIn, Stranger
    from daemon.auth.card_store import Card, CardStore
    from daemon.auth.identity import Mailer, Session
    from daemon.auth.permissions import Actor
    from daemon.auth.terminals import Terminal
    from daemon.auth.tickets import Tickets
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock
    from daemon.kernel.ids import Dice
    from daemon.people.person import Person
    from daemon.workflows.people import PeopleDesk

log = structlog.get_logger(__name__)


class CardExpiryPast(BadInput):
    """A temporary card must end in the future."""

    code = "card-expiry-past"


@dataclass(frozen=True, slots=True)
class CardDraft:
    """A card to add: its read as the reader gives it, and the name of its format (empty: the site's default)."""

    raw: str
    format: str = ""
    label: str = ""
    expires_at_us: int | None = None

    def __repr__(self) -> str:
        return f"CardDraft({self.format!r})"


@dataclass(frozen=True, slots=True)
class Linked:
    """A card its owner has now, and how many of how many they have."""

    card: Card
    cards: int
    cards_max: int
    is_new: bool


class CardEnrolment:
    """Gives cards to people."""

    def __init__(
        self,
        *,
        db: Database,
        store: CardStore,
        people: PeopleDesk,
        cards: CardSignIn,
        tickets: Tickets,
        mailer: Mailer,
        clock: Clock,
        dice: Dice,
    ) -> None:
        self._db = db
        self._store = store
        self._people = people
        self._cards = cards
        self._tickets = tickets
        self._mailer = mailer
        self._clock = clock
        self._dice = dice

    async def add(self, user: str, draft: CardDraft, *, actor: Actor) -> Linked:
        """A card for somebody, by an administrator; the person's own card again changes nothing.

        Raises:
            NotFound: nobody is called so; CardUnreadable, NotFound (format), BadName, CardExpiryPast: not as typed.
            CardTaken: somebody has it, named only to actors who may see people and their cards.
            CardLimitReached: the person has as many as allowed.
        """
        person = await self._people.find(user)
        try:
            return await self.enrol(person, draft, by=actor.name, how="desk")
        except CardTaken as taken:
            if actor.may(p.CARDS_READ) and actor.may(p.USERS_READ):
                raise
            raise CardTaken("Somebody has this card already.") from taken

    async def link(self, session: Session, terminal: Terminal, *, ticket: str, label: str = "") -> Linked:
        """The card tapped before, for whoever signed in since; asked twice, the same answer.

        Raises:
            StepUpNeeded: this session may not (a card alone).
            CardLinkExpired: the tap was too long ago, elsewhere, or people may not link cards here.
            CardTaken, CardLimitReached, BadName: as `add`; the holder is never named.
        """
        rules = self._cards.rules
        if not rules.rights(session.method).link:
            raise StepUpNeeded("Sign in with your password to link a card.")
        read = self._tickets.link(ticket, terminal_id=terminal.id) if rules.self_enrolment else None
        if read is None:
            raise CardLinkExpired("This took too long. Tap the card again.")
        person = await self._people.by_id(session.person_id)
        if person is None or not person.is_active:
            raise CardLinkExpired
        try:
            draft = CardDraft(read.raw, read.format, typed_label(label))
            linked = await self.enrol(person, draft, by=f"user:{person.public_id}", how="link", where=terminal.name)
        except CardTaken as taken:
            raise CardTaken("This card belongs to somebody already.") from taken
        self._cards.claimed(ticket)
        return linked

    async def give_stranger(
        self, user: str, terminal: str, *, label: str = "", expires_at_us: int | None = None, actor: Actor
    ) -> Linked:
        """The unknown card tapped last at a terminal (by id or name), for somebody: enrolment with a tap.

        Raises:
            NotFound: nobody is called so; CardLinkExpired: no unknown card was tapped there in the last minutes.
        """
        stranger = self._stranger(terminal)
        read = self._tickets.link(stranger.ticket, terminal_id=stranger.terminal_id) if stranger else None
        if stranger is None or read is None:
            raise CardLinkExpired("No unknown card was tapped there in the last five minutes. Tap it, then try again.")
        linked = await self.add(user, CardDraft(read.raw, read.format, label, expires_at_us), actor=actor)
        self._cards.claimed(stranger.ticket)
        return linked

    def strangers(self) -> list[dict[str, Any]]:
        """Unknown cards tapped in the last minutes, newest first: where and when, nothing of the card."""
        return [
            {
                "terminal_id": one.terminal_public_id,
                "terminal": one.terminal_name,
                "reader": one.reader,
                "format": one.format,
                "at": rfc3339(one.at_us),
            }
            for one in self._cards.strangers()
        ]

    async def enrol(self, person: Person, draft: CardDraft, *, by: str, how: str, where: str = "") -> Linked:
        """Write a card for this person; `how` is desk, link or import, `where` the terminal they did it at themselves.

        Raises:
            CardUnreadable, NotFound (format), BadName, CardExpiryPast, CardTaken, CardLimitReached: as `add`.
        """
        form = self._cards.reads.form(draft.raw, draft.format)
        async with self._cards.hashes.unchanged:
            return await self._enrol(person, draft, form, by=by, how=how, where=where)

    async def _enrol(self, person: Person, draft: CardDraft, form: bytes, *, by: str, how: str, where: str) -> Linked:
        hashes = self._cards.hashes.candidates(form)
        holder = await self._store.by_hashes(hashes)
        if holder is not None:
            return await self._held(holder, person)
        public_id, now = new_id(self._dice), self._clock.now_us()
        new = self._new(person, draft, form, public_id=public_id, by=by, at_us=now)
        unit = Unit()
        most = self._cards.rules.per_person_max
        self._store.insert(unit, new, hashes=hashes, most=most)
        detail: dict[str, object] = {"user_id": person.public_id, "format": new.format, "how": how}
        unit.event(Event("card.added", public_id, person.id), now)
        unit.audit(actor=by, action="card.added", subject=public_id, detail=detail, at_us=now)
        facts: dict[str, object] = {"label": shown_as(new.label, public_id), "at_us": now}
        if where:
            self._mailer.notify(unit, "card-added", person, dedupe=f"card:{public_id}", facts=facts | {"where": where})
        else:
            self._mailer.notify(unit, "card-given", person, dedupe=f"card:{public_id}", facts=facts)
        try:
            await self._db.commit(unit)
        except UnitRefused as refused:
            raise await self._refusal(refused, hashes, most) from refused
        log.info("card.added", card_id=public_id, how=how)
        made = await self._store.by_public(public_id)
        assert made is not None
        return await self._linked(made, is_new=True)

    def value(self, draft: CardDraft) -> bytes:
        """What tells this card from others, without its number: its keyed hash as it would be stored.

        Raises:
            CardUnreadable, NotFound (format): as `add`.
        """
        return self._cards.hashes.of(self._cards.reads.form(draft.raw, draft.format))[0]

    def expiry(self, text: str) -> int | None:
        """When a card ends, as people write it: `card_rules.expiry_of` in the site's zone, from now on."""
        return expiry_of(text, now_us=self._clock.now_us(), timezone=self._cards.rules.timezone)

    async def would_add(self, person: Person, draft: CardDraft, *, more: int = 0) -> bool:
        """Whether `enrol` would add a card, after `more` others for this person; False: it is theirs already.

        Raises:
            CardUnreadable, NotFound (format), BadName, CardExpiryPast, CardTaken, CardLimitReached: as `enrol`.
        """
        form = self._cards.reads.form(draft.raw, draft.format)
        holder = await self._store.by_hashes(self._cards.hashes.candidates(form))
        if holder is not None:
            await self._held(holder, person)
            return False
        now, most = self._clock.now_us(), self._cards.rules.per_person_max
        self._new(person, draft, form, public_id="", by="", at_us=now)
        if await self._store.working(person.id, now_us=now) + more >= most:
            raise CardLimitReached(f"There are {most} cards already; one has to go first.", cards_max=most)
        return True

    # ----- inside -----
    def _new(self, person: Person, draft: CardDraft, form: bytes, *, public_id: str, by: str, at_us: int) -> NewCard:
        if draft.expires_at_us is not None and draft.expires_at_us <= at_us:
            raise CardExpiryPast("a card cannot end before it begins")
        value, key_id = self._cards.hashes.of(form)
        return NewCard(
            public_id=public_id,
            person_id=person.id,
            value=value,
            key_id=key_id,
            format=draft.format or self._cards.reads.default,
            label=card_label(draft.label),
            sealed=self._cards.seal_read(draft.raw, card_id=public_id),
            created_by=by,
            at_us=at_us,
            expires_at_us=draft.expires_at_us,
        )

    async def _held(self, card: Card, person: Person) -> Linked:
        """The person's own card is theirs already; a blocked one stays blocked, anybody else's is taken."""
        if card.person_id != person.id or card.blocked_at_us is not None:
            raise CardTaken(f"{card.user_name} has this card already.", user=card.user_name, card_id=card.public_id)
        return await self._linked(card, is_new=False)

    async def _refusal(self, refused: UnitRefused, hashes: list[bytes], most: int) -> Exception:
        if refused.code == "card-limit-reached":
            return CardLimitReached(f"There are {most} cards already; one has to go first.", cards_max=most)
        if refused.code == "card-taken":
            holder = await self._store.by_hashes(hashes)
            return CardTaken(f"{holder.user_name} has this card already." if holder else "Somebody has this card.")
        return refused

    async def _linked(self, card: Card, *, is_new: bool) -> Linked:
        count = await self._store.working(card.person_id, now_us=self._clock.now_us())
        return Linked(card, count, self._cards.rules.per_person_max, is_new)

    def _stranger(self, terminal: str) -> Stranger | None:
        found = (one for one in self._cards.strangers() if terminal in (one.terminal_public_id, one.terminal_name))
        return next(found, None)


def card_label(text: str) -> str:
    """What somebody calls a card, on one line.

    Raises:
        BadName: too long, or with control characters.
    """
    return names.printable(text, what="a card's label", chars_max=LABEL_CHARS_MAX)


def typed_label(text: str) -> str:
    """The same of what somebody typed at a terminal: what cannot stand is dropped, nobody is sent back for it."""
    return "".join(char for char in text if char.isprintable())[:LABEL_CHARS_MAX].strip()


def shown_as(label: str, card_id: str) -> str:
    """What a mail calls the card: its label, else the beginning of its id."""
    return label or f"#{card_id[:6]}"
