"""What the daemon says: answers to requests, refusals, and the events of its stream. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from daemon.wire.messages import SESSION_ENDED
from kiosk import actions, taps
from kiosk.moves import ENDED, Step, ask_price, leave, printers_of, ready_ids
from kiosk.state import (
    Answer,
    Cancel,
    Claim,
    Delete,
    Extend,
    FetchJobs,
    FetchQuote,
    Link,
    LinkCard,
    Logout,
    Lost,
    MailCode,
    Notice,
    Prefer,
    Refused,
    Release,
    Screen,
    SignIn,
    State,
    StepUp,
    Told,
    Undo,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from kiosk.state import Json

UNDO_S = 10.0
"""A deletion can be taken back for this long on the screen (the daemon allows a little more)."""
RETRY_S = 1.5
"""A release whose answer was lost is asked again after this, with the same key."""
NOT_SIGNED_IN = "not-signed-in"
WRONG_JOB_CODE = "wrong-job-code"
_STALE = frozenset({"conflict", "not-found", "price-changed", "idempotency-conflict", "job-not-held", "not-possible"})


def answer(state: State, event: Answer | Refused | Lost, now_s: float) -> Step:
    """Take an answer in; one made for an earlier visit is not for these eyes."""
    if event.visit != state.visit:
        return state, ()
    if isinstance(event, Lost):
        return _lost(state, event, now_s)
    if isinstance(event, Refused):
        return _refused(state, event, now_s)
    for kind, handler in _ANSWERS.items():
        if isinstance(event.effect, kind):
            return handler(state, event, now_s)
    return state, ()


def told(state: State, event: Told, now_s: float) -> Step:
    """An event: what a printer does, that the list changed, that the session is over."""
    data = event.data
    if event.name == "printer":
        return replace(state, terminal=replace(state.terminal, printers=_merged(state.terminal.printers, data))), ()
    if state.person is None:
        return state, ()
    if event.name == "session" and state.busy == "step_up":
        return state, ()  # the password's own session takes the card's place
    if event.name == "session":
        return leave(state, Notice("info", SESSION_ENDED))
    if event.name == "job" and data.get("job_id") in state.running:
        return _ran(state, data, now_s)
    if event.name == "job" and state.pending is not None and data.get("job_id") in state.pending.job_ids:
        return replace(state, early={**state.early, data["job_id"]: data}), ()
    if event.name in ("job", "jobs") and state.screen is Screen.JOBS and state.busy != "release":
        return state, (FetchJobs(state.printer_id),)
    return state, ()


def spelled(state: object) -> str:
    """A job state as IPP spells it, with hyphens."""
    return str(state or "").replace("_", "-")


def _merged(printers: tuple[Json, ...], news: Json) -> tuple[Json, ...]:
    return tuple({**old, **news} if old.get("printer_id") == news.get("printer_id") else old for old in printers)


def _ran(state: State, data: Json, now_s: float) -> Step:
    job_id = data["job_id"]
    state = replace(state, running={**state.running, job_id: _newer(state.running[job_id], data)})
    return _perhaps_done(state, now_s)


def _newer(old: Json, data: Json) -> Json:
    """What is known of a running job after an event; what has ended stays ended."""
    if old["state"] in ENDED and spelled(data.get("state")) not in ENDED:
        return old
    news = {key: value for key, value in data.items() if value is not None or key not in old}
    return {**old, **news, "state": spelled(news.get("state") or old["state"])}


def _perhaps_done(state: State, now_s: float) -> Step:
    if state.screen is not Screen.PROGRESS or not all(_is_over(run) for run in state.running.values()):
        return state, ()
    done = replace(state, screen=Screen.DONE, done_at_s=now_s, active_at_s=now_s, notice=None)
    return done, (FetchJobs(state.printer_id),)


def _is_over(run: Json) -> bool:
    return run["state"] in ENDED or bool(run.get("uncertain"))


def _signed_in(state: State, event: Answer, now_s: float) -> Step:
    payload = event.payload
    if payload.get("password_needed"):
        return replace(state, screen=Screen.CARD_PASSWORD, busy="", active_at_s=now_s, notice=None), ()
    person: Json = payload["user"]
    state = replace(
        _with_rights(state, payload),
        screen=Screen.JOBS,
        person=person,
        language=_spoken(state, str(person.get("language") or "")),
        printer_id=str(payload.get("printer_id") or state.printer_id),
        busy="jobs",
        notice=None,
        active_at_s=now_s,
        extended_at_s=now_s,
    )
    return taps.arrived(state, payload), (FetchJobs(state.printer_id),)


def _with_rights(state: State, payload: Json) -> State:
    """What this session may do, as the daemon said when it was opened or raised."""
    return replace(
        state,
        method=str(payload.get("method") or ""),
        may=payload.get("may") or {},
        cost_cap=payload.get("cost_cap"),
        release_on_tap=bool((payload.get("prefers") or payload).get("release_on_tap")),
    )


def _stepped_up(state: State, event: Answer, now_s: float) -> Step:
    """The password was right: titles and everything else a card alone does not open."""
    state = replace(_with_rights(state, event.payload), busy="jobs", notice=None, active_at_s=now_s)
    return state, (FetchJobs(state.printer_id),)


def _code_mailed(state: State, _event: Answer, now_s: float) -> Step:
    return replace(state, busy="", mailed=True, active_at_s=now_s), ()


def _spoken(state: State, wanted: str) -> str:
    """The person's language if this terminal speaks it (`de-AT` is served by `de`), else the one on the screen."""
    primary = wanted.replace("_", "-").split("-")[0].lower()
    return primary if primary in state.terminal.languages else state.language


