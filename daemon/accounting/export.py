"""One transfer as the export writes it: self-contained, without row ids of other tables. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.kernel.clock import rfc3339
from daemon.kernel.ids import encode_id

if TYPE_CHECKING:
    from daemon.db.unit import Row


def transfer_json(row: Row) -> dict[str, Any]:
    """A transfer as one JSON line; `seq` orders them and is where a later export continues (`--since`)."""
    return {
        "seq": row["id"],
        "transfer_id": encode_id(row["idempotency_key"]),
        "kind": row["kind"],
        "amount": {"unit": row["code"], "amount": row["amount"], "scale": row["scale"]},
        "debit": _account(row, "debit"),
        "credit": _account(row, "credit"),
        "job": row["job_id"] or None,
        "job_account_id": row["account_ref"] or "",
        "leg": row["leg"],
        "resolves": encode_id(row["resolves"]) if row["resolves"] else None,
        "reverses": encode_id(row["reverses"]) if row["reverses"] else None,
        "at": rfc3339(row["at_us"]),
        "expires_at": rfc3339(row["expires_at_us"]),
        "reason": row["reason"] or "",
        "actor": row["actor"] or "",
    }


def _account(row: Row, side: str) -> dict[str, Any]:
    return {
        "account_id": str(row[f"{side}_id"]),
        "kind": row[f"{side}_kind"],
        "pot": row[f"{side}_pot"],
        "user_id": row[f"{side}_user"],
    }
