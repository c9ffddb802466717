"""A tap: from what a reader said to a session, to a question for the password, or to a refusal that tells nothing.

Unknown, blocked, expired and a card of somebody switched off hear the same; what it was is counted by name, for
operators. Only an unknown card, where people may link their own, comes back with a sealed ticket for doing so. The
number is in no log, no exception and no row: between tap and link it lives in that ticket alone.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from daemon.auth.card_reads import RAW_CHARS_MAX
from daemon.auth.card_rules import asks_password, judge
from daemon.auth.cards import CardUnreadable
from daemon.auth.identity import CardsNotAccepted, PasswordNeeded, SignedIn, SignInFailed, SignInPaused
from daemon.auth.tap_gate import TapGate
from daemon.auth.terminal_rules import effective_policy
from daemon.auth.tickets import LinkTicket, PasswordTicket
from daemon.auth.turns import Turns
from daemon.db.unit import Unit, UnitRefused
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import NotFound
from daemon.kernel.events import Event

if TYPE_CHECKING:
    from daemon.auth.card_hashes import CardHashes
    from daemon.auth.card_reads import CardReads
    from daemon.auth.card_rules import CardRules
    from daemon.auth.card_store import CardStore, Tapped
    from daemon.auth.identity import Subject
    from daemon.auth.keys import SecretBox
    from daemon.auth.sessions import Sessions
    from daemon.auth.store import AuthStore
    from daemon.auth.terminals import Terminal
    from daemon.auth.tickets import Tickets
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock

log = structlog.get_logger(__name__)

SOURCE = "taps:"
"""Failures of taps are counted apart from those at the keypad: `taps:<terminal id>`."""
STRANGERS_KEPT_MAX = 64
STRANGER_KEPT_S = 300
"""Unknown cards an administrator can give to somebody afterwards, and for how long."""


@dataclass(frozen=True, slots=True)
class Stranger:
    """An unknown card just tapped; `ticket` holds its read, sealed."""

    terminal_id: int
    terminal_public_id: str
    terminal_name: str
    reader: str
    format: str
    at_us: int
    ticket: str

    def __repr__(self) -> str:
        return f"Stranger({self.terminal_public_id})"


class CardSignIn:
    """Signing in by card."""

    def __init__(
        self,
        db: Database,
        store: CardStore,
        people: AuthStore,
        sessions: Sessions,
        *,
        hashes: CardHashes,
        reads: CardReads,
        tickets: Tickets,
        box: SecretBox,
        rules: CardRules,
        clock: Clock,
    ) -> None:
        self._db = db
        self._store = store
        self._people = people
        self._sessions = sessions
        self._tickets = tickets
        self._box = box
        self._clock = clock
        self._gate = TapGate()
        self._turns = Turns()
        self._strangers: deque[Stranger] = deque(maxlen=STRANGERS_KEPT_MAX)
        self.hashes = hashes
        self.reads = reads
        self.rules = rules
        self.taps_total: Counter[str] = Counter()

    @property
    def failures_total(self) -> int:
        """Cards that opened nothing because of what they are."""
        return sum(self.taps_total[verdict] for verdict in ("unknown", "blocked", "expired", "disabled"))

    def remember(self, terminal_id: int, at_us: int) -> None:
        """At start: a card that opened nothing before the restart; it opens no new burst of tries."""
        self._gate.stranger(terminal_id, b"", at_us)

    async def tap(self, raw: str, *, terminal: Terminal, reader: str = "") -> SignedIn | PasswordNeeded:
        """A session, or a ticket that the password completes, by the policy that holds at this terminal.

        Raises:
            CardsNotAccepted: the policy is none.
            SignInPaused: too many taps, or too many unknown cards, at this terminal just now.
            CardUnreadable: it is no number in this reader's format.
            SignInFailed: unknown, blocked, expired, or its person is switched off; `data["link"]` for an unknown card
                where people may link their own.
        """
        policy = effective_policy(terminal.policy, site_policy=self.rules.policy)
        if policy == "none":
            self.taps_total["not-accepted"] += 1
            raise CardsNotAccepted("This terminal takes no cards.")
        async with self._turns.turn(f"{terminal.id}"):  # of two quick cards the second wins
            return await self._tap(raw, policy, terminal, reader)

    async def _tap(self, raw: str, policy: str, terminal: Terminal, reader: str) -> SignedIn | PasswordNeeded:
        now = self._clock.now_us()
        if wait := self._gate.admit(terminal.id, now):
            self.taps_total["paused"] += 1
            await self._tell("taps.paused", terminal, now)
            raise SignInPaused("Too many cards at once here. Please wait a moment.", retry_after_s=wait)
        name, form, found = await self._identify(raw, terminal, reader, now)
        if found is None:
            raise await self._unknown(self.hashes.of(form)[0], LinkTicket(name, raw, reader), terminal, now)
        verdict = judge(
            is_active=found.subject.is_active,
            blocked_at_us=found.blocked_at_us,
            expires_at_us=found.expires_at_us,
            now_us=now,
        )
        if verdict != "good":
            await self._refuse(verdict, found, terminal, now)
            raise SignInFailed
        if asks_password(policy, is_proven_today=found.is_proven):
            self.taps_total["password-asked"] += 1
            asked = PasswordTicket(found.subject.id, found.id)
            return PasswordNeeded(self._tickets.for_password(asked, terminal_id=terminal.id))
        return await self._open(found, form, LinkTicket(name, raw), terminal, now)

    def prove(self, unit: Unit, subject: Subject, ticket: PasswordTicket, *, terminal_id: int) -> SignedIn:
        """Append what follows from the right password after a tap: the day's proof and a full session.

        The unit is refused as `sign-in-failed` when the card was blocked, ended or removed since the tap.
        """
        now = self._clock.now_us()
        self._store.used(unit, card_id=ticket.card_id, at_us=now)
        self._store.proven(unit, card_id=ticket.card_id, terminal_id=terminal_id, day=self.rules.day(now))
        return self._sessions.open(
            unit, subject, terminal_id=terminal_id, method="card+password", card_id=ticket.card_id
        )

    def seal_read(self, raw: str, *, card_id: str) -> bytes | None:
        """The read as it is kept with a card, sealed for that card alone; None where the site keeps none."""
        return self._box.seal(raw.encode(), place=read_place(card_id)) if self.rules.keep_reads else None

    def strangers(self) -> list[Stranger]:
        """Unknown cards tapped in the last minutes, newest first."""
        since = self._clock.now_us() - STRANGER_KEPT_S * US_PER_S
        return [one for one in reversed(self._strangers) if one.at_us > since]

    def claimed(self, ticket: str) -> None:
        """The card of this ticket has its owner now: it is offered to nobody any more."""
        kept = [one for one in self._strangers if one.ticket != ticket]
        self._strangers.clear()
        self._strangers.extend(kept)

    def open_read(self, sealed: bytes, *, card_id: str) -> str:
        """The read that is kept with this card.

        Raises:
            SealBroken: changed, another card's, or another installation's.
        """
        return self._box.open(sealed, place=read_place(card_id)).decode()

    # ----- inside -----
    async def _identify(self, raw: str, terminal: Terminal, reader: str, now: int) -> tuple[str, bytes, Tapped | None]:
        """(format, canonical form, card) of a read; no card for one nobody has.

        Raises:
            CardUnreadable: no number in the format that holds at this reader; counted.
        """
        name = self.reads.chosen(terminal=terminal.name, reader=reader)
        form, found, refused = b"", None, None
        try:
            form = self.reads.form(raw, name)
            found = await self._found(form, terminal, now)
        except CardUnreadable as wrong:
            refused = wrong
        elsewhere = None if found else await self._as_enrolled(raw, name, terminal, reader, now)
        if elsewhere is not None:
            return elsewhere
        if refused is not None:
            await self._garbage(name, terminal, now)
            raise refused
        return name, form, found

    async def _garbage(self, name: str, terminal: Terminal, now: int) -> None:
        """Count a read that is no number in its reader's format."""
        self.taps_total["unreadable"] += 1
        log.info("card.unreadable", terminal_id=terminal.public_id, format=name)
        if self._gate.garbage(terminal.id, now):
            await self._tell("taps.unreadable", terminal, now, format=name)

    async def _as_enrolled(
        self, raw: str, tried: str, terminal: Terminal, reader: str, now: int
    ) -> tuple[str, bytes, Tapped] | None:
        """At a reader without a rule: the one card that this very read stands for in the format it was enrolled in."""
        if len(raw) > RAW_CHARS_MAX or self.reads.is_ruled(terminal=terminal.name, reader=reader):
            return None
        hits = []
        for name in await self._store.formats():
            try:
                form = self.reads.form(raw, name)
            except (CardUnreadable, NotFound):
                continue
            found = await self._found(form, terminal, now) if name != tried else None
            if found is not None and found.format == name:
                hits.append((name, form, found))
        return hits[0] if len({found.id for _name, _form, found in hits}) == 1 else None

    async def _found(self, form: bytes, terminal: Terminal, now: int) -> Tapped | None:
        """The card of this form; looked for again when the keys changed while it was looked for."""
        while True:
            held = self.hashes.key_ids
            found = await self._store.tapped(
                self.hashes.candidates(form), terminal_id=terminal.id, day=self.rules.day(now)
            )
            if found is not None or self.hashes.key_ids == held:
                return found

    async def _unknown(self, value: bytes, read: LinkTicket, terminal: Terminal, now: int) -> SignInFailed:
        """Count an unknown card; the refusal, with a ticket where people may link their own."""
        self.taps_total["unknown"] += 1
        unit = Unit()
        self._add_failure(unit, terminal, now, person_id=None)
        await self._db.commit(unit)
        log.info("sign_in.failed", method="card", terminal_id=terminal.public_id)
        if self._gate.stranger(terminal.id, value, now):
            await self._tell("taps.strangers", terminal, now)
        ticket = self._tickets.for_link(read, terminal_id=terminal.id)
        self._strangers.append(
            Stranger(terminal.id, terminal.public_id, terminal.name, read.reader, read.format, now, ticket)
        )
        return SignInFailed(link=ticket) if self.rules.self_enrolment else SignInFailed()

    async def _refuse(self, verdict: str, found: Tapped, terminal: Terminal, now: int) -> None:
        """Count a card that is known and not good; operators hear where a blocked one turns up."""
        self.taps_total[verdict] += 1
        unit = Unit()
        self._add_failure(unit, terminal, now, person_id=found.subject.id)
        if verdict == "blocked" and self._gate.is_news(terminal.id, found.public_id, now):
            unit.event(Event("card.blocked-used", found.public_id, found.subject.id), now)
            unit.audit(
                actor=f"terminal:{terminal.public_id}",
                action="card.blocked-used",
                subject=found.public_id,
                detail={"user_id": found.subject.public_id, "terminal": terminal.name},
                at_us=now,
            )
        await self._db.commit(unit)
        log.info("sign_in.failed", method="card", terminal_id=terminal.public_id, card_id=found.public_id)
        if self._gate.stranger(terminal.id, found.hash, now):
            await self._tell("taps.strangers", terminal, now)

    async def _open(self, found: Tapped, form: bytes, read: LinkTicket, terminal: Terminal, now: int) -> SignedIn:
        unit = Unit()
        self._store.used(unit, card_id=found.id, at_us=now)
        self._catch_up(unit, found, form, read)
        signed = self._sessions.open(unit, found.subject, terminal_id=terminal.id, method="card", card_id=found.id)
        try:
            await self._db.commit(unit)
        except UnitRefused as refused:
            raise SignInFailed from refused
        self.taps_total["card"] += 1
        return signed

    def _catch_up(self, unit: Unit, found: Tapped, form: bytes, read: LinkTicket) -> None:
        """A card under an old key moves to the one in use; one without a kept read gets it, where reads are kept."""
        if found.key_id != self.hashes.key_id:
            value, key_id = self.hashes.of(form)
            self._store.rehash(unit, card_id=found.id, old=found.hash, value=value, key_id=key_id)
        if not found.has_read and self.rules.keep_reads:
            sealed = self._box.seal(read.raw.encode(), place=read_place(found.public_id))
            self._store.keep_read(unit, card_id=found.id, sealed=sealed, format_name=read.format)

    def _add_failure(self, unit: Unit, terminal: Terminal, now: int, *, person_id: int | None) -> None:
        self._people.add_failure(
            unit,
            at_us=now,
            source=f"{SOURCE}{terminal.id}",
            method="card",
            terminal_id=terminal.id,
            person_id=person_id,
        )

    async def _tell(self, topic: str, terminal: Terminal, now: int, **detail: object) -> None:
        """Put it where operators see it, once in a while per terminal."""
        if topic == "taps.paused" and not self._gate.is_news(terminal.id, topic, now):
            return
        unit = Unit()
        unit.event(Event(topic, terminal.public_id), now)
        unit.audit(actor="system", action=topic, subject=terminal.public_id, detail=detail, at_us=now)
        log.warning(topic, terminal_id=terminal.public_id)
        await self._db.commit(unit)


def read_place(card_id: str) -> str:
    """Where a card's read is sealed: moved to another card's row it does not open."""
    return f"card-read:{card_id}"