def _jobs(state: State, event: Answer, _now_s: float) -> Step:
    payload = event.payload
    bound = tuple(payload.get("printers") or state.terminal.printers)
    state = replace(state, terminal=replace(state.terminal, printers=bound))
    wanted_all = state.chosen == ready_ids(state)
    jobs = tuple({**job, "state": spelled(job.get("state"))} for job in payload.get("items") or ())
    known = {job["job_id"] for job in jobs}
    state = replace(
        state,
        jobs=jobs,
        totals={key: payload.get(key) for key in ("balance", "accounts")},
        job_refusals=payload.get("refused") or {},
        printer_id=_printer_for(state.printer_id, printers_of(state)),
        changes={job_id: change for job_id, change in state.changes.items() if job_id in known},
        priced={},
        busy="" if state.busy == "jobs" else state.busy,
    )
    ready = ready_ids(state)
    state = replace(state, chosen=ready if wanted_all else state.chosen & ready)
    if state.screen is not Screen.JOBS or state.busy == "release":
        return state, ()
    state, effects = ask_price(state)
    return (state, effects) if effects else (replace(state, wish=None, auto=None), ())


def _printer_for(chosen: str, printers: tuple[Json, ...]) -> str:
    ids = [str(printer["printer_id"]) for printer in printers]
    if chosen in ids:
        return chosen
    able = [str(p["printer_id"]) for p in printers if p.get("accepting", True) and p.get("state") != "stopped"]
    return (able or ids or [""])[0]


def _quoted(state: State, event: Answer, now_s: float) -> Step:
    assert isinstance(event.effect, FetchQuote)
    if event.effect.number != state.quote_no:
        return state, ()
    items = {item["job_id"]: item for item in event.payload.get("items") or ()}
    quiet = "" if state.busy == "quote" else state.busy
    state = replace(state, quote=event.payload, priced={**state.priced, **items}, busy=quiet)
    wish = state.wish
    if wish is not None and not quiet:
        return actions.act(replace(state, wish=None), wish, now_s)
    return taps.start_auto(state, now_s), ()


def _released(state: State, event: Answer, now_s: float) -> Step:
    """The jobs are the printer's now; what it did before this answer came is not lost."""
    assert isinstance(event.effect, Release)
    titles = {job["job_id"]: job for job in state.jobs}
    prices = {item["job_id"]: item for item in event.payload.get("items") or ()}
    running: dict[str, Json] = {}
    for job_id in event.effect.job_ids:
        job, item = titles.get(job_id, {}), prices.get(job_id, {})
        start: Json = {
            "job_id": job_id,
            "title": job.get("title", ""),
            "state": spelled(item.get("state") or "pending"),
            "reasons": [],
            "printed": {"impressions": 0, "sheets": 0},
            "of": {"impressions": item.get("impressions") or job.get("impressions") or 0},
            "price": item.get("price") or job.get("price"),
            "charged": None,
            "message": "",
        }
        running[job_id] = _newer(start, state.early.get(job_id, {}))
    totals = {**state.totals, "balance": event.payload.get("balance") or state.totals.get("balance")}
    state = replace(
        state, screen=Screen.PROGRESS, running=running, totals=totals, pending=None, retry_at_s=0.0, busy="",
        chosen=frozenset(), changes={}, codes={}, quote=None, notice=None, active_at_s=now_s,
    )  # fmt: skip
    return _perhaps_done(state, now_s)


def _deleted(state: State, event: Answer, now_s: float) -> Step:
    assert isinstance(event.effect, Delete)
    gone = set(event.effect.job_ids)
    state = replace(
        state,
        jobs=tuple(job for job in state.jobs if job["job_id"] not in gone),
        chosen=state.chosen - gone,
        deleted=event.effect.job_ids,
        undo_until_s=now_s + UNDO_S,
        busy="",
    )
    return ask_price(state)


def _refresh(state: State, _event: Answer, _now_s: float) -> Step:
    return state, (FetchJobs(state.printer_id),)


