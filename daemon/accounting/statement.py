"""A person's statement: what moved in their pots, how the balance stood after, and why. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from daemon.accounting import ledger
from daemon.kernel.clock import rfc3339
from daemon.kernel.ids import encode_id
from daemon.kernel.money import Amount, unit_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.db.unit import Row

_BY_OTHER_POT = {
    ledger.GRANTS: "grant",
    ledger.ADJUSTMENTS: "adjustment",
    ledger.EXPIRED: "expired",
    ledger.ROUNDING: "rounding",
}


def kind_of(row: Row) -> str:
    """What a movement was: print, overrun, overrun-paid, grant, adjustment, expired, rounding, refund or transfer.

    `overrun` is paper beyond every pot, owed; `overrun-paid` what was taken from a pot to settle it.
    """
    if row["kind"] == "reversal":
        return "refund"
    if row["kind"] == "post" or row["job_id"]:
        return "overrun" if row["account_kind"] == "overrun" else "print"
    if "overrun" in {row["account_kind"], row["other_kind"]}:
        return "overrun-paid"
    return _BY_OTHER_POT.get(row["other_pot"], "transfer")


def lines(rows: Iterable[Row], balances: dict[int, int]) -> list[dict[str, Any]]:
    """Statement lines in ledger order; `balances` (by account id, before the first row) is moved along.

    A line: transfer_id, at, kind, pot, unit, amount and balance_after (Amounts, amount below zero when taken),
    reason, actor, and job (None when it is not about one).
    """
    made = []
    for row in rows:
        unit = unit_of(row["code"])
        moved = row["amount"] * row["sign"]
        balances[row["account_id"]] = balances.get(row["account_id"], 0) + moved
        made.append(
            {
                "transfer_id": encode_id(row["idempotency_key"]),
                "at": rfc3339(row["at_us"]),
                "kind": kind_of(row),
                "pot": row["pot"],
                "unit": unit.code,
                "amount": Amount(unit, moved).to_json(),
                "balance_after": Amount(unit, balances[row["account_id"]]).to_json(),
                "reason": row["reason"] or "",
                "actor": row["actor"] or "",
                "job": _job(row),
            }
        )
    return made


def _job(row: Row) -> dict[str, Any] | None:
    """What was printed, where, and how the price came about."""
    if row["job"] is None:
        return None
    quote: dict[str, Any] = json.loads(row["quote"] or "{}")
    result: dict[str, Any] = json.loads(row["result"] or "{}")
    return {
        "job_id": row["job"],
        "number": row["job_id"],
        "printer": row["printer"] or "",
        "job_account_id": row["account_ref"] or "",
        "impressions": result.get("impressions"),
        "color_impressions": result.get("color_impressions"),
        "sheets": result.get("sheets"),
        "basis": result.get("basis", ""),
        "estimated": bool(row["is_estimated"]),
        "tariff": row["tariff"] or "",
        "unit": quote.get("unit", ""),
        "why": quote.get("lines", []),
    }
