"""The line to the daemon, watched: heartbeats, probes, and the two event streams. I/O.

A daemon that goes away is on the screen within 3 s and back within 5 s; a terminal that was revoked learns it from its
stream and asks nobody anything more.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import structlog

from daemon import __version__
from daemon.wire.messages import PULSE_S
from kiosk import calls, commands
from kiosk.link import DaemonAway, DaemonLink, DaemonRefused, NoAnswer
from kiosk.screens import FOR_GOOD
from kiosk.state import Identify, Linked, Told, Unlinked

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from daemon.kernel.clock import Clock
    from kiosk.hub import Hub
    from kiosk.state import Event, State
    from kiosk.stream import ServerEvent

    class Machine(Protocol):
        """Whose line this is."""

        state: State

        def dispatch(self, event: Event) -> None:
            """One step."""
            ...


log = structlog.get_logger(__name__)

HEARD_S = PULSE_S + 0.25
"""A daemon that says nothing on the stream for longer than this is asked whether it is there."""
PROBE_EVERY_S = 1.1
"""Asked again after this; with `link.PROBE_S` an unreachable daemon is on the screen within 3 s either way."""
HEARTBEAT_EVERY_S = 15.0
KICKED_S = 0.05
"""A broken stream asks for a heartbeat after this: it may mean a dead daemon, or a terminal that was revoked."""
OUT_OF_SERVICE_S = 15.0
"""A terminal that its daemon does not know (any more) asks this often whether that has changed."""
STREAM_AGAIN_S = 0.4
STREAM_AGAIN_MAX_S = 3.0
TERMINAL_EVENTS = frozenset({"printer"})
SESSION_EVENTS = frozenset({"job", "jobs", "session"})
COMMANDS_KEPT_MAX = 32
ANSWER_TRIES_MAX = 3


class Watch:
    """Tells `machine` how the line is and what comes over it."""

    def __init__(
        self,
        machine: Machine,
        *,
        link: DaemonLink,
        clock: Clock,
        hub: Hub,
        jitter: Callable[[], float],
        screen: dict[str, Any] | None = None,
    ) -> None:
        self._machine, self._link, self._clock, self._hub, self._jitter = machine, link, clock, hub, jitter
        self._screen = screen or {}
        self._kicked = asyncio.Event()
        self._answered: dict[str, str] = {}
        self._last_event_id = ""
        self._has_stream = False
        self.restart_asked = asyncio.Event()
        """Set when an operator asks this program to start anew, once the request is answered."""

    def start(self, group: asyncio.TaskGroup) -> None:
        """Begin, in tasks of `group`."""
        group.create_task(self._watch_link(), name="link")
        group.create_task(self._follow_terminal(), name="terminal-stream")

    def kick(self) -> None:
        """Something went wrong on the line: look now."""
        self._kicked.set()

    def report_soon(self) -> None:
        """Something about this terminal changed: tell it with a heartbeat now."""
        self._kicked.set()

    def screen_is(self, profile: dict[str, Any]) -> None:
        """The browser's size and density, for the next heartbeat."""
        if profile != self._screen:
            self._screen = profile
            self.report_soon()

    @property
    def _is_linked(self) -> bool:
        return self._machine.state.is_linked

    async def _watch_link(self) -> None:
        """Heartbeats while linked, probes between them; tells the machine on every change."""
        next_heartbeat_s = 0.0
        while True:
            self._kicked.clear()
            now_s = self._clock.monotonic_s()
            try:
                if now_s >= next_heartbeat_s or not self._is_linked:
                    await self._heartbeat()
                    next_heartbeat_s = now_s + HEARTBEAT_EVERY_S
                elif self._is_silent(now_s):
                    await self._link.probe()
            except DaemonRefused as refusal:
                self._unlink(refusal.code)
            except (DaemonAway, NoAnswer, TimeoutError):
                self._unlink("")
            try:
                # Never `wait_for` in a loop: in Python 3.11 it swallows a cancellation that meets the result.
                async with asyncio.timeout(self._pause_s()):
                    await self._kicked.wait()
                next_heartbeat_s = 0.0
                await asyncio.sleep(KICKED_S)
            except TimeoutError:
                pass

    def _is_silent(self, now_s: float) -> bool:
        """Whether the daemon's pulse on the terminal's own stream is overdue: then it is asked."""
        return now_s - self._link.heard_s >= HEARD_S

    def _pause_s(self) -> float:
        """Until the line is looked at again: when its pulse would be overdue, or a probe's interval."""
        state, now_s = self._machine.state, self._clock.monotonic_s()
        if state.link_problem in FOR_GOOD:
            return OUT_OF_SERVICE_S * (0.9 + 0.2 * self._jitter())
        if state.is_linked and not self._is_silent(now_s):
            return max(self._link.heard_s + HEARD_S - now_s, KICKED_S)
        return PROBE_EVERY_S * (0.9 + 0.2 * self._jitter())

    async def _heartbeat(self) -> None:
        readers = [
            {"name": one.reader, "kind": one.kind, "state": one.state.value, "code": one.code, "model": one.model}
            for one in self._hub.statuses
        ]
        body = {"version": __version__, "readers": readers, "screen": self._screen}
        async with asyncio.timeout(calls.HEARTBEAT_S):
            answer = await self._link.post("/heartbeat", body)
        if not self._is_linked:
            log.info("daemon.linked")
        if not self._has_stream:
            self._last_event_id = str(answer.get("event_id") or "")
        self._machine.dispatch(Linked(answer))

    def _unlink(self, problem: str) -> None:
        state = self._machine.state
        if state.is_linked or state.link_problem != problem:
            log.warning("daemon.unlinked", problem=problem or "away")
            self._machine.dispatch(Unlinked(problem))

    async def _follow_terminal(self) -> None:
        """The terminal's own stream; its end is the first sign of a daemon that went away.

        It goes on behind the last event heard, or behind the last heartbeat: nothing is missed in between.
        """
        wait_s = STREAM_AGAIN_S
        while True:
            if self._is_linked:
                try:
                    async for event in self._link.events(last_event_id=self._last_event_id):
                        wait_s, self._has_stream = STREAM_AGAIN_S, True
                        self._last_event_id = event.event_id or self._last_event_id
                        await self._terminal_event(event)
                except (DaemonAway, DaemonRefused, NoAnswer) as error:
                    log.info("stream.ended", code=error.code)
                self._has_stream = False
                self._kicked.set()
                wait_s = min(wait_s * 2, STREAM_AGAIN_MAX_S)
            await asyncio.sleep(wait_s * (0.5 + self._jitter()) if self._is_linked else STREAM_AGAIN_S)

    async def follow_session(self, token: str) -> None:
        """The person's events, resumed where they broke off, until the session ends."""
        last_event_id, wait_s = "", STREAM_AGAIN_S
        while True:
            try:
                async for event in self._link.events(session=token, last_event_id=last_event_id):
                    last_event_id, wait_s = event.event_id or last_event_id, STREAM_AGAIN_S
                    self._tell(event, SESSION_EVENTS)
            except DaemonRefused as refusal:
                log.info("stream.refused", code=refusal.code)
                return
            except (DaemonAway, NoAnswer):
                wait_s = min(wait_s * 2, STREAM_AGAIN_MAX_S)
            await asyncio.sleep(wait_s * (0.5 + self._jitter()))

    async def _terminal_event(self, event: ServerEvent) -> None:
        """Printers, an operator's commands, the end of this terminal's rights."""
        if event.name == "revoked":
            self._unlink("revoked")
        elif event.name == "heartbeat":
            self.report_soon()
        elif event.name == "command" and (command := commands.parse(event.data)) is not None:
            await self._obey(command)
        else:
            self._tell(event, TERMINAL_EVENTS)

    async def _obey(self, command: commands.Command) -> None:
        """Do it once; one that is repeated because the answer was lost is answered again, not done again."""
        is_new = command.command_id not in self._answered
        if is_new:
            log.info("command.received", command_id=command.command_id, kind=command.kind)
            if command.kind == commands.IDENTIFY:
                self._machine.dispatch(Identify())
            self._answered[command.command_id] = commands.answer(command.kind)
            self._answered = dict(list(self._answered.items())[-COMMANDS_KEPT_MAX:])
        is_known = await self._answer(command.command_id, self._answered[command.command_id])
        if is_known and command.kind == commands.RESTART:
            self.restart_asked.set()

    async def _answer(self, command_id: str, text: str) -> bool:
        """Whether the daemon has the answer. A restart waits for that, or the next start would be asked for it again.

        An answer whose confirmation was lost is sent again, and shows itself by the command being over.
        """
        for tries in range(ANSWER_TRIES_MAX):
            try:
                async with asyncio.timeout(calls.HEARTBEAT_S):
                    await self._link.post("/command", {"command_id": command_id, "answer": text})
            except (NoAnswer, TimeoutError):
                continue
            except DaemonRefused as refusal:
                log.info("command.refused", command_id=command_id, code=refusal.code)
                return tries > 0 and refusal.code == commands.OVER
            except DaemonAway:
                break
            return True
        log.info("command.unanswered", command_id=command_id)
        return False

    def _tell(self, event: ServerEvent, wanted: frozenset[str]) -> None:
        """Printers speak on the terminal's stream; jobs and the session's end only on the person's own."""
        if event.name not in wanted:
            return
        try:
            value = json.loads(event.data)
        except ValueError:
            return
        if isinstance(value, dict):
            self._machine.dispatch(Told(event.name, value))
