"""Hashes of cards follow the key in use and the formats in force, without anybody enrolling a card again.

A card is found by the keyed hash of its canonical form, so a new key and a changed format both mean other hashes.
Where reads are kept (sealed), they are made anew from them in bounded batches: at once after `rekey`, at the first
pass of a daemon for whatever changed in the configuration. Each card moves in one statement decided on its old hash,
so a crash in between leaves some under the old key and some under the new, both of which open; the next pass goes on.
Cards without a kept read move at their next tap. A key that no card is stored under any more is forgotten.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from daemon.auth import keys
from daemon.auth.cards import CardUnreadable
from daemon.auth.keys import SealBroken
from daemon.db.unit import Unit, UnitRefused
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import NotFound, Refusal
from daemon.kernel.events import Event

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.auth.card_sign_in import CardSignIn
    from daemon.auth.card_store import CardStore, KeptRead
    from daemon.auth.permissions import Actor
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock
    from daemon.kernel.ids import Dice

log = structlog.get_logger(__name__)

BATCH_MAX = 100
"""Cards moved in one write: a tap waits for one of these at most."""
PASS_EVERY_S = 600
"""Between looks of housekeeping for cards that still have to move."""


class KeysReadOnly(Refusal):
    """The card key is a systemd credential: it is changed where it comes from."""

    code = "keys-read-only"


class CardKeys:
    """Makes new card keys, moves cards to them, forgets old ones."""

    def __init__(
        self, db: Database, store: CardStore, cards: CardSignIn, *, directory: Path, clock: Clock, dice: Dice
    ) -> None:
        self._db = db
        self._store = store
        self._cards = cards
        self._directory = directory
        self._clock = clock
        self._dice = dice
        self._one_at_a_time = asyncio.Lock()
        self._next_us = 0
        self._set_aside = 0

    async def rekey(self, *, actor: Actor) -> dict[str, Any]:
        """A new card key; every card whose read is kept moves to it now, the others at their next tap.

        Raises:
            KeysReadOnly: systemd gives the key.
            KeysMissing: the key file is damaged, or holds as many keys as allowed.
        """
        if keys.is_given(keys.CARD):
            raise KeysReadOnly("The card key is a systemd credential: put a new first line there, then restart.")
        async with self._one_at_a_time:
            async with self._cards.hashes.unchanged:
                key = await asyncio.to_thread(keys.rotate, self._directory, keys.CARD, self._dice)
                self._use_what_is_there()
            now = self._clock.now_us()
            unit = Unit()
            unit.event(Event("cards.rekeyed", key.key_id), now)
            unit.audit(actor=actor.name, action="cards.rekeyed", subject=key.key_id, detail={}, at_us=now)
            await self._db.commit(unit)
            log.info("cards.rekeyed", key_id=key.key_id)
            moved = await self._move_all()
            return await self._told(moved)

    async def reformat(self, name: str, to: str, *, actor: Actor) -> dict[str, Any]:
        """Cards enrolled by the format `name` are known by the format `to` from now on, made anew from their reads.

        For a reader that gets another format. Cards that `to` refuses, that would be another's, or whose read is not
        kept stay as they are, and are named.

        Raises:
            NotFound: no such format.
        """
        old, new = self._cards.reads.named(name), self._cards.reads.named(to)
        moved, stay = 0, []
        async with self._one_at_a_time:
            after_id = 0
            while batch := await self._store.reads(after_id=after_id, limit=BATCH_MAX):
                after_id = batch[-1].id
                for card in batch:
                    if (card.format or self._cards.reads.default) != old.name:
                        continue
                    value = self._value(card, new.name) if card.sealed is not None else None
                    if value is not None and await self._move_one(card, value, format_name=new.name):
                        moved += 1
                    else:
                        stay.append({"card_id": card.public_id, "user": card.user_name, "label": card.label})
            now = self._clock.now_us()
            unit = Unit()
            detail: dict[str, object] = {"from": old.name, "to": new.name, "moved": moved, "stay": len(stay)}
            unit.audit(actor=actor.name, action="cards.reformatted", subject=new.name, detail=detail, at_us=now)
            await self._db.commit(unit)
        return {"ok": not stay, "from": old.name, "to": new.name, "moved": moved, "stay": stay}

    async def catch_up(self) -> None:
        """Housekeeping: at the daemon's first pass and now and then, cards whose hash is behind are moved."""
        now = self._clock.now_us()
        if now < self._next_us or self._one_at_a_time.locked():
            return
        is_first, self._next_us = not self._next_us, now + PASS_EVERY_S * US_PER_S
        async with self._one_at_a_time:
            if not self._cards.rules.keep_reads:
                unit = Unit()
                self._store.forget_reads(unit)
                await self._db.commit(unit)
            counts = await self._store.count_by_key()
            if is_first or set(counts) - {self._cards.hashes.key_id}:
                moved = await self._move_all()
                if moved:
                    log.info("cards.moved", cards=moved)
            await self._retire()

    # ----- inside -----
    async def _move_all(self) -> int:
        """Every card whose kept read gives another hash than the stored one; how many moved.

        Two cards may exchange their hashes, as bytes in reverse do when a format turns them round. What one of them
        cannot take yet, it takes in a second round.
        """
        moved, in_the_way = await self._round()
        return moved + (await self._round())[0] if in_the_way else moved

    async def _round(self) -> tuple[int, int]:
        """(cards moved, cards set aside) of one look at every card."""
        moved, after_id = 0, 0
        before = self._set_aside
        while batch := await self._store.reads(after_id=after_id, limit=BATCH_MAX):
            after_id = batch[-1].id
            moved += await self._move([one for one in batch if one.sealed is not None])
        return moved, self._set_aside - before

    async def _move(self, batch: list[KeptRead]) -> int:
        valued = [(card, self._value(card)) for card in batch]
        behind = [(card, value) for card, value in valued if value is not None and value != card.hash]
        if not behind:
            return 0
        try:
            await self._write(behind)
        except UnitRefused:  # two of them have become one number: the others still move
            return sum([await self._move_one(card, value) for card, value in behind])
        return len(behind)

    async def _move_one(self, card: KeptRead, value: bytes, *, format_name: str | None = None) -> int:
        try:
            await self._write([(card, value)], format_name)
        except UnitRefused:
            log.warning("card.same-as-another", card_id=card.public_id)
            if format_name is None:
                await self._put_aside(card)
            return 0
        return 1

    async def _put_aside(self, card: KeptRead) -> None:
        """A hash of no card: what was stored is, in the format now in force, the number of a card that is not this one.

        Left there, a tap of that other card would open for this one's owner.
        """
        self._set_aside += 1
        await self._write([(card, self._cards.hashes.of(b"card-aside:" + card.public_id.encode())[0])])

    async def _write(self, behind: list[tuple[KeptRead, bytes]], format_name: str | None = None) -> None:
        unit = Unit()
        key_id = self._cards.hashes.key_id
        for card, value in behind:
            self._store.rehash(
                unit, card_id=card.id, old=card.hash, value=value, key_id=key_id, format_name=format_name
            )
        await self._db.commit(unit)

    def _value(self, card: KeptRead, format_name: str = "") -> bytes | None:
        """The hash this card should have; None where it cannot be told from its read (any more)."""
        try:
            raw = self._cards.open_read(card.sealed or b"", card_id=card.public_id)
            return self._cards.hashes.of(self._cards.reads.form(raw, format_name or card.format))[0]
        except (SealBroken, NotFound, CardUnreadable):
            return None

    async def _retire(self) -> tuple[str, ...]:
        """Forget keys no card is stored under; not where systemd gives them."""
        if len(self._cards.hashes.key_ids) == 1 or keys.is_given(keys.CARD):
            return ()
        async with self._cards.hashes.unchanged:
            counts = await self._store.count_by_key()
            gone = await asyncio.to_thread(keys.retire, self._directory, keys.CARD, set(counts))
            self._use_what_is_there()
        if gone:
            now = self._clock.now_us()
            unit = Unit()
            for key_id in gone:
                unit.audit(actor="system", action="card-key.retired", subject=key_id, detail={}, at_us=now)
            await self._db.commit(unit)
            log.info("card_keys.retired", keys=len(gone))
        return gone

    def _use_what_is_there(self) -> None:
        self._cards.hashes.use(keys.load_ring(self._directory, keys.CARD))

    async def _told(self, moved: int) -> dict[str, Any]:
        gone = await self._retire()
        counts = await self._store.count_by_key()
        current = self._cards.hashes.key_id
        remaining = sum(count for key_id, count in counts.items() if key_id != current)
        return {"key_id": current, "rehashed": moved, "remaining": remaining, "retired": list(gone)}
