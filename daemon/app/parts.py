"""Everything the daemon is made of, built once, in the order it depends on each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.accounting.allowance import Profile
from daemon.accounting.books import Books
from daemon.accounting.grant_store import GrantStore
from daemon.accounting.store import LedgerStore
from daemon.accounting.tariff_store import TariffStore
from daemon.app import policies
from daemon.app.card_parts import CardGround, CardParts, card_parts
from daemon.app.mail import open_mail
from daemon.app.terminal_parts import CareRules, TerminalCare, terminal_care
from daemon.auth import keys, tls
from daemon.auth.card_formats import Formats
from daemon.auth.credentials import Credentials
from daemon.auth.keys import SecretBox
from daemon.auth.passwords import Passwords
from daemon.auth.service import SignIn
from daemon.auth.session_store import SessionStore
from daemon.auth.sessions import Sessions, SessionTimes
from daemon.auth.store import AuthStore
from daemon.auth.terminal_store import TerminalStore
from daemon.auth.terminals import Terminals
from daemon.auth.token_store import TokenStore
from daemon.auth.tokens import Tokens
from daemon.db.database import Database
from daemon.devices.store import PrinterStore
from daemon.devices.targets import parse_networks
from daemon.jobs.delivery_store import DeliveryStore
from daemon.jobs.spool import Spool
from daemon.jobs.store import JobStore
from daemon.people.names import normalise
from daemon.people.store import PeopleStore
from daemon.workflows.book_check import BookCheck
from daemon.workflows.grants import Grants
from daemon.workflows.house import House
from daemon.workflows.people import PeopleDesk, PeopleRules
from daemon.workflows.price import Prices
from daemon.workflows.printers import Printers
from daemon.workflows.rates import ConfiguredRates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.accounting.tariff import Tariff
    from daemon.kernel.clock import Clock
    from daemon.kernel.ids import Dice
    from daemon.notices.outbox import Outbox
    from daemon.notices.sender import Sender
    from daemon.settings import Settings

DATABASE_NAME = "holdfast.db"
KEYS_DIR = "keys"
SPOOL_DIR = "spool"
TITLE_PLACE = "job:title"


class TitleBox:
    """Seals job titles (`jobs.store.Box`)."""

    def __init__(self, box: SecretBox) -> None:
        self._box = box

    def seal(self, plain: bytes) -> bytes:
        return self._box.seal(plain, place=TITLE_PLACE)

    def open(self, sealed: bytes) -> bytes:
        return self._box.open(sealed, place=TITLE_PLACE)


@dataclass(frozen=True, slots=True)
class Parts:
    """What both the daemon and a command without daemon need."""

    settings: Settings
    clock: Clock
    dice: Dice
    db: Database
    keys: keys.Keys
    tls: tls.TlsFiles
    house: House
    ledger: LedgerStore
    book_check: BookCheck
    grant_store: GrantStore
    grants: Grants
    printer_store: PrinterStore
    printers: Printers
    people: PeopleDesk
    people_store: PeopleStore
    auth_store: AuthStore
    cards: CardParts
    credentials: Credentials
    passwords: Passwords
    sessions: Sessions
    sign_in: SignIn
    terminals: Terminals
    terminal_store: TerminalStore
    terminal_care: TerminalCare
    tokens: Tokens
    rates: ConfiguredRates
    prices: Prices
    outbox: Outbox
    sender: Sender | None

    async def close(self) -> None:
        """Files and threads, last."""
        await self.house.spool.close()
        self.passwords.close()
        await self.db.close()


async def open_parts(
    settings: Settings, tariffs: Mapping[str, Tariff], *, formats: Formats | None = None, clock: Clock, dice: Dice
) -> Parts:
    """Open the state directory: takes its lock, migrates, reads keys.

    Raises:
        StateLocked: another process has it; SchemaDiffers, KeysMissing: not a whole installation.
    """
    state = settings.state_dir
    ring = keys.load(state / KEYS_DIR)
    files = tls.TlsFiles.under(state)
    tls.renew(files, names=(settings.server.name, *settings.server.names), clock=clock, dice=dice)
    db = await Database.open(state / DATABASE_NAME, clock=clock)
    try:
        return _assemble(settings, tariffs, formats or Formats(), clock=clock, dice=dice, db=db, ring=ring, files=files)
    except BaseException:
        await db.close()
        raise


@dataclass(frozen=True, slots=True)
class _Ground:
    """What everything else stands on."""

    settings: Settings
    formats: Formats
    clock: Clock
    dice: Dice
    db: Database
    ring: keys.Keys
    files: tls.TlsFiles
    box: SecretBox
    rates: ConfiguredRates
    outbox: Outbox
    passwords: Passwords
    auth_store: AuthStore
    token_store: TokenStore
    ledger: LedgerStore


def _assemble(
    settings: Settings,
    tariffs: Mapping[str, Tariff],
    formats: Formats,
    *,
    clock: Clock,
    dice: Dice,
    db: Database,
    ring: keys.Keys,
    files: tls.TlsFiles,
) -> Parts:
    box = SecretBox(ring.box, dice)
    profiles = {name: Profile.of(name, one) for name, one in settings.profiles.items()}
    rates = ConfiguredRates(tariffs, profiles, TariffStore(db), default_profile=settings.people.default_profile)
    outbox, sender = open_mail(settings, db=db, box=box, clock=clock, dice=dice, page=link_base(settings))
    ground = _Ground(
        settings=settings,
        formats=formats,
        clock=clock,
        dice=dice,
        db=db,
        ring=ring,
        files=files,
        box=box,
        rates=rates,
        outbox=outbox,
        passwords=Passwords(ring.pepper, workers=settings.sign_in.hash_workers),
        auth_store=AuthStore(db),
        token_store=TokenStore(db),
        ledger=LedgerStore(db, clock),
    )
    return _on(ground, sender)


def _on(ground: _Ground, sender: Sender | None) -> Parts:
    """The parts on their ground, in the order they depend on each other."""
    credentials = _credentials(ground)
    people = _people(ground, credentials)
    house = _house(ground, people)
    grant_store, printer_store = GrantStore(ground.db), PrinterStore(ground.db)
    terminal_store = TerminalStore(ground.db)
    grants = Grants(house, grant_store)
    people.grant_with(grants.for_id)
    sessions = _sessions(ground)
    terminals = _terminals(ground, terminal_store)
    cards = _cards(ground, sessions, people)
    return Parts(
        settings=ground.settings,
        clock=ground.clock,
        dice=ground.dice,
        db=ground.db,
        keys=ground.ring,
        tls=ground.files,
        house=house,
        ledger=ground.ledger,
        book_check=BookCheck(Books(ground.db), ground.clock),
        grant_store=grant_store,
        grants=grants,
        printer_store=printer_store,
        printers=_printers(ground, house, printer_store),
        people=people,
        people_store=people.store,
        auth_store=ground.auth_store,
        cards=cards,
        credentials=credentials,
        passwords=ground.passwords,
        sessions=sessions,
        sign_in=_sign_in(ground, sessions, cards),
        terminals=terminals,
        terminal_store=terminal_store,
        terminal_care=terminal_care(
            ground.db, terminals, _care_rules(ground, house), clock=ground.clock, dice=ground.dice
        ),
        tokens=Tokens(ground.db, ground.token_store, ground.auth_store, clock=ground.clock, dice=ground.dice),
        rates=ground.rates,
        prices=Prices(house, default_tariff=ground.settings.tariffs.default),
        outbox=ground.outbox,
        sender=sender,
    )


def _credentials(ground: _Ground) -> Credentials:
    return Credentials(
        ground.db,
        ground.auth_store,
        ground.token_store,
        passwords=ground.passwords,
        mailer=ground.outbox,
        clock=ground.clock,
        dice=ground.dice,
        base_url=link_base(ground.settings),
        rules=policies.credential_rules(ground.settings),
    )


def _people(ground: _Ground, credentials: Credentials) -> PeopleDesk:
    rules = ground.settings.people
    return PeopleDesk(
        db=ground.db,
        store=PeopleStore(ground.db),
        auth=ground.auth_store,
        credentials=credentials,
        ledger=ground.ledger,
        rates=ground.rates,
        clock=ground.clock,
        dice=ground.dice,
        rules=PeopleRules(
            rules.default_profile, rules.site, strip_domains=rules.strip_domains, mail_domain=rules.mail_domain
        ),
    )


def _sessions(ground: _Ground) -> Sessions:
    rules = ground.settings.sign_in
    times = SessionTimes(rules.session_s, rules.session_max_s)
    return Sessions(ground.db, SessionStore(ground.db), clock=ground.clock, dice=ground.dice, times=times)


def _cards(ground: _Ground, sessions: Sessions, people: PeopleDesk) -> CardParts:
    below = CardGround(
        settings=ground.settings,
        formats=ground.formats,
        clock=ground.clock,
        dice=ground.dice,
        db=ground.db,
        ring=ground.ring.card,
        pepper=ground.ring.pepper,
        keys_dir=ground.settings.state_dir / KEYS_DIR,
        box=ground.box,
        auth_store=ground.auth_store,
        mailer=ground.outbox,
    )
    return card_parts(below, sessions=sessions, people=people)


def _sign_in(ground: _Ground, sessions: Sessions, cards: CardParts) -> SignIn:
    strip_domains = ground.settings.people.strip_domains
    return SignIn(
        ground.db,
        ground.auth_store,
        sessions,
        passwords=ground.passwords,
        cards=cards.sign_in,
        codes=cards.codes,
        tickets=cards.tickets,
        mailer=ground.outbox,
        clock=ground.clock,
        name_of=lambda name: normalise(name, strip_domains=strip_domains),
        limits=policies.limits(ground.settings),
    )


def _care_rules(ground: _Ground, house: House) -> CareRules:
    return CareRules(house.timezone, ground.settings.kiosk.away_after_s)


def _terminals(ground: _Ground, store: TerminalStore) -> Terminals:
    return Terminals(
        ground.db,
        store,
        box=ground.box,
        ca_pem=tls.ca_pem(ground.files),
        server_key_sha256=tls.server_key_sha256(ground.files),
        clock=ground.clock,
        dice=ground.dice,
        site_policy=ground.settings.cards.policy,
    )


def _printers(ground: _Ground, house: House, store: PrinterStore) -> Printers:
    return Printers(
        house,
        store,
        allow_networks=parse_networks(ground.settings.printers.allow_networks),
        ca_file="",
        timeout_s=house.policy.status_timeout_s,
    )


def link_base(settings: Settings) -> str:
    """Where links in mails lead: the configured base, never a request's Host header."""
    return settings.server.base_url or settings.server.urls()["api"]


def _house(ground: _Ground, people: PeopleDesk) -> House:
    settings, db = ground.settings, ground.db
    return House(
        db=db,
        jobs=JobStore(db, TitleBox(ground.box)),
        deliveries=DeliveryStore(db),
        ledger=ground.ledger,
        spool=_spool(ground),
        people=people,
        people_store=people.store,
        mailer=ground.outbox,
        rates=ground.rates,
        queues=policies.queue_rules(settings),
        clock=ground.clock,
        dice=ground.dice,
        policy=policies.release_policy(settings),
        daemon_id=settings.server.name,
        code_key=ground.ring.pepper.current.secret,
        document_octets_max=settings.spool.bytes_max,
        held_jobs_max=settings.spool.jobs_per_person_max,
        timezone=settings.profiles[settings.people.default_profile].timezone,
    )


def _spool(ground: _Ground) -> Spool:
    state = ground.settings.state_dir
    reserve = ground.settings.spool.reserve_bytes
    return Spool(state / SPOOL_DIR, state / KEYS_DIR / "spool", ground.clock, ground.dice, free_bytes_min=reserve)
