"""The terminal at work: feeds the state machine with people, cards, time and the daemon, and does what it asks. I/O.

One agent, one state, one screen. It alone holds what the screen must never see: the session token, the card just read,
the daemon's tickets. `run` owns every task; a session ends with its own tasks.
"""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import structlog

from daemon.devices.readers.reading import Missed, Read
from kiosk import calls
from kiosk.link import DaemonAway, DaemonLink, DaemonRefused, NoAnswer
from kiosk.screens import step
from kiosk.state import (
    Act,
    Answer,
    Effect,
    Event,
    Logout,
    Lost,
    NotRead,
    Readers,
    Refused,
    SignIn,
    State,
    StepUp,
    Tapped,
    Terminal,
    Tick,
)
from kiosk.taps import TAP_WHILE_AWAY
from kiosk.view import view
from kiosk.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from daemon.devices.readers.reading import ReaderEvent
    from daemon.kernel.clock import Clock
    from daemon.kernel.ids import Dice
    from kiosk.hub import Hub

log = structlog.get_logger(__name__)

SETTLE_S = 15.0
"""An action's answer waits this long for what it set in motion."""
CARD_ANSWER_S = 5.0
"""A tap that is not answered by then is given up: the person has been told, or has gone."""
KEY_BYTES = 16
TAPPED = frozenset({"card", "card+password"})
"""Sessions that a card took part in: only they print by themselves."""


@dataclass(slots=True)
class Session:
    """One sign-in: the token, and a lock so that a logout never overtakes a release."""

    token: str = field(repr=False)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    stream: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Secrets:
    """What belongs to one visit and must not reach the screen. `mark` stands for the card, which is not kept."""

    visit: int = 0
    mark: bytes = field(default=b"", repr=False)
    reader: str = ""
    ticket: str = field(default="", repr=False)
    link_ticket: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Errand:
    """An effect on its way, with what it may need of the secrets."""

    effect: Effect
    visit: int
    session: Session | None
    secrets: calls.Secrets


