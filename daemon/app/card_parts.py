"""Everything about cards, built once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.auth.card_formats import Formats
from daemon.auth.card_hashes import CardHashes
from daemon.auth.card_reads import CardReads
from daemon.auth.card_rules import CardRules
from daemon.auth.card_sign_in import CardSignIn
from daemon.auth.card_store import CardStore
from daemon.auth.tickets import Tickets
from daemon.workflows.card_desk import CardDesk

if TYPE_CHECKING:
    from daemon.auth.identity import Mailer
    from daemon.auth.keys import KeyRing, SecretBox
    from daemon.auth.sessions import Sessions
    from daemon.auth.store import AuthStore
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock
    from daemon.kernel.ids import Dice
    from daemon.settings import Settings
    from daemon.workflows.people import PeopleDesk


@dataclass(frozen=True, slots=True)
class CardGround:
    """What cards stand on."""

    settings: Settings
    clock: Clock
    dice: Dice
    db: Database
    ring: KeyRing
    box: SecretBox
    auth_store: AuthStore
    mailer: Mailer


@dataclass(frozen=True, slots=True)
class CardParts:
    """Signing in by card, and keeping cards."""

    store: CardStore
    rules: CardRules
    tickets: Tickets
    sign_in: CardSignIn
    desk: CardDesk


def card_parts(ground: CardGround, *, sessions: Sessions, people: PeopleDesk) -> CardParts:
    """The parts in the order they depend on each other."""
    store, rules, tickets = CardStore(ground.db), card_rules(ground.settings), Tickets(ground.box, ground.clock)
    sign_in = CardSignIn(
        ground.db,
        store,
        ground.auth_store,
        sessions,
        hashes=CardHashes(ground.ring),
        reads=_reads(ground.settings),
        tickets=tickets,
        box=ground.box,
        rules=rules,
        clock=ground.clock,
    )
    desk = CardDesk(
        db=ground.db,
        store=store,
        people=people,
        cards=sign_in,
        tickets=tickets,
        mailer=ground.mailer,
        clock=ground.clock,
        dice=ground.dice,
    )
    return CardParts(store, rules, tickets, sign_in, desk)


def card_rules(settings: Settings) -> CardRules:
    """What the site decided; its day is that of the default profile's time zone."""
    cards = settings.cards
    return CardRules(
        policy=cards.policy,
        timezone=settings.profiles[settings.people.default_profile].timezone,
        self_enrolment=cards.self_enrolment,
        mailed_code=cards.mailed_code,
        per_person_max=cards.per_person_max,
        keep_reads=cards.keep_reads,
        show_titles=cards.show_titles,
        release_on_tap=cards.release_on_tap,
    )


def _reads(settings: Settings) -> CardReads:
    cards = settings.cards
    return CardReads(Formats(), default=cards.default_format, rules=cards.readers)
