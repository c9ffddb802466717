"""Printers: how they stand, added and asked at once, removed while nothing is on its way."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from daemon.auth import permissions as p
from daemon.kernel.errors import Conflict, NotFound, Refusal, Unavailable
from daemon.web.console.audit import told
from daemon.web.console.gate import Page
from daemon.web.console.visit import Visit, path
from daemon.workflows.printer_desk import PrinterBusy, PrinterDraft

HISTORY_SHOWN = 10
JOBS_SHOWN = 10


async def listing(visit: Visit) -> Response:
    """GET /console/printers."""
    return visit.page("printers", visit.speech("printers.title"), printers=await visit.services.api.printers.list())


async def new_page(visit: Visit) -> Response:
    """GET /console/printers/new."""
    return _form(visit, PrinterDraft("", ""), problems={})


async def add(visit: Visit) -> Response:
    """POST /console/printers/new: it is asked for its state, and added also when it does not answer."""
    form = visit.form
    draft = PrinterDraft(
        name=form.line("name", 128),
        uri=form.line("uri", 1024),
        tls=form.line("tls", 128) or "verify",
        tariff=form.line("tariff", 64),
        location=form.line("location", 128),
        snmp=form.line("snmp", 256),
    )
    try:
        made = await visit.services.api.printers.add(draft, actor=visit.who.name)
    except Unavailable as problem:
        return _form(visit, draft, problems={"uri": visit.speech.refusal(problem)})
    except Refusal as refusal:
        return _form(visit, draft, problems={_field_of(refusal): visit.speech.refusal(refusal)})
    return visit.go(path("printers", made["printer_id"]), "note.printer-added", name=made["name"])


async def show(visit: Visit) -> Response:
    """GET /console/printers/{id}."""
    services = visit.services
    printer = await services.api.printers.find(visit.part("id"))
    if printer.public_id != visit.part("id"):
        raise NotFound
    shape = await services.api.printers.show(printer.public_id)
    return visit.page(
        "printer",
        printer.name,
        printer=shape,
        abilities=printer.capabilities,
        paper=", ".join(visit.speech.media(one) for one in printer.capabilities.media_ready),
        history=await told(visit, await services.audit.of(printer.public_id, limit=HISTORY_SHOWN), with_subject=False)
        if visit.may(p.AUDIT_READ)
        else [],
    )


async def remove(visit: Visit) -> Response:
    """POST .../remove: its past stays in the books."""
    printer = await visit.services.api.printers.find(visit.part("id"))
    try:
        await visit.services.api.printers.remove(printer.public_id, actor=visit.who.name)
    except PrinterBusy:
        return visit.go(path("printers", printer.public_id), "note.printer-busy", tone="bad", name=printer.name)
    return visit.go("/console/printers", "note.printer-removed", name=printer.name)


def _field_of(refusal: Refusal) -> str:
    """At which field a refusal is told."""
    if isinstance(refusal, Conflict) or "name" in refusal.message:
        return "name"
    for field in ("tls", "tariff", "snmp", "location"):
        if field in refusal.code or field in refusal.message.lower():
            return field
    return "snmp" if "HOST" in refusal.message else "uri"


def _form(visit: Visit, draft: PrinterDraft, *, problems: Mapping[str, str]) -> Response:
    return visit.page(
        "printer_new",
        visit.speech("printers.new"),
        status=422 if problems else 200,
        draft=draft,
        problems=problems,
        tariffs=visit.services.api.printers.tariffs,
    )


_ONE = "/console/printers/{id}"
PAGES = (
    Page("GET", "/console/printers", listing, p.PRINTERS_READ),
    Page("GET", "/console/printers/new", new_page, p.PRINTERS_WRITE),
    Page("POST", "/console/printers/new", add, p.PRINTERS_WRITE),
    Page("GET", _ONE, show, p.PRINTERS_READ),
    Page("POST", f"{_ONE}/remove", remove, p.PRINTERS_WRITE, asks_again=True),
)
