"""Terminals: what they are set to, whether they are there, what they miss; asked, changed, given a code, revoked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from daemon.auth import permissions as p
from daemon.auth.opening_hours import HoursUnreadable
from daemon.auth.terminal_rules import TERMINAL_POLICIES
from daemon.auth.terminals import TerminalRefused
from daemon.kernel.errors import Conflict, NotFound
from daemon.web.console.audit import told
from daemon.web.console.gate import Page
from daemon.web.console.visit import Visit, path
from daemon.workflows.terminal_desk import TerminalDraft, TerminalUnknown

HISTORY_SHOWN = 10
COMMANDS_SHOWN = 5


async def listing(visit: Visit) -> Response:
    """GET /console/terminals: those in use; `revoked=1` shows the others too."""
    known = await visit.services.api.terminals.list()
    shows_all = visit.asked("revoked") == "1"
    return visit.page(
        "terminals",
        visit.speech("terminals.title"),
        terminals=[one for one in known if shows_all or one["state"] != "revoked"],
        shows_all=shows_all,
        revoked=sum(one["state"] == "revoked" for one in known),
    )


async def new_page(visit: Visit) -> Response:
    """GET /console/terminals/new."""
    return await _new_form(visit, TerminalDraft("", ()), problems={})


async def add(visit: Visit) -> Response:
    """POST /console/terminals/new: announce a terminal; its code is shown once."""
    form = visit.form
    draft = TerminalDraft(
        name=form.line("name", 128), printers=tuple(form.all("printer")), policy=form["policy"] or "site"
    )
    if not draft.printers:
        return await _new_form(visit, draft, problems={"printer": visit.speech("terminals.needs-printer")})
    try:
        made = await visit.services.api.terminals.add(draft, actor=visit.who.name)
    except (TerminalRefused, Conflict) as refusal:
        return await _new_form(visit, draft, problems={"name": visit.speech.refusal(refusal)})
    return _with_code(visit, made)


async def show(visit: Visit) -> Response:
    """GET /console/terminals/{id}."""
    return await _shown(visit, await _terminal(visit))


async def change(visit: Visit) -> Response:
    """POST .../change: name, policy, hours and printers, unless somebody changed them since the form was opened."""
    terminal, form = await _terminal(visit), visit.form
    if form["seen"] != _state(terminal):
        raise Conflict
    try:
        await visit.services.api.terminals.change(
            terminal["terminal_id"],
            name=form.line("name", 128),
            policy=form["policy"],
            opening_hours=form.line("opening_hours", 600),
            printers=[(one, form.line(f"reader-{one}", 128)) for one in form.all("printer")],
            actor=visit.who.name,
        )
    except HoursUnreadable as refusal:
        details = refusal.data.get("details", [])
        told_by = "; ".join(str(one.get("message", "")) for one in details if isinstance(one, dict))
        return await _shown(visit, terminal, problems={"opening_hours": told_by or visit.speech.refusal(refusal)})
    except TerminalUnknown:
        raise
    except (TerminalRefused, Conflict, NotFound) as refusal:
        field = "name" if refusal.code == "name-taken" or "name" in refusal.message else "printer"
        return await _shown(visit, terminal, problems={field: visit.speech.refusal(refusal)})
    return visit.go(_page_of(terminal), "note.changed")


async def new_code(visit: Visit) -> Response:
    """POST .../code: another code to enrol with, shown once."""
    terminal = await _terminal(visit)
    made = await visit.services.api.terminals.renew_code(terminal["terminal_id"], actor=visit.who.name)
    return _with_code(visit, made)


async def revoke(visit: Visit) -> Response:
    """POST .../revoke: its key opens nothing from now on."""
    terminal = await _terminal(visit)
    await visit.services.api.terminals.revoke(terminal["terminal_id"], actor=visit.who.name)
    return visit.go(_page_of(terminal), "note.revoked", name=terminal["name"])


async def ask(visit: Visit) -> Response:
    """POST .../ask: flash its screen, restart, send its log."""
    terminal = await _terminal(visit)
    kind = visit.form["kind"]
    await visit.services.api.terminals.ask(terminal["terminal_id"], kind, actor=visit.who.name)
    return visit.go(f"{_page_of(terminal)}#asked", f"note.asked-{kind}", name=terminal["name"])


def _with_code(visit: Visit, made: Mapping[str, Any]) -> Response:
    say = visit.speech
    return visit.go(
        path("terminals", made["terminal_id"]),
        "note.code",
        secret=made["code"],
        name=made["name"],
        when=say.moment(made["expires_at"]),
        url=made["daemon_url"],
    )


async def _terminal(visit: Visit) -> dict[str, Any]:
    found = await visit.services.api.terminals.show(visit.part("id"))
    if found["terminal_id"] != visit.part("id"):  # an address names it by id: a name may be another's tomorrow
        raise NotFound
    return found


def _page_of(terminal: Mapping[str, Any]) -> str:
    return path("terminals", terminal["terminal_id"])


def _state(terminal: Mapping[str, Any]) -> str:
    """What the form changes, as it was when the form was opened."""
    bound = [f"{one['printer']}={one['reader']}" for one in terminal["bindings"]]
    return "|".join((terminal["name"], terminal["policy"], terminal["opening_hours"], *bound))


async def _new_form(visit: Visit, draft: TerminalDraft, *, problems: Mapping[str, str]) -> Response:
    return visit.page(
        "terminal_new",
        visit.speech("terminals.new"),
        status=422 if problems else 200,
        draft=draft,
        problems=problems,
        printers=await visit.services.api.printers.list(),
        policies=TERMINAL_POLICIES,
    )


async def _shown(visit: Visit, terminal: Mapping[str, Any], *, problems: Mapping[str, str] | None = None) -> Response:
    desk, one = visit.services.api.terminals, terminal["terminal_id"]
    sees_log = visit.may(p.TERMINALS_OPERATE)
    sent = visit.form if problems else None
    return visit.page(
        "terminal",
        terminal["name"],
        status=422 if problems else 200,
        terminal=terminal,
        sent=sent,
        problems=problems or {},
        seen=sent["seen"] if sent is not None else _state(terminal),
        readers_of={row["printer"]: row["reader"] for row in terminal["bindings"]},
        printers=await visit.services.api.printers.list() if visit.may(p.TERMINALS_WRITE) else [],
        policies=TERMINAL_POLICIES,
        commands=(await desk.commands(one))[:COMMANDS_SHOWN] if sees_log else [],
        outages=(await desk.outages(one))[:HISTORY_SHOWN],
        history=await told(visit, await visit.services.audit.of(one, limit=HISTORY_SHOWN), with_subject=False)
        if visit.may(p.AUDIT_READ)
        else [],
    )


_ONE = "/console/terminals/{id}"
PAGES = (
    Page("GET", "/console/terminals", listing, p.TERMINALS_READ),
    Page("GET", "/console/terminals/new", new_page, p.TERMINALS_WRITE),
    Page("POST", "/console/terminals/new", add, p.TERMINALS_WRITE, asks_again=True),
    Page("GET", _ONE, show, p.TERMINALS_READ),
    Page("POST", f"{_ONE}/change", change, p.TERMINALS_WRITE),
    Page("POST", f"{_ONE}/code", new_code, p.TERMINALS_WRITE, asks_again=True),
    Page("POST", f"{_ONE}/revoke", revoke, p.TERMINALS_WRITE, asks_again=True),
    Page("POST", f"{_ONE}/ask", ask, p.TERMINALS_OPERATE),
)
