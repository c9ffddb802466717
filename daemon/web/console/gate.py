"""The one place where the console decides who may do what: every page is a row with its permission.

Before a page's own code runs, the gate has looked at the session, the form's origin and token, the permission, and for
dangerous changes at when the password was last given. What is not a row does not exist; a row names what it needs, so
there is no page anybody could open by forgetting a check.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from daemon.auth import permissions
from daemon.auth.console_sessions import is_own_token
from daemon.auth.identity import SignInFailed, SignInPaused
from daemon.kernel.errors import NotFound, Refusal, Unavailable
from daemon.web.api.errors import status_of
from daemon.web.console.forms import CSRF_FIELD, FormTooLarge, is_own_page, read_form
from daemon.web.console.speech import Speech, language_of
from daemon.web.console.visit import LANGUAGE_COOKIE, SESSION_COOKIE, NavItem, Notes, Visit

if TYPE_CHECKING:
    from starlette.requests import Request

    from daemon.web.console.desk import DeskServices

log = structlog.get_logger(__name__)

ANYBODY = "anybody"
SIGNED_IN = "signed-in"
PROOF_FIELD = "proof_password"
SIGN_IN = "/console/sign-in"
_OUR_PATH = re.compile(r"/console(/(?!\.{1,2}(/|\?|$))[A-Za-z0-9_.~%-]+)*(\?[A-Za-z0-9_.~%&=+-]*)?")
BAD_REQUEST, TOO_MANY = 400, 429
TOLD_BY_STATUS = frozenset({403, 404, 413})
"""Refusals that are told in the status's own words, whatever their reason: who may not see it learns nothing."""

Handler = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """One route. `permission` is one of `auth.permissions`, SIGNED_IN, or ANYBODY (the reviewed few).

    `asks_again`: a dangerous change, which wants the password when it was not given lately.
    """

    method: str
    path: str
    handler: Handler
    permission: str
    asks_again: bool = False

    def __post_init__(self) -> None:
        if self.permission not in permissions.PERMISSIONS | {ANYBODY, SIGNED_IN}:
            raise ValueError(f"no such permission: {self.permission}")


