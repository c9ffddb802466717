"""The hash chains that make tampering evident: ledger blocks and the audit log. Pure.

A block covers the transfers of one commit: `rows` holds 8 bytes per transfer in id order (so a difference names the
row), `hash` covers the block before, the range and `rows`. Tamper-evident only if the head leaves the machine: print
it, mail it, keep it with the backups.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

GENESIS = bytes(32)
ROW_DIGEST_BYTES = 8
TRANSFER_COLUMNS = (
    "id, idempotency_key, request_digest, job_id, leg, kind, unit_id, debit_account_id, credit_account_id, "
    "amount, pending_id, reverses_id, at_us, expires_at_us"
)


def transfer_digest(row: Iterable[Any]) -> bytes:
    """8 bytes over one transfer's columns, in the order of `TRANSFER_COLUMNS`."""
    number, key, request, job, leg, kind, unit, debit, credit, amount, pending, reverses, at_us, expires_us = row
    text = (
        f"{number}|{key.hex()}|{request.hex()}|{job}|{leg}|{kind}|{unit}|{debit}|{credit}|{amount}|"
        f"{pending}|{reverses}|{at_us}|{expires_us}"
    )
    return hashlib.blake2b(text.encode(), digest_size=ROW_DIGEST_BYTES).digest()


def block_hash(prev: bytes, first_id: int, last_id: int, rows: bytes) -> bytes:
    """32 bytes over the block before, the range of ids and the row digests."""
    return hashlib.blake2b(prev + b"%d-%d|" % (first_id, last_id) + rows, digest_size=32).digest()


def audit_hash(prev: bytes, entry: Iterable[object]) -> bytes:
    """32 bytes over the entry before and this one: at_us, actor, action, subject, detail."""
    parts = [str(part).encode() for part in entry]
    body = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hashlib.blake2b(prev + body, digest_size=32).digest()
