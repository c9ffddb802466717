"""In and out: signing in, signing out here and everywhere, the first administrator, the language."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from daemon.auth import pins
from daemon.auth.identity import SignInFailed, SignInPaused
from daemon.auth.secret_rules import PasswordRefused
from daemon.auth.tokens import NotSignedIn
from daemon.kernel.errors import NotFound, Refusal
from daemon.people.names import BadName
from daemon.web.console.gate import ANYBODY, SIGN_IN, SIGNED_IN, Page, drop_session, our_path
from daemon.web.console.speech import LANGUAGES
from daemon.web.console.visit import LANGUAGE_AGE_S, LANGUAGE_COOKIE, SESSION_COOKIE, Visit
from daemon.workflows.first_admin import SetupDone
from daemon.workflows.people import NameTaken, PersonDraft

HOME = "/console"
PASSWORD_CHARS_MAX = 1024


async def sign_in_page(visit: Visit) -> Response:
    """GET: the form; who is signed in goes on."""
    if visit.session is not None:
        return RedirectResponse(our_path(visit.asked("next", 500)) or HOME, status_code=303)
    return await _form(visit, login="", wanted=our_path(visit.asked("next", 500)))


async def sign_in(visit: Visit) -> Response:
    """POST: one answer for every failure. The session is new, whatever cookie came along."""
    login, wanted = visit.form.line("login"), our_path(visit.form["next"])
    before = visit.request.cookies.get(SESSION_COOKIE, "")
    try:
        opened = await visit.services.sessions.sign_in(
            login, visit.form["password"], peer=visit.peer, before=before[:PASSWORD_CHARS_MAX]
        )
    except (SignInFailed, SignInPaused) as refused:
        is_paused = isinstance(refused, SignInPaused)
        problem = visit.speech(f"sign-in.{refused.code}")
        response = await _form(visit, login=login, wanted=wanted, problem=problem, status=429 if is_paused else 401)
        if is_paused:
            response.headers["Retry-After"] = str(refused.data.get("retry_after_s", 60))
        return response
    visit.session, visit.fresh_token = opened.session, opened.token
    return RedirectResponse(wanted or HOME, status_code=303)


async def _form(visit: Visit, *, login: str, wanted: str, problem: str = "", status: int = 200) -> Response:
    return visit.page(
        "sign_in",
        visit.speech("sign-in.title"),
        status=status,
        login=login,
        wanted=wanted,
        problem=problem,
        can_set_up=await visit.services.first_admin.is_open(),
    )


async def sign_out(visit: Visit) -> Response:
    """POST: this browser."""
    await visit.services.sessions.end(visit.signed_in)
    return _gone()


async def sign_out_everywhere(visit: Visit) -> Response:
    """POST: every browser and terminal of this person."""
    await visit.services.sessions.end_everywhere(visit.signed_in)
    return _gone()


def _gone() -> Response:
    response = RedirectResponse(SIGN_IN, status_code=303)
    drop_session(response)
    return response


async def set_up_page(visit: Visit) -> Response:
    """GET: the first administrator's form, until there is one."""
    if not await visit.services.first_admin.is_open():
        raise NotFound
    return _set_up_form(visit, PersonDraft(""), token="", problems={})


async def set_up(visit: Visit) -> Response:
    """POST: make the first administrator and sign them in."""
    form = visit.form
    draft = PersonDraft(
        name=form.line("name"),
        display_name=form.line("display_name"),
        email=form.line("email"),
        password=form["password"],
        language=visit.speech.language,
        roles=("admin",),
    )
    field, problem = "", None
    try:
        await visit.services.first_admin.make(form["token"], draft)
    except SetupDone:
        raise
    except NotSignedIn as refusal:
        field, problem = "token", Refusal(code="token-unknown", **refusal.data)
    except PasswordRefused as refusal:
        field, problem = "password", refusal
    except (BadName, NameTaken, pins.PinTaken) as refusal:
        field, problem = ("email" if "mail address" in refusal.message else "name"), refusal
    if problem is not None:
        return _set_up_form(visit, draft, token=form["token"], problems={field: visit.speech.refusal(problem)})
    opened = await visit.services.sessions.sign_in(draft.name, draft.password, peer=visit.peer)
    visit.session, visit.fresh_token = opened.session, opened.token
    return visit.go(HOME, "note.set-up", name=draft.name)


def _set_up_form(visit: Visit, draft: PersonDraft, *, token: str, problems: dict[str, str]) -> Response:
    return visit.page(
        "set_up",
        visit.speech("set-up.title"),
        status=422 if problems else 200,
        draft=draft,
        token=token,
        problems=problems,
    )


async def choose_language(visit: Visit) -> Response:
    """POST: the language of this browser, before and after signing in."""
    response = RedirectResponse(our_path(visit.form["next"]) or HOME, status_code=303)
    if visit.form["language"] in LANGUAGES:
        response.set_cookie(
            LANGUAGE_COOKIE,
            visit.form["language"],
            max_age=LANGUAGE_AGE_S,
            path="/",
            secure=True,
            httponly=True,
            samesite="lax",
        )
    return response


PAGES = (
    Page("GET", SIGN_IN, sign_in_page, ANYBODY),
    Page("POST", SIGN_IN, sign_in, ANYBODY),
    Page("GET", "/console/set-up", set_up_page, ANYBODY),
    Page("POST", "/console/set-up", set_up, ANYBODY),
    Page("POST", "/console/language", choose_language, ANYBODY),
    Page("POST", "/console/sign-out", sign_out, SIGNED_IN),
    Page("POST", "/console/sign-out-everywhere", sign_out_everywhere, SIGNED_IN),
)
