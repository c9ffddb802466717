"""Printers as the verbs need them: looked up, asked for their state, offered as alternatives."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from daemon.db.unit import Unit
from daemon.devices.capabilities import Capabilities
from daemon.devices.errors import AddressForbidden, PrinterRefused, PrinterUnreachable
from daemon.devices.ipp_client import PrinterClient, PrinterStatus
from daemon.devices.raw_client import RawClient
from daemon.devices.snmp import life_count
from daemon.devices.targets import parse_uri, resolve
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import Conflict, NotFound, Unavailable
from daemon.workflows.selection import Station

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.devices.printer import Printer
    from daemon.devices.store import PrinterStore
    from daemon.devices.targets import Network
    from daemon.workflows.house import House

log = structlog.get_logger(__name__)

ALTERNATIVES_MAX = 3
REMEMBER_S = 10
"""An unchanged answer is written down again after this long at the earliest."""
RAW_CAPABILITIES = Capabilities(formats=("application/pdf",), is_color=True)
"""A raw port cannot be asked; devices that have one and are worth releasing to take PDF."""

BLOCKING = frozenset(
    {
        "media-empty", "media-jam", "media-needed", "door-open", "cover-open", "interlock-open", "input-tray-missing",
        "output-tray-missing", "output-area-full", "marker-supply-empty", "toner-empty", "marker-waste-full", "paused",
        "moving-to-paused", "shutdown", "timed-out", "spool-area-full", "fuser-over-temp", "marker-supply-missing",
    }
)  # fmt: skip
"""printer-state-reasons under which nothing is released (suffixes -error/-warning/-report stripped)."""


class PrinterStopped(Conflict):
    """The printer cannot print now; nothing was charged. `data["reasons"]`, `data["alternatives"]`."""

    code = "printer-stopped"


QUIET_WHEN_IDLE = frozenset({"media-empty", "media-needed", "output-area-full", "marker-supply-empty", "toner-empty"})
"""A warning of these on an idle printer means one tray or colour of several: it still prints."""


class PrinterAway(Unavailable):
    """The printer did not answer; nothing was charged. `data["alternatives"]`."""

    code = "printer-unreachable"


def plain_reason(reason: str) -> str:
    """A printer-state-reason without its severity suffix (RFC 8011 section 5.4.12)."""
    for suffix in ("-error", "-warning", "-report"):
        reason = reason.removesuffix(suffix)
    return reason


def blocking_reasons(state: str, reasons: Sequence[str]) -> tuple[str, ...]:
    """Why nothing may be released to a printer in this state; empty when it may.

    Reports never block. A warning such as `toner-low` never blocks either, but some printers call a jam a warning
    while they stay `processing` with the sheet inside, so the word counts, and the suffix only where one tray of
    several may be meant.
    """
    found: list[str] = []
    for reason in reasons:
        plain = plain_reason(reason)
        if plain not in BLOCKING or reason.endswith("-report"):
            continue
        if state == "idle" and reason.endswith("-warning") and plain in QUIET_WHEN_IDLE:
            continue
        found.append(plain)
    if state == "stopped" and not found:
        return ("stopped",)
    return tuple(dict.fromkeys(found))


class Printers:
    """Looks printers up, asks them, and remembers what they said."""

    def __init__(
        self, house: House, store: PrinterStore, *, allow_networks: Sequence[Network], ca_file: str, timeout_s: float
    ) -> None:
        self._house = house
        self._store = store
        self._allow_networks = allow_networks
        self._ca_file = ca_file
        self._timeout_s = timeout_s
        self._asking: dict[int, asyncio.Lock] = {}

    async def by_id(self, printer_id: int) -> Printer:
        """By row id, removed or not.

        Raises:
            NotFound: there is none.
        """
        printer = await self._store.by_id(printer_id)
        if printer is None:
            raise NotFound("There is no such printer.")
        return printer

    async def named(self, name: str) -> Printer:
        """By public id or name.

        Raises:
            NotFound: there is none.
        """
        printer = await self._store.by_public(name) or await self._store.by_name(name)
        if printer is None:
            raise NotFound("There is no such printer.")
        return printer

    async def require_allowed(self, uri: str) -> None:
        """Checks a printer's address before it is kept; a name that is not known yet may become so.

        Raises:
            BadPrinterUri: not an address we speak to; AddressForbidden: it leads where no printer may be.
        """
        target = parse_uri(uri)
        with contextlib.suppress(PrinterUnreachable):
            await resolve(target, self._allow_networks)

    def client(self, printer: Printer) -> PrinterClient:
        """A client that trusts the printer only as its row says."""
        return PrinterClient(printer.uri, tls=printer.tls, ca_file=self._ca_file, allow_networks=self._allow_networks)

    def raw_client(self, printer: Printer) -> RawClient:
        """A client for the raw port."""
        return RawClient(printer.uri, allow_networks=self._allow_networks)

    async def ask(self, printer: Printer) -> Printer:
        """The printer with its state as of now; what changed is remembered.

        Raises:
            PrinterUnreachable: it did not answer in time; PrinterRefused, AddressForbidden: what is there is no
                printer of ours. Each is remembered as `unreachable`, so that it is not asked again at once.
        """
        async with self._asking.setdefault(printer.id, asyncio.Lock()):
            try:
                async with asyncio.timeout(self._timeout_s):
                    status = await self._status(printer)
            except (TimeoutError, PrinterUnreachable, PrinterRefused, AddressForbidden) as error:
                await self._remember(printer, None)
                if isinstance(error, TimeoutError):
                    raise PrinterUnreachable("The printer did not answer in time.") from error
                raise
            return await self._remember(printer, status)

    async def _remember(self, printer: Printer, status: PrinterStatus | None) -> Printer:
        now = self._house.clock.now_us()
        unit = Unit()
        if status is None:
            self._store.set_unreachable(unit, printer, at_us=now)
            await self._house.db.commit(unit)
            return printer
        fresh = replace(
            printer,
            state=status.state,
            reasons=status.reasons,
            is_accepting=status.accepting,
            capabilities=status.capabilities,
            uuid=status.uuid,
            up_time_s=status.up_time_s,
            checked_at_us=printer.checked_at_us,
        )
        is_news = replace(fresh, up_time_s=printer.up_time_s) != printer
        if is_news or printer.checked_at_us is None or now - printer.checked_at_us > REMEMBER_S * US_PER_S:
            self._store.set_status(unit, printer, status, at_us=now)
            await self._house.db.commit(unit)
        return replace(fresh, checked_at_us=now)

    async def fresh(self, printer_id: int) -> Printer:
        """The printer, asked now and able to print.

        Raises:
            PrinterStopped, PrinterUnreachable: with `alternatives`, printers that can.
        """
        printer = await self.by_id(printer_id)
        try:
            printer = await self.ask(printer)
        except (PrinterUnreachable, PrinterRefused, AddressForbidden) as problem:
            raise PrinterAway(
                "The printer does not answer. Nothing was charged.",
                printer_id=printer.public_id,
                cause=problem.code,
                alternatives=await self.alternatives(printer),
            ) from problem
        blocking = blocking_reasons(printer.state, printer.reasons)
        if blocking or not printer.is_accepting:
            raise PrinterStopped(
                "The printer cannot print now. Nothing was charged.",
                printer_id=printer.public_id,
                reasons=list(blocking) or ["not-accepting-jobs"],
                alternatives=await self.alternatives(printer),
            )
        return printer

    async def alternatives(self, printer: Printer) -> list[dict[str, str]]:
        """Other printers of the site that were able to print when last asked, those of the same place first."""
        near = [p for p in await self._store.page() if p.id != printer.id and p.site == printer.site]
        others = [p for p in near if p.state in ("idle", "processing")]
        usable = [p for p in others if p.is_accepting and not blocking_reasons(p.state, p.reasons)]
        usable.sort(key=lambda p: (p.location != printer.location, p.state != "idle", p.name))
        return [{"printer_id": p.public_id, "name": p.name, "location": p.location} for p in usable[:ALTERNATIVES_MAX]]

    async def life_count(self, printer: Printer) -> int | None:
        """The printer's life count by SNMP, None where it has none to tell."""
        if printer.snmp is None:
            return None
        snmp = printer.snmp
        return await life_count(snmp.host, snmp.port, snmp.community, allow_networks=self._allow_networks)

    async def remove_empty_job(self, printer: Printer, name: str) -> None:
        """Cancels a job of ours that never got its document; a failure only leaves it to the printer's own time-out."""
        try:
            found = await self.client(printer).find_job(name=name)
        except (PrinterUnreachable, PrinterRefused) as problem:
            log.info("printer.empty-job-left", printer_id=printer.public_id, code=problem.code)
            return
        if found is not None and not found.is_ended:
            await self.stop_there(printer, found.job_id)

    async def stop_there(self, printer: Printer, job_id: int) -> None:
        """Asks for a cancel; whether it was heard shows the next look at the job."""
        try:
            await self.client(printer).cancel(job_id)
        except (PrinterUnreachable, PrinterRefused) as problem:
            log.info("printer.cancel-unheard", printer_id=printer.public_id, code=problem.code)

    def station(self, printer: Printer) -> Station:
        """The printer as planning and pricing see it."""
        return Station(name=printer.name, tariff=printer.tariff, capabilities=printer.capabilities)

    async def _status(self, printer: Printer) -> PrinterStatus:
        """What it says; a raw port says only whether somebody listens."""
        if not printer.is_raw:
            return await self.client(printer).status()
        if not await self.raw_client(printer).is_reachable():
            raise PrinterUnreachable("The printer does not answer.")
        return PrinterStatus(
            state="idle", reasons=(), accepting=True, up_time_s=None, uuid="", capabilities=RAW_CAPABILITIES
        )
