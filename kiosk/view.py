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

if TYPE_CHECKING:
    from kiosk.state import Json, State

JOB_KEYS = (
    "job_id", "title", "pages", "impressions", "color_impressions", "sheets", "copies", "sides", "print_color_mode",
    "media", "price", "state", "reasons", "created_at", "held_until", "preparing", "problem", "needs_code", "may",
    "uncertain", "preview",
)  # fmt: skip
NOTICE_KEYS = ("needed", "available", "total", "fits", "alternatives", "charged", "retry_after_s", "details", "printer")
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
            "simulated_reader": state.terminal.reader == "simulated",
        },
        "display": {
            "large_text": state.display.large_text,
            "high_contrast": state.display.high_contrast,
            "more_time": state.display.more_time,
            "hide_titles": state.display.hide_titles,
        },
        "visit": state.visit,
        "busy": state.busy,
        "notice": _notice(state),
        "countdown_s": _whole(idle_left_s(state, now_s)) if is_counting_down(state, now_s) else None,
        "leaving_s": _whole(idle_left_s(state, now_s)) if state.screen is Screen.DONE else None,
        "printers": [dict(printer) for printer in printers_of(state)],
        "printer_id": state.printer_id,
        **(_signed_in(state) if state.person is not None else {"person": None}),
        "undo_s": max(0, _whole(state.undo_until_s - now_s)) if state.deleted else None,
    }


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


def _signed_in(state: State) -> dict[str, Any]:
    assert state.person is not None
    ready = ready_ids(state)
    return {
        "person": {"display_name": state.person.get("display_name") or state.person.get("name", "")},
        "may": dict(state.may),
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
