"""Card numbers as keyed hashes: the number space is small enough to try, the key is not. Nothing else is kept."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from daemon.auth import cards

if TYPE_CHECKING:
    from daemon.auth.keys import KeyRing


class CardHashes:
    """HMAC-SHA-256 of normalised numbers under the card keys."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    @property
    def key_id(self) -> str:
        """The key new cards are stored under."""
        return self._ring.current.key_id

    def of(self, raw: str) -> tuple[bytes, str]:
        """(keyed hash, key id) of a raw read, for storing a card.

        Raises:
            cards.CardUnreadable: it is no card number.
        """
        number = cards.hashed_form(cards.normalise(raw))
        return hmac.digest(self._ring.current.secret, number, "sha256"), self._ring.current.key_id

    def candidates(self, raw: str) -> list[tuple[bytes, str]]:
        """The same under every key still held, newest first; empty when the read is no card number."""
        try:
            number = cards.hashed_form(cards.normalise(raw))
        except cards.CardUnreadable:
            return []
        return [(hmac.digest(key.secret, number, "sha256"), key.key_id) for key in self._ring.all]
