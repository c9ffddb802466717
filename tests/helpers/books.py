"""A small office's books on a real database: people, pots and deliveries for ledger tests."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daemon.accounting.store import LedgerStore
from daemon.db.database import Database
from daemon.db.unit import Unit
from daemon.kernel.ids import derived_key, encode_id
from daemon.kernel.money import PAGES, unit_of

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.accounting.account_store import AccountView
    from daemon.kernel.money import Unit as MoneyUnit

EUR = unit_of("EUR")
START_US = 1_790_000_000_000_000
HOUR_US = 3_600_000_000


class HandClock:
    """A clock that moves when told."""

    def __init__(self, at_us: int = START_US) -> None:
        self.at_us = at_us

    def now_us(self) -> int:
        return self.at_us

    def monotonic_s(self) -> float:
        return self.at_us / 1e6


@dataclass(frozen=True)
class Rule:
    """A pot of a profile."""

    pot: str = "allowance"
    unit: MoneyUnit = PAGES
    overdraft: int = 0


@dataclass(frozen=True)
class Plan:
    """A profile."""

    pots: tuple[Rule, ...] = (Rule(),)
    restricted: bool = True


@dataclass(frozen=True)
class Leg:
    """What a job costs out of one account, and under which key it is reserved."""

    account_id: int
    amount: int
    unit_code: str = "pages"
    pending_key: bytes = b""


@dataclass
class Books:
    """The verbs of a test: `await books.person(100)`, `await books.reserve(ann, 5)`, ..."""

    db: Database
    clock: HandClock
    store: LedgerStore
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    async def open(cls, path: Path) -> Books:
        """Fresh or existing books at `path`."""
        clock = HandClock()
        db = await Database.open(path, clock=clock)
        return cls(db, clock, LedgerStore(db, clock))

    async def close(self) -> None:
        await self.db.close()

    async def person(self, *amounts: int, plan: Plan | None = None) -> int:
        """A person with the plan's pots, filled with `amounts`; their row id."""
        plan = plan or Plan()
        number = next(self.numbers)
        public_id = encode_id(derived_key("person", str(number), str(id(self))))
        unit = Unit()
        unit.add(
            "INSERT INTO person(public_id, name, profile, created_at_us) VALUES(:public_id, :name, 'staff', :at_us)",
            public_id=public_id,
            name=f"person {public_id}",
            at_us=self.clock.at_us,
        )
        self.store.account_store.open_new(unit, public_id, plan)
        await self.db.commit(unit)
        row = await self.db.read_one("SELECT id FROM person WHERE public_id=:public_id", public_id=public_id)
        assert row is not None
        for account, amount in zip(await self.pots(row["id"]), amounts, strict=False):
            if amount:
                await self.adjust(account, amount)
        return row["id"]

    async def pots(self, person_id: int) -> list[AccountView]:
        return [account for account in await self.store.accounts(person_id) if account.kind == "user"]

    async def overrun(self, person_id: int) -> int:
        """What the person owes for paper that came out beyond every pot."""
        return -sum(account.balance for account in await self.store.accounts(person_id) if account.kind == "overrun")

    async def adjust(
        self, account: AccountView, amount: int, *, key: str = "", reason: str = "test"
    ) -> dict[str, object]:
        """Add by hand; the answer."""
        import json

        key = key or f"adjust {next(self.numbers)}"
        unit = self.store.adjustment(
            account, amount=amount, reason=reason, actor="local:0", key=key, at_us=self.clock.at_us
        )
        return json.loads((await self.db.commit(unit)).answer)

    async def delivery(self, person_id: int) -> tuple[str, int]:
        """A job and a live delivery of it: public id of the delivery, id of the job."""
        number = next(self.numbers)
        public_id = encode_id(derived_key("delivery", str(number)))
        at = self.clock.at_us
        unit = Unit()
        unit.add(
            """INSERT INTO printer(public_id, name, uri, created_at_us)
               SELECT 'p', 'hall', 'ipp://p', :at WHERE NOT EXISTS(SELECT 1 FROM printer)""",
            at=at,
        )
        unit.add(
            """INSERT INTO job(public_id, queue, person_id, name, state, reasons, ticket, created_at_us, held_until_us)
               VALUES(:public_id, 'q', :person_id, X'00', 'processing', '[]', '{}', :at, :at)""",
            public_id=public_id,
            person_id=person_id,
            at=at,
        )
        unit.add(
            """INSERT INTO delivery(public_id, job_id, printer_id, person_id, actor, daemon_id, lease_until_us, phase,
                 ticket, counts, quote, tariff, created_at_us)
               SELECT :public_id, j.id, p.id, :person_id, 'test', 'd', 0, 'reserved', '{}', '{}', '{}', 't', :at
                 FROM job j, printer p WHERE j.public_id=:public_id""",
            rows=1,
            public_id=public_id,
            person_id=person_id,
            at=at,
        )
        await self.db.commit(unit)
        row = await self.db.read_one("SELECT id FROM job WHERE public_id=:id", id=public_id)
        assert row is not None
        return public_id, row["id"]

    async def reserve(self, person_id: int, *amounts: int, hours: int = 1) -> tuple[str, int, list[Leg]]:
        """Reserve one amount per pot for a new delivery: its public id, the job's id, the reserved legs."""
        delivery, job_id = await self.delivery(person_id)
        pots = await self.pots(person_id)
        legs = [Leg(pot.account_id, amount, pot.unit_code) for pot, amount in zip(pots, amounts, strict=False)]
        unit = Unit()
        keys = self.store.reserve(
            unit,
            delivery_public_id=delivery,
            job_id=job_id,
            legs=legs,
            at_us=self.clock.at_us,
            expires_at_us=self.clock.at_us + hours * HOUR_US,
        )
        for number, (leg, key) in enumerate(zip(legs, keys, strict=True)):
            unit.add(
                """INSERT INTO delivery_leg(delivery_id, leg, account_id, unit_code, amount, pending_key)
                   SELECT id, :leg, :account_id, :unit_code, :amount, :key FROM delivery WHERE public_id=:delivery""",
                leg=number,
                account_id=leg.account_id,
                unit_code=leg.unit_code,
                amount=leg.amount,
                key=key,
                delivery=delivery,
            )
        await self.db.commit(unit)
        return (
            delivery,
            job_id,
            [Leg(leg.account_id, leg.amount, leg.unit_code, key) for leg, key in zip(legs, keys, strict=True)],
        )

    async def end(self, delivery: str) -> None:
        """The delivery is over."""
        unit = Unit()
        unit.add("UPDATE delivery SET phase='settled' WHERE public_id=:id", rows=1, id=delivery)
        await self.db.commit(unit)

    async def settle(self, person_id: int, delivery: str, job_id: int, legs: list[Leg], **actual: int) -> None:
        """Settle what came out, by unit code."""
        from daemon.accounting.ledger import plan_settlement

        plan = plan_settlement(actual, legs, await self.store.accounts(person_id))
        unit = Unit()
        self.store.settle(
            unit,
            delivery_public_id=delivery,
            job_id=job_id,
            person_id=person_id,
            posts=plan.posts,
            excess=plan.excess,
            at_us=self.clock.at_us,
        )
        await self.db.commit(unit)
