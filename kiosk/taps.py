"""What a card does: it opens, switches and ends visits, finds its owner when unknown, and may print by itself. Pure.

* The card that opened a visit ends it; another card ends it and opens its own. A card in the middle of its own sign-in
  changes nothing: people hold it there.
* Taps are never kept for later: where one cannot be answered now, the screen says so and it is gone.
* An unknown card leads straight to PIN and password; whoever walks away takes the offer with them, so that nobody is
  ever asked about the card of somebody else.
* Release on tap starts when list and price are on the screen, and can be stopped until it happens.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kiosk.moves import Step, ask_price, changes_of, leave, ordered, ready_ids, start_visit
from kiosk.state import Auto, Link, LinkCard, Notice, Release, Screen, SignIn, State

if TYPE_CHECKING:
    from kiosk.state import Answer, Json, NotRead, Refused, Tapped

AUTO_S = 6.0
"""How long *Stop* is offered before a tap prints."""
AUTO_WAIT_S = 15.0
"""A release on tap whose price does not come in this is left to the person."""
SIGN_IN_FAILED = "sign-in-failed"
CARD_NOT_ACCEPTED = "card-not-accepted"
"""The daemon does not tell an unknown card from a blocked one, nor does the screen."""
TAP_WHILE_AWAY = "tap-away"


def tapped(state: State, event: Tapped, now_s: float) -> Step:
    """A card was read."""
    if state.terminal.opens_at is not None and state.person is None:
        return state, ()
    if not state.is_linked:
        return replace(state, notice=Notice("alert", TAP_WHILE_AWAY), active_at_s=now_s), ()
    if state.terminal.policy == "none":
        return replace(state, notice=Notice("refusal", "cards-not-accepted"), active_at_s=now_s), ()
    if event.is_same and state.link is Link.ASKED:
        return link_card(state, "", now_s)
    if event.is_same and (state.person is None or state.link is Link.ASKING):
        return replace(state, active_at_s=now_s), ()
    ended, effects = leave(state)
    if event.is_same:
        return ended, effects
    if state.person is None:  # who just chose a language or large text has come to tap
        ended = replace(ended, language=state.language, display=state.display)
    fresh, _ = start_visit(ended, Screen.IDLE, now_s)
    return replace(fresh, busy="sign_in"), (*effects, SignIn(is_card=True))


def not_read(state: State, event: NotRead, now_s: float) -> Step:
    """A card was held there and gave nothing: what to do differently. Who is signed in stays so."""
    if state.busy == "sign_in" or state.terminal.policy == "none" or not state.is_linked:
        return state, ()
    return replace(state, notice=Notice("refusal", event.why), active_at_s=now_s), ()


def refused(state: State, event: Refused, now_s: float) -> Step:
    """No session: said where the person is; an unknown card that may be linked asks who it belongs to."""
    assert isinstance(event.effect, SignIn)
    notice = Notice("refusal", event.code, event.data)
    if event.effect.is_ticket and event.code != SIGN_IN_FAILED:
        return leave(state, notice)
    if not event.effect.is_card:
        code = "code-failed" if event.effect.code and event.code == SIGN_IN_FAILED else event.code
        return replace(state, busy="", notice=replace(notice, code=code)), ()
    if event.data.get("link"):
        return replace(state, screen=Screen.SIGN_IN, link=Link.OFFERED, busy="", notice=None, active_at_s=now_s), ()
    code = CARD_NOT_ACCEPTED if event.code == SIGN_IN_FAILED else event.code
    return replace(state, busy="", notice=replace(notice, code=code), active_at_s=now_s), ()


def arrived(state: State, payload: Json) -> State:
    """The card's side of a sign-in: is there a card to link, does the tap print?"""
    if state.link is Link.OFFERED and state.may.get("link"):
        state = replace(state, screen=Screen.LINK, link=Link.ASKED)
    elif state.link is Link.OFFERED:
        state = replace(state, link=Link.NONE, notice=Notice("refusal", "link-not-allowed"))
    if not payload.get("release_key"):
        return state
    is_open = not payload.get("printer_id") and len(state.terminal.printers) > 1
    return replace(state, auto=Auto(str(payload["release_key"]), needs_printer=is_open))


def link_card(state: State, label: str, now_s: float) -> Step:
    """Yes, it is mine."""
    if state.link is not Link.ASKED:
        return state, ()
    return replace(state, link=Link.ASKING, notice=None, active_at_s=now_s), (LinkCard(label),)


def card_linked(state: State, event: Answer, now_s: float) -> Step:
    """It opens the door from now on."""
    return replace(state, link=Link.LINKED, linked=event.payload, active_at_s=now_s), ()


def card_not_linked(state: State, event: Refused) -> Step:
    """Why not, over the jobs: being signed in is not touched by it."""
    return to_jobs(replace(state, notice=Notice("refusal", event.code, event.data)))


def to_jobs(state: State) -> Step:
    """From the card's screen to the jobs, priced now."""
    return ask_price(replace(state, screen=Screen.JOBS, link=Link.NONE, linked=None))


def start_auto(state: State, now_s: float) -> State:
    """List and price are here: the seconds to stop it begin, or the printer is asked for first."""
    auto = state.auto
    if auto is None or auto.at_s or state.screen is not Screen.JOBS:
        return state
    if auto.needs_printer:
        return replace(state, notice=Notice("info", "choose-printer"))
    return replace(state, auto=replace(auto, at_s=now_s + AUTO_S))


def stop_auto(state: State) -> State:
    """The person decides from here on."""
    return replace(state, auto=None)


def run_auto(state: State, now_s: float) -> Step:
    """Nobody stopped it: everything printable is released, or what the balance covers."""
    auto = state.auto
    if auto is None or not 0 < auto.at_s <= now_s:
        return state, ()
    if state.busy or state.quote is None:
        return (stop_auto(state), ()) if now_s > auto.at_s + AUTO_WAIT_S else (state, ())
    quote: dict[str, Any] = dict(state.quote)
    state = stop_auto(state)
    is_enough = quote.get("enough", True)
    ids = ready_ids(state) & (state.chosen if is_enough else frozenset(quote.get("fits") or ()))
    if is_above_cap(state):
        return replace(state, notice=Notice("refusal", "cost-cap", {"charged": False})), ()
    if not ids:
        reason = {key: quote.get(key) for key in ("needed", "available")} | {"charged": False}
        return replace(state, notice=Notice("refusal", "insufficient-funds", reason)), ()
    total = quote.get("total") if is_enough and ids == state.chosen else None
    release = Release(auto.key, ordered(state, ids), state.printer_id, changes_of(state, ids), {}, total)
    return replace(state, chosen=ids, busy="release", pending=release, notice=None), (release,)


def is_above_cap(state: State) -> bool:
    """What is chosen costs more than a card alone may spend here."""
    cap, total = state.cost_cap, (state.quote or {}).get("total")
    if not state.is_card_session or not cap or not total or cap.get("unit") != total.get("unit"):
        return False
    return int(total["amount"]) > int(cap["amount"])
