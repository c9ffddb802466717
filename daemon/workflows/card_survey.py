"""Looking over all enrolled cards at once: which are easily taken for each other, what a changed format would do.

Only cards whose read is kept can be looked at; how many cannot is always told. Answers name card, person and label,
never a number. The comparing itself is pure and runs in a thread: ten thousand cards must not hold up a tap.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from daemon.auth.card_formats import collisions, compare, parse_format
from daemon.auth.keys import SealBroken

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.auth.card_sign_in import CardSignIn
    from daemon.auth.card_store import CardStore, KeptRead

BATCH_MAX = 500
TEXT_BYTES_MAX = 65_536
"""Of a format to try."""


class CardSurvey:
    """Reads everything, changes nothing."""

    def __init__(self, store: CardStore, cards: CardSignIn) -> None:
        self._store = store
        self._cards = cards

    async def check(self) -> dict[str, Any]:
        """Collisions among enrolled cards: `00123` beside `123`, one number at two sites, two byte orders."""
        known, raws = await self._all()
        formats = self._cards.reads.formats
        enrolled = [
            (card.public_id, formats[name], raws[card.public_id])
            for card in known.values()
            if card.public_id in raws and (name := card.format or self._cards.reads.default) in formats
        ]
        found = await asyncio.to_thread(collisions, enrolled)
        return {
            "ok": not found,
            "cards": len(known),
            "compared": len(enrolled),
            "not_compared": len(known) - len(enrolled),
            "collisions": [{"likeness": one.likeness.value, "cards": _shapes(known, one.card_ids)} for one in found],
        }

    async def dry_run(self, name: str, *, text: str = "", file: str = "", to: str = "") -> dict[str, Any]:
        """What becomes of the cards enrolled by the format `name` when it reads like `text`, or like the format `to`.

        `changed` cards get another hash from their kept read when the daemon next starts; `lost` ones open nothing
        any more; `merged` ones were different and would be one. Cards without a kept read cannot be told.

        Raises:
            NotFound: no such format; BadInput: `text` is no format, with every mistake and its line.
        """
        old = self._cards.reads.named(name)
        new = self._cards.reads.named(to) if to else parse_format(text, file)
        every, raws = await self._all()
        known = {card_id: card for card_id, card in every.items() if self._is_of(card, old.name)}
        pairs = [(card_id, raws[card_id]) for card_id in known if card_id in raws]
        result = await asyncio.to_thread(compare, old, new, pairs)
        return {
            "ok": result.is_safe and not result.changed,
            "format": old.name,
            "cards": len(known),
            "not_compared": len(known) - len(pairs),
            "kept": len(result.kept),
            "changed": _shapes(known, result.changed),
            "lost": [{**_shape(known[one.card_id]), "reason": one.reason} for one in result.lost],
            "gained": _shapes(known, result.gained),
            "unreadable": _shapes(known, result.unreadable),
            "merged": [_shapes(known, group) for group in result.merged],
        }

    def _is_of(self, card: KeptRead, name: str) -> bool:
        return (card.format or self._cards.reads.default) == name

    async def _all(self) -> tuple[dict[str, KeptRead], dict[str, str]]:
        """Every card by id, and the reads that are kept and open."""
        known: dict[str, KeptRead] = {}
        raws: dict[str, str] = {}
        after_id = 0
        while batch := await self._store.reads(after_id=after_id, limit=BATCH_MAX):
            after_id = batch[-1].id
            for card in batch:
                known[card.public_id] = card
                if card.sealed is not None and (raw := self._raw(card)) is not None:
                    raws[card.public_id] = raw
        return known, raws

    def _raw(self, card: KeptRead) -> str | None:
        try:
            return self._cards.open_read(card.sealed or b"", card_id=card.public_id)
        except SealBroken:
            return None


def _shapes(known: dict[str, KeptRead], card_ids: Iterable[str]) -> list[dict[str, Any]]:
    return [_shape(known[card_id]) for card_id in card_ids]


def _shape(card: KeptRead) -> dict[str, Any]:
    return {"card_id": card.public_id, "user": card.user_name, "label": card.label}
