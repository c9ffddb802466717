r"""The terminal's state machine: `step(state, event, now_s)` gives the next state and what to ask the daemon. Pure.

    idle -> sign_in -> jobs -> progress -> done -> idle
      |-- tap --> card_password --^  ^-- back --/
      \-- unknown card --> sign_in --> link --> jobs

* Leaving is always possible and always forgets everything: `leave` builds the idle state from the terminal alone.
* A card ends the visit it began and switches every other; see `taps`.
* Every request carries the visit it was made for; an answer for another visit is dropped.
* A release whose answer was lost is asked again with the same key when the daemon is back: it prints once.
* What is touched while an answer is on its way is kept (`State.wish`) until it can be done: neither lost nor doubled.
* Nothing is charged or lost by a timeout: what was released goes on, what was not stays held.

What the person does is in `actions`, what the daemon says in `answers`; here are time, link and arrival.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kiosk import actions, answers, taps
from kiosk.moves import Step, leave
from kiosk.state import (
    Act,
    Answer,
    Display,
    Event,
    FetchJobs,
    Identify,
    Linked,
    Lost,
    Notice,
    NotRead,
    Readers,
    Refused,
    Screen,
    State,
    Tapped,
    Terminal,
    Tick,
    Told,
    Unlinked,
)

if TYPE_CHECKING:
    from kiosk.state import Json

DONE_S = 5.0
"""The done screen leaves by itself after this; `more_time` multiplies it."""
MORE_TIME_FACTOR = 10
IDLE_NOTICE_S = 12.0
"""What the idle screen has to say (an unknown card, a session that ended) stays this long."""
IDLE_CHOICE_S = 60.0
"""A language or display chosen on the idle screen, by somebody who then went away, is forgotten after this."""
IDENTIFY_S = 12.0
"""A terminal asked which one it is shows its name this long."""
FOR_GOOD = frozenset({"revoked", "terminal-unknown", "terminal-refused"})
"""The daemon's word that this terminal is none of its own: whoever is signed in is not any more."""


def step(state: State, event: Event, now_s: float) -> Step:
    """The next state and the effects, in order. Unknown and late events change nothing."""
    if isinstance(event, Act):
        return actions.act(state, event, now_s)
    if isinstance(event, Answer | Refused | Lost):
        return answers.answer(state, event, now_s)
    if isinstance(event, Told):
        return answers.told(state, event, now_s)
    if isinstance(event, Tick):
        return tick(state, now_s)
    if isinstance(event, Tapped):
        return taps.tapped(state, event, now_s)
    if isinstance(event, NotRead):
        return taps.not_read(state, event, now_s)
    if isinstance(event, Linked):
        return linked(state, event, now_s)
    if isinstance(event, Unlinked):
        return unlinked(state, event, now_s)
    if isinstance(event, Readers):
        return replace(state, terminal=replace(state.terminal, readers=event.readers)), ()
    assert isinstance(event, Identify)
    return replace(state, shows_name_until_s=now_s + IDENTIFY_S), ()


def patience(state: State) -> int:
    """How many times longer this person asked us to wait."""
    return MORE_TIME_FACTOR if state.display.more_time else 1


def idle_left_s(state: State, now_s: float) -> float:
    """Seconds until the session ends for want of a touch; infinite where there is nothing to end."""
    if state.screen is Screen.IDLE:
        return float("inf")
    if state.screen is Screen.DONE and not has_failed(state):
        return state.done_at_s + DONE_S * patience(state) - now_s
    allowed = (state.terminal.idle_s + state.terminal.countdown_s) * patience(state)
    return state.active_at_s + allowed - now_s


def is_counting_down(state: State, now_s: float) -> bool:
    """The question "still there?" is on the screen."""
    if state.screen in (Screen.IDLE, Screen.DONE) and not has_failed(state):
        return False
    return idle_left_s(state, now_s) <= state.terminal.countdown_s * patience(state)


def has_failed(state: State) -> bool:
    """On the done screen: something did not print, so the person gets time to read why."""
    return state.screen is Screen.DONE and any(run["state"] != "completed" for run in state.running.values())


def tick(state: State, now_s: float) -> Step:
    """Time ends sessions and closes the door on undo."""
    if idle_left_s(state, now_s) <= 0:
        return leave(state)
    if state.deleted and now_s >= state.undo_until_s:
        state = replace(state, deleted=())
    if state.screen is Screen.IDLE and state.notice is not None:
        if not state.active_at_s:
            state = replace(state, active_at_s=now_s)
        elif now_s >= state.active_at_s + IDLE_NOTICE_S:
            state = replace(state, notice=None)
    if state.screen is Screen.IDLE and not state.busy and now_s >= state.active_at_s + IDLE_CHOICE_S:
        state = replace(state, language=state.terminal.home_language, display=Display())
    if state.pending is not None and state.is_linked and 0 < state.retry_at_s <= now_s:
        return replace(state, retry_at_s=0.0), (state.pending,)
    return taps.run_auto(state, now_s)


def linked(state: State, event: Linked, now_s: float) -> Step:
    """Take over what the daemon says; coming back from away, pick up where the person was."""
    was_linked = state.is_linked
    terminal = _terminal(state.terminal, event.heartbeat)
    state = replace(state, terminal=terminal, is_linked=True, link_problem="")
    if state.person is None and state.screen is Screen.IDLE and state.language not in terminal.languages:
        state = replace(state, language=terminal.home_language)
    if was_linked or state.person is None:
        return state, ()
    return replace(state, active_at_s=now_s), (FetchJobs(state.printer_id),)


def unlinked(state: State, event: Unlinked, now_s: float) -> Step:
    """Away: a sign-in under way is given up, so that no tap is answered minutes later; for good: everybody leaves."""
    state = replace(state, is_linked=False, link_problem=event.problem, wish=None)
    if event.problem in FOR_GOOD:
        return leave(state)
    if state.person is None and state.busy == "sign_in":
        code = taps.TAP_WHILE_AWAY if state.screen is Screen.IDLE else "no-answer"
        state, effects = leave(state, Notice("alert", code))
        return replace(state, active_at_s=now_s), effects
    return taps.stop_auto(state), ()


def _terminal(old: Terminal, heartbeat: Json) -> Terminal:
    spoken = [code for code in heartbeat.get("languages") or () if isinstance(code, str)]
    languages = tuple(code for code in spoken if code in old.languages) or old.languages
    return replace(
        old,
        name=str(heartbeat.get("name") or old.name),
        policy=str(heartbeat.get("policy") or old.policy),
        printers=tuple(heartbeat.get("printers", old.printers)),
        languages=languages,
        home_language=old.home_language if old.home_language in languages else languages[0],
        idle_s=float(heartbeat.get("idle_s") or old.idle_s),
        countdown_s=max(20.0, float(heartbeat.get("countdown_s") or old.countdown_s)),
        opens_at=None if heartbeat.get("open", True) else str(heartbeat.get("opens_at") or ""),
        mails_codes=bool((heartbeat.get("enrolment") or {}).get("mailed_code")),
    )
