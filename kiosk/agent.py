"""The terminal at work: feeds the state machine with people, cards, time and the daemon, and does what it asks. I/O.

One agent, one state, one screen. It alone holds what the screen must never see: the session token, the last card
read, the daemon's card ticket. `run` owns every task; a session ends with its own tasks.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import structlog

from daemon.devices.readers.reading import Debounce, Read
from kiosk import calls
from kiosk.link import DaemonAway, DaemonLink, DaemonRefused, NoAnswer
from kiosk.screens import step
from kiosk.state import (
    Act,
    Answer,
    Effect,
    Event,
    Linked,
    Logout,
    Lost,
    Refused,
    SignIn,
    State,
    Tapped,
    Terminal,
    Tick,
    Told,
    Unlinked,
)
from kiosk.view import view

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Protocol

    from daemon.kernel.clock import Clock
    from kiosk.stream import ServerEvent

    class Reader(Protocol):
        """A card reader."""

        kind: str

        def reads(self) -> AsyncIterator[Read]:
            """Every read, until cancelled."""
            ...


log = structlog.get_logger(__name__)

PROBE_EVERY_S = 1.1
"""Probe interval; with `link.PROBE_S` an unreachable daemon is on the screen within 3 s."""
HEARTBEAT_EVERY_S = 15.0
KICKED_S = 0.05
"""A broken stream asks for a heartbeat after this: it may mean a dead daemon, or a terminal that was revoked."""
SETTLE_S = 15.0
"""An action's answer waits this long for what it set in motion."""
STREAM_AGAIN_S = 0.4
STREAM_AGAIN_MAX_S = 3.0
VERSION = "1"
TERMINAL_EVENTS = frozenset({"printer"})
SESSION_EVENTS = frozenset({"job", "jobs", "session"})


@dataclass(slots=True)
class Session:
    """One sign-in: the token, and a lock so that a logout never overtakes a release."""

    token: str = field(repr=False)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    stream: asyncio.Task[None] | None = None


