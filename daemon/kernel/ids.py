"""Public ids: random 128 bits, written as 26 lower-case base32 characters. Dice are passed in."""

from __future__ import annotations

import base64
import hashlib
from typing import Protocol

ID_BYTES = 16


class Dice(Protocol):
    """Where randomness comes from; the edge passes the system's, tests pass a seeded one."""

    def token(self, size: int) -> bytes:
        """`size` unpredictable bytes."""
        ...


def encode_id(raw: bytes) -> str:
    """26 lower-case base32 characters for 16 bytes."""
    if len(raw) != ID_BYTES:
        raise ValueError("an id is 16 bytes")
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()


def new_id(dice: Dice) -> str:
    """A fresh public id."""
    return encode_id(dice.token(ID_BYTES))


def derived_key(*parts: str) -> bytes:
    """A 16-byte idempotency key derived from its parts; the same parts always give the same key."""
    return hashlib.blake2b(_joined(parts), digest_size=16, person=b"holdfast-key").digest()


def request_digest(*parts: str) -> bytes:
    """8 bytes that tell one request from another under the same idempotency key."""
    return hashlib.blake2b(_joined(parts), digest_size=8, person=b"holdfast-req").digest()


def _joined(parts: tuple[str, ...]) -> bytes:
    """The parts, each after its length, so that no two lists of parts give the same bytes."""
    joined = bytearray()
    for part in parts:
        raw = part.encode()
        joined += len(raw).to_bytes(4, "big") + raw
    return bytes(joined)
