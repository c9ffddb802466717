"""Accounts as an administrator sees and changes them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from daemon.accounting.account_store import AccountView
from daemon.accounting.books import Books
from daemon.accounting.grant_store import GrantStore
from daemon.accounting.store import LedgerStore
from daemon.db.database import Database
from daemon.db.unit import Unit, UnitRefused
from daemon.db.writer import FUNDS_CODE
from daemon.kernel.clock import Clock, rfc3339
from daemon.kernel.errors import BadInput, NotFound
from daemon.kernel.money import Amount, parse_amount, unit_of
from daemon.kernel.money import Unit as MoneyUnit
from daemon.people.names import printable
from daemon.people.person import Person

REASON_CHARS_MAX = 500


class BadAmount(BadInput):
    """Not an amount of that unit."""

    code = "bad-amount"


class NoSuchPot(NotFound):
    """The person's profile gives them no pot of that unit or name."""

    code = "pot-unknown"


class Accounts:
    """Shows and adjusts a person's accounts; checks the books."""

    def __init__(
        self,
        *,
        db: Database,
        ledger: LedgerStore,
        books: Books,
        grants: GrantStore,
        catch_up: Callable[[Person], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._db = db
        self._ledger = ledger
        self._books = books
        self._grants = grants
        self._catch_up = catch_up
        self._clock = clock

    async def show(self, person: Person) -> dict[str, Any]:
        """Every pot with what is in it, after all grants that are due; one snapshot."""
        await self._catch_up(person)
        accounts, seq = await self._ledger.account_store.snapshot(person.id)
        following = await self._grants.next_of(person.id)
        shown = [_shape(a, following) for a in accounts if a.kind == "user" or a.balance or a.reserved]
        return {"user": person.name, "user_id": person.public_id, "accounts": shown, "ledger_seq": seq}

    async def adjust(
        self, person: Person, *, unit_code: str, amount: str, pot: str, reason: str, key: str, actor: str
    ) -> dict[str, Any]:
        """Add to a pot, or take from it; the same key again answers the same.

        Raises:
            BadAmount: zero, not a number, or finer than the unit.
            NoSuchPot: nothing to put it into.
            UnitRefused: `insufficient-funds` below the pot's limit, `idempotency-conflict` for a key used otherwise.
        """
        unit, steps = _amount(unit_code, amount)
        if steps == 0:
            raise BadAmount("an adjustment of nothing changes nothing")
        why = _reason(reason)
        account = await self._pot(person, unit_code, pot)
        change = self._ledger.adjustment(
            account, amount=steps, reason=why, actor=actor, key=key, at_us=self._clock.now_us()
        )
        answer = await self._commit(change, f"{person.name} has less than that in {account.pot}; nothing was changed")
        return {"transfer_id": answer["transfer_id"], "balance": Amount(unit, answer["balance"]).to_json()}

    async def override(
        self, person: Person, *, unit_code: str, to: str, pot: str, reason: str, key: str, actor: str
    ) -> dict[str, Any]:
        """Make exactly `to` available in a pot, reserved money untouched; the same key again answers the same.

        Raises:
            BadAmount: not a number, or finer than the unit.
            NoSuchPot: nothing to set.
            UnitRefused: `insufficient-funds` below the pot's limit, `idempotency-conflict` for a key used otherwise.
        """
        unit, steps = _amount(unit_code, to)
        why = _reason(reason)
        account = await self._pot(person, unit_code, pot)
        change = self._ledger.override(account, to=steps, reason=why, actor=actor, key=key, at_us=self._clock.now_us())
        answer = await self._commit(change, f"{account.pot} cannot go that low; nothing was changed")
        amounts = {name: Amount(unit, answer[name]).to_json() for name in ("balance", "available")}
        moved = Amount(unit, answer["moved"]).to_json()
        return {"transfer_id": answer["transfer_id"] if answer["moved"] else None, "changed_by": moved, **amounts}

    async def statement(self, person: Person, *, after: int, limit: int) -> tuple[list[dict[str, Any]], int]:
        """Movements oldest first and where the next page begins (0: nowhere)."""
        return await self._books.statement(person.id, after=after, limit=limit)

    async def latest(self, person: Person, *, limit: int) -> list[dict[str, Any]]:
        """The last movements, newest first."""
        return await self._books.latest(person.id, limit=limit)

    async def verify(self) -> dict[str, Any]:
        """The books, rebuilt from the transfers."""
        return (await self._books.verify()).to_json()

    async def _commit(self, change: Unit, too_low: str) -> dict[str, Any]:
        try:
            outcome = await self._db.commit(change)
        except UnitRefused as refused:
            if refused.code != FUNDS_CODE:
                raise
            raise UnitRefused(too_low, code=refused.code, **refused.data) from refused
        answer: dict[str, Any] = json.loads(outcome.answer)
        return answer

    async def _pot(self, person: Person, unit_code: str, pot: str) -> AccountView:
        await self._catch_up(person)
        for account in await self._ledger.accounts(person.id):
            if account.kind == "user" and account.unit_code == unit_code and pot in ("", account.pot):
                return account
        raise NoSuchPot(f"{person.name} has no pot of {unit_code}{' called ' + pot if pot else ''}: see the profile")


def _amount(unit_code: str, text: str) -> tuple[MoneyUnit, int]:
    try:
        unit = unit_of(unit_code)
        return unit, parse_amount(text, unit)
    except ValueError as error:
        raise BadAmount(str(error)) from error


def _reason(text: str) -> str:
    why = printable(text, what="a reason", chars_max=REASON_CHARS_MAX)
    if not why:
        raise BadInput("a reason is needed", code="reason-needed")
    return why


def _shape(account: AccountView, following: dict[str, int]) -> dict[str, Any]:
    def amount(value: int) -> dict[str, Any]:
        return dict(Amount(account.unit, value).to_json())

    return {
        "account_id": str(account.account_id),
        "kind": account.kind,
        "pot": account.pot,
        "unit": account.unit_code,
        "balance": amount(account.balance),
        "reserved": amount(account.reserved),
        "available": amount(account.available),
        "limit": None if account.limit is None else amount(account.limit),
        "next_grant_at": rfc3339(following.get(f"{account.pot}/{account.unit_code}")),
    }