class Agent:
    """Owns the state. `act` and `views` serve the screen, `run` the rest."""

    def __init__(
        self,
        *,
        link: DaemonLink,
        clock: Clock,
        dice: Dice,
        terminal: Terminal,
        hub: Hub,
        jitter: Callable[[], float],
        screen: dict[str, Any] | None = None,
    ) -> None:
        self._link, self._clock, self._dice, self._hub = link, clock, dice, hub
        self.watch = Watch(self, link=link, clock=clock, hub=hub, jitter=jitter, screen=screen)
        self.state = State(terminal=replace(terminal, readers=self._readers()), language=terminal.home_language)
        self._shown: dict[str, Any] = {}
        self._version = 0
        self._changed = asyncio.Event()
        self._work: set[asyncio.Task[None]] = set()
        self._session: Session | None = None
        self._secrets = Secrets()
        self._mark_key = dice.token(32)
        self._read: Read | None = None
        self._card_errand: asyncio.Task[None] | None = None
        self._next_card: Errand | None = None

    async def run(self) -> None:
        """Until cancelled; then every task is gone and the session, if any, is ended."""
        try:
            async with asyncio.TaskGroup() as group:
                self.watch.start(group)
                group.create_task(self._tick(), name="ticker")
                group.create_task(self._hub.run(self._heard), name="readers")
        finally:
            waiting = list(self._work) + ([self._session.stream] if self._session and self._session.stream else [])
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    def view(self) -> dict[str, Any]:
        """The screen as it is now; `version` rises, so that a slow answer never overwrites a newer one."""
        return view(self.state, self._clock.monotonic_s()) | {"version": self._version}

    async def views(self) -> AsyncIterator[dict[str, Any]]:
        """The screen now and after every change; slow watchers skip what they missed."""
        while True:
            changed = self._changed
            yield self.view()
            await changed.wait()

    async def act(self, act: Act, *, settle: bool = True) -> dict[str, Any]:
        """Do what the person did; gives the screen, with `settle` once what it set in motion has come to rest."""
        self.dispatch(act)
        if not settle:
            return self.view()
        async with asyncio.timeout(SETTLE_S) as limit:
            while self._work and not limit.expired():
                done, _ = await asyncio.wait(set(self._work), timeout=SETTLE_S)
                if not done:
                    break
        return self.view()

    def dispatch(self, event: Event) -> None:
        """One step of the machine, and its effects set in motion."""
        self.state, effects = step(self.state, event, self._clock.monotonic_s())
        for effect in effects:
            self._begin(effect)
        shown = view(self.state, self._clock.monotonic_s())
        if shown != self._shown:
            self._shown = shown
            self._version += 1
            self._changed.set()
            self._changed = asyncio.Event()

    async def preview(self, job_id: str) -> bytes | None:
        """The first page as PNG, or None: nobody is signed in, not this person's, or not offered."""
        session = self._session
        if session is None or all(job["job_id"] != job_id for job in self.state.jobs):
            return None
        try:
            return await self._link.get_bytes(f"/preview/{job_id}", session=session.token)
        except (DaemonRefused, DaemonAway, NoAnswer):
            return None

    def _heard(self, event: ReaderEvent) -> None:
        """What a reader says. A card's number lives until its own request is sent, and in no place after."""
        if isinstance(event, Read):
            mark = hmac.digest(self._mark_key, event.raw.encode(), "sha256")
            mine = self._secrets.visit == self.state.visit and hmac.compare_digest(self._secrets.mark, mark)
            before, self._read = self.state.visit, event
            self.dispatch(Tapped(is_same=mine))
            if self.state.visit != before:
                self._secrets = (
                    Secrets(self.state.visit, mark, event.reader) if self.state.busy == "sign_in" else Secrets()
                )
            if self.state.notice is not None and self.state.notice.code == TAP_WHILE_AWAY:
                self._hub.signal(event.reader, is_good=False)
            self._read = None
        elif isinstance(event, Missed):
            self._hub.signal(event.reader, is_good=False)
            self.dispatch(NotRead(event.why.value))
        else:
            self.dispatch(Readers(self._readers()))
            self.watch.report_soon()

    def _readers(self) -> tuple[dict[str, str], ...]:
        return tuple(
            {"name": one.reader, "kind": one.kind, "state": one.state.value, "code": one.code}
            for one in self._hub.statuses
        )

    def _begin(self, effect: Effect) -> None:
        session, secrets = self._session, self._secrets
        if isinstance(effect, Logout):
            self._session = None
            if session is not None and session.stream is not None:
                session.stream.cancel()
        given = calls.Secrets(self._read, secrets.reader, secrets.ticket, secrets.link_ticket)
        errand = Errand(effect, self.state.visit, session, given)
        if isinstance(effect, SignIn) and effect.is_card and self._card_errand is not None:
            self._next_card = errand
            return
        task = self._spawn(errand)
        if isinstance(effect, SignIn) and effect.is_card:
            self._card_errand = task

    def _spawn(self, errand: Errand) -> asyncio.Task[None]:
        work = asyncio.create_task(self._do(errand))
        self._work.add(work)
        work.add_done_callback(self._done)
        return work

    def _done(self, work: asyncio.Task[None]) -> None:
        """One card is asked for at a time; of those held there meanwhile only the last is still wanted."""
        self._work.discard(work)
        if not work.cancelled() and (error := work.exception()) is not None:
            log.error("errand.failed", exc_info=error)
        if work is not self._card_errand:
            return
        self._card_errand, waiting, self._next_card = None, self._next_card, None
        if waiting is not None and waiting.visit == self.state.visit and not work.cancelled():
            self._card_errand = self._spawn(waiting)

    async def _do(self, errand: Errand) -> None:
        """One effect, to its answer. What it gives back is for its visit only."""
        effect, visit = errand.effect, errand.visit
        is_good = False
        try:
            payload = await self._ask(errand)
        except DaemonRefused as refusal:
            data = dict(refusal.data["error"])
            log.info("daemon.refused", effect=type(effect).__name__, code=refusal.code)
            if visit == self._secrets.visit and data.get("link"):
                self._secrets.link_ticket = str(data["link"])
            data["link"] = bool(data.get("link"))
            self.dispatch(Refused(visit, effect, refusal.code, data))
        except (DaemonAway, NoAnswer, TimeoutError) as error:
            log.info("daemon.lost", effect=type(effect).__name__, error=type(error).__name__)
            self.watch.kick()
            self.dispatch(Lost(visit, effect))
        else:
            if isinstance(effect, SignIn | StepUp):
                payload = await self._opened(payload, visit, is_raise=isinstance(effect, StepUp))
            is_good = True
            self.dispatch(Answer(visit, effect, payload))
        if errand.secrets.read is not None and isinstance(effect, SignIn):
            self._hub.signal(errand.secrets.read.reader, is_good=is_good)

    async def _ask(self, errand: Errand) -> dict[str, Any]:
        effect, session = errand.effect, errand.session
        if session is not None and not isinstance(effect, SignIn):
            async with session.lock:
                return await calls.call(self._link, effect, token=session.token, secrets=errand.secrets)
        limit_s = CARD_ANSWER_S if isinstance(effect, SignIn) and effect.is_card else None
        async with asyncio.timeout(limit_s):
            return await calls.call(self._link, effect, token="", secrets=errand.secrets)

    async def _opened(self, payload: dict[str, Any], visit: int, *, is_raise: bool) -> dict[str, Any]:
        """Keep the secrets of a sign-in here; one that came for somebody who left is ended at once."""
        token, ticket = str(payload.pop("session", "") or ""), str(payload.pop("ticket", "") or "")
        if visit != self.state.visit:
            if token:
                try:
                    await calls.call(self._link, Logout(), token=token, secrets=calls.Secrets())
                except (DaemonRefused, DaemonAway, NoAnswer) as error:
                    log.info("session.abandoned", error=type(error).__name__)
            return payload
        if self._secrets.visit == visit:
            self._secrets.ticket = ticket
        else:
            self._secrets = Secrets(visit, ticket=ticket)
        if payload.get("release_on_tap") and str(payload.get("method")) in TAPPED:
            payload["release_key"] = self._dice.token(KEY_BYTES).hex()
        if token:
            if is_raise and self._session is not None and self._session.stream is not None:
                self._session.stream.cancel()
            session = Session(token)
            session.stream = asyncio.create_task(self.watch.follow_session(token), name="session-stream")
            self._session = session
        return payload

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1.0 - self._clock.monotonic_s() % 1.0 % 0.999)
            self.dispatch(Tick())
            if self._secrets.visit != self.state.visit:
                self._secrets = Secrets()  # between visits there is nothing left to keep
