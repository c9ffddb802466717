"""The house itself: the settings in force with where each was set, and the tokens that open the API."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from starlette.responses import Response

from daemon.auth import permissions as p
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import Refusal
from daemon.web.console.gate import Page
from daemon.web.console.visit import Visit

DAY_US = 86_400 * US_PER_S
DAYS_MAX = 3650
DAYS_USUAL = "365"


async def settings(visit: Visit) -> Response:
    """GET /console/settings: read only; they are changed in the file, which one can review and keep."""
    rows = [(key, _shown(value), origin) for key, value, origin in await visit.services.settings()]
    parts = {name: list(found) for name, found in groupby(rows, key=lambda row: row[0].partition(".")[0])}
    return visit.page("settings", visit.speech("settings.title"), parts=parts)


def _shown(value: object) -> str:
    """A value as the file has it, without the quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(_shown(one) for one in value) if isinstance(value, list) else str(value)


async def tokens(visit: Visit) -> Response:
    """GET /console/tokens: what opens the API; never a value."""
    return await _tokens(visit)


async def add_token(visit: Visit) -> Response:
    """POST /console/tokens: make one; its value is shown once."""
    form, api = visit.form, visit.services.api
    name, role, days = form.line("name", 64), form["role"], form.line("days", 5)
    if not (days.isascii() and days.isdigit() and 0 < int(days) <= DAYS_MAX):
        return await _tokens(visit, problems={"days": visit.speech("tokens.bad-days", most=DAYS_MAX)})
    expires = api.clock.now_us() + int(days) * DAY_US
    try:
        made = await api.tokens.create(name, role=role, actor=visit.who.name, expires_at_us=expires)
    except Refusal as refusal:
        return await _tokens(visit, problems={"name": visit.speech.refusal(refusal)})
    return visit.go("/console/tokens", "note.token", secret=made.token, name=name)


async def revoke_token(visit: Visit) -> Response:
    """POST /console/tokens/revoke: at once."""
    name = visit.form["name"]
    await visit.services.api.tokens.revoke(name, actor=visit.who.name)
    return visit.go("/console/tokens", "note.token-revoked", name=name)


async def _tokens(visit: Visit, *, problems: Mapping[str, str] | None = None) -> Response:
    sent = visit.form if problems else None
    return visit.page(
        "tokens",
        visit.speech("tokens.title"),
        status=422 if problems else 200,
        found=await visit.services.api.tokens.list(),
        roles=sorted(p.ROLES),
        problems=problems or {},
        name=sent.line("name", 64) if sent is not None else "",
        role=sent["role"] if sent is not None else "read-only",
        days=sent.line("days", 5) if sent is not None else DAYS_USUAL,
        now=visit.speech.now_us,
    )


PAGES = (
    Page("GET", "/console/settings", settings, p.SETTINGS_READ),
    Page("GET", "/console/tokens", tokens, p.TOKENS_WRITE),
    Page("POST", "/console/tokens", add_token, p.TOKENS_WRITE, asks_again=True),
    Page("POST", "/console/tokens/revoke", revoke_token, p.TOKENS_WRITE, asks_again=True),
)
