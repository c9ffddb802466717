"""Cards as administrators keep them: listed, described, blocked, let in again, removed; and what time does to them.

Every change is one unit: the row, what it ends, the event, the audit entry and the mail to the owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from daemon.auth.card_rules import CardLimitReached, expiry_of
from daemon.db.unit import Unit, UnitRefused
from daemon.kernel.clock import rfc3339
from daemon.kernel.errors import NotFound
from daemon.kernel.events import Event
from daemon.workflows.card_enrolment import CardExpiryPast, card_label, shown_as

if TYPE_CHECKING:
    from daemon.auth.card_sign_in import CardSignIn
    from daemon.auth.card_store import Card, CardStore
    from daemon.auth.identity import Mailer
    from daemon.auth.permissions import Actor
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock
    from daemon.workflows.people import PeopleDesk

log = structlog.get_logger(__name__)

EXPIRED_BATCH_MAX = 200
PROOFS_KEPT_US = 2 * 86_400 * 1_000_000


class CardUnknown(NotFound):
    """No card of that id."""

    code = "card-not-found"


class CardDesk:
    """Reads and changes of cards."""

    def __init__(
        self,
        *,
        db: Database,
        store: CardStore,
        people: PeopleDesk,
        cards: CardSignIn,
        mailer: Mailer,
        clock: Clock,
    ) -> None:
        self.store = store
        self._db = db
        self._people = people
        self._cards = cards
        self._mailer = mailer
        self._clock = clock

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

    def notice(self, card: Card) -> str:
        """What whoever added this card should know; empty when a tap at some reader can find it."""
        reads = self._cards.reads
        name = card.format or reads.default
        if reads.is_tapped(name):
            return ""
        return (
            f"No reader is set to read cards as {name!r}, so a tap will not find this card: set cards.default_format or"
            " [[cards.readers]] to this format or one of its namespace, or add the card as its reader reads it."
        )

    # ----- changes -----
    async def describe(self, card_id: str, *, label: str | None, expires: str | None, actor: Actor) -> Card:
        """Another label and end, as people write it (empty: it does not end); None leaves either.

        Raises:
            CardUnknown: there is none; BadName, ExpiryUnreadable, CardExpiryPast: not as typed; CardLimitReached: an
                ended card would work again, and there are as many others by now.
        """
        card = await self.find(card_id)
        shown = card.label if label is None else card_label(label)
        expires_at_us = (
            card.expires_at_us
            if expires is None
            else expiry_of(expires, now_us=self._clock.now_us(), timezone=self._cards.rules.timezone)
        )
        if expires and (expires_at_us or 0) <= self._clock.now_us():
            raise CardExpiryPast("a card cannot end in the past; block it instead")
        if shown == card.label and expires_at_us == card.expires_at_us:
            return card
        now = self._clock.now_us()
        unit = Unit()
        if card.state(now) == "expired":
            self._require_room(unit, card, now)
        self.store.describe(unit, card, label=shown, expires_at_us=expires_at_us)
        detail: dict[str, object] = {"user_id": card.user_id, "expires_at": rfc3339(expires_at_us)}
        unit.event(Event("card.changed", card.public_id, card.person_id), now)
        unit.audit(actor=actor.name, action="card.changed", subject=card.public_id, detail=detail, at_us=now)
        await self._commit(unit)
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
        """Found again: it works as before, with the password at its next use.

        Raises:
            CardUnknown: there is none; CardLimitReached: the person has as many others by now.
        """
        card = await self.find(card_id)
        if card.blocked_at_us is not None:
            unit, now = Unit(), self._clock.now_us()
            self._require_room(unit, card, now)
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
    async def _change(self, unit: Unit, card: Card, action: str, *, actor: Actor, at_us: int) -> None:
        mail = action.replace(".", "-")
        person = await self._people.by_id(card.person_id)
        detail: dict[str, object] = {"user_id": card.user_id}
        unit.event(Event(action, card.public_id, card.person_id), at_us)
        unit.audit(actor=actor.name, action=action, subject=card.public_id, detail=detail, at_us=at_us)
        if person is not None:
            facts = {"label": shown_as(card.label, card.public_id), "at_us": at_us}
            self._mailer.notify(unit, mail, person, dedupe=f"{mail}:{card.public_id}:{at_us}", facts=facts)
        await self._commit(unit)
        log.info(action, card_id=card.public_id)

    def _require_room(self, unit: Unit, card: Card, now: int) -> None:
        """A card that begins to work again counts like a new one."""
        most = self._cards.rules.per_person_max
        self.store.require_room(unit, person_id=card.person_id, now_us=now, most=most)

    async def _commit(self, unit: Unit) -> None:
        try:
            await self._db.commit(unit)
        except UnitRefused as refused:
            if refused.code == "card-limit-reached":
                most = self._cards.rules.per_person_max
                raise CardLimitReached(
                    f"There are {most} cards already; one has to go first.", cards_max=most
                ) from refused
            raise
