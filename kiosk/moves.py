"""The moves shared by actions, answers and time: leave, arrive, ask for a price. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kiosk.state import Effect, FetchQuote, Logout, Notice, Screen, State

if TYPE_CHECKING:
    from kiosk.state import Json

Step = tuple[State, tuple[Effect, ...]]

HELD = ("pending-held", "pending", "held")
ENDED = ("completed", "canceled", "aborted")


def leave(state: State, notice: Notice | None = None) -> Step:
    """Back to idle with nothing of the person left; the daemon is told when there was a session."""
    fresh = State(
        terminal=state.terminal,
        language=state.terminal.home_language,
        is_linked=state.is_linked,
        link_problem=state.link_problem,
        visit=state.visit + 1,
        notice=notice,
        shows_name_until_s=state.shows_name_until_s,
    )
    return fresh, ((Logout(),) if state.person is not None else ())


def start_visit(state: State, screen: Screen, now_s: float) -> Step:
    """Somebody is here: the clock of their patience starts."""
    return replace(state, screen=screen, visit=state.visit + 1, active_at_s=now_s, notice=None, busy=""), ()


def is_releasable(job: Json) -> bool:
    """Held, counted, and this printer can do it: the ones *Print all* means."""
    return job.get("state") in HELD and not job.get("preparing") and not job.get("problem") and not job.get("uncertain")


def is_ready(state: State, job: Json) -> bool:
    """Releasable, not refused, and not waiting for its job code."""
    if job["job_id"] in state.job_refusals:
        return False
    return is_releasable(job) and (not job.get("needs_code") or job["job_id"] in state.codes)


def printers_of(state: State) -> tuple[Json, ...]:
    """The printers of this terminal, and the one the daemon offered instead when the person took the offer."""
    bound = state.terminal.printers
    if state.borrowed is None or any(one["printer_id"] == state.borrowed["printer_id"] for one in bound):
        return bound
    return (*bound, state.borrowed)


def ready_ids(state: State) -> frozenset[str]:
    """Ids of all jobs that *Print all* would print."""
    return frozenset(job["job_id"] for job in state.jobs if is_ready(state, job))


def ordered(state: State, ids: frozenset[str]) -> tuple[str, ...]:
    """`ids` in the order of the list on the screen."""
    return tuple(job["job_id"] for job in state.jobs if job["job_id"] in ids)


def changes_of(state: State, ids: frozenset[str]) -> dict[str, Json]:
    """The downgrades asked for among `ids`."""
    return {job_id: change for job_id, change in state.changes.items() if job_id in ids and change}


def ask_price(state: State) -> Step:
    """Ask for the price of what is chosen now; the old one is not shown any more."""
    number = state.quote_no + 1
    state = replace(state, quote_no=number, quote=None)
    if not state.chosen:
        return replace(state, busy="" if state.busy == "quote" else state.busy), ()
    ask = FetchQuote(number, ordered(state, state.chosen), state.printer_id, changes_of(state, state.chosen))
    return replace(state, busy=state.busy or "quote"), (ask,)