class Gate:
    """Turns pages into routes that nobody passes unchecked."""

    def __init__(self, services: DeskServices, pages: Sequence[Page], nav: Sequence[NavItem]) -> None:
        self.pages = tuple(pages)
        self._services = services
        self._nav = nav
        self._notes = Notes()

    def routes(self) -> list[Route]:
        """Every page as a route."""
        return [Route(one.path, self._endpoint(one), methods=[one.method]) for one in self.pages]

    async def visit(self, request: Request) -> Visit:
        """Who comes here, without asking for anything."""
        services = self._services
        session = await services.sessions.check(request.cookies.get(SESSION_COOKIE, ""))
        speech = Speech(
            language_of(
                chosen=request.cookies.get(LANGUAGE_COOKIE, ""),
                own=session.language if session is not None else "",
                accept=request.headers.get("accept-language", ""),
            ),
            services.timezone,
            services.api.clock.now_us(),
        )
        actor = await services.sessions.actor(session) if session is not None else None
        return Visit(request, services, speech, self._notes, session, actor, nav=self._nav)

    async def missing(self, request: Request) -> Response:
        """404 for an address that is no page."""
        visit = await self.visit(request)
        return _finished(await self.problem(visit, NotFound()), visit)

    async def problem(self, visit: Visit, problem: Refusal | Unavailable) -> Response:
        """Why not, as a page in plain words."""
        status, retry = _status(problem)
        say = visit.speech
        title = say(f"problem.{status}.title")
        text = say(f"problem.{status}.text") if status in TOLD_BY_STATUS else say.refusal(problem)
        response = visit.page("problem", title, status=status, text=text)
        if retry:
            response.headers["retry-after"] = str(retry)
        return response

    def _endpoint(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            visit = await self.visit(request)
            try:
                response = await self._pass(visit, page)
            except (Refusal, Unavailable) as problem:
                response = await self.problem(visit, problem)
            except Exception:
                log.exception("console.failed", page=page.path)
                response = visit.page(
                    "problem", visit.speech("problem.500.title"), status=500, text=visit.speech("problem.500.text")
                )
            return _finished(response, visit)

        return answer

    async def _pass(self, visit: Visit, page: Page) -> Response:
        is_change = page.method == "POST"
        if is_change and not is_own_page(visit.request):
            return _foreign(visit)
        if is_change:
            visit.form = await read_form(visit.request)
        if page.permission == ANYBODY:
            return await page.handler(visit)
        if visit.session is None:
            return _to_sign_in(visit, is_change=is_change)
        if is_change and not is_own_token(visit.session, visit.form[CSRF_FIELD]):
            return _foreign(visit)
        if page.permission != SIGNED_IN:
            visit.who.require(page.permission)
        if page.asks_again and not self._services.sessions.is_proven(visit.session):
            refused = await self._prove(visit)
            if refused is not None:
                return refused
        return await page.handler(visit)

    async def _prove(self, visit: Visit) -> Response | None:
        """Ask for the password, with everything the form held beside it; None when it was right."""
        problem = ""
        if PROOF_FIELD in visit.form:
            try:
                opened = await self._services.sessions.prove(visit.signed_in, visit.form[PROOF_FIELD], peer=visit.peer)
            except (SignInFailed, SignInPaused) as refused:
                problem = visit.speech(f"prove.{refused.code}")
            else:
                visit.session, visit.fresh_token = opened.session, opened.token
                return None
        kept = [(name, value) for name, value in visit.form.pairs() if name not in (PROOF_FIELD, CSRF_FIELD)]
        return visit.page(
            "prove", visit.speech("prove.title"), status=403, kept=kept, problem=problem, field=PROOF_FIELD
        )


def _to_sign_in(visit: Visit, *, is_change: bool) -> Response:
    if is_change:
        return RedirectResponse(SIGN_IN, status_code=303)
    query = visit.request.url.query
    wanted = our_path(visit.request.url.path + (f"?{query}" if query else ""))
    if wanted in ("", "/console"):
        return RedirectResponse(SIGN_IN, status_code=303)
    return RedirectResponse(f"{SIGN_IN}?next={quote(wanted, safe='')}", status_code=303)


def _foreign(visit: Visit) -> Response:
    say = visit.speech
    return visit.page("problem", say("problem.foreign.title"), status=403, text=say("problem.foreign.text"))


def our_path(text: str) -> str:
    """An address of the console to go on to, or empty: never another place's."""
    return text if _OUR_PATH.fullmatch(text) and len(text) <= 500 else ""


def _status(problem: Refusal | Unavailable) -> tuple[int, int]:
    """HTTP status, by the API's own table, and seconds to wait."""
    if isinstance(problem, Unavailable):
        return 503, int(problem.data.get("retry_after_s", 5))
    if isinstance(problem, FormTooLarge):
        return 413, 0
    status = status_of(problem)
    if status == BAD_REQUEST:
        return 422, 0
    return status, int(problem.data.get("retry_after_s", 60)) if status == TOO_MANY else 0


def _finished(response: Response, visit: Visit) -> Response:
    """Nothing is kept by caches; a new cookie value goes out with the answer."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Cookie, Accept-Language"
    # Under no-referrer browsers send `Origin: null` with our own forms, and older ones say nothing else of where from.
    response.headers["Referrer-Policy"] = "same-origin"
    if visit.fresh_token:
        set_session(response, visit.fresh_token)
    return response


def set_session(response: Response, token: str) -> None:
    """The cookie: for this host alone, over TLS alone, out of reach of scripts.

    SameSite is Lax, not Strict: a link in a mail leads somebody who is signed in straight to the page. No GET changes
    anything, and forms are held by Origin, Sec-Fetch-Site and their own token.
    """
    response.set_cookie(SESSION_COOKIE, token, path="/", secure=True, httponly=True, samesite="lax")


def drop_session(response: Response) -> None:
    """The cookie, away; and whatever the browser kept of our pages."""
    response.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
