"""A person's cards: given by a tap or typed, described, blocked when lost, removed. Numbers never come back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.responses import Response

from daemon.auth import permissions as p
from daemon.auth.card_rules import CardLimitReached, CardLinkExpired, CardTaken
from daemon.auth.card_store import Card
from daemon.auth.cards import CardUnreadable
from daemon.auth.permissions import Actor
from daemon.kernel.errors import BadInput, NotFound
from daemon.people.names import BadName
from daemon.web.console.gate import SIGNED_IN, Page
from daemon.web.console.person import find_person, page_of, person_page
from daemon.web.console.visit import Visit, path
from daemon.workflows.card_enrolment import CardDraft

RAW_CHARS_MAX = 4096


async def add(visit: Visit) -> Response:
    """POST /console/people/{id}/cards: the card tapped last at a terminal, or a number as a reader gives it."""
    person, form, enrolment = await find_person(visit), visit.form, visit.services.api.cards.enrolment
    label, tapped_at, raw = form.line("label", 256), form["tapped_at"][:64], form["raw"].strip()[:RAW_CHARS_MAX]
    field = "expires"
    try:
        expires = enrolment.expiry(form.line("expires", 64))
        field = "raw" if raw else "tapped_at"
        if raw:
            draft = CardDraft(raw, form.line("format", 64), label, expires)
            linked = await enrolment.add(person.public_id, draft, actor=visit.who)
        elif tapped_at:
            linked = await enrolment.give_stranger(
                person.public_id, tapped_at, label=label, expires_at_us=expires, actor=visit.who
            )
        else:
            raise BadInput(code="card-needed")
    except BadName as refusal:
        return await person_page(visit, person, problems={"label": visit.speech.refusal(refusal)})
    except (BadInput, NotFound, CardUnreadable, CardTaken, CardLimitReached, CardLinkExpired) as refusal:
        return await person_page(visit, person, problems={field: visit.speech.refusal(refusal)})
    note = "note.card-added" if linked.is_new else "note.card-known"
    return visit.go(f"{page_of(person)}#cards", note, n=linked.cards, most=linked.cards_max)


async def describe(visit: Visit) -> Response:
    """POST .../cards/{card}/describe: what it is called and when it ends."""
    card, form = await _card_of_person(visit), visit.form
    await visit.services.api.cards.desk.describe(
        card.public_id, label=form.line("label", 256), expires=form.line("expires", 64), actor=visit.who
    )
    return visit.go(_back(card), "note.changed")


def _doing(change: str) -> Callable[[Visit], Awaitable[Response]]:
    """POST .../cards/{card}/block, unblock or remove."""

    async def do(visit: Visit) -> Response:
        card = await _card_of_person(visit)
        desk = visit.services.api.cards.desk
        verbs = {"block": desk.block, "unblock": desk.unblock, "remove": desk.remove}
        await verbs[change](card.public_id, actor=visit.who)
        return visit.go(_back(card), f"note.card-{change}", label=card.label or visit.speech("cards.unnamed"))

    return do


async def block_own(visit: Visit) -> Response:
    """POST /console/me/cards/{card}/block: one's own card is lost; anybody may say so of theirs, at once."""
    session, desk = visit.signed_in, visit.services.api.cards.desk
    card = await desk.find(visit.part("card"))
    if card.person_id != session.person_id:
        raise NotFound
    actor = Actor(f"user:{session.person_id}", session.person_id)
    await desk.block(card.public_id, actor=actor)
    return visit.go(path("me"), "note.card-block", label=card.label or visit.speech("cards.unnamed"))


async def _card_of_person(visit: Visit) -> Card:
    card = await visit.services.api.cards.desk.find(visit.part("card"))
    if card.user_id != visit.part("id"):
        raise NotFound
    return card


def _back(card: Card) -> str:
    return f"{path('people', card.user_id)}#cards"


_ONE = "/console/people/{id}/cards"
PAGES = (
    Page("POST", _ONE, add, p.CARDS_WRITE),
    Page("POST", f"{_ONE}/{{card}}/describe", describe, p.CARDS_WRITE),
    Page("POST", f"{_ONE}/{{card}}/block", _doing("block"), p.CARDS_BLOCK),
    Page("POST", f"{_ONE}/{{card}}/unblock", _doing("unblock"), p.CARDS_WRITE),
    Page("POST", f"{_ONE}/{{card}}/remove", _doing("remove"), p.CARDS_WRITE),
    Page("POST", "/console/me/cards/{card}/block", block_own, SIGNED_IN),
)
