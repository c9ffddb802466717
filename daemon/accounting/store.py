"""The ledger's writes, as statements appended to a unit. Guards in the schema decide; this only asks.

Every movement finds its rows by idempotency key inside the write, so whole units can be built before anything of them
exists. What depends on a balance (caps, excess, overrun) is computed by the statement itself, inside the transaction.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.accounting import ledger
from daemon.accounting import movement_store as sql
from daemon.accounting.account_store import AccountStore, AccountView, ProfileLike
from daemon.accounting.ledger import Charge, Excess, Post
from daemon.db.unit import Unit
from daemon.kernel.ids import encode_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from daemon.db.database import Database
    from daemon.kernel.clock import Clock

OVERRUN_CODE = "overrun-unsettled"
EXPIRE_COUNT_MAX = 500


@dataclass(frozen=True, slots=True)
class ExpiredReservation:
    """A reservation whose time is over and that nobody has resolved."""

    pending_key: bytes
    delivery_public_id: str
    job_id: int


class LedgerStore:
    """Reservations, settlements, grants, adjustments and refunds, appended to units."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self.account_store = AccountStore(db)

    async def ensure_accounts(self, unit: Unit, person_id: int, profile: ProfileLike, *, actor: str = "system") -> None:
        """Append whatever a person's accounts lack for their profile; see `AccountStore.ensure`."""
        await self.account_store.ensure(unit, person_id, profile, actor=actor, at_us=self._clock.now_us())

    async def accounts(self, person_id: int) -> list[AccountView]:
        """All accounts of a person as they are now."""
        return await self.account_store.of_person(person_id)

    def reserve(
        self,
        unit: Unit,
        *,
        delivery_public_id: str,
        job_id: int,
        legs: Sequence[Charge],
        at_us: int,
        expires_at_us: int,
    ) -> list[bytes]:
        """Append one pending transfer per leg; their keys, in the order of `legs`.

        The unit is refused with `insufficient-funds`, or `overrun-unsettled` while the payer owes for earlier paper.
        Legs of nothing are left out of the ledger: their key comes back, unused.
        """
        keys = [ledger.reservation_key(delivery_public_id, number) for number in range(len(legs))]
        # Ascending account ids: an engine that locks rows meets them in one order everywhere.
        for number in sorted(range(len(legs)), key=lambda index: legs[index].account_id):
            leg = legs[number]
            if leg.amount == 0:
                continue
            unit.add(
                sql.RESERVE,
                rows=1,
                refusal=OVERRUN_CODE,
                key=keys[number],
                digest=ledger.digest("pending", job_id, leg.account_id, leg.amount),
                job_id=job_id,
                leg=number,
                account_id=leg.account_id,
                amount=leg.amount,
                at_us=at_us,
                expires_at_us=expires_at_us,
            )
        return keys

    def post(self, unit: Unit, *, pending_key: bytes, amount: int, at_us: int) -> None:
        """Append the posting of one open reservation; refused with `ledger:duplicate` once it is resolved."""
        self._resolve(unit, "post", pending_key, amount, at_us)

    def settle(
        self,
        unit: Unit,
        *,
        delivery_public_id: str,
        job_id: int,
        person_id: int,
        posts: Iterable[Post],
        excess: Iterable[Excess] = (),
        at_us: int,
    ) -> None:
        """Append what really came out: every reservation resolved, late ones collected, the excess taken or owed.

        Repeating it changes nothing; another amount than the first one's is refused with `ledger:resolved`.
        """
        for post in posts:
            self._settle_one(unit, post, at_us)
        for surplus in excess:
            self._take_excess(
                unit, surplus, delivery=delivery_public_id, job_id=job_id, person_id=person_id, at_us=at_us
            )

    def void(self, unit: Unit, *, pending_keys: Iterable[bytes], at_us: int) -> None:
        """Append the return of whole reservations; refused with `ledger:duplicate` once one is posted or voided.

        Keys of legs that cost nothing were never reserved and are passed over; so are reservations that expired.
        """
        for key in pending_keys:
            self._resolve(unit, "void", key, 0, at_us, rows=None, sql_text=sql.VOID)

    def expire(self, unit: Unit, *, pending_keys: Iterable[bytes], at_us: int) -> None:
        """Append the end of reservations whose time is over; too early is refused with `ledger:pending`."""
        for key in pending_keys:
            self._resolve(unit, "expire", key, 0, at_us, rows=None)

    async def expired(self, now_us: int) -> list[ExpiredReservation]:
        """Reservations of live deliveries whose time is over, oldest first, at most `EXPIRE_COUNT_MAX`."""
        rows = await self._db.read(sql.EXPIRED, now_us=now_us, count=EXPIRE_COUNT_MAX)
        return [ExpiredReservation(row["idempotency_key"], row["public_id"], row["job_id"]) for row in rows]

    def adjustment(self, account: AccountView, *, amount: int, reason: str, actor: str, key: str, at_us: int) -> Unit:
        """A unit that adds `amount` (or takes it, below zero) by hand; audited, and idempotent by the caller's `key`.

        Its answer is `{"transfer_id", "balance"}`, the same on every repetition. What comes in first pays an overrun.
        """
        if amount == 0:
            raise ValueError("an adjustment moves something")
        own_key = ledger.adjustment_key(key)
        digest = ledger.digest("adjust", account.account_id, amount, reason)
        unit = Unit(key=own_key, digest=digest, answer=json.dumps({"transfer_id": encode_id(own_key)}))
        unit.add(
            sql.GIVE if amount > 0 else sql.TAKE,
            rows=1,
            key=own_key,
            digest=digest,
            account_id=account.account_id,
            amount=abs(amount),
            pot=ledger.ADJUSTMENTS,
            at_us=at_us,
        )
        self._note(unit, own_key, reason=reason, actor=actor)
        if amount > 0:
            self._recover(unit, own_key, account.account_id, at_us)
        detail: dict[str, object] = {"unit": account.unit_code, "pot": account.pot, "amount": amount, "reason": reason}
        subject = f"account:{account.account_id}"
        unit.audit(actor=actor, action="account.adjusted", subject=subject, detail=detail, at_us=at_us)
        unit.answer_with(sql.BALANCE, account_id=account.account_id)
        return unit

    def override(self, account: AccountView, *, to: int, reason: str, actor: str, key: str, at_us: int) -> Unit:
        """A unit that makes exactly `to` available by hand, whatever is there when it is written.

        What is owed from an overrun is paid with it; reservations are untouched. Audited, idempotent by the caller's
        `key`; its answer is `{"transfer_id", "balance", "available", "moved"}`. Below the account's limit it is
        refused with `insufficient-funds`.
        """
        own_key = ledger.override_key(key)
        digest = ledger.digest("override", account.account_id, to, reason)
        unit = Unit(key=own_key, digest=digest, answer=json.dumps({"transfer_id": encode_id(own_key)}))
        common: dict[str, Any] = {
            "key": own_key, "digest": digest, "account_id": account.account_id, "pot": ledger.ADJUSTMENTS, "to": to,
        }  # fmt: skip
        unit.add(sql.GIVE_UP_TO, at_us=at_us, **common)
        self._recover(unit, own_key, account.account_id, at_us)
        unit.add(sql.TAKE_DOWN_TO, at_us=at_us, **common)
        self._note(unit, own_key, reason=reason, actor=actor)
        detail: dict[str, object] = {
            "unit": account.unit_code, "pot": account.pot, "to": to, "reason": reason,
            "transfer_id": encode_id(own_key),
        }  # fmt: skip
        subject = f"account:{account.account_id}"
        unit.audit(actor=actor, action="account.overridden", subject=subject, detail=detail, at_us=at_us)
        unit.answer_with(sql.OVERRIDDEN, account_id=account.account_id, key=own_key)
        return unit

    def grant(
        self,
        unit: Unit,
        *,
        account_id: int,
        amount: int,
        cap: int | None,
        lineage: str,
        period: str,
        at_us: int,
        reason: str = "",
    ) -> bytes:
        """Append one period's grant, once however often it is asked for; its key.

        What would lift the available amount above `cap` expires at once, reserved money untouched; an overrun is
        paid out of the rest.
        """
        key = ledger.grant_key(lineage, account_id, period)
        if amount <= 0:
            return key
        digest = ledger.digest("grant", account_id, lineage, period)
        unit.add(
            sql.GRANT, key=key, digest=digest, account_id=account_id, amount=amount, pot=ledger.GRANTS, at_us=at_us
        )  # fmt: skip
        if cap is not None:
            clip = ledger.clip_key(key)
            unit.add(sql.CLIP, key=clip, digest=digest, grant_key=key, cap=cap, at_us=at_us)
            self._note(unit, clip, reason=f"cap {period}", actor="system")
        self._note(unit, key, reason=reason or period, actor="system")
        self._recover(unit, key, account_id, at_us)
        return key

    def refund(self, *, transfer_key: bytes, amount: int | None, reason: str, actor: str, key: str, at_us: int) -> Unit:
        """A unit that gives a charge back, wholly (None: whatever is left of it) or in part; audited, idempotent.

        Never more than was taken: refused with `ledger:reversal`.
        """
        own_key = ledger.refund_key(key)
        digest = ledger.digest("refund", transfer_key, amount, reason)
        unit = Unit(key=own_key, digest=digest, answer=json.dumps({"transfer_id": encode_id(own_key)}))
        unit.add(
            sql.REFUND, rows=1, refusal="not-found", key=own_key, digest=digest, transfer_key=transfer_key,
            amount=amount, at_us=at_us,
        )  # fmt: skip
        self._note(unit, own_key, reason=reason, actor=actor)
        detail: dict[str, object] = {"transfer_id": encode_id(transfer_key), "amount": amount, "reason": reason}
        subject = f"transfer:{encode_id(transfer_key)}"
        unit.audit(actor=actor, action="account.refunded", subject=subject, detail=detail, at_us=at_us)
        return unit

    @staticmethod
    def _resolve(
        unit: Unit,
        kind: str,
        pending_key: bytes,
        amount: int,
        at_us: int,
        *,
        rows: int | None = 1,
        sql_text: str = sql.RESOLVE,
    ) -> None:
        unit.add(
            sql_text,
            rows=rows,
            refusal="ledger:unknown-reservation",
            key=ledger.resolution_key(pending_key),
            digest=ledger.digest(kind, pending_key, amount),
            kind=kind,
            pending_key=pending_key,
            amount=amount,
            at_us=at_us,
        )

    def _settle_one(self, unit: Unit, post: Post, at_us: int) -> None:
        key = ledger.resolution_key(post.pending_key)
        digest = ledger.digest("post", post.pending_key, post.amount)
        common: dict[str, Any] = {"digest": digest, "pending_key": post.pending_key, "amount": post.amount}
        late: dict[str, Any] = {
            **common,
            "key": ledger.late_key(post.pending_key, "taken"),
            "overrun_key": ledger.late_key(post.pending_key, "overrun"),
        }
        unit.add(sql.POST_OPEN, key=key, kind="post", at_us=at_us, **common)
        unit.add(sql.LATE_TAKEN, at_us=at_us, **late)
        unit.add(sql.LATE_OVERRUN, at_us=at_us, **late)
        del late["digest"]
        unit.require(sql.POSTED, refusal="ledger:resolved", **late)

    def _take_excess(
        self, unit: Unit, surplus: Excess, *, delivery: str, job_id: int, person_id: int, at_us: int
    ) -> None:
        digest = ledger.digest("excess", delivery, surplus.unit_code, surplus.amount)
        overrun_key = ledger.excess_key(delivery, surplus.unit_code, ledger.OVERRUN)
        keys = [ledger.excess_key(delivery, surplus.unit_code, str(number)) for number in surplus.account_ids]
        marks = ", ".join(f":k{index}" for index in range(len(keys))) or "NULL"
        common: dict[str, Any] = {f"k{index}": key for index, key in enumerate(keys)}
        common |= {"digest": digest, "job_id": job_id, "amount": surplus.amount, "overrun_key": overrun_key}
        unit.require(sql.EXCESS_OTHER % marks, rows=0, refusal="ledger:resolved", **common)
        for account_id, key in zip(surplus.account_ids, keys, strict=True):
            unit.add(sql.EXCESS_TAKEN % marks, key=key, account_id=account_id, at_us=at_us, **common)
        self.account_store.ensure_overrun(unit, person_id, surplus.unit_code)
        owner = ledger.owner_of(person_id)
        unit.add(sql.EXCESS_OVERRUN % marks, owner=owner, unit_code=surplus.unit_code, at_us=at_us, **common)

    def _recover(self, unit: Unit, cause: bytes, account_id: int, at_us: int) -> None:
        key = ledger.recovery_key(cause)
        digest = ledger.digest("recover", cause)
        unit.add(sql.RECOVER, key=key, digest=digest, account_id=account_id, at_us=at_us)
        self._note(unit, key, reason="overrun", actor="system")

    @staticmethod
    def _note(unit: Unit, key: bytes, *, reason: str, actor: str) -> None:
        unit.add(sql.NOTE, key=key, reason=reason, actor=actor)
