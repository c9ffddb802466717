"""What the person does on the screen, one function per action. Pure.

An action that makes no sense where the person is (a late tap after the screen changed) changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kiosk.moves import Step, ask_price, changes_of, is_ready, leave, ordered, printers_of, ready_ids, start_visit
from kiosk.state import (
    Act,
    Cancel,
    Claim,
    Delete,
    Effect,
    Extend,
    FetchJobs,
    Link,
    MailCode,
    Prefer,
    Release,
    Screen,
    SignIn,
    State,
    StepUp,
    Undo,
)
from kiosk.taps import link_card, stop_auto, to_jobs

if TYPE_CHECKING:
    from collections.abc import Callable

EXTEND_EVERY_S = 10.0
"""The daemon hears of a person's activity at most this often."""
TWO_SIDED = ("two-sided-long-edge", "two-sided-short-edge")


def act(state: State, event: Act, now_s: float) -> Step:
    """Do it, if it is possible now; any action is also a sign of life."""
    handler = _HANDLERS.get(event.do)
    if handler is None:
        return state, ()
    if event.do in _NEEDS_PERSON and (state.person is None or not state.is_linked):
        return state, ()
    if event.visit not in (-1, state.visit) and event.do not in _ANYBODYS:
        return state, ()
    state = replace(state, active_at_s=now_s)
    if state.auto is not None and state.auto.at_s and event.do not in _ANYBODYS:
        state = stop_auto(state)
    if state.screen is Screen.DONE:
        state = replace(state, done_at_s=now_s)
    state, effects = handler(state, event, now_s)
    if state.person is not None and now_s - state.extended_at_s >= EXTEND_EVERY_S and state.is_linked:
        state = replace(state, extended_at_s=now_s)
        if not effects:
            effects = (Extend(),)
    return state, effects


def _touch(state: State, _event: Act, _now_s: float) -> Step:
    return state, ()


def _start(state: State, _event: Act, now_s: float) -> Step:
    if state.screen is not Screen.IDLE or state.terminal.opens_at is not None:
        return state, ()
    return start_visit(state, Screen.SIGN_IN, now_s)


def _sign_in(state: State, event: Act, now_s: float) -> Step:
    if state.busy or not state.is_linked or state.person is not None:
        return state, ()
    if state.screen is Screen.IDLE:
        state, _ = start_visit(state, Screen.SIGN_IN, now_s)
    state = replace(state, busy="sign_in", notice=None)
    if state.screen is Screen.CARD_PASSWORD:
        return state, (SignIn(password=event.password, is_ticket=True),)
    return state, (SignIn(pin=event.pin, password=event.password, code=event.code),)


def _mail_code(state: State, event: Act, _now_s: float) -> Step:
    """A single-use code in place of the password, where the site mails them. Asked again, another one is mailed."""
    if state.busy or not state.is_linked or state.screen is not Screen.SIGN_IN or not state.terminal.mails_codes:
        return state, ()
    return replace(state, busy="code", notice=None), (MailCode(event.pin),)


def _step_up(state: State, event: Act, _now_s: float) -> Step:
    if not state.is_card_session or not event.password or state.busy in ("release", "step_up"):
        return state, ()
    return replace(state, busy="step_up", notice=None), (StepUp(event.password),)


def _link(state: State, event: Act, now_s: float) -> Step:
    return link_card(state, event.label, now_s)


def _prefer(state: State, event: Act, _now_s: float) -> Step:
    """Only somebody who gave the password may change what their card does."""
    if state.is_card_session:
        return state, ()
    return replace(state, release_on_tap=event.on, notice=None), (Prefer(event.on),)


def _back(state: State, _event: Act, now_s: float) -> Step:
    if state.person is None:
        return leave(state)
    if state.screen is Screen.LINK and state.link is not Link.ASKING:
        return to_jobs(state)
    if state.screen in (Screen.PROGRESS, Screen.DONE):
        jobs = replace(state, screen=Screen.JOBS, notice=None, busy="jobs", active_at_s=now_s)
        return jobs, (FetchJobs(state.printer_id),)
    return state, ()


def _logout(state: State, _event: Act, _now_s: float) -> Step:
    return leave(state)


def _language(state: State, event: Act, _now_s: float) -> Step:
    if event.language not in state.terminal.languages:
        return state, ()
    return replace(state, language=event.language), ()


def _display(state: State, event: Act, _now_s: float) -> Step:
    if event.option not in {"large_text", "high_contrast", "more_time", "hide_titles"}:
        return state, ()
    options: dict[str, Any] = {event.option: event.on}
    return replace(state, display=replace(state.display, **options)), ()


def _dismiss(state: State, _event: Act, _now_s: float) -> Step:
    return replace(state, notice=None), ()


def _refresh(state: State, _event: Act, _now_s: float) -> Step:
    return replace(state, busy=state.busy or "jobs"), (FetchJobs(state.printer_id),)


def _choose(state: State, event: Act, _now_s: float) -> Step:
    job = next((job for job in state.jobs if job["job_id"] == event.job_id), None)
    if job is None or state.busy == "release" or (event.on and not is_ready(state, job)):
        return state, ()
    chosen = state.chosen | {event.job_id} if event.on else state.chosen - {event.job_id}
    return ask_price(replace(state, chosen=chosen, notice=None, wish=None))


