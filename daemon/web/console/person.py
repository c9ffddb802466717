"""One person: how they stand, why they cannot sign in, what they have and were charged; and what may be changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from starlette.responses import Response

from daemon.auth import permissions as p
from daemon.auth.credentials import NoMailAddress
from daemon.db.unit import UnitRefused
from daemon.kernel.errors import BadInput, NotFound
from daemon.people.names import BadName
from daemon.people.person import Person
from daemon.web.console.audit import told
from daemon.web.console.gate import Page, our_path
from daemon.web.console.visit import Visit, path

STATEMENT_LINES = 20
STATEMENT_LINES_ALL = 500
JOBS_SHOWN = 10
HISTORY_SHOWN = 10


async def show(visit: Visit) -> Response:
    """GET /console/people/{id}."""
    return await person_page(visit, await find_person(visit))


async def change(visit: Visit) -> Response:
    """POST .../change: full name and mail address, unless somebody else changed them since the form was opened."""
    person, form = await find_person(visit), visit.form
    seen = replace(person, display_name=form["was_display_name"], email=form["was_email"])
    try:
        await visit.services.api.people.change(
            seen, display_name=form.line("display_name"), email=form.line("email"), actor=visit.who.name
        )
    except BadName as refusal:
        field = "email" if "mail address" in refusal.message else "display_name"
        return await person_page(visit, person, problems={field: visit.speech.refusal(refusal)})
    return visit.go(page_of(person), "note.changed")


async def unlock(visit: Visit) -> Response:
    """POST .../unlock: forget the wrong tries."""
    person = await find_person(visit)
    await visit.services.api.people.unlock(person, actor=visit.who.name)
    return visit.go(our_path(visit.form["next"]) or page_of(person), "note.unlocked", name=_called(person))


async def disable(visit: Visit) -> Response:
    """POST .../disable."""
    person = await find_person(visit)
    await visit.services.api.people.disable(person, actor=visit.who.name)
    return visit.go(page_of(person), "note.disabled", name=_called(person))


async def enable(visit: Visit) -> Response:
    """POST .../enable."""
    person = await find_person(visit)
    await visit.services.api.people.enable(person, actor=visit.who.name)
    return visit.go(page_of(person), "note.enabled", name=_called(person))


async def new_pin(visit: Visit) -> Response:
    """POST .../pin: another PIN, shown."""
    person = await find_person(visit)
    pin = await visit.services.care.new_pin(person, actor=visit.who.name)
    return visit.go(page_of(person), "note.pin", secret=pin, name=_called(person))


async def send_link(visit: Visit) -> Response:
    """POST .../link: a mail with a link to choose a password; nobody here ever sees or chooses it."""
    person = await find_person(visit)
    try:
        mailed_to = await visit.services.api.people.send_link(person, actor=visit.who.name)
    except NoMailAddress:
        return visit.go(page_of(person), "note.no-mail", tone="bad", name=_called(person))
    return visit.go(page_of(person), "note.mailed", email=mailed_to)


async def set_roles(visit: Visit) -> Response:
    """POST .../roles."""
    person = await find_person(visit)
    await visit.services.care.set_roles(person, visit.form.all("role"), actor=visit.who)
    return visit.go(page_of(person), "note.roles", name=_called(person))


async def adjust(visit: Visit) -> Response:
    """POST .../adjust: add to a pot, take from it, or set what is available; a form sent twice changes once."""
    person, form = await find_person(visit), visit.form
    unit, _, pot = form["pot"].partition("/")
    accounts, key = visit.services.api.accounts, f"{visit.who.name}:{form['key'][:100]}"
    amount, reason = form.line("amount", 40).replace(",", "."), form.line("reason", 500)
    try:
        if form["how"] == "set":
            await accounts.override(
                person, unit_code=unit, to=amount, pot=pot, reason=reason, key=key, actor=visit.who.name
            )
        else:
            signed = f"-{amount.lstrip('+-')}" if form["how"] == "take" else amount
            await accounts.adjust(
                person, unit_code=unit, amount=signed, pot=pot, reason=reason, key=key, actor=visit.who.name
            )
    except (BadInput, NotFound, UnitRefused) as refusal:
        field = "reason" if refusal.code == "reason-needed" else "amount"
        return await person_page(visit, person, problems={field: visit.speech.refusal(refusal)})
    return visit.go(f"{page_of(person)}#money", "note.adjusted", name=_called(person))


async def find_person(visit: Visit) -> Person:
    """The person the address names.

    Raises:
        NotFound: nobody.
    """
    person = await visit.services.api.people.store.by_public(visit.part("id"))
    if person is None:
        raise NotFound
    return person


def page_of(person: Person) -> str:
    """The address of a person's page."""
    return path("people", person.public_id)


def _called(person: Person) -> str:
    return person.display_name or person.name


async def person_page(visit: Visit, person: Person, *, problems: Mapping[str, str] | None = None) -> Response:
    """The whole page; `problems` are told at their fields."""
    services, api = visit.services, visit.services.api
    store = api.people.store
    lines = STATEMENT_LINES_ALL if visit.asked("statement") == "all" else STATEMENT_LINES
    sees_money = visit.may(p.ACCOUNTS_READ)
    return visit.page(
        "person",
        _called(person),
        status=422 if problems else 200,
        person=person,
        problems=problems or {},
        roles=await store.roles(person.id),
        every_role=sorted(p.ROLES),
        aliases=await store.aliases(person.id),
        has_password=await store.has_password(person.id),
        locks=await services.locks.of_person(person.id),
        accounts=(await api.accounts.show(person))["accounts"] if sees_money else [],
        lines=await api.accounts.latest(person, limit=lines) if sees_money else [],
        are_more=lines == STATEMENT_LINES,
        cards=[api.cards.desk.shape(one) for one in await api.cards.desk.page(user=person.public_id)]
        if visit.may(p.CARDS_READ)
        else [],
        strangers=api.cards.enrolment.strangers() if visit.may(p.CARDS_WRITE) else [],
        jobs=await api.jobs.list(which="all", person_id=person.id, limit=JOBS_SHOWN, newest_first=True)
        if visit.may(p.JOBS_READ)
        else [],
        history=await told(visit, await services.audit.of(person.public_id, limit=HISTORY_SHOWN), with_subject=False)
        if visit.may(p.AUDIT_READ)
        else [],
        key=services.new_key(),
    )


_ONE = "/console/people/{id}"
PAGES = (
    Page("GET", _ONE, show, p.USERS_READ),
    Page("POST", f"{_ONE}/change", change, p.USERS_WRITE, asks_again=True),
    Page("POST", f"{_ONE}/unlock", unlock, p.USERS_UNLOCK),
    Page("POST", f"{_ONE}/disable", disable, p.USERS_WRITE, asks_again=True),
    Page("POST", f"{_ONE}/enable", enable, p.USERS_WRITE, asks_again=True),
    Page("POST", f"{_ONE}/pin", new_pin, p.USERS_WRITE),
    Page("POST", f"{_ONE}/link", send_link, p.USERS_PASSWORD),
    Page("POST", f"{_ONE}/roles", set_roles, p.ROLES_WRITE, asks_again=True),
    Page("POST", f"{_ONE}/adjust", adjust, p.ACCOUNTS_ADJUST, asks_again=True),
)
