"""People: found as one types, and added."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from daemon.auth import permissions as p
from daemon.auth import pins
from daemon.kernel.errors import Refusal
from daemon.people.names import BadName
from daemon.web.console.gate import Page
from daemon.web.console.visit import Visit, path
from daemon.workflows.people import AUTO, NameTaken, PersonDraft

PAGE_PEOPLE = 50
STATES = ("active", "disabled", "locked")


async def listing(visit: Visit) -> Response:
    """GET /console/people: `q` looks in names, addresses and PINs, `state` filters; the address holds all of it."""
    text, state = visit.asked("q", 128), visit.asked("state")
    state = state if state in STATES else ""
    store = visit.services.api.people.store
    found = await store.search(text, state=state, after=visit.asked("after", 128), limit=PAGE_PEOPLE + 1)
    shown = found[:PAGE_PEOPLE]
    return visit.page(
        "people",
        visit.speech("people.title"),
        found=shown,
        text=text,
        state=state,
        states=STATES,
        following=shown[-1].name if len(found) > PAGE_PEOPLE else "",
        is_first=not visit.asked("after"),
    )


async def new_page(visit: Visit) -> Response:
    """GET /console/people/new."""
    return _form(visit, PersonDraft(""), problems={})


async def add(visit: Visit) -> Response:
    """POST /console/people/new: add somebody, and mail them a link to choose a password where that is asked for."""
    form, people = visit.form, visit.services.api.people
    draft = PersonDraft(
        name=form.line("name"),
        display_name=form.line("display_name"),
        email=form.line("email"),
        pin=form.line("pin", 16) or AUTO,
        profile=form.line("profile", 64),
        language=form.line("language", 16),
    )
    try:
        person = await people.add(draft, actor=visit.who.name)
    except (BadName, NameTaken, pins.PinTaken, pins.PinRefused) as refusal:
        return _form(visit, draft, problems={_field_of(refusal): visit.speech.refusal(refusal)})
    where = path("people", person.public_id)
    if "link" in form and person.email and visit.may(p.USERS_PASSWORD):
        await people.send_link(person, actor=visit.who.name)
        return visit.go(where, "note.added-mailed", name=person.name, email=person.email)
    return visit.go(where, "note.added", name=person.name)


def _field_of(refusal: Refusal) -> str:
    """At which field a refusal is told."""
    if refusal.code.startswith("pin"):
        return "pin"
    return "email" if "mail address" in refusal.message else "name"


def _form(visit: Visit, draft: PersonDraft, *, problems: dict[str, str]) -> Response:
    return visit.page(
        "person_new",
        visit.speech("people.new"),
        status=422 if problems else 200,
        draft=draft,
        problems=problems,
        profiles=visit.services.api.people.profiles,
    )


async def by_name(visit: Visit) -> Response:
    """GET /console/people/by-name/{name}: to the page of whoever has this name."""
    person = await visit.services.api.people.find(visit.part("name"))
    return RedirectResponse(path("people", person.public_id), status_code=303)


PAGES = (
    Page("GET", "/console/people", listing, p.USERS_READ),
    Page("GET", "/console/people/new", new_page, p.USERS_WRITE),
    Page("POST", "/console/people/new", add, p.USERS_WRITE),
    Page("GET", "/console/people/by-name/{name}", by_name, p.USERS_READ),
)
