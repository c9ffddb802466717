"""/api/v1/terminals: announce, look after, ask and revoke the touch screens beside the printers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from daemon.auth import permissions as p
from daemon.auth.permissions import Actor
from daemon.web.api.access import Services, needs
from daemon.workflows.terminal_desk import TerminalDraft

terminals_router = APIRouter(prefix="/terminals", tags=["terminals"])

ReadsTerminals = Annotated[Actor, Depends(needs(p.TERMINALS_READ))]
WritesTerminals = Annotated[Actor, Depends(needs(p.TERMINALS_WRITE))]
OperatesTerminals = Annotated[Actor, Depends(needs(p.TERMINALS_OPERATE))]
Policy = Literal["site", "card", "card+password", "daily", "none"]
Name = Annotated[str, Field(max_length=128)]


class NewTerminal(BaseModel):
    """A terminal to announce, with the printers it serves, by id or name; `readers` belong to them in order."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    printers: list[Name] = Field(min_length=1, max_length=64)
    readers: list[Name] = Field(default=[], max_length=64)
    policy: Policy = "site"
    site: str = Field("", max_length=64)


class BoundPrinter(BaseModel):
    """A printer by id or name, and the reader whose taps mean it (empty: any)."""

    model_config = ConfigDict(extra="forbid")

    printer: Name
    reader: str = Field("", max_length=64)


class TerminalChange(BaseModel):
    """What to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    policy: Policy | None = None
    opening_hours: str | None = Field(None, max_length=1000)
    printers: list[BoundPrinter] | None = Field(None, min_length=1, max_length=64)


class NewCommand(BaseModel):
    """What the terminal is asked to do."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["identify", "restart", "log"]


@terminals_router.get("")
async def list_terminals(services: Services, _actor: ReadsTerminals) -> dict[str, Any]:
    """Terminals by name, with who is there, what they miss and what waits for them."""
    return {"items": await services.terminals.list(), "next": None}


@terminals_router.post("", status_code=201)
async def add_terminal(services: Services, actor: WritesTerminals, new: NewTerminal) -> dict[str, Any]:
    """Announce a terminal; the code in the answer enrols it once."""
    return await services.terminals.add(TerminalDraft(**new.model_dump()), actor=actor.name)


@terminals_router.get("/{terminal}")
async def show_terminal(services: Services, _actor: ReadsTerminals, terminal: str) -> dict[str, Any]:
    """One terminal, by id or name."""
    return await services.terminals.show(terminal)


@terminals_router.patch("/{terminal}")
async def change_terminal(
    services: Services, actor: WritesTerminals, terminal: str, change: TerminalChange
) -> dict[str, Any]:
    """Another name, policy, opening hours or printers; it holds at once."""
    printers = None if change.printers is None else [(one.printer, one.reader) for one in change.printers]
    return await services.terminals.change(
        terminal,
        name=change.name,
        policy=change.policy,
        opening_hours=change.opening_hours,
        printers=printers,
        actor=actor.name,
    )


@terminals_router.post("/{terminal}/code", status_code=201)
async def renew_terminal_code(services: Services, actor: WritesTerminals, terminal: str) -> dict[str, Any]:
    """Another enrolment code; the one before is void. Enrolling with it replaces the terminal's key."""
    return await services.terminals.renew_code(terminal, actor=actor.name)


@terminals_router.post("/{terminal}/revoke")
async def revoke_terminal(services: Services, actor: WritesTerminals, terminal: str) -> dict[str, Any]:
    """Refuse a terminal's key from now on; its sessions end."""
    return await services.terminals.revoke(terminal, actor=actor.name)


@terminals_router.get("/{terminal}/commands")
async def list_terminal_commands(services: Services, _actor: OperatesTerminals, terminal: str) -> dict[str, Any]:
    """What it was asked lately, newest first."""
    return {"items": await services.terminals.commands(terminal), "next": None}


@terminals_router.post("/{terminal}/commands", status_code=202)
async def ask_terminal(services: Services, actor: OperatesTerminals, terminal: str, new: NewCommand) -> dict[str, Any]:
    """Ask it to flash its screen, to restart, or for its log; the answer comes with the command later."""
    return await services.terminals.ask(terminal, new.kind, actor=actor.name)


@terminals_router.get("/{terminal}/commands/{command}")
async def show_terminal_command(
    services: Services, _actor: OperatesTerminals, terminal: str, command: str
) -> dict[str, Any]:
    """What became of a command: pending, answered or expired."""
    return await services.terminals.command(terminal, command)


@terminals_router.get("/{terminal}/outages")
async def list_terminal_outages(services: Services, _actor: ReadsTerminals, terminal: str) -> dict[str, Any]:
    """When it was away and which readers it missed, newest first."""
    return {"items": await services.terminals.outages(terminal), "next": None}
