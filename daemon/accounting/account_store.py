"""Accounts: who has which pots, opened on demand and never closed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from daemon.accounting import ledger
from daemon.kernel.money import Unit as MoneyUnit
from daemon.kernel.money import unit_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.db.database import Database
    from daemon.db.unit import Row, Unit

_UNIT_NEW = """INSERT INTO unit(code, scale)
  SELECT :code, :scale WHERE NOT EXISTS(SELECT 1 FROM unit WHERE code=:code)"""
_HOUSE_NEW = """INSERT INTO account(unit_id, kind, owner, pot)
  SELECT u.id, :kind, '', :pot FROM unit u WHERE u.code=:code
     AND NOT EXISTS(SELECT 1 FROM account WHERE kind=:kind AND owner='' AND pot=:pot AND unit_id=u.id)"""
_PERSON_NEW = """INSERT INTO account(unit_id, kind, owner, pot, available_min)
  SELECT u.id, :kind, 'person:' || p.id, :pot, :available_min FROM unit u, person p
   WHERE u.code=:code AND (p.id=:person_id OR p.public_id=:public_id)
     AND NOT EXISTS(SELECT 1 FROM account WHERE kind=:kind AND owner='person:' || p.id AND pot=:pot AND unit_id=u.id)"""
# A limit is never drawn above what the account already uses: it waits there until money has come in.
_LIMIT = """UPDATE account SET available_min =
    CASE WHEN credits_posted-debits_posted-debits_pending < :available_min
         THEN credits_posted-debits_posted-debits_pending ELSE :available_min END
  WHERE id=:account_id AND available_min=:before"""
_ACCOUNTS = """SELECT a.id, a.kind, a.owner, a.pot, a.credits_posted, a.debits_posted, a.debits_pending,
    a.available_min, u.code FROM account a JOIN unit u ON u.id=a.unit_id WHERE a.owner=:owner ORDER BY a.id"""


class PotLike(Protocol):
    """What an account is opened from: one pot of a profile."""

    @property
    def pot(self) -> str: ...
    @property
    def unit(self) -> MoneyUnit: ...
    @property
    def overdraft(self) -> int: ...


class ProfileLike(Protocol):
    """A profile: its pots in spending order; unrestricted people are counted but never refused."""

    @property
    def restricted(self) -> bool: ...
    @property
    def pots(self) -> Sequence[PotLike]: ...


@dataclass(frozen=True, slots=True)
class AccountView:
    """One account as it is now, in the unit's smallest steps.

    `balance`: credits less debits; `reserved`: promised to jobs under way; `available`: balance less reserved;
    `limit`: how low `available` may go (0 prepaid, -500 an overdraft of 500), None without limit.
    """

    account_id: int
    kind: str
    pot: str
    unit: MoneyUnit
    balance: int
    reserved: int
    limit: int | None

    @property
    def available(self) -> int:
        """Balance less reserved; below zero in an overdraft."""
        return self.balance - self.reserved

    @property
    def spendable(self) -> int | None:
        """What a release may still take; None without limit."""
        return None if self.limit is None else self.available - self.limit

    @property
    def unit_code(self) -> str:
        """The unit's code."""
        return self.unit.code


class AccountStore:
    """Opens accounts and reads them."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def ensure(self, unit: Unit, person_id: int, profile: ProfileLike, *, actor: str, at_us: int) -> None:
        """Append whatever a person's accounts lack for their profile: new pots, changed limits (audited).

        Pots that left the profile keep their balance and their account.
        """
        known = {
            (account.pot, account.unit_code): account
            for account in await self.of_person(person_id)
            if account.kind == "user"
        }
        for rule in profile.pots:
            account = known.get((rule.pot, rule.unit.code))
            if account is None:
                self._open(unit, rule, _limit(profile, rule), person_id=person_id, public_id="")
                continue
            wanted = _limit(profile, rule)
            before = ledger.UNLIMITED_MIN if account.limit is None else account.limit
            if wanted != before:
                self.set_limit(unit, account, wanted, reason=f"profile: {rule.pot}", actor=actor, at_us=at_us)

    def open_new(self, unit: Unit, person_public_id: str, profile: ProfileLike) -> None:
        """Append the accounts of a person who is inserted earlier in the same unit."""
        for rule in profile.pots:
            self._open(unit, rule, _limit(profile, rule), person_id=None, public_id=person_public_id)

    def ensure_overrun(self, unit: Unit, person_id: int, unit_code: str) -> None:
        """Append the account that holds what a person owes, unless it exists."""
        unit.add(
            _PERSON_NEW,
            kind="overrun",
            pot=ledger.OVERRUN,
            available_min=None,
            code=unit_code,
            person_id=person_id,
            public_id="",
        )

    def set_limit(
        self, unit: Unit, account: AccountView, available_min: int, *, reason: str, actor: str, at_us: int
    ) -> None:
        """Append another limit for an account, with its audit entry; refused when it was changed meanwhile."""
        before = ledger.UNLIMITED_MIN if account.limit is None else account.limit
        unit.add(_LIMIT, rows=1, account_id=account.account_id, available_min=available_min, before=before)
        unit.audit(
            actor=actor,
            action="account.limit-changed",
            subject=f"account:{account.account_id}",
            detail={"before": before, "after": available_min, "reason": reason},
            at_us=at_us,
        )

    async def of_person(self, person_id: int) -> list[AccountView]:
        """All accounts of a person, oldest first (their profile's order), the overrun accounts among them."""
        return [_view(row) for row in await self._db.read(_ACCOUNTS, owner=ledger.owner_of(person_id))]

    async def snapshot(self, person_id: int) -> tuple[list[AccountView], int]:
        """All accounts of a person and the ledger's position, as of one moment."""
        queries: list[tuple[str, dict[str, object]]] = [
            (_ACCOUNTS, {"owner": ledger.owner_of(person_id)}),
            ("SELECT coalesce(max(id), 0) AS seq FROM transfer", {}),
        ]
        rows, position = await self._db.read_all(queries)
        return [_view(row) for row in rows], int(position[0]["seq"])

    def _open(self, unit: Unit, rule: PotLike, available_min: int, *, person_id: int | None, public_id: str) -> None:
        code = rule.unit.code
        unit.add(_UNIT_NEW, code=code, scale=rule.unit.scale)
        for kind, pot in ledger.HOUSE_POTS:
            unit.add(_HOUSE_NEW, kind=kind, pot=pot, code=code)
        owner: dict[str, Any] = {"person_id": person_id, "public_id": public_id, "code": code}
        unit.add(_PERSON_NEW, kind="user", pot=rule.pot, available_min=available_min, **owner)
        unit.add(_PERSON_NEW, kind="overrun", pot=ledger.OVERRUN, available_min=None, **owner)


def _limit(profile: ProfileLike, rule: PotLike) -> int:
    return -rule.overdraft if profile.restricted else ledger.UNLIMITED_MIN


def _view(row: Row) -> AccountView:
    limit = row["available_min"]
    return AccountView(
        account_id=row["id"],
        kind=row["kind"],
        pot=row["pot"],
        unit=unit_of(row["code"]),
        balance=row["credits_posted"] - row["debits_posted"],
        reserved=row["debits_pending"],
        limit=None if limit == ledger.UNLIMITED_MIN else limit,
    )
