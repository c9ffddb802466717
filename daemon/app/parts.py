"""Everything the daemon is made of, built once, in the order it depends on each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from daemon.accounting.allowance import Profile
from daemon.accounting.grant_store import GrantStore
from daemon.accounting.store import LedgerStore
from daemon.accounting.tariff_store import TariffStore
from daemon.app.mail import open_mail
from daemon.auth import keys, lockout, tls
from daemon.auth.credentials import CredentialRules, Credentials
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
from daemon.jobs.queues import Believes, QueueRule
from daemon.jobs.spool import Spool
from daemon.jobs.store import JobStore
from daemon.people.names import normalise
from daemon.people.store import PeopleStore
from daemon.workflows.grants import Grants
from daemon.workflows.house import House, ReleasePolicy, UncertainPolicy
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
    grant_store: GrantStore
    grants: Grants
    printer_store: PrinterStore
    printers: Printers
    people: PeopleDesk
    people_store: PeopleStore
    auth_store: AuthStore
    credentials: Credentials
    passwords: Passwords
    sessions: Sessions
    sign_in: SignIn
    terminals: Terminals
    terminal_store: TerminalStore
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


async def open_parts(settings: Settings, tariffs: Mapping[str, Tariff], *, clock: Clock, dice: Dice) -> Parts:
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
        return _assemble(settings, tariffs, clock=clock, dice=dice, db=db, ring=ring, files=files)
    except BaseException:
        await db.close()
        raise


def _assemble(
    settings: Settings,
    tariffs: Mapping[str, Tariff],
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
    passwords = Passwords(ring.pepper)
    auth_store, token_store, people_store = AuthStore(db), TokenStore(db), PeopleStore(db)
    credentials = Credentials(
        db,
        auth_store,
        token_store,
        passwords=passwords,
        mailer=outbox,
        clock=clock,
        dice=dice,
        base_url=link_base(settings),
        rules=_credential_rules(settings),
    )
    ledger = LedgerStore(db, clock)
    grant_store = GrantStore(db)
    people = PeopleDesk(
        db=db,
        store=people_store,
        auth=auth_store,
        credentials=credentials,
        ledger=ledger,
        rates=rates,
        clock=clock,
        dice=dice,
        rules=PeopleRules(
            settings.people.default_profile, settings.people.site, strip_domains=settings.people.strip_domains
        ),
    )
    house = _house(
        settings,
        clock=clock,
        dice=dice,
        db=db,
        ring=ring,
        box=box,
        people=people,
        ledger=ledger,
        rates=rates,
        outbox=outbox,
    )
    grants = Grants(house, grant_store)
    people.grant_with(grants.for_id)
    printer_store = PrinterStore(db)
    sessions = Sessions(
        db,
        SessionStore(db),
        clock=clock,
        dice=dice,
        times=SessionTimes(settings.sign_in.session_s, settings.sign_in.session_max_s),
    )
    terminal_store = TerminalStore(db)
    return Parts(
        settings=settings,
        clock=clock,
        dice=dice,
        db=db,
        keys=ring,
        tls=files,
        house=house,
        ledger=ledger,
        grant_store=grant_store,
        grants=grants,
        printer_store=printer_store,
        printers=Printers(
            house,
            printer_store,
            allow_networks=parse_networks(settings.printers.allow_networks),
            ca_file="",
            timeout_s=house.policy.status_timeout_s,
        ),
        people=people,
        people_store=people_store,
        auth_store=auth_store,
        credentials=credentials,
        passwords=passwords,
        sessions=sessions,
        sign_in=SignIn(
            db,
            auth_store,
            sessions,
            passwords=passwords,
            card_keys=ring.card,
            box=box,
            mailer=outbox,
            clock=clock,
            name_of=lambda name: normalise(name, strip_domains=settings.people.strip_domains),
            limits=_limits(settings),
        ),
        terminals=Terminals(
            db,
            terminal_store,
            box=box,
            ca_pem=tls.ca_pem(files),
            server_key_sha256=tls.server_key_sha256(files),
            clock=clock,
            dice=dice,
        ),
        terminal_store=terminal_store,
        tokens=Tokens(db, token_store, auth_store, clock=clock, dice=dice),
        rates=rates,
        prices=Prices(house, default_tariff=settings.tariffs.default),
        outbox=outbox,
        sender=sender,
    )


def link_base(settings: Settings) -> str:
    """Where links in mails lead: the configured base, never a request's Host header."""
    return settings.server.base_url or settings.server.urls()["api"]


def _house(
    settings: Settings,
    *,
    clock: Clock,
    dice: Dice,
    db: Database,
    ring: keys.Keys,
    box: SecretBox,
    people: PeopleDesk,
    ledger: LedgerStore,
    rates: ConfiguredRates,
    outbox: Outbox,
) -> House:
    release = settings.release
    default = settings.profiles[settings.people.default_profile]
    return House(
        db=db,
        jobs=JobStore(db, TitleBox(box)),
        deliveries=DeliveryStore(db),
        ledger=ledger,
        spool=Spool(
            settings.state_dir / SPOOL_DIR,
            settings.state_dir / KEYS_DIR / "spool",
            clock,
            dice,
            free_bytes_min=settings.spool.reserve_bytes,
        ),
        people=people,
        people_store=people.store,
        mailer=outbox,
        rates=rates,
        queues=_rules(settings),
        clock=clock,
        dice=dice,
        policy=ReleasePolicy(
            uncertain=cast("UncertainPolicy", release.uncertain_policy),
            uncertain_after_s=release.uncertain_after_s,
            reservation_s=release.reservation_s,
            status_timeout_s=settings.printers.connect_timeout_s,
            undo_s=settings.kiosk.undo_s,
            poll_max_s=release.poll_s,
            stopped_timeout_s=release.stopped_timeout_s,
            job_timeout_s=release.job_timeout_s,
        ),
        daemon_id=settings.server.name,
        code_key=ring.pepper.current.secret,
        document_octets_max=settings.spool.bytes_max,
        held_jobs_max=settings.spool.jobs_per_person_max,
        timezone=default.timezone,
    )


def _rules(settings: Settings) -> dict[str, QueueRule]:
    return {
        name: QueueRule(
            name=name,
            title=queue.title or name,
            believes=cast("Believes", queue.rule),
            hold_s=queue.hold_s,
            warn_before_s=queue.warn_before_s,
            auto_release=queue.auto_release,
            may_create_people=queue.allow_auto_create and settings.people.auto_create,
        )
        for name, queue in settings.queues.items()
    }


def _limits(settings: Settings) -> lockout.Limits:
    rules = settings.sign_in
    return lockout.Limits(
        disable_password_at=rules.lock_after,
        disable_keypad_at=rules.keypad_lock_after,
        source_failures_max=rules.terminal_failures_max,
        source_pause_s=rules.terminal_pause_s,
        house_people_max=rules.global_failures_max,
    )


def _credential_rules(settings: Settings) -> CredentialRules:
    rules = settings.sign_in
    return CredentialRules(
        password_chars_min=rules.password_length_min,
        keypad_allowed=rules.keypad_password,
        keypad_digits_min=rules.keypad_length_min,
        pin_digits=settings.people.pin_digits,
        link_s=rules.link_s,
    )
