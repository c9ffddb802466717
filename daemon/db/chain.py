"""The hash chains that make tampering evident: ledger blocks and the audit log. Pure.

A block covers the transfers of one commit: `rows` holds 8 bytes per transfer in id order (so a difference names the
row), `notes` 16 bytes per transfer that has a reason (its id, and 8 bytes over reason and actor), `hash` covers the
block before, the range, `rows` and `notes`. Blocks of the first schema have no `notes` and keep their old hash.
Tamper-evident only if the head leaves the machine: print it, mail it, keep it with the backups.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

GENESIS = bytes(32)
ROW_DIGEST_BYTES = 8
NOTE_ID_BYTES = 8
TRANSFER_COLUMNS = (
    "id, idempotency_key, request_digest, job_id, leg, kind, unit_id, debit_account_id, credit_account_id, "
    "amount, pending_id, reverses_id, at_us, expires_at_us"
)
TRANSFER_WIDTH = TRANSFER_COLUMNS.count(",") + 1
SEALED_COLUMNS = ", ".join(f"t.{name.strip()}" for name in TRANSFER_COLUMNS.split(",")) + ", n.reason, n.actor"
"""A transfer and its reason, of `transfer t LEFT JOIN transfer_note n`."""


def transfer_digest(row: Iterable[Any]) -> bytes:
    """8 bytes over one transfer's columns, in the order of `TRANSFER_COLUMNS`."""
    number, key, request, job, leg, kind, unit, debit, credit, amount, pending, reverses, at_us, expires_us = row
    text = (
        f"{number}|{key.hex()}|{request.hex()}|{job}|{leg}|{kind}|{unit}|{debit}|{credit}|{amount}|"
        f"{pending}|{reverses}|{at_us}|{expires_us}"
    )
    return hashlib.blake2b(text.encode(), digest_size=ROW_DIGEST_BYTES).digest()


def note_entry(transfer_id: int, reason: str, actor: str) -> bytes:
    """16 bytes for the reason of a transfer: whose it is, and a digest over its words and who said them."""
    parts = [part.encode() for part in (reason, actor)]
    body = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    digest = hashlib.blake2b(body, digest_size=ROW_DIGEST_BYTES).digest()
    return transfer_id.to_bytes(NOTE_ID_BYTES, "big") + digest


def note_digests(notes: bytes) -> dict[int, bytes]:
    """The inverse of joined entries: digest by transfer id."""
    size = NOTE_ID_BYTES + ROW_DIGEST_BYTES
    entries = (notes[at : at + size] for at in range(0, len(notes), size))
    return {int.from_bytes(entry[:NOTE_ID_BYTES], "big"): entry[NOTE_ID_BYTES:] for entry in entries}


def block_hash(prev: bytes, first_id: int, last_id: int, rows: bytes, notes: bytes | None) -> bytes:
    """32 bytes over the block before, the range of ids, the row digests and the notes; None as the first schema had."""
    body = prev + b"%d-%d|" % (first_id, last_id) + rows
    if notes is not None:
        body += b"|%d|" % len(notes) + notes
    return hashlib.blake2b(body, digest_size=32).digest()


def audit_hash(prev: bytes, entry: Iterable[object]) -> bytes:
    """32 bytes over the entry before and this one: at_us, actor, action, subject, detail."""
    parts = [str(part).encode() for part in entry]
    body = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hashlib.blake2b(prev + body, digest_size=32).digest()
