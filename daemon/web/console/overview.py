"""The first page: what needs me, the worst first; then how much is going on."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from daemon.auth import permissions as p
from daemon.web.console.gate import SIGNED_IN, Page
from daemon.web.console.speech import Speech
from daemon.web.console.visit import Visit, path
from daemon.workflows.attention import Need

LINKED = {
    "people": p.USERS_READ,
    "jobs": p.JOBS_READ,
    "printers": p.PRINTERS_READ,
    "terminals": p.TERMINALS_READ,
    "tokens": p.TOKENS_WRITE,
    "audit": p.AUDIT_READ,
}
"""Nouns that have pages to look at, and what it takes to see them."""


async def home(visit: Visit) -> Response:
    """GET /console: who looks after the house sees what needs them, everybody else their own page."""
    if not visit.may(p.STATUS_READ):
        return RedirectResponse(path("me"), status_code=303)
    services = visit.services
    needs = await services.attention.needs(visit.who)
    status = await services.api.status() if services.api.status is not None else {}
    return visit.page(
        "overview",
        visit.speech("overview.title"),
        needs=needs,
        facts_of=lambda need: _facts(visit.speech, need),
        linked={noun for noun, permission in LINKED.items() if visit.may(permission)},
        jobs=status.get("jobs", {}),
        people=await services.api.people.store.count(),
        can_unlock=visit.may(p.USERS_UNLOCK),
    )


def _facts(say: Speech, need: Need) -> dict[str, object]:
    """What a need's texts may name, as the visitor's language writes it."""
    facts: dict[str, object] = dict(need.facts) | {"subject": need.subject}
    if "credential" in facts:
        facts["credential"] = say(f"credential.{facts['credential']}")
    if "code" in facts:
        facts["code"] = say.some(f"reader-code.{facts['code']}", str(facts["code"]))
    if "reasons" in facts:
        facts["reasons"] = ", ".join(need.facts["reasons"]) or say("none")
    if "decide_at_us" in facts:
        facts["decide_at"] = say.moment(need.facts["decide_at_us"])
    if "until_us" in facts:
        facts["until"] = say.ago(need.facts["until_us"])
    return facts


PAGES = (Page("GET", "/console", home, SIGNED_IN),)
