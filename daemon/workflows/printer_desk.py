"""Printers as an administrator keeps them: added (and asked at once), listed, removed while nothing is on its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from daemon.accounting.pricing import Tariff
from daemon.db.database import Database
from daemon.db.unit import Unit, UnitRefused
from daemon.devices.store import NewPrinter, Printer, PrinterStore, SnmpTarget
from daemon.kernel.clock import Clock, rfc3339
from daemon.kernel.errors import BadInput, Conflict, NotFound, Refusal, Unavailable
from daemon.kernel.events import Event
from daemon.kernel.ids import Dice, new_id
from daemon.people.names import printable
from daemon.workflows.printers import Printers

log = structlog.get_logger(__name__)

SNMP_PORT_MAX = 65_535


class PrinterUnknown(NotFound):
    """No printer of that name or id."""

    code = "printer-unknown"


class TariffUnknown(BadInput):
    """No tariff file of that name."""

    code = "tariff-unknown"


class PrinterBusy(Conflict):
    """A job is on its way there; its outcome needs the printer's row."""

    code = "printer-busy"


@dataclass(frozen=True, slots=True)
class PrinterDraft:
    """A printer as typed."""

    name: str
    uri: str
    tls: str = "verify"
    tariff: str = ""
    location: str = ""
    site: str = ""
    snmp: str = ""


class PrinterDesk:
    """Adds, shows and removes printers."""

    def __init__(
        self,
        *,
        db: Database,
        store: PrinterStore,
        printers: Printers,
        tariffs: Mapping[str, Tariff],
        default_tariff: str,
        site: str,
        clock: Clock,
        dice: Dice,
    ) -> None:
        self._db = db
        self._store = store
        self._printers = printers
        self._tariffs = tariffs
        self._default_tariff = default_tariff
        self._site = site
        self._clock = clock
        self._dice = dice

    @property
    def tariffs(self) -> Sequence[str]:
        """Names of the tariffs a printer can have, the usual one first."""
        return (self._default_tariff, *sorted(name for name in self._tariffs if name != self._default_tariff))

    async def find(self, name_or_id: str) -> Printer:
        """By public id or name.

        Raises:
            PrinterUnknown: there is none.
        """
        found = await self._store.by_public(name_or_id) or await self._store.by_name(name_or_id)
        if found is None:
            raise PrinterUnknown(f"there is no printer {name_or_id!r}")
        return found

    async def add(self, draft: PrinterDraft, *, actor: str) -> dict[str, Any]:
        """A new printer. It is asked for its state; one that does not answer is added all the same, as `unreachable`.

        Raises:
            BadInput, BadPrinterUri, TariffUnknown: not as typed.
            AddressForbidden: no printer may stand there.
            Conflict: the name is taken.
        """
        tariff = draft.tariff or self._default_tariff
        if tariff not in self._tariffs:
            raise TariffUnknown(f"no tariff {tariff!r}; there are: {', '.join(sorted(self._tariffs))}")
        await self._printers.require_allowed(draft.uri)
        now = self._clock.now_us()
        new = NewPrinter(
            public_id=new_id(self._dice),
            name=draft.name,
            uri=draft.uri,
            created_at_us=now,
            tls=draft.tls,
            tariff=tariff,
            location=printable(draft.location, what="a location", chars_max=127),
            site=draft.site or self._site,
            snmp=_snmp(draft.snmp),
        )
        unit = Unit()
        self._store.insert(unit, new)
        unit.event(Event("printer.added", new.public_id), now)
        detail: dict[str, object] = {"name": draft.name, "tls": draft.tls, "tariff": tariff}
        unit.audit(actor=actor, action="printer.added", subject=new.public_id, detail=detail, at_us=now)
        try:
            await self._db.commit(unit)
        except UnitRefused as refused:
            if refused.code == "name-taken":
                raise Conflict(f"a printer is called {draft.name!r} already", code="name-taken") from refused
            raise
        await self._ask(await self.find(new.public_id))
        return shape(await self.find(new.public_id))

    async def show(self, name_or_id: str) -> dict[str, Any]:
        """One printer as scripts see it."""
        return shape(await self.find(name_or_id))

    async def list(self) -> list[dict[str, Any]]:
        """All printers in the order they were added."""
        found: list[Printer] = []
        while page := await self._store.page(after_id=found[-1].id if found else 0):
            found += page
        return [shape(printer) for printer in found]

    async def names(self) -> dict[int, str]:
        """Row id to name, of printers that still stand."""
        found: dict[int, str] = {}
        after = 0
        while page := await self._store.page(after_id=after):
            found |= {printer.id: printer.name for printer in page}
            after = page[-1].id
        return found

    async def remove(self, name_or_id: str, *, actor: str) -> dict[str, Any]:
        """Take a printer away. Its past stays in the books.

        Raises:
            PrinterUnknown: there is none.
            PrinterBusy: a delivery to it is not finished.
        """
        printer = await self.find(name_or_id)
        now = self._clock.now_us()
        unit = Unit()
        self._store.require_quiet(unit, printer)
        self._store.remove(unit, printer, at_us=now)
        unit.event(Event("printer.removed", printer.public_id), now)
        detail: dict[str, object] = {"name": printer.name}
        unit.audit(actor=actor, action="printer.removed", subject=printer.public_id, detail=detail, at_us=now)
        try:
            await self._db.commit(unit)
        except UnitRefused as refused:
            if refused.code == "printer-busy":
                raise PrinterBusy("a job is on its way to this printer; remove it when that has ended") from refused
            raise
        return shape(printer)

    async def _ask(self, printer: Printer) -> None:
        try:
            await self._printers.ask(printer)
        except (Unavailable, Refusal) as problem:
            log.info("printer.silent", printer_id=printer.public_id, code=problem.code)


def _snmp(text: str) -> SnmpTarget | None:
    """`HOST` or `HOST:PORT`."""
    if not text:
        return None
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port:
        return SnmpTarget(host=text.strip("[]"))
    if not port.isdigit() or not 0 < int(port) <= SNMP_PORT_MAX:
        raise BadInput(f"not HOST or HOST:PORT: {text!r}")
    return SnmpTarget(host=host.strip("[]"), port=int(port))


def shape(printer: Printer) -> dict[str, Any]:
    """The keys scripts rely on."""
    return {
        "printer_id": printer.public_id,
        "name": printer.name,
        "uri": printer.uri,
        "tls": printer.tls,
        "tariff": printer.tariff,
        "location": printer.location,
        "site": printer.site,
        "state": printer.state,
        "reasons": list(printer.reasons),
        "accepting": printer.is_accepting,
        "checked_at": rfc3339(printer.checked_at_us),
    }
