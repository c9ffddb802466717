"""Everybody's own page: what they have, what waits for them, what was charged; and leaving."""

from __future__ import annotations

from starlette.responses import Response

from daemon.kernel.errors import NotFound
from daemon.web.console.gate import SIGNED_IN, Page
from daemon.web.console.visit import Visit

STATEMENT_LINES = 20


async def me(visit: Visit) -> Response:
    """GET /console/me."""
    api, session = visit.services.api, visit.signed_in
    person = await api.people.by_id(session.person_id)
    if person is None:
        raise NotFound
    account = await api.accounts.show(person)
    return visit.page(
        "me",
        person.display_name or person.name,
        person=person,
        accounts=account["accounts"],
        jobs=await api.jobs.waiting(person.id),
        lines=await api.accounts.latest(person, limit=STATEMENT_LINES),
        cards=[api.cards.desk.shape(one) for one in await api.cards.desk.page(user=person.public_id)],
        browsers=await visit.services.sessions.count_open(session),
    )


PAGES = (Page("GET", "/console/me", me, SIGNED_IN),)
