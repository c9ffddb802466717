"""Everything about cards, built once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.auth.card_hashes import CardHashes
from daemon.auth.card_reads import CardReads
from daemon.auth.card_rules import CardRules
from daemon.auth.card_sign_in import CardSignIn
from daemon.auth.card_store import CardStore
from daemon.auth.mailed_codes import MailedCodes
from daemon.auth.tickets import Tickets
from daemon.workflows.card_desk import CardDesk
from daemon.workflows.card_enrolment import CardEnrolment
from daemon.workflows.card_import import CardImport
from daemon.workflows.card_keys import CardKeys
from daemon.workflows.card_survey import CardSurvey

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.auth.card_formats import Formats
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
    formats: Formats
    clock: Clock
    dice: Dice
    db: Database
    ring: KeyRing
    pepper: KeyRing
    keys_dir: Path
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
    codes: MailedCodes
    enrolment: CardEnrolment
    desk: CardDesk
    importer: CardImport
    keys: CardKeys
    survey: CardSurvey


def card_parts(ground: CardGround, *, sessions: Sessions, people: PeopleDesk) -> CardParts:
    """The parts in the order they depend on each other."""
    store, rules, tickets = CardStore(ground.db), card_rules(ground.settings), Tickets(ground.box, ground.clock)
    sign_in = CardSignIn(
        ground.db,
        store,
        ground.auth_store,
        sessions,
        hashes=CardHashes(ground.ring),
        reads=_reads(ground),
        tickets=tickets,
        box=ground.box,
        rules=rules,
        clock=ground.clock,
    )
    enrolment = CardEnrolment(
        db=ground.db,
        store=store,
        people=people,
        cards=sign_in,
        tickets=tickets,
        mailer=ground.mailer,
        clock=ground.clock,
        dice=ground.dice,
    )
    desk = CardDesk(db=ground.db, store=store, people=people, cards=sign_in, mailer=ground.mailer, clock=ground.clock)
    return CardParts(
        store=store,
        rules=rules,
        tickets=tickets,
        sign_in=sign_in,
        codes=_codes(ground, rules),
        enrolment=enrolment,
        desk=desk,
        importer=CardImport(enrolment, people),
        keys=CardKeys(ground.db, store, sign_in, directory=ground.keys_dir, clock=ground.clock, dice=ground.dice),
        survey=CardSurvey(store, sign_in),
    )


def _codes(ground: CardGround, rules: CardRules) -> MailedCodes:
    return MailedCodes(
        ground.db,
        ground.auth_store,
        ring=ground.pepper,
        mailer=ground.mailer,
        is_allowed=rules.mailed_code,
        clock=ground.clock,
        dice=ground.dice,
    )


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


def _reads(ground: CardGround) -> CardReads:
    cards = ground.settings.cards
    return CardReads(ground.formats, default=cards.default_format, rules=cards.readers)
