"""What the screen may know: the state, made into one JSON object. Pure.

Everything the browser shows is here and nothing else: no token, no card read, no job code. Texts and the formats of
money, numbers and times are the browser's (texts/*.json, Intl).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from kiosk.moves import ENDED, HELD, is_ready, printers_of, ready_ids
from kiosk.screens import idle_left_s, is_counting_down
from kiosk.state import Screen
from kiosk.taps import is_above_cap

if TYPE_CHECKING:
    from kiosk.state import Json, State

JOB_KEYS = (
    "job_id", "title", "pages", "impressions", "color_impressions", "sheets", "copies", "sides", "print_color_mode",
    "media", "price", "state", "reasons", "created_at", "held_until", "preparing", "problem", "needs_code", "may",
    "uncertain", "preview", "masked",
)  # fmt: skip
NOTICE_KEYS = (
    "needed", "available", "total", "fits", "alternatives", "charged", "retry_after_s", "details", "printer",
    "cards_max",
)  # fmt: skip
"""What of a refusal's data the screen may show."""


def view(state: State, now_s: float) -> dict[str, Any]:
    """The whole screen. Two states that look the same give equal views."""
    return {
        "screen": state.screen.value,
        "away": _away(state),
        "language": state.language,
        "languages": list(state.terminal.languages),
        "terminal": {
            "name": state.terminal.name,
            "takes_cards": state.terminal.takes_cards,
            "policy": state.terminal.policy,
            "simulated_reader": any(one["kind"] == "simulated" for one in state.terminal.readers),
            "misses_reader": state.terminal.misses_reader,
            "readers": [{key: one[key] for key in ("name", "state", "code")} for one in state.terminal.readers],
            "mails_codes": state.terminal.mails_codes,
        },
        "closed": _closed(state),
        "identify": now_s < state.shows_name_until_s,
        "display": {
            "large_text": state.display.large_text,
            "high_contrast": state.display.high_contrast,
            "more_time": state.display.more_time,
            "hide_titles": state.display.hide_titles,
        },
        "visit": state.visit,
        "busy": "release" if state.wish is not None else state.busy,
        "mailed": state.mailed,
        "link": state.link.value,
        "notice": _notice(state),
        "countdown_s": _whole(idle_left_s(state, now_s)) if is_counting_down(state, now_s) else None,
        "leaving_s": _whole(idle_left_s(state, now_s)) if state.screen is Screen.DONE else None,
        "printers": [dict(printer) for printer in printers_of(state)],
        "printer_id": state.printer_id,
        **(_signed_in(state, now_s) if state.person is not None else {"person": None}),
        "undo_s": max(0, _whole(state.undo_until_s - now_s)) if state.deleted else None,
    }


def _closed(state: State) -> dict[str, str] | None:
    """Outside opening hours nobody signs in; who already has may finish."""
    if state.terminal.opens_at is None or state.person is not None:
        return None
    return {"opens_at": state.terminal.opens_at}


def _away(state: State) -> str | None:
    if state.is_linked:
        return None
    return state.link_problem or "daemon-away"


def _whole(seconds: float) -> int:
    return 0 if math.isinf(seconds) else max(0, math.ceil(seconds))


def _notice(state: State) -> dict[str, Any] | None:
    if state.notice is None:
        return None
    data = {key: value for key, value in state.notice.data.items() if key in NOTICE_KEYS}
    return {"kind": state.notice.kind, "code": state.notice.code, "data": data}


def _signed_in(state: State, now_s: float) -> dict[str, Any]:
    assert state.person is not None
    ready = ready_ids(state)
    return {
        "person": {"display_name": state.person.get("display_name") or state.person.get("name", "")},
        "may": dict(state.may),
        "by_card": state.is_card_session,
        "release_on_tap": state.release_on_tap,
        "cost_cap": state.cost_cap if state.is_card_session else None,
        "is_above_cap": is_above_cap(state),
        "linked": None if state.linked is None else {key: state.linked.get(key) for key in ("cards", "cards_max")},
        "auto_s": _whole(state.auto.at_s - now_s) if state.auto is not None and state.auto.at_s else None,
        "jobs": [_job(state, job) for job in state.jobs if job.get("state") not in ENDED],
        "ready": len(ready),
        "chosen": len(state.chosen),
        "all_chosen": bool(ready) and state.chosen == ready,
        "totals": _totals(state),
        "running": [dict(run) for run in state.running.values()],
        "left": sum(1 for job in state.jobs if job.get("state") in HELD),
    }


def _job(state: State, job: Json) -> dict[str, Any]:
    job_id = job["job_id"]
    quoted = state.priced.get(job_id)
    return {
        **{key: job.get(key) for key in JOB_KEYS},
        "chosen": job_id in state.chosen,
        "ready": is_ready(state, job),
        "has_code": job_id in state.codes,
        "change": dict(state.changes.get(job_id) or {}),
        "quoted": dict(quoted) if quoted else None,
        "refused": state.job_refusals.get(job_id),
    }


def _totals(state: State) -> dict[str, Any]:
    quote = state.quote or {}
    balance = quote.get("balance") or state.totals.get("balance") or {}
    pots = [pot.get("available") for pot in state.totals.get("accounts") or ()]
    return {
        "pots": [pot for pot in pots if pot and pot.get("unit") != balance.get("unit")],
        "total": quote.get("total"),
        "balance": quote.get("balance") or state.totals.get("balance"),
        "balance_after": quote.get("balance_after"),
        "enough": quote.get("enough", True),
        "needed": quote.get("needed"),
        "available": quote.get("available"),
        "fits": len(quote.get("fits") or ()),
    }
