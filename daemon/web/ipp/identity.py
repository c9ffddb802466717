"""Who stands behind a request: HTTP Basic inside TLS, a secret address, or a mere claim.

Basic is never accepted in clear. A proof is remembered for a minute, keyed by a per-process hash of the credentials,
because CUPS sends them with every request and checking a password is made slow on purpose; before every use the
house is asked whether the identity still stands.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import unicodedata
from collections import OrderedDict
from typing import TYPE_CHECKING

from daemon.web.ipp.http import Head, Reply, plain

if TYPE_CHECKING:
    from daemon.jobs.job import Job
    from daemon.kernel.clock import Clock
    from daemon.web.ipp.backend import Backend, Identity
    from daemon.workflows.submit import Submitter

REALM = "Holdfast"
CREDENTIAL_CHARS_MAX = 2048
PROOFS_MAX = 1024
PROOF_AGE_S = 60.0
NAME_CHARS_MAX = 255

CHALLENGE = (("WWW-Authenticate", f'Basic realm="{REALM}", charset="UTF-8"'),)
UPGRADE = (("Upgrade", "TLS/1.2, HTTP/1.1"), ("Connection", "Upgrade"))


def challenge() -> Reply:
    """401: prove who you are. The same answer for nobody, unknown, wrong, disabled and locked."""
    return plain(401, "Sign in to print here.", headers=CHALLENGE, is_last=True)


def upgrade_required() -> Reply:
    """426: the same over TLS, by Upgrade on this port or at the ipps address (RFC 2817 section 4.2)."""
    return plain(426, "Use ipps for this queue.", headers=UPGRADE, is_last=True)


def claimed_name(text: str, *, strip_domains: bool = True) -> str:
    r"""A requesting-user-name as network name: NFC, case-folded, no control characters.

    `strip_domains`: `EXAMPLE\anna` and `anna@example.org` are `anna`, as `people.names` spells them.
    """
    name = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text.strip()).casefold())
    if strip_domains:
        name = name.rsplit("\\", 1)[-1].split("@", 1)[0].strip()
    return "".join(c for c in name if c.isprintable())[:NAME_CHARS_MAX]


def is_mine(job: Job, who: Submitter) -> bool:
    """True if `who` may see and touch the job.

    A proven person: their own jobs. A claim: jobs submitted under the same claim from the same host; the claim alone
    grants nothing.
    """
    if job.queue != who.queue:
        return False
    if who.person_id is not None:
        return job.person_id == who.person_id
    return job.claimed_name == who.claimed_name and job.host == who.host


class BasicGate:
    """Checks HTTP Basic credentials (RFC 7617)."""

    def __init__(self, backend: Backend, clock: Clock, *, key: bytes) -> None:
        self._backend = backend
        self._clock = clock
        self._key = key
        self._proofs: OrderedDict[bytes, tuple[Identity, float]] = OrderedDict()

    async def check(self, head: Head) -> Identity | Reply | None:
        """The proven identity; a Reply to refuse wrong credentials; None without credentials or outside TLS."""
        text = head.headers.get("authorization", "")
        if not text or not head.is_tls:
            return None
        pair = _pair(text)
        if pair is None:
            return challenge()
        proof = hmac.new(self._key, "\0".join(pair).encode(), hashlib.sha256).digest()
        known = await self._known(proof)
        if known is not None:
            return known
        identity = await self._backend.authenticate(pair[0], pair[1], peer=head.peer)
        if identity is None:
            return challenge()
        self._proofs[proof] = (identity, self._clock.monotonic_s())
        while len(self._proofs) > PROOFS_MAX:
            self._proofs.popitem(last=False)
        return identity

    async def _known(self, proof: bytes) -> Identity | None:
        entry = self._proofs.get(proof)
        if entry is None:
            return None
        identity, since_s = entry
        if self._clock.monotonic_s() - since_s < PROOF_AGE_S and await self._backend.is_current(identity):
            return identity
        self._proofs.pop(proof, None)
        return None


def _pair(text: str) -> tuple[str, str] | None:
    """User name and password of a Basic header; None when it is none."""
    scheme, _, token = text.partition(" ")
    if scheme.lower() != "basic" or len(token) > CREDENTIAL_CHARS_MAX:
        return None
    try:
        raw = base64.b64decode(token.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        decoded = raw.decode()
    except UnicodeDecodeError:
        decoded = raw.decode("latin-1")
    name, colon, password = decoded.partition(":")
    return (name, password) if colon and name and "\0" not in decoded else None
