"""How a terminal proves itself: signed requests, replay window, and the enrolment proofs. Pure.

A request carries four headers. The signature is Ed25519 (RFC 8032) by the terminal's own key over `signing_input`;
making and checking it is the edge's business. Time bounds the age of a captured request, the counter makes each
request usable once.

Enrolment knows no key yet, only a short code both sides hold and a TLS connection whose certificate nobody has
verified. The code is `LLLL-SSSS-SSSS`: a locator the daemon finds the waiting terminal by, and a secret that is
stretched with scrypt so that a listener cannot try all secrets while the code lives. Each side proves the code over
the terminal's public key and the server key *it* sees: a machine in the middle shows another server key, the proofs
differ, the daemon burns the code and nothing is pinned.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

SCHEME = b"holdfast-1"

HEADER_TERMINAL = "holdfast-terminal"
HEADER_TIME = "holdfast-time"
HEADER_COUNTER = "holdfast-counter"
HEADER_SIGNATURE = "holdfast-signature"
HEADER_SESSION = "holdfast-session"

SKEW_MAX_US = 300_000_000
"""A signed time further than this from the daemon's clock is refused; the answer carries the daemon's time."""

WINDOW_BITS = 64
"""Requests may overtake each other on the wire by at most this many counters."""

CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base32: no I, L, O, U."""
LOCATOR_CHARS = 4
SECRET_CHARS = 8
_LOOKALIKES = str.maketrans({"I": "1", "L": "1", "O": "0"})

_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 1 << 14, 8, 1
_TERMINAL_SAYS = b"holdfast-enrol-terminal-1\n"
_DAEMON_SAYS = b"holdfast-enrol-daemon-1\n"


def signing_input(*, method: str, target: str, body: bytes, time_us: int, counter: int) -> bytes:
    """The bytes a terminal signs: scheme, METHOD, path?query exactly as sent, hex sha256 of the body, time, counter."""
    parts = (
        SCHEME,
        method.upper().encode("ascii"),
        target.encode("ascii"),
        hashlib.sha256(body).hexdigest().encode("ascii"),
        str(time_us).encode("ascii"),
        str(counter).encode("ascii"),
    )
    return b"\n".join(parts)


@dataclass(frozen=True, slots=True)
class ReplayWindow:
    """Which counters have been used: the highest, and a bitmap of those just below it (RFC 4303 3.4.3)."""

    highest: int = 0
    seen: int = 0

    def accept(self, counter: int) -> ReplayWindow | None:
        """The window after `counter`, or None when it was used before or is too old to tell."""
        if counter <= 0:
            return None
        if counter > self.highest:
            shifted = (self.seen << min(counter - self.highest, WINDOW_BITS)) | 1
            return ReplayWindow(counter, shifted & ((1 << WINDOW_BITS) - 1))
        behind = self.highest - counter
        if behind >= WINDOW_BITS or self.seen >> behind & 1:
            return None
        return ReplayWindow(self.highest, self.seen | 1 << behind)


@dataclass(frozen=True, slots=True)
class EnrolCode:
    """A code taken apart: `locator` travels in the clear, `secret` never does."""

    locator: str
    secret: str

    @property
    def text(self) -> str:
        """As people read it: `LLLL-SSSS-SSSS`."""
        half = SECRET_CHARS // 2
        return f"{self.locator}-{self.secret[:half]}-{self.secret[half:]}"


def make_code(random: bytes) -> EnrolCode:
    """A fresh code from at least 12 unpredictable bytes (5 bits of each are used)."""
    size = LOCATOR_CHARS + SECRET_CHARS
    if len(random) < size:
        raise ValueError(f"a code needs {size} random bytes")
    letters = "".join(CODE_ALPHABET[byte & 31] for byte in random[:size])
    return EnrolCode(letters[:LOCATOR_CHARS], letters[LOCATOR_CHARS:])


def parse_code(text: str) -> EnrolCode:
    """A code as typed: any case, spaces or hyphens anywhere, I/L read as 1 and O as 0.

    Raises:
        ValueError: not 12 letters of the alphabet.
    """
    letters = "".join(text.split()).replace("-", "").upper().translate(_LOOKALIKES)
    if len(letters) != LOCATOR_CHARS + SECRET_CHARS or any(letter not in CODE_ALPHABET for letter in letters):
        raise ValueError("an enrolment code has 12 letters and digits, such as 7KQ4-M2XN-8RTV")
    return EnrolCode(letters[:LOCATOR_CHARS], letters[LOCATOR_CHARS:])


def code_key(code: EnrolCode) -> bytes:
    """The 32-byte HMAC key of a code (scrypt, 16 MiB, some 40 ms: call it off the event loop).

    The daemon stores this beside the locator and never the secret.
    """
    return hashlib.scrypt(
        code.secret.encode("ascii"),
        salt=b"holdfast-enrol-1" + code.locator.encode("ascii"),
        n=_SCRYPT_N,
        r=_SCRYPT_R,
        p=_SCRYPT_P,
        dklen=32,
    )


def terminal_proof(key: bytes, *, public_key: bytes, server_key_sha256: bytes) -> bytes:
    """What the terminal sends: it knows the code and sees this server key (sha256 of the SPKI in DER)."""
    return _proof(key, _TERMINAL_SAYS, public_key, server_key_sha256)


def daemon_proof(key: bytes, *, public_key: bytes, server_key_sha256: bytes, ca_pem: str, terminal_id: str) -> bytes:
    """What the daemon answers: it knows the code, owns this server key, vouches for CA and terminal id."""
    return _proof(key, _DAEMON_SAYS, public_key, server_key_sha256, ca_pem.encode("ascii"), terminal_id.encode("ascii"))


def is_same_proof(first: bytes, second: bytes) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(first, second)


def _proof(key: bytes, *parts: bytes) -> bytes:
    says, *rest = parts
    hashed = b"".join(hashlib.sha256(part).digest() for part in rest)
    return hmac.digest(key, says + hashed, "sha256")
