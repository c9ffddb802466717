"""Everything of signing in over a real database: people, cards, terminals, a clock one can move, mail that is kept."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from daemon.auth import keys, lockout
from daemon.auth.card_hashes import CardHashes
from daemon.auth.card_reads import CardReads
from daemon.auth.card_rules import CardRules
from daemon.auth.card_sign_in import CardSignIn
from daemon.auth.card_store import CardStore, NewCard
from daemon.auth.credentials import CredentialRules, Credentials
from daemon.auth.mailed_codes import MailedCodes
from daemon.auth.passwords import Passwords
from daemon.auth.service import SignIn
from daemon.auth.session_store import SessionStore
from daemon.auth.sessions import Sessions, SessionTimes
from daemon.auth.store import AuthStore
from daemon.auth.terminal_store import Terminal, TerminalStore
from daemon.auth.terminals import Terminals
from daemon.auth.tickets import Tickets
from daemon.auth.token_store import TokenStore
from daemon.auth.tokens import Tokens
from daemon.db.database import Database
from daemon.db.unit import Unit
from daemon.kernel.clock import US_PER_S
from daemon.kernel.ids import new_id
from daemon.people.names import normalise
from daemon.system import SystemDice

START_US = 1_790_000_000 * US_PER_S
PASSWORD = "tinned peaches at nine"
SERVER_KEY = b"s" * 32
CA_PEM = "-----BEGIN CERTIFICATE-----\nour own\n-----END CERTIFICATE-----\n"
FAST_KIB = 1024
"""Argon2 memory for tests that are not about its strength."""


class SetClock:
    """A clock that moves when told to."""

    def __init__(self, now_us: int = START_US) -> None:
        self.us = now_us

    def now_us(self) -> int:
        self.us += 1
        return self.us

    def monotonic_s(self) -> float:
        return self.us / US_PER_S

    def pass_s(self, seconds: float) -> None:
        self.us += int(seconds * US_PER_S)


@dataclass
class KeptMail:
    """A mailer that keeps what was appended, and writes nothing."""

    sent: list[tuple[str, str, dict]] = field(default_factory=list)

    def notify(self, unit, kind, person, *, dedupe, facts) -> None:
        self.sent.append((kind, person.name, dict(facts)))

    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.sent]


class AuthHouse:
    """The parts, wired as the daemon wires them."""

    def __init__(
        self,
        db,
        ring,
        clock,
        *,
        mail=None,
        rules=None,
        cards=None,
        limits=None,
        times=None,
        memory_kib=FAST_KIB,
        ca_pem=CA_PEM,
        server_key=SERVER_KEY,
    ):
        self.db, self.clock, self.dice = db, clock, SystemDice()
        self.mail = mail if mail is not None else KeptMail()
        self.keys = ring
        self.box = keys.SecretBox(ring.box, self.dice)
        self.store = AuthStore(db)
        self.passwords = Passwords(ring.pepper, memory_kib=memory_kib)
        self.sessions = Sessions(db, SessionStore(db), clock=clock, dice=self.dice, times=times or SessionTimes())
        self._open_sign_in(ring, cards or CardRules(), limits or lockout.HOUSE_LIMITS)
        self.terminals = Terminals(
            db,
            TerminalStore(db),
            box=self.box,
            ca_pem=ca_pem,
            server_key_sha256=server_key,
            clock=clock,
            dice=self.dice,
        )
        token_store = TokenStore(db)
        self.tokens = Tokens(db, token_store, self.store, clock=clock, dice=self.dice)
        self.credentials = Credentials(
            db, self.store, token_store, passwords=self.passwords, mailer=self.mail, clock=clock, dice=self.dice,
            base_url="https://print.example.org:8632", rules=rules or CredentialRules(house_names=("Holdfast",)),
        )  # fmt: skip

    def _open_sign_in(self, ring, rules, limits):
        db, clock = self.db, self.clock
        self.cards = CardStore(db)
        self.hashes = CardHashes(ring.card)
        self.tickets = Tickets(self.box, clock)
        self.card_sign_in = CardSignIn(
            db, self.cards, self.store, self.sessions, hashes=self.hashes, reads=CardReads(), tickets=self.tickets,
            box=self.box, rules=rules, clock=clock,
        )  # fmt: skip
        self.codes = MailedCodes(
            db, self.store, ring=ring.pepper, mailer=self.mail, is_allowed=rules.mailed_code,
            clock=clock, dice=self.dice,
        )  # fmt: skip
        self.sign_in = SignIn(
            db, self.store, self.sessions, passwords=self.passwords, cards=self.card_sign_in, tickets=self.tickets,
            codes=self.codes, mailer=self.mail, clock=clock, name_of=normalise, limits=limits,
        )  # fmt: skip

    async def add_person(
        self, name, *, pin=None, password=None, email="", language="en", active=True, public_id=None
    ) -> int:
        unit = Unit()
        public_id = public_id or new_id(self.dice)
        unit.add(
            """INSERT INTO person(public_id, name, display_name, email, pin, profile, language, is_active, created_at_us)
               VALUES(:p, :n, :d, :e, :pin, 'standard', :l, :a, :at)""",
            p=public_id, n=name, d=name.title(), e=email, pin=pin, l=language, a=int(active), at=self.clock.now_us(),
        )  # fmt: skip
        if password is not None:
            stored = await self.passwords.hash(password)
            self.credentials.append_new(unit, public_id=public_id, stored=stored)
        await self.db.commit(unit)
        row = await self.db.read_one("SELECT id FROM person WHERE name=:n", n=name)
        return row["id"]

    async def add_card(self, person_id, raw, *, expires_at_us=None, label="", form_of="default") -> str:
        public_id = new_id(self.dice)
        form = self.card_sign_in.reads.form(raw, form_of)
        value, key_id = self.hashes.of(form)
        new = NewCard(
            public_id=public_id, person_id=person_id, value=value, key_id=key_id, format=form_of, label=label,
            sealed=self.card_sign_in.seal_read(raw, card_id=public_id), created_by="test", at_us=1,
            expires_at_us=expires_at_us,
        )  # fmt: skip
        unit = Unit()
        self.cards.insert(unit, new, hashes=self.hashes.candidates(form), most=100)
        await self.db.commit(unit)
        return public_id

    async def add_printer(self, name="p1") -> str:
        public_id = new_id(self.dice)
        unit = Unit()
        unit.add(
            """INSERT INTO printer(public_id, name, uri, state, is_accepting, created_at_us)
               VALUES(:p, :n, 'ipp://127.0.0.1:1/', 'idle', 1, 1)""", p=public_id, n=name,
        )  # fmt: skip
        await self.db.commit(unit)
        return public_id

    async def add_terminal(self, name="door", *, policy="card+password", printer="p1") -> Terminal:
        if await self.db.read_one("SELECT 1 AS x FROM printer WHERE name=:n", n=printer) is None:
            await self.add_printer(printer)
        return (await self.terminals.add(name, printers=[printer], policy=policy, actor="local:0")).terminal

    async def set_active(self, person_id, active) -> None:
        unit = Unit()
        unit.add(
            "UPDATE person SET is_active=:a, session_epoch=session_epoch+1 WHERE id=:i", a=int(active), i=person_id
        )
        await self.db.commit(unit)

    async def count(self, table) -> int:
        return (await self.db.read_one(f"SELECT count(*) AS n FROM {table}"))["n"]


@contextlib.asynccontextmanager
async def auth_house(tmp_path, **options):
    """An `AuthHouse` over a fresh database."""
    keys.generate(tmp_path / "keys", SystemDice())
    clock = options.pop("clock", None) or SetClock()
    db = await Database.open(tmp_path / "house.db", clock=clock)
    house = AuthHouse(db, keys.load(tmp_path / "keys"), clock, **options)
    await house.sign_in.start()
    try:
        yield house
    finally:
        house.passwords.close()
        await db.close()
