"""Deliveries: one row per try to print, written before the first byte leaves, read again after a crash."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.jobs.store import counts_from_json, counts_to_json
from daemon.jobs.ticket import Ticket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.db.database import Database
    from daemon.db.unit import Row, Unit
    from daemon.kernel.counts import Counts

LIVE = ("reserved", "sending", "printing", "uncertain")
_VOLUME = """(SELECT coalesce(sum(j.printed_impressions),0) FROM delivery d JOIN job j ON j.id=d.job_id
     WHERE d.person_id=:person AND d.phase='settled' AND d.ended_at_us>=:since)
  +(SELECT coalesce(sum(d.impressions_promised),0) FROM delivery d
     WHERE d.person_id=:person AND d.phase IN ('reserved','sending','printing','uncertain'))"""


@dataclass(frozen=True, slots=True)
class DeliveryLeg:
    """One reservation of a delivery: `amount` of `unit_code` in account `account_id`, under `pending_key`."""

    leg: int
    account_id: int
    unit_code: str
    amount: int
    pending_key: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """One try to print one job. `impressions`, `sheets` are the largest the printer has reported so far."""

    id: int
    public_id: str
    job_id: int
    printer_id: int
    terminal_id: int | None
    person_id: int
    actor: str
    phase: str
    fence: int
    ticket: Ticket
    counts: Counts
    quote: dict[str, Any]
    tariff: str
    printer_job_id: int | None
    printer_job_uuid: str
    printer_uuid: str
    printer_up_time_s: int | None
    counter_before: int | None
    last_state: str
    impressions: int | None
    color_impressions: int | None
    sheets: int | None
    created_at_us: int
    sent_at_us: int | None
    decide_at_us: int | None


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """What is promised before anything is sent."""

    public_id: str
    job_public_id: str
    printer_id: int
    terminal_id: int | None
    person_id: int
    actor: str
    daemon_id: str
    lease_until_us: int
    ticket: Ticket
    counts: Counts
    quote: dict[str, Any]
    tariff: str
    at_us: int


class DeliveryStore:
    """Delivery rows and their legs."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def insert(self, unit: Unit, new: NewDelivery) -> None:
        """Append a delivery; a second live one for the same job meets the unique index and refuses the unit."""
        unit.add(
            """INSERT INTO delivery(public_id,job_id,printer_id,terminal_id,person_id,actor,daemon_id,lease_until_us,
                 phase,ticket,counts,quote,tariff,impressions_promised,created_at_us)
               SELECT :public_id,id,:printer_id,:terminal_id,:person_id,:actor,:daemon_id,:lease_until_us,
                 'reserved',:ticket,:counts,:quote,:tariff,:impressions,:at_us
                 FROM job WHERE public_id=:job_public_id""",
            rows=1,
            refusal="job-not-held",
            public_id=new.public_id,
            job_public_id=new.job_public_id,
            printer_id=new.printer_id,
            terminal_id=new.terminal_id,
            person_id=new.person_id,
            actor=new.actor,
            daemon_id=new.daemon_id,
            lease_until_us=new.lease_until_us,
            ticket=json.dumps(new.ticket.to_json()),
            counts=counts_to_json(new.counts),
            quote=json.dumps(new.quote),
            tariff=new.tariff,
            impressions=new.counts.impressions,
            at_us=new.at_us,
        )

    def require_terminal(self, unit: Unit, terminal_id: int) -> None:
        """Append that the terminal it is released at is still in use; refused as `revoked` when it is not."""
        unit.require("SELECT 1 FROM terminal WHERE id=:id AND revoked_at_us IS NULL", refusal="revoked", id=terminal_id)

    def insert_legs(self, unit: Unit, public_id: str, legs: Sequence[DeliveryLeg]) -> None:
        """Append the reservations a delivery rests on."""
        for leg in legs:
            unit.add(
                """INSERT INTO delivery_leg(delivery_id,leg,account_id,unit_code,amount,pending_key)
                   SELECT id,:leg,:account_id,:unit_code,:amount,:pending_key
                     FROM delivery WHERE public_id=:public_id""",
                rows=1,
                public_id=public_id,
                leg=leg.leg,
                account_id=leg.account_id,
                unit_code=leg.unit_code,
                amount=leg.amount,
                pending_key=leg.pending_key,
            )

    def change(self, unit: Unit, delivery: Delivery, phases: Sequence[str], **columns: object) -> None:
        """Append a change of a delivery that must still be in one of `phases` and under the same fence."""
        sets = ", ".join(f"{name}=:set_{name}" for name in columns)
        marks = ",".join(f":phase_{i}" for i in range(len(phases)))
        unit.add(
            f"UPDATE delivery SET {sets} WHERE id=:delivery_id AND fence=:fence AND phase IN ({marks})",
            rows=1,
            refusal="delivery-settled",
            delivery_id=delivery.id,
            fence=delivery.fence,
            **{f"phase_{i}": phase for i, phase in enumerate(phases)},
            **{f"set_{name}": value for name, value in columns.items()},
        )

    async def by_public(self, public_id: str) -> Delivery | None:
        """The delivery with that public id."""
        row = await self._db.read_one("SELECT * FROM delivery WHERE public_id=:id", id=public_id)
        return None if row is None else _delivery(row)

    async def live(self) -> list[Delivery]:
        """Every delivery that is not settled, oldest first: what recovery must finish."""
        rows = await self._db.read(
            "SELECT * FROM delivery WHERE phase IN ('reserved','sending','printing','uncertain') ORDER BY id"
        )
        return [_delivery(r) for r in rows]

    async def count_uncertain(self) -> int:
        """How many deliveries nobody knows the end of."""
        row = await self._db.read_one("SELECT count(*) AS n FROM delivery WHERE phase='uncertain'")
        return int(row["n"]) if row else 0

    async def to_recall(self, now_us: int, limit: int) -> list[Delivery]:
        """Those decided as not printed whose printer has not answered for them yet, oldest first."""
        rows = await self._db.read(
            "SELECT * FROM delivery WHERE recall_until_us>:now AND phase='voided' ORDER BY id LIMIT :limit",
            now=now_us,
            limit=limit,
        )
        return [_delivery(r) for r in rows]

    async def live_of_job(self, job_id: int) -> Delivery | None:
        """The delivery a job is under, if any."""
        row = await self._db.read_one(
            """SELECT * FROM delivery WHERE job_id=:id
                AND phase IN ('reserved','sending','printing','uncertain') ORDER BY id DESC""",
            id=job_id,
        )
        return None if row is None else _delivery(row)

    async def legs(self, delivery_id: int) -> list[DeliveryLeg]:
        """A delivery's reservations."""
        rows = await self._db.read("SELECT * FROM delivery_leg WHERE delivery_id=:id ORDER BY leg", id=delivery_id)
        return [DeliveryLeg(r["leg"], r["account_id"], r["unit_code"], r["amount"], r["pending_key"]) for r in rows]

    async def was_alone(self, delivery: Delivery) -> bool:
        """True when no other delivery of ours touched the printer since this one was sent."""
        row = await self._db.read_one(
            """SELECT count(*) AS n FROM delivery WHERE printer_id=:printer AND id<>:id
                AND sent_at_us IS NOT NULL AND (ended_at_us IS NULL OR ended_at_us>=:since)""",
            printer=delivery.printer_id,
            id=delivery.id,
            since=delivery.sent_at_us or delivery.created_at_us,
        )
        return row is not None and row["n"] == 0

    async def volume_since(self, person_id: int, since_us: int) -> int:
        """Impressions charged to a person since then, and promised to those under way: the base of volume steps."""
        row = await self._db.read_one(f"SELECT {_VOLUME} AS n", person=person_id, since=since_us)
        return int(row["n"]) if row else 0

    def require_volume(self, unit: Unit, person_id: int, since_us: int, *, volume: int) -> None:
        """Append that this base has not moved since it was read; else refused as `price-changed`."""
        sql = f"SELECT 1 AS one WHERE {_VOLUME}=:volume"
        unit.require(sql, refusal="price-changed", person=person_id, since=since_us, volume=volume)


def _delivery(row: Row) -> Delivery:
    return Delivery(
        id=row["id"],
        public_id=row["public_id"],
        job_id=row["job_id"],
        printer_id=row["printer_id"],
        terminal_id=row["terminal_id"],
        person_id=row["person_id"],
        actor=row["actor"],
        phase=row["phase"],
        fence=row["fence"],
        ticket=Ticket.from_json(json.loads(row["ticket"])),
        counts=counts_from_json(row["counts"]),
        quote=json.loads(row["quote"]),
        tariff=row["tariff"],
        printer_job_id=row["printer_job_id"],
        printer_job_uuid=row["printer_job_uuid"],
        printer_uuid=row["printer_uuid"],
        printer_up_time_s=row["printer_up_time_s"],
        counter_before=row["counter_before"],
        last_state=row["last_state"],
        impressions=row["impressions"],
        color_impressions=row["color_impressions"],
        sheets=row["sheets"],
        created_at_us=row["created_at_us"],
        sent_at_us=row["sent_at_us"],
        decide_at_us=row["decide_at_us"],
    )