def _claimed(state: State, _event: Answer, _now_s: float) -> Step:
    return replace(state, notice=Notice("info", "claimed")), (FetchJobs(state.printer_id),)


def _nothing(state: State, _event: Answer, _now_s: float) -> Step:
    return state, ()


_ANSWERS: dict[type, Callable[[State, Answer, float], Step]] = {
    SignIn: _signed_in,
    MailCode: _code_mailed,
    StepUp: _stepped_up,
    LinkCard: taps.card_linked,
    Prefer: _nothing,
    FetchJobs: _jobs,
    FetchQuote: _quoted,
    Release: _released,
    Delete: _deleted,
    Undo: _refresh,
    Claim: _claimed,
    Cancel: _nothing,
    Extend: _nothing,
    Logout: _nothing,
}


def _lost(state: State, event: Lost, now_s: float) -> Step:
    if isinstance(event.effect, Release):
        return replace(state, retry_at_s=now_s + RETRY_S), ()
    if isinstance(event.effect, Extend | Logout):
        return state, ()
    if isinstance(event.effect, Prefer):
        state = replace(state, release_on_tap=not event.effect.release_on_tap)
    if isinstance(event.effect, LinkCard):
        state = replace(state, link=Link.ASKED)
    is_card = isinstance(event.effect, SignIn) and event.effect.is_card
    notice = Notice("alert", taps.TAP_WHILE_AWAY if is_card else "no-answer")
    seen_at_s = now_s if state.person is None else state.active_at_s
    return replace(state, busy="", wish=None, auto=None, active_at_s=seen_at_s, notice=notice), ()


def _refused(state: State, event: Refused, now_s: float) -> Step:
    effect = event.effect
    notice = Notice("refusal", event.code, event.data)
    if event.code in (SESSION_ENDED, NOT_SIGNED_IN) and not isinstance(effect, SignIn):
        return leave(state, Notice("info", SESSION_ENDED))
    if isinstance(effect, SignIn):
        return taps.refused(state, event, now_s)
    if isinstance(effect, LinkCard):
        return taps.card_not_linked(state, event)
    if isinstance(effect, StepUp) and event.code == taps.SIGN_IN_FAILED:
        return replace(state, busy="", notice=replace(notice, code="password-wrong")), ()
    if isinstance(effect, Prefer):
        return replace(state, release_on_tap=not effect.release_on_tap, notice=notice), ()
    if isinstance(effect, Extend | Logout):
        return state, ()
    if isinstance(effect, FetchQuote):
        if effect.number != state.quote_no:
            return state, ()
        state = replace(state, wish=None)
        return _quote_refused(replace(state, busy="" if state.busy == "quote" else state.busy), event, notice)
    if isinstance(effect, Release):
        return _release_refused(state, event, notice)
    state = replace(state, wish=None, auto=None)
    stale = (FetchJobs(state.printer_id),) if not isinstance(effect, FetchJobs) and event.code in _STALE else ()
    return replace(state, busy="jobs" if stale else "", notice=notice), stale


def _blamed(state: State, event: Refused) -> frozenset[str]:
    """The jobs a refusal names, among those on the screen."""
    named: Any = event.data.get("jobs") or event.data.get("job_ids") or [event.data.get("job_id")]
    return frozenset(job["job_id"] for job in state.jobs if job["job_id"] in named)


def _quote_refused(state: State, event: Refused, notice: Notice) -> Step:
    """A job that cannot be priced here is set aside and the rest priced again; without a name, the reason is shown."""
    blamed = _blamed(state, event) & state.chosen
    if not blamed:
        return replace(state, notice=notice, auto=None), ()
    refusals = {**state.job_refusals, **dict.fromkeys(blamed, event.code)}
    return ask_price(replace(state, job_refusals=refusals, chosen=state.chosen - blamed, notice=notice))


def _release_refused(state: State, event: Refused, notice: Notice) -> Step:
    """Nothing was charged. What fits is chosen, wrong job codes are forgotten, a stale list is fetched again."""
    state = replace(state, pending=None, early={}, retry_at_s=0.0, busy="", notice=notice)
    blamed = _blamed(state, event)
    if event.code == WRONG_JOB_CODE:
        state = replace(state, codes={k: v for k, v in state.codes.items() if k not in (blamed or state.codes)})
    elif event.code not in _STALE:
        state = replace(state, job_refusals={**state.job_refusals, **dict.fromkeys(blamed, event.code)})
    state = replace(state, chosen=state.chosen & ready_ids(state))
    fits = event.data.get("fits")
    if fits is not None:
        state = replace(state, chosen=frozenset(fits) & ready_ids(state))
    if event.code in _STALE:
        return replace(state, busy="jobs"), (FetchJobs(state.printer_id),)
    return ask_price(state)
