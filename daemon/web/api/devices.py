"""/api/v1/printers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from daemon.auth import permissions as p
from daemon.auth.permissions import Actor
from daemon.web.api.access import Services, needs
from daemon.workflows.printer_desk import PrinterDraft

printers_router = APIRouter(prefix="/printers", tags=["printers"])

ReadsPrinters = Annotated[Actor, Depends(needs(p.PRINTERS_READ))]
WritesPrinters = Annotated[Actor, Depends(needs(p.PRINTERS_WRITE))]


class NewPrinter(BaseModel):
    """A printer to add; `tls` is `verify` or `pin:SHA256`."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=128)
    uri: str = Field(max_length=1024)
    tls: str = Field("verify", max_length=128)
    tariff: str = Field("", max_length=64)
    location: str = Field("", max_length=128)
    site: str = Field("", max_length=64)
    snmp: str = Field("", max_length=256)


@printers_router.get("")
async def list_printers(services: Services, _actor: ReadsPrinters) -> dict[str, Any]:
    """Printers by name, with the state last seen."""
    return {"items": await services.printers.list(), "next": None}


@printers_router.post("", status_code=201)
async def add_printer(services: Services, actor: WritesPrinters, new: NewPrinter) -> dict[str, Any]:
    """Add a printer; it is asked for its state at once, and added also when it does not answer."""
    return await services.printers.add(PrinterDraft(**new.model_dump()), actor=actor.name)


@printers_router.get("/{printer}")
async def show_printer(services: Services, _actor: ReadsPrinters, printer: str) -> dict[str, Any]:
    """One printer, by id or name."""
    return await services.printers.show(printer)


@printers_router.delete("/{printer}")
async def remove_printer(services: Services, actor: WritesPrinters, printer: str) -> dict[str, Any]:
    """Remove a printer; refused while a job is on its way there."""
    return await services.printers.remove(printer, actor=actor.name)
