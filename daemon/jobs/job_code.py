"""job-password (screens: *job code*): kept as a keyed hash, compared when its owner types it (PWG 5100.11)."""

from __future__ import annotations

import hashlib
import hmac

ENCRYPTIONS = ("none", "sha2-256")


def seal(value: bytes, encryption: str, key: bytes) -> str:
    """The stored form of what the client sent: `value` is the code itself (`none`) or its SHA-256 (`sha2-256`)."""
    digest = value if encryption == "sha2-256" else hashlib.sha256(value).digest()
    return hmac.new(key, digest, hashlib.sha256).hexdigest()


def matches(stored: str, typed: str, key: bytes) -> bool:
    """True when `typed` is the code behind `stored`; constant time."""
    digest = hashlib.sha256(typed.encode()).digest()
    return hmac.compare_digest(stored, hmac.new(key, digest, hashlib.sha256).hexdigest())