class Agent:
    """Owns the state. `act` and `watch` serve the screen, `run` the rest."""

    def __init__(
        self,
        *,
        link: DaemonLink,
        clock: Clock,
        terminal: Terminal,
        reader: Reader | None,
        jitter: Callable[[], float],
    ) -> None:
        self._link, self._clock, self._reader, self._jitter = link, clock, reader, jitter
        terminal = replace(terminal, reader=reader.kind if reader is not None else "")
        self.state = State(terminal=terminal, language=terminal.home_language)
        self._shown: dict[str, Any] = {}
        self._version = 0
        self._changed = asyncio.Event()
        self._kick = asyncio.Event()
        self._work: set[asyncio.Task[None]] = set()
        self._session: Session | None = None
        self._ticket = ""
        self._read: Read | None = None
        self._debounce = Debounce()

    async def run(self) -> None:
        """Until cancelled; then every task is gone and the session, if any, is ended."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch_link(), name="link")
                group.create_task(self._follow_terminal(), name="terminal-stream")
                group.create_task(self._tick(), name="ticker")
                if self._reader is not None:
                    group.create_task(self._follow_reader(self._reader), name="reader")
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

    async def act(self, act: Act) -> dict[str, Any]:
        """Do what the person did; gives the screen once what it set in motion has come to rest."""
        self.dispatch(act)
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

    def _begin(self, effect: Effect) -> None:
        session = self._session
        if isinstance(effect, Logout):
            self._session, self._ticket = None, ""
            if session is not None and session.stream is not None:
                session.stream.cancel()
        read, ticket = self._read, self._ticket
        if isinstance(effect, SignIn):
            self._read = None
        work = asyncio.create_task(self._do(effect, self.state.visit, session, read, ticket))
        self._work.add(work)
        work.add_done_callback(self._work.discard)

    async def _do(self, effect: Effect, visit: int, session: Session | None, read: Read | None, ticket: str) -> None:
        """One effect, to its answer. What it gives back is for `visit` only."""
        try:
            if session is None:
                payload = await calls.call(self._link, effect, token="", read=read, ticket=ticket)
            else:
                async with session.lock:
                    payload = await calls.call(self._link, effect, token=session.token, read=read, ticket=ticket)
        except DaemonRefused as refusal:
            data = refusal.data["error"]
            log.info("daemon.refused", effect=type(effect).__name__, code=refusal.code)
            self.dispatch(Refused(visit, effect, refusal.code, data))
        except (DaemonAway, NoAnswer) as error:
            log.info("daemon.lost", effect=type(effect).__name__, code=error.code)
            self._kick.set()
            self.dispatch(Lost(visit, effect))
        else:
            if isinstance(effect, SignIn):
                payload = await self._opened(payload, visit)
            self.dispatch(Answer(visit, effect, payload))

    async def _opened(self, payload: dict[str, Any], visit: int) -> dict[str, Any]:
        """Keep the secrets of a sign-in here; one that came for somebody who left is ended at once."""
        token, self._ticket = str(payload.pop("session", "") or ""), str(payload.pop("ticket", "") or "")
        if not token:
            return payload
        session = Session(token)
        if visit != self.state.visit:
            await calls.call(self._link, Logout(), token=token, read=None, ticket="")
            return payload
        session.stream = asyncio.create_task(self._follow_session(session), name="session-stream")
        self._session = session
        return payload

    async def _watch_link(self) -> None:
        """Heartbeats while linked, probes between them; tells the machine on every change."""
        next_heartbeat_s = 0.0
        while True:
            self._kick.clear()
            now_s = self._clock.monotonic_s()
            try:
                if now_s >= next_heartbeat_s or not self.state.is_linked:
                    await self._heartbeat()
                    next_heartbeat_s = now_s + HEARTBEAT_EVERY_S
                else:
                    await self._link.probe()
            except DaemonRefused as refusal:
                self._unlink(refusal.code)
            except (DaemonAway, NoAnswer, TimeoutError):
                self._unlink("")
            try:
                await asyncio.wait_for(self._kick.wait(), PROBE_EVERY_S * (0.9 + 0.2 * self._jitter()))
                next_heartbeat_s = 0.0
                await asyncio.sleep(KICKED_S)
            except TimeoutError:
                pass

    async def _heartbeat(self) -> None:
        readers = [self._reader.kind] if self._reader is not None else []
        answer = await asyncio.wait_for(
            self._link.post("/heartbeat", {"version": VERSION, "readers": readers}), calls.HEARTBEAT_S
        )
        if not self.state.is_linked:
            log.info("daemon.linked")
        self.dispatch(Linked(answer))

    def _unlink(self, problem: str) -> None:
        if self.state.is_linked or self.state.link_problem != problem:
            log.warning("daemon.unlinked", problem=problem or "away")
            self.dispatch(Unlinked(problem))

    async def _follow_terminal(self) -> None:
        """The terminal's own stream; its end is the first sign of a daemon that went away."""
        wait_s = STREAM_AGAIN_S
        while True:
            if self.state.is_linked:
                try:
                    async for event in self._link.events():
                        wait_s = STREAM_AGAIN_S
                        self._tell(event, of_session=False)
                except (DaemonAway, DaemonRefused, NoAnswer) as error:
                    log.info("stream.ended", code=error.code)
                self._kick.set()
                wait_s = min(wait_s * 2, STREAM_AGAIN_MAX_S)
            await asyncio.sleep(wait_s * (0.5 + self._jitter()) if self.state.is_linked else STREAM_AGAIN_S)

    async def _follow_session(self, session: Session) -> None:
        """The person's events, resumed where they broke off, until the session ends."""
        last_event_id, wait_s = "", STREAM_AGAIN_S
        while True:
            try:
                async for event in self._link.events(session=session.token, last_event_id=last_event_id):
                    last_event_id, wait_s = event.event_id or last_event_id, STREAM_AGAIN_S
                    self._tell(event, of_session=True)
            except DaemonRefused as refusal:
                log.info("stream.refused", code=refusal.code)
                return
            except (DaemonAway, NoAnswer):
                wait_s = min(wait_s * 2, STREAM_AGAIN_MAX_S)
            await asyncio.sleep(wait_s * (0.5 + self._jitter()))

    def _tell(self, event: ServerEvent, *, of_session: bool) -> None:
        """Printers speak on the terminal's stream; jobs and the session's end only on the person's own."""
        if event.name not in (SESSION_EVENTS if of_session else TERMINAL_EVENTS):
            return
        try:
            value = json.loads(event.data)
        except ValueError:
            return
        if isinstance(value, dict):
            self.dispatch(Told(event.name, value))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1.0 - self._clock.monotonic_s() % 1.0 % 0.999)
            self.dispatch(Tick())

    async def _follow_reader(self, reader: Reader) -> None:
        async for read in reader.reads():
            if self._debounce.is_new(read, self._clock.monotonic_s()):
                self._read = read
                self.dispatch(Tapped())
