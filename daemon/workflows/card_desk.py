"""Cards as people and administrators keep them: added, linked, described, blocked, removed.

Every change is one unit: the row, what it ends, the event, the audit entry and the mail to the owner, who so hears of
a card that was linked to their name whoever did it. A number is never shown again, not even to who typed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from daemon.auth import permissions as p
from daemon.auth.card_rules import LABEL_CHARS_MAX, CardLimitReached, CardLinkExpired, CardTaken
from daemon.auth.card_store import NewCard
from daemon.auth.identity import StepUpNeeded
from daemon.db.unit import Unit, UnitRefused
from daemon.kernel.clock import rfc3339
from daemon.kernel.errors import BadInput, NotFound
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

EXPIRED_BATCH_MAX = 200
PROOFS_KEPT_US = 2 * 86_400 * 1_000_000


class CardUnknown(NotFound):
    """No card of that id."""

    code = "card-not-found"


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


class CardDesk:
    """Reads and changes of cards."""

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
        self.store = store
        self._db = db
        self._people = people
        self._cards = cards
        self._tickets = tickets
        self._mailer = mailer
        self._clock = clock
        self._dice = dice

    # ----- reads -----
    async def find(self, card_id: str) -> Card:
        """By public id.

        Raises:
            CardUnknown: there is none.
        """
        card = await self.store.by_public(card_id)
        if card is None:
            raise CardUnknown(f"there is no card {card_id!r}")
        return card

    async def show(self, card_id: str) -> dict[str, Any]:
        """One card as scripts see it."""
        return self.shape(await self.find(card_id))

    async def page(self, *, user: str = "", after_id: int = 0, limit: int = 100) -> list[Card]:
        """Cards in the order they were added, of everybody or of one person (by id or name).

        Raises:
            NotFound: nobody is called so.
        """
        person = await self._people.find(user) if user else None
        return await self.store.page(person_id=person.id if person else None, after_id=after_id, limit=limit)

    def shape(self, card: Card) -> dict[str, Any]:
        """A card in the words of the API; never its number."""
        return {
            "card_id": card.public_id,
            "user": card.user_name,
            "user_id": card.user_id,
            "label": card.label,
            "format": card.format or self._cards.reads.default,
            "state": card.state(self._clock.now_us()),
            "created_at": rfc3339(card.created_at_us),
            "created_by": card.created_by,
            "expires_at": rfc3339(card.expires_at_us),
            "blocked_at": rfc3339(card.blocked_at_us),
            "last_used_at": rfc3339(card.last_used_at_us),
            "read_kept": card.has_read,
        }

    # ----- enrolment -----
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
            draft = CardDraft(read.raw, read.format, label)
            return await self.enrol(person, draft, by=f"user:{person.public_id}", how="link", where=terminal.name)
        except CardTaken as taken:
            raise CardTaken("This card belongs to somebody already.") from taken

    async def give_stranger(self, user: str, terminal: str, *, label: str = "", actor: Actor) -> Linked:
        """The unknown card tapped last at a terminal (by id or name), for somebody: enrolment with a tap.

        Raises:
            NotFound: nobody is called so; CardLinkExpired: no unknown card was tapped there in the last minutes.
        """
        stranger = self._stranger(terminal)
        read = self._tickets.link(stranger.ticket, terminal_id=stranger.terminal_id) if stranger else None
        if read is None:
            raise CardLinkExpired("No unknown card was tapped there in the last five minutes. Tap it, then try again.")
        return await self.add(user, CardDraft(read.raw, read.format, label), actor=actor)

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
        """Write a card for this person; `how` is desk, link or import.

        Raises:
            CardUnreadable, NotFound (format), BadName, CardExpiryPast, CardTaken, CardLimitReached: as `add`.
        """
        form = self._cards.reads.form(draft.raw, draft.format)
        hashes = self._cards.hashes.candidates(form)
        holder = await self.store.by_hashes(hashes)
        if holder is not None:
            return await self._held(holder, person)
        public_id, now = new_id(self._dice), self._clock.now_us()
        new = self._new(person, draft, form, public_id=public_id, by=by, at_us=now)
        unit = Unit()
        most = self._cards.rules.per_person_max
        self.store.insert(unit, new, hashes=hashes, most=most)
        detail: dict[str, object] = {"user_id": person.public_id, "format": new.format, "how": how}
        self._write(unit, "card.added", public_id, person, by=by, detail=detail, at_us=now)
        facts = {"label": _shown(new.label, public_id), "at_us": now, "where": where or by}
        self._mailer.notify(unit, "card-added", person, dedupe=f"card-added:{public_id}", facts=facts)
        try:
            await self._db.commit(unit)
        except UnitRefused as refused:
            raise await self._refusal(refused, hashes, most) from refused
        log.info("card.added", card_id=public_id, how=how)
        return await self._linked(await self.find(public_id), is_new=True)

    # ----- changes -----
    async def describe(self, card_id: str, *, label: str | None, expires_at_us: int | None, actor: Actor) -> Card:
        """Another label (None leaves it) and end (None: no end).

        Raises:
            CardUnknown: there is none; BadName: not a label.
        """
        card = await self.find(card_id)
        shown = card.label if label is None else _label(label)
        if shown == card.label and expires_at_us == card.expires_at_us:
            return card
        now = self._clock.now_us()
        unit = Unit()
        self.store.describe(unit, card, label=shown, expires_at_us=expires_at_us)
        detail: dict[str, object] = {"user_id": card.user_id, "expires_at": rfc3339(expires_at_us)}
        unit.event(Event("card.changed", card.public_id, card.person_id), now)
        unit.audit(actor=actor.name, action="card.changed", subject=card.public_id, detail=detail, at_us=now)
        await self._db.commit(unit)
        return await self.find(card_id)

    async def block(self, card_id: str, *, actor: Actor) -> Card:
        """Lost: it opens nothing from now on, everywhere, and what it has open ends. Twice is the same."""
        card = await self.find(card_id)
        if card.blocked_at_us is None:
            unit, now = Unit(), self._clock.now_us()
            self.store.block(unit, card, at_us=now)
            unit.event(Event("session.ended", card.user_id, card.person_id), now)
            await self._change(unit, card, "card.blocked", actor=actor, at_us=now)
        return await self.find(card_id)

    async def unblock(self, card_id: str, *, actor: Actor) -> Card:
        """Found again: it works as before, with the password at its next use."""
        card = await self.find(card_id)
        if card.blocked_at_us is not None:
            unit, now = Unit(), self._clock.now_us()
            self.store.unblock(unit, card)
            await self._change(unit, card, "card.unblocked", actor=actor, at_us=now)
        return await self.find(card_id)

    async def remove(self, card_id: str, *, actor: Actor) -> Card:
        """Forget a card; it can be linked anew, by anybody. The audit keeps that it was."""
        card = await self.find(card_id)
        unit, now = Unit(), self._clock.now_us()
        self.store.remove(unit, card, at_us=now)
        unit.event(Event("session.ended", card.user_id, card.person_id), now)
        await self._change(unit, card, "card.removed", actor=actor, at_us=now)
        return card

    # ----- because time passes -----
    async def tell_expired(self) -> None:
        """Housekeeping: the end of each temporary card is told once."""
        now = self._clock.now_us()
        for card in await self.store.just_expired(now, EXPIRED_BATCH_MAX):
            unit = Unit()
            self.store.expiry_told(unit, card, at_us=now)
            unit.event(Event("card.expired", card.public_id, card.person_id), now)
            detail: dict[str, object] = {"user_id": card.user_id}
            unit.audit(actor="system", action="card.expired", subject=card.public_id, detail=detail, at_us=now)
            await self._db.commit(unit)

    async def prune_proofs(self) -> None:
        """Housekeeping: proofs of days gone by are forgotten."""
        unit = Unit()
        self.store.prune_proofs(unit, before_day=self._cards.rules.day(self._clock.now_us() - PROOFS_KEPT_US))
        await self._db.commit(unit)

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
            label=_label(draft.label),
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
            holder = await self.store.by_hashes(hashes)
            return CardTaken(f"{holder.user_name} has this card already." if holder else "Somebody has this card.")
        return refused

    async def _linked(self, card: Card, *, is_new: bool) -> Linked:
        count = await self.store.working(card.person_id, now_us=self._clock.now_us())
        return Linked(card, count, self._cards.rules.per_person_max, is_new)

    async def _change(self, unit: Unit, card: Card, action: str, *, actor: Actor, at_us: int) -> None:
        mail = action.replace(".", "-")
        person = await self._people.by_id(card.person_id)
        detail: dict[str, object] = {"user_id": card.user_id}
        self._write(unit, action, card.public_id, person, by=actor.name, detail=detail, at_us=at_us)
        if person is not None:
            facts = {"label": _shown(card.label, card.public_id), "at_us": at_us}
            self._mailer.notify(unit, mail, person, dedupe=f"{mail}:{card.public_id}:{at_us}", facts=facts)
        await self._db.commit(unit)
        log.info(action, card_id=card.public_id)

    def _write(
        self,
        unit: Unit,
        action: str,
        card_id: str,
        person: Person | None,
        *,
        by: str,
        detail: dict[str, object],
        at_us: int,
    ) -> None:
        unit.event(Event(action, card_id, person.id if person else None), at_us)
        unit.audit(actor=by, action=action, subject=card_id, detail=detail, at_us=at_us)

    def _stranger(self, terminal: str) -> Stranger | None:
        found = (one for one in self._cards.strangers() if terminal in (one.terminal_public_id, one.terminal_name))
        return next(found, None)


def _label(text: str) -> str:
    return names.printable(text, what="a card's label", chars_max=LABEL_CHARS_MAX)


def _shown(label: str, card_id: str) -> str:
    """What a mail calls the card: its label, else the beginning of its id."""
    return label or f"#{card_id[:6]}"
