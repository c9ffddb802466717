"""Card numbers as keyed hashes: the number space is small enough to try, the key is not.

What is hashed is the canonical form of a read by its card format (bytes that name their form, never an integer).
"""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.auth.keys import KeyRing


class CardHashes:
    """HMAC-SHA-256 of canonical forms under the card keys."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self.unchanged = asyncio.Lock()
        """Held while a card is written, and while keys change: none is written under a key just given up."""

    @property
    def key_id(self) -> str:
        """The key new cards are stored under."""
        return self._ring.current.key_id

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Every key still held, newest first."""
        return tuple(key.key_id for key in self._ring.all)

    def use(self, ring: KeyRing) -> None:
        """From now on these keys; what was stored under others of them is still found."""
        self._ring = ring

    def of(self, form: bytes) -> tuple[bytes, str]:
        """(keyed hash, key id) of a canonical form, for storing a card."""
        return hmac.digest(self._ring.current.secret, form, "sha256"), self._ring.current.key_id

    def candidates(self, form: bytes) -> list[bytes]:
        """The keyed hash under every key still held, newest first."""
        return [hmac.digest(key.secret, form, "sha256") for key in self._ring.all]
