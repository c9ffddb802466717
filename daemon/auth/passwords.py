"""Password hashing: Argon2id over a peppered HMAC, off the event loop, and never faster for a name we do not know.

Parameters: m=46 MiB, t=1, p=1 meets both OWASP's and ASVS 11.4.2's wording and takes some 50 ms a core. Two at a
time unless the site says otherwise: 92 MiB of memory and two busy cores are the most that sign-ins can ever cost.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from daemon.auth.keys import KeysMissing
from daemon.kernel.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.auth.keys import KeyRing

T = TypeVar("T")

MEMORY_KIB = 47_104
TIME_COST = 1
PARALLELISM = 1
WORKERS = 2
WAITING_MAX = 200
"""More sign-ins than this waiting for a core (10 s of work for two) are told to come back."""
RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """What the credential row holds."""

    encoded: str
    key_id: str

    def __repr__(self) -> str:
        return "StoredSecret(...)"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`needs_rehash`: right, but made with older parameters or an older pepper; store a new hash."""

    is_right: bool
    needs_rehash: bool = False


class Passwords:
    """Hashes and verifies in `workers` threads of its own."""

    def __init__(self, pepper: KeyRing, *, memory_kib: int = MEMORY_KIB, workers: int = WORKERS) -> None:
        self._pepper = pepper
        self._argon = PasswordHasher(
            time_cost=TIME_COST, memory_cost=memory_kib, parallelism=PARALLELISM, hash_len=32, salt_len=16, type=Type.ID
        )
        self._threads = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="password")
        self._slots = asyncio.Semaphore(workers)
        self._waiting = 0
        self._nobody = StoredSecret(self._argon.hash(b"nobody has this password"), pepper.current.key_id)

    def close(self) -> None:
        """End the threads; a check under way finishes."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def hash(self, secret: str) -> StoredSecret:
        """A new stored form of `secret` under the current pepper.

        Raises:
            Busy: too many are waiting.
        """
        return await self._in_thread(lambda: self._hash(secret))

    async def verify(self, secret: str, stored: StoredSecret | None) -> Verdict:
        """Whether `secret` is the stored one. With None (no such person, no password) as much work is done in vain.

        Raises:
            Busy: too many are waiting.
        """
        return await self._in_thread(lambda: self._verify(secret, stored))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._waiting >= WAITING_MAX:
            raise Busy("too many sign-ins at once", code="busy", retry_after_s=RETRY_AFTER_S)
        self._waiting += 1
        try:
            async with self._slots:
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    def _hash(self, secret: str) -> StoredSecret:
        key = self._pepper.current
        return StoredSecret(self._argon.hash(_keyed(key.secret, secret)), key.key_id)

    def _verify(self, secret: str, stored: StoredSecret | None) -> Verdict:
        checked = stored or self._nobody
        try:
            key = self._pepper.by_id(checked.key_id)
        except KeysMissing:
            checked, stored = self._nobody, None
            key = self._pepper.current
        try:
            self._argon.verify(checked.encoded, _keyed(key.secret, secret))
        except (VerificationError, InvalidHashError):
            return Verdict(is_right=False)
        if stored is None:
            return Verdict(is_right=False)
        is_old = key.key_id != self._pepper.current.key_id or self._argon.check_needs_rehash(stored.encoded)
        return Verdict(is_right=True, needs_rehash=is_old)


def normalised(secret: str) -> str:
    """NFC: the same password typed on two systems is the same text (SP 800-63B-4 3.1.1.2)."""
    return unicodedata.normalize("NFC", secret)


def _keyed(pepper: bytes, secret: str) -> bytes:
    text = normalised(secret).encode("utf-8", "surrogatepass")
    return hmac.new(pepper, text, hashlib.sha256).digest()
