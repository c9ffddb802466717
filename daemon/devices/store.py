"""Printer rows: reads, and the statements a workflow appends to its unit."""

from __future__ import annotations

import json
from typing import Final

from daemon.db.database import Database
from daemon.db.unit import Row, Unit
from daemon.devices.capabilities import Capabilities
from daemon.devices.ipp_client import PrinterStatus
from daemon.devices.printer import NewPrinter, Printer, SnmpTarget, new_printer
from daemon.kernel.events import Event

__all__ = ["NewPrinter", "Printer", "PrinterStore", "SnmpTarget"]

PAGE_MAX: Final = 500
"""Rows of one listing; the caller pages with `after_id`."""
UNREACHABLE: Final = "unreachable"
_COLUMNS: Final = """id, public_id, name, uri, tls, tariff, location, site, snmp, state, reasons, is_accepting,
  capabilities, uuid, up_time_s, checked_at_us, created_at_us"""
_LIVING: Final = "removed_at_us IS NULL"


class PrinterStore:
    """Printers and what they last said."""

    def __init__(self, db: Database) -> None:
        self._db = db

    # ----- statements -----
    def insert(self, unit: Unit, new: NewPrinter) -> None:
        """Append a new printer; a taken name refuses the unit as `name-taken`.

        Raises:
            BadInput, BadPrinterUri: see `new_printer`.
        """
        new = new_printer(new)
        unit.add(
            """INSERT INTO printer(public_id, name, uri, tls, tariff, location, site, snmp, created_at_us)
               VALUES(:public_id, :name, :uri, :tls, :tariff, :location, :site, :snmp, :at)""",
            rows=1,
            refusal="name-taken",
            public_id=new.public_id,
            name=new.name,
            uri=new.uri,
            tls=new.tls,
            tariff=new.tariff,
            location=new.location,
            site=new.site,
            snmp=_snmp_text(new.snmp),
            at=new.created_at_us,
        )

    def remove(self, unit: Unit, printer: Printer, *, at_us: int) -> None:
        """Append the removal: the row stays for the books, its name becomes free."""
        unit.add(
            f"UPDATE printer SET removed_at_us=:at, name=name||' #'||public_id WHERE id=:id AND {_LIVING}",
            rows=1,
            refusal="not-found",
            at=at_us,
            id=printer.id,
        )
        unit.add("DELETE FROM terminal_printer WHERE printer_id=:id", id=printer.id)

    def require_quiet(self, unit: Unit, printer: Printer) -> None:
        """Append the condition that no delivery to it is under way; else the unit is refused as `printer-busy`."""
        unit.require(
            """SELECT 1 WHERE NOT EXISTS(SELECT 1 FROM delivery WHERE printer_id=:id
                 AND phase IN ('reserved','sending','printing','uncertain'))""",
            refusal="printer-busy",
            id=printer.id,
        )

    def set_status(self, unit: Unit, printer: Printer, status: PrinterStatus, *, at_us: int) -> None:
        """Append what the printer just said; an event `printer.changed` only when it is news to somebody watching."""
        unit.add(
            """UPDATE printer SET state=:state, reasons=:reasons, is_accepting=:accepting, capabilities=:capabilities,
                 uuid=:uuid, up_time_s=:up_time, checked_at_us=:at WHERE id=:id""",
            rows=1,
            state=status.state,
            reasons=json.dumps(status.reasons),
            accepting=int(status.accepting),
            capabilities=json.dumps(status.capabilities.to_json()),
            uuid=status.uuid,
            up_time=status.up_time_s,
            at=at_us,
            id=printer.id,
        )
        news = (status.state, status.reasons, status.accepting)
        if news != (printer.state, printer.reasons, printer.is_accepting):
            unit.event(Event("printer.changed", printer.public_id), at_us)

    def set_unreachable(self, unit: Unit, printer: Printer, *, at_us: int) -> None:
        """Append that it did not answer; what it last said of its abilities stays."""
        unit.add(
            "UPDATE printer SET state=:state, reasons='[]', is_accepting=0, checked_at_us=:at WHERE id=:id",
            rows=1,
            state=UNREACHABLE,
            at=at_us,
            id=printer.id,
        )
        if printer.state != UNREACHABLE:
            unit.event(Event("printer.changed", printer.public_id), at_us)

    def set_tariff(self, unit: Unit, printer: Printer, tariff: str) -> None:
        """Append another tariff; quotes given before keep theirs."""
        unit.add("UPDATE printer SET tariff=:tariff WHERE id=:id", rows=1, tariff=tariff, id=printer.id)

    def set_trust(self, unit: Unit, printer: Printer, *, tls: str) -> None:
        """Append another way for the printer to prove itself (a renewed certificate's pin)."""
        unit.add("UPDATE printer SET tls=:tls WHERE id=:id", rows=1, tls=tls, id=printer.id)

    # ----- reads -----
    async def by_id(self, printer_id: int) -> Printer | None:
        """The printer with this row id, removed or not: deliveries outlive printers."""
        row = await self._db.read_one(f"SELECT {_COLUMNS} FROM printer WHERE id=:id", id=printer_id)
        return _printer(row) if row else None

    async def by_public(self, public_id: str) -> Printer | None:
        """The printer with this public id."""
        row = await self._db.read_one(f"SELECT {_COLUMNS} FROM printer WHERE public_id=:id AND {_LIVING}", id=public_id)
        return _printer(row) if row else None

    async def by_name(self, name: str) -> Printer | None:
        """The printer with exactly this name."""
        row = await self._db.read_one(f"SELECT {_COLUMNS} FROM printer WHERE name=:name AND {_LIVING}", name=name)
        return _printer(row) if row else None

    async def page(self, *, after_id: int = 0, limit: int = PAGE_MAX) -> list[Printer]:
        """Printers in the order they were added, from `after_id` on."""
        rows = await self._db.read(
            f"SELECT {_COLUMNS} FROM printer WHERE {_LIVING} AND id>:after ORDER BY id LIMIT :most",
            after=after_id,
            most=max(1, min(limit, PAGE_MAX)),
        )
        return [_printer(row) for row in rows]

    async def changed_at(self, printer: Printer) -> int | None:
        """When its state last became another, as far as events are kept."""
        row = await self._db.read_one(
            "SELECT max(at_us) AS at FROM event WHERE topic='printer.changed' AND subject=:id", id=printer.public_id
        )
        return row["at"] if row else None


def _snmp_text(snmp: SnmpTarget | None) -> str:
    return json.dumps({"host": snmp.host, "port": snmp.port, "community": snmp.community}) if snmp else ""


def _printer(row: Row) -> Printer:
    snmp = json.loads(row["snmp"]) if row["snmp"] else None
    return Printer(
        id=row["id"],
        public_id=row["public_id"],
        name=row["name"],
        uri=row["uri"],
        tls=row["tls"],
        tariff=row["tariff"],
        location=row["location"],
        site=row["site"],
        snmp=SnmpTarget(**snmp) if snmp else None,
        state=row["state"],
        reasons=tuple(json.loads(row["reasons"])),
        is_accepting=bool(row["is_accepting"]),
        capabilities=Capabilities.from_json(json.loads(row["capabilities"])),
        uuid=row["uuid"],
        up_time_s=row["up_time_s"],
        checked_at_us=row["checked_at_us"],
        created_at_us=row["created_at_us"],
    )