def _choose_all(state: State, event: Act, _now_s: float) -> Step:
    if state.busy == "release":
        return state, ()
    return ask_price(replace(state, chosen=ready_ids(state) if event.on else frozenset(), notice=None, wish=None))


def _printer(state: State, event: Act, _now_s: float) -> Step:
    """One of this terminal's printers, or one that a refusal has just offered."""
    offered = state.notice.data.get("alternatives") or () if state.notice is not None else ()
    borrowed = next((one for one in offered if one.get("printer_id") == event.printer_id), state.borrowed)
    state = replace(state, borrowed=borrowed)
    if event.printer_id not in {printer["printer_id"] for printer in printers_of(state)}:
        return state, ()
    auto = replace(state.auto, needs_printer=False) if state.auto is not None else None
    state = replace(state, printer_id=event.printer_id, notice=None, busy="jobs", wish=None, auto=auto)
    return state, (FetchJobs(state.printer_id),)


def _change(state: State, event: Act, _now_s: float) -> Step:
    """Only downward, and only what the daemon said is open for this job; a change back removes it."""
    job = next((job for job in state.jobs if job["job_id"] == event.job_id), None)
    if job is None or state.busy == "release":
        return state, ()
    may = job.get("may") or {}
    change: dict[str, object] = {}
    if may.get("monochrome") and event.change.get("print_color_mode") == "monochrome":
        change["print_color_mode"] = "monochrome"
    if may.get("two_sided") and event.change.get("sides") in TWO_SIDED:
        change["sides"] = event.change["sides"]
    copies = event.change.get("copies")
    if may.get("fewer_copies") and type(copies) is int and 1 <= copies < job["copies"]:
        change["copies"] = copies
    priced = {job_id: item for job_id, item in state.priced.items() if job_id != event.job_id}
    state = replace(state, changes={**state.changes, event.job_id: change}, priced=priced, notice=None, wish=None)
    return ask_price(state) if event.job_id in state.chosen else _choose_changed(state, event.job_id)


def _choose_changed(state: State, job_id: str) -> Step:
    """Changing a job means wanting it, where it can be printed."""
    job = next(job for job in state.jobs if job["job_id"] == job_id)
    if not is_ready(state, job):
        return state, ()
    return ask_price(replace(state, chosen=state.chosen | {job_id}))


def _code(state: State, event: Act, _now_s: float) -> Step:
    if not event.code or all(job["job_id"] != event.job_id for job in state.jobs):
        return state, ()
    state = replace(state, codes={**state.codes, event.job_id: event.code}, notice=None)
    return _choose_changed(state, event.job_id)


def _print(state: State, event: Act, _now_s: float) -> Step:
    """Print what is chosen; touched while list or price are on their way, it is done when they are there."""
    if state.busy == "release" or state.pending is not None or not event.key or state.screen is not Screen.JOBS:
        return state, ()
    if state.busy in ("jobs", "quote"):
        return replace(state, wish=state.wish or event, notice=None), ()
    ids = ready_ids(state) & (ready_ids(state) if event.on else state.chosen)
    if not ids:
        return state, ()
    codes = {job_id: code for job_id, code in state.codes.items() if job_id in ids}
    total = state.quote.get("total") if state.quote is not None and ids == state.chosen else None
    release = Release(event.key, ordered(state, ids), state.printer_id, changes_of(state, ids), codes, total)
    return replace(state, chosen=ids, busy="release", pending=release, notice=None), (release,)


def _delete(state: State, event: Act, _now_s: float) -> Step:
    if all(job["job_id"] != event.job_id for job in state.jobs) or state.busy == "release":
        return state, ()
    return replace(state, busy="delete", notice=None), (Delete((event.job_id,)),)


def _undo(state: State, _event: Act, _now_s: float) -> Step:
    if not state.deleted:
        return state, ()
    return replace(state, busy="jobs", deleted=()), (Undo(state.deleted),)


def _claim(state: State, event: Act, _now_s: float) -> Step:
    if not event.code.strip():
        return state, ()
    return replace(state, busy="jobs", notice=None), (Claim(event.code.strip()),)


def _cancel(state: State, event: Act, _now_s: float) -> Step:
    if event.job_id not in state.running:
        return state, ()
    effects: tuple[Effect, ...] = (Cancel(event.job_id),)
    return state, effects


_HANDLERS: dict[str, Callable[[State, Act, float], Step]] = {
    "touch": _touch,
    "extend": _touch,
    "start": _start,
    "sign_in": _sign_in,
    "mail_code": _mail_code,
    "step_up": _step_up,
    "link": _link,
    "prefer": _prefer,
    "stop": _touch,
    "back": _back,
    "logout": _logout,
    "language": _language,
    "display": _display,
    "dismiss": _dismiss,
    "refresh": _refresh,
    "choose": _choose,
    "choose_all": _choose_all,
    "printer": _printer,
    "change": _change,
    "code": _code,
    "print": _print,
    "delete": _delete,
    "undo": _undo,
    "claim": _claim,
    "cancel": _cancel,
}
ACTIONS = frozenset(_HANDLERS)
"""Every word `Act.do` may be."""
_NEEDS_PERSON = frozenset(
    {"refresh", "choose", "choose_all", "printer", "change", "code", "print", "delete", "undo", "claim", "cancel"}
    | {"step_up", "link", "prefer", "stop"}
)
_ANYBODYS = frozenset({"touch", "extend", "language", "display", "dismiss"})
"""What is nobody's business in particular: done whoever the screen showed, and no reason to stop a release on tap."""
